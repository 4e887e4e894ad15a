"""Read the code of a custom workload without importing it: its digest, and the packages that it needs."""

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mps_experiments.record.disk import digest_of_files
from mps_experiments.workloads.factory import find_module

# The fork server imports torch in any case. Rarely needed parts of it may start processes or threads.
_NOT_WANTED = frozenset({*sys.stdlib_module_names, "torch", "torchvision", "mps_experiments"})


@dataclass(frozen=True, kw_only=True)
class _OwnFiles:
    """The files of the code behind a factory.

    Attributes:
        root: The folder in which dotted names start.
        modules: By file, the dotted names of the factory's module and of those of its own code that it
            imports, directly or indirectly.
        package: Its top-level package if it is installed; None if all of `root` is its own code.
    """

    origin: Path
    root: Path
    modules: dict[Path, str]
    package: str | None

    def includes(self, top: str) -> bool:
        """Return whether a top-level module belongs to the factory's own code."""
        return top == self.package if self.package else any(_files(top, self.root))


def source_sha256(factory: str, folder: Path) -> str | None:
    """Return the SHA-256 of the factory's own files; None for a module without a file.

    Installed packages and files that the code reads do not count.
    """
    own = _own_files(factory, folder)
    return None if own is None else digest_of_files(own.root, own.modules)


def installed_imports(factory: str, folder: Path) -> tuple[str, ...]:
    """List the modules of installed packages that loading a factory imports; ``from a import b``: ``a.b``.

    The factory's module and its own other modules are read: their imports at the top level and those inside
    the factory. Packages that are not installed are omitted.
    """
    own = _own_files(factory, folder)
    if own is None:
        return ()
    function = factory.partition(":")[2]
    names = dict[str, None]()
    for file in sorted(own.modules):
        executed = _executed(_parsed(file), function if file == own.origin else "")
        names |= dict.fromkeys(_imported(executed, _package(own.modules[file], file)))
    path = [str(folder), *sys.path]
    tops = {name.partition(".")[0] for name in names} - _NOT_WANTED
    installed = {top for top in tops if not own.includes(top) and find_module(top, path) is not None}
    return tuple(name for name in names if name.partition(".")[0] in installed)


def _own_files(factory: str, folder: Path) -> _OwnFiles | None:
    """Find the factory's module and the modules of its own: in `folder`, or in its package if installed."""
    name = factory.partition(":")[0]
    spec = find_module(name, [str(folder), *sys.path])
    origin = Path(spec.origin) if spec is not None and spec.origin else None
    if origin is None or not origin.is_file():
        return None
    root = origin.parents[name.count(".") + (origin.name == "__init__.py")]
    package = None if root == folder else name.partition(".")[0]
    modules, left = {origin: name}, [origin]
    while left:
        path = left.pop()
        inside = _package(modules[path], path)
        for dotted in (inside, *_imported(ast.walk(_parsed(path)), inside)):
            if package is not None and dotted.partition(".")[0] != package:
                continue
            for part, file in _files(dotted, root):
                if file not in modules:
                    modules[file] = part
                    left.append(file)
    return _OwnFiles(origin=origin, root=root, modules=modules, package=package)


def _parsed(path: Path) -> ast.Module:
    """Parse a module; an empty one for what is no Python."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


def _package(name: str, path: Path) -> str:
    return name if path.name == "__init__.py" else name.rpartition(".")[0]


def _executed(node: ast.AST, function: str) -> Iterator[ast.AST]:
    """Yield the nodes that run when a module is imported and the named function is called."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and child.name != function:
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _executed(ast.Module(body=child.orelse, type_ignores=[]), function)
            continue
        yield child
        yield from _executed(child, function)


def _imported(nodes: Iterable[ast.AST], package: str) -> Iterator[str]:
    """Yield the dotted names that a module of this package may import; for ``from a import b``, ``a.b``."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: -(node.level - 1) or None] if node.level else []
            start = ".".join(filter(None, [*parts, node.module or ""]))
            yield from (f"{start}.{alias.name}".strip(".").removesuffix(".*") for alias in node.names)


def _files(dotted: str, root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the modules that importing a dotted name runs: each package on the way, then itself."""
    parts = list(filter(None, dotted.split(".")))
    for count in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:count])
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if file.is_file():
                yield ".".join(parts[:count]), file
                break
