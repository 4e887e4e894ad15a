"""Find a custom workload's factory without importing it: the parent must not run user code or torch."""

import ast
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

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
    spec = find_module(module_name, [str(folder), *sys.path])
    if spec is None:
        raise ConfigError(_OPTION, factory, f"there is no module {module_name}; {_EXPECTED}")
    if not _defines(spec, function, factory):
        raise ConfigError(_OPTION, factory, f"{spec.origin or module_name} has no function {function}")
    return folder


def find_module(module_name: str, path: list[str]) -> ModuleSpec | None:
    """The spec of a dotted name; unlike importlib.util.find_spec it imports no parent package."""
    spec: ModuleSpec | None = None
    search: list[str] | None = path
    for part in module_name.split("."):
        # Asked for without its parents, or a namespace package would look them up in sys.modules.
        spec = None if search is None else PathFinder.find_spec(part, search)
        if spec is None and search is path:
            spec = _elsewhere(part)
        if spec is None:
            return None
        locations = spec.submodule_search_locations
        search = list(locations) if locations is not None else None
    return spec


def _elsewhere(name: str) -> ModuleSpec | None:
    """A top-level module that is not on the path: built in, or of an editable installation."""
    finders: list[Any] = sys.meta_path
    found = (finder.find_spec(name, None) for finder in finders)
    return next((spec for spec in found if isinstance(spec, ModuleSpec)), None)


def _defines(spec: ModuleSpec, name: str, factory: str | None) -> bool:
    """Whether the module's source binds `name` at its top level; True where that cannot be told."""
    if spec.origin is None or not spec.origin.endswith(".py"):
        return spec.origin is not None
    try:
        tree = ast.parse(Path(spec.origin).read_bytes(), filename=spec.origin)
    except (SyntaxError, ValueError, OSError) as error:
        raise ConfigError(_OPTION, factory, f"{spec.origin} cannot be read ({error})") from error
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return True
        if isinstance(node, ast.Import | ast.ImportFrom) and any(
            alias.name == "*" or (alias.asname or alias.name) == name for alias in node.names
        ):
            return True
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.If | ast.Try) and any(
            isinstance(inner, ast.Name | ast.FunctionDef)
            and name in (getattr(inner, "id", ""), getattr(inner, "name", ""))
            for inner in ast.walk(node)
        ):
            return True
    return False
