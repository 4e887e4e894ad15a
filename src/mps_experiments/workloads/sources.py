"""Digest the code of a custom workload without importing it."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mps_experiments.record.disk import digest_of_files
from mps_experiments.workloads.factory import find_module


@dataclass(frozen=True, kw_only=True)
class OwnFiles:
    """The files of the code behind a factory.

    Attributes:
        origin: The factory's module.
        root: The folder in which dotted names start.
        files: That module and those that it imports, directly or indirectly, from its own code.
        package: Its top-level package if it is installed; None if all of `root` is its own code.
    """

    origin: Path
    root: Path
    files: frozenset[Path]
    package: str | None

    def includes(self, top: str) -> bool:
        """Return whether a top-level module belongs to the factory's own code."""
        return top == self.package if self.package else any(_files(top, self.root))


def own_files(factory: str, folder: Path) -> OwnFiles | None:
    """Find the factory's module and the modules of its own: in `folder`, or in its package if installed.

    Args:
        factory: ``module:function``, checked by `factory.check_factory`.
        folder: The folder to import from.

    Returns:
        The files; None for a module without a file.
    """
    name = factory.partition(":")[0]
    spec = find_module(name, [str(folder), *sys.path])
    origin = Path(spec.origin) if spec is not None and spec.origin else None
    if origin is None or not origin.is_file():
        return None
    root = _root(origin, name)
    package = None if root == folder else name.partition(".")[0]
    files = frozenset(_closure(name, origin, root, package))
    return OwnFiles(origin=origin, root=root, files=files, package=package)


def source_sha256(factory: str, folder: Path) -> str | None:
    """Return the SHA-256 of the factory's own files; None for a module without a file.

    Installed packages and files that the code reads do not count.
    """
    own = own_files(factory, folder)
    return None if own is None else digest_of_files(own.root, own.files)


def _root(origin: Path, name: str) -> Path:
    """Return the folder in which the module's dotted name starts."""
    depth = name.count(".") + (origin.name == "__init__.py")
    return origin.parents[depth]


def _closure(name: str, origin: Path, root: Path, inside: str | None) -> set[Path]:
    """Collect the files of a module and of those that it needs below `root`, or in the package `inside`."""
    found, left = {origin}, [(name, origin)]
    while left:
        importer, path = left.pop()
        for dotted in _imported(importer, path):
            if inside is not None and dotted.partition(".")[0] != inside:
                continue
            for part, file in _files(dotted, root):
                if file not in found:
                    found.add(file)
                    left.append((part, file))
    return found


def _imported(name: str, path: Path) -> Iterator[str]:
    """Yield the dotted names that a module may import; for ``from a import b`` both ``a`` and ``a.b``."""
    if path.suffix != ".py":
        return
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    yield package
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: -(node.level - 1) or None] if node.level else []
            start = ".".join(filter(None, [*parts, node.module or ""]))
            yield start
            yield from (f"{start}.{alias.name}" for alias in node.names)


def _files(dotted: str, root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the modules that importing a dotted name runs: each package on the way, then itself."""
    parts = list(filter(None, dotted.split(".")))
    for count in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:count])
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if file.is_file():
                yield ".".join(parts[:count]), file
                break
