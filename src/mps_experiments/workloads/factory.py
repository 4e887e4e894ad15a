"""Find a custom workload's factory without importing it: the parent must not run user code or torch."""

import ast
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from mps_experiments.errors import ConfigError

_OPTION = "workload.factory"
_EXPECTED = "give module:function, importable from the current folder or installed"


def check_factory(factory: str | None) -> Path:
    """The folder to import from (the current one), once the module and the function were seen there.

    Raises:
        ConfigError: If the text is not ``module:function``, or one of the two does not exist.
    """
    module_name, _, function = (factory or "").partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), function]):
        raise ConfigError(_OPTION, factory, f"not a factory; {_EXPECTED}")
    folder = Path.cwd()
    spec = _find(module_name, [str(folder), *sys.path])
    if spec is None:
        raise ConfigError(_OPTION, factory, f"there is no module {module_name}; {_EXPECTED}")
    if not _defines(spec, function):
        raise ConfigError(_OPTION, factory, f"{spec.origin} has no function {function}")
    return folder


def _find(module_name: str, path: list[str]) -> ModuleSpec | None:
    """The spec of a dotted name; unlike importlib.util.find_spec it imports no parent package."""
    spec: ModuleSpec | None = None
    search: list[str] | None = path
    name = ""
    for part in module_name.split("."):
        if search is None:
            return None
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, search)
        if spec is None:
            return None
        search = list(spec.submodule_search_locations) if spec.submodule_search_locations else None
    return spec


def _defines(spec: ModuleSpec, name: str) -> bool:
    """Whether the module's source binds `name` at its top level; True where that cannot be told."""
    if spec.origin is None or not spec.origin.endswith(".py"):
        return spec.origin is not None
    try:
        tree = ast.parse(Path(spec.origin).read_bytes())
    except (SyntaxError, ValueError, OSError) as error:
        raise ConfigError(
            _OPTION, f"{spec.name}:{name}", f"{spec.origin} cannot be read ({error})"
        ) from error
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return True
        if isinstance(node, ast.Import | ast.ImportFrom) and any(
            alias.name == "*" or (alias.asname or alias.name) == name for alias in node.names
        ):
            return True
        if isinstance(node, ast.Assign | ast.If | ast.Try) and any(
            isinstance(inner, ast.Name | ast.FunctionDef)
            and name in (getattr(inner, "id", ""), getattr(inner, "name", ""))
            for inner in ast.walk(node)
        ):
            return True
    return False
