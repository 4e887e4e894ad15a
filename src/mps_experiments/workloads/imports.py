"""Find the installed packages that a factory's code imports, without importing anything."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from mps_experiments.workloads.factory import find_module
from mps_experiments.workloads.sources import own_files

# The fork server imports torch in any case. Rarely needed parts of it may start processes or threads.
_NOT_WANTED = frozenset({*sys.stdlib_module_names, "torch", "torchvision", "mps_experiments"})


def installed_imports(factory: str, folder: Path) -> tuple[str, ...]:
    """List the modules of installed packages that loading a factory imports; ``from a import b``: ``a.b``.

    The factory's module and its own other modules are read: their imports at the top level and those inside
    the factory. Packages that are not installed are omitted.

    Args:
        factory: ``module:function``, found by `factory.check_factory`.
        folder: The folder to import from.
    """
    own = own_files(factory, folder)
    if own is None:
        return ()
    function = factory.partition(":")[2]
    path = [str(folder), *sys.path]
    names = dict.fromkeys(
        name for file in sorted(own.files) for name in _names(file, function if file == own.origin else None)
    )
    tops = {name.partition(".")[0] for name in names}
    installed = {
        top for top in tops - _NOT_WANTED if not own.includes(top) and find_module(top, path) is not None
    }
    return tuple(name for name in names if name.partition(".")[0] in installed)


def _names(file: Path, function: str | None) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in _executed(tree.body, function):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (str(node.module) + ("" if a.name == "*" else f".{a.name}") for a in node.names)


def _executed(body: list[ast.stmt], function: str | None) -> Iterator[ast.stmt]:
    """Yield the statements that run when the module is imported and, if named, the function is called."""
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            yield from (each for each in ast.walk(node) if isinstance(each, ast.stmt))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _executed(node.orelse, function)
        elif isinstance(node, ast.If | ast.Try | ast.With):
            handlers = [each for handler in getattr(node, "handlers", []) for each in handler.body]
            rest = [*getattr(node, "orelse", []), *getattr(node, "finalbody", [])]
            yield from _executed([*node.body, *handlers, *rest], function)
        else:
            yield node
