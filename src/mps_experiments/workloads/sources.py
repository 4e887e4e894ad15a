"""A digest of the code behind a custom workload, read without importing it."""

import ast
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mps_experiments.workloads.factory import find_module


@dataclass(frozen=True, kw_only=True)
class OwnFiles:
    """The files of the code behind a factory.

    Attributes:
        origin: The factory's module.
        root: The folder that dotted names start from.
        files: That module and the modules of its own that it imports, and those import.
        package: Its top-level package where it is installed; None where all of `root` is its own.
    """

    origin: Path
    root: Path
    files: frozenset[Path]
    package: str | None

    def includes(self, top: str) -> bool:
        """Whether a top-level module is its own."""
        return top == self.package if self.package else any(_files(top, self.root))


def own_files(factory: str, folder: Path) -> OwnFiles | None:
    """Find the factory's module and those of its own: in `folder`, or in its package where it is installed.

    Args:
        factory: ``module:function``, found by `factory.check_factory`.
        folder: The folder to import from.

    Returns:
        None for a module without a file.
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
    """Digest the factory's own files; None for a module without a file.

    What else it uses (installed packages, files that it reads) is not in the digest.
    """
    own = own_files(factory, folder)
    if own is None:
        return None
    digest = hashlib.sha256()
    for path in sorted(own.files):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(own.root)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _root(origin: Path, name: str) -> Path:
    """The folder that the module's dotted name starts from."""
    depth = name.count(".") + (origin.name == "__init__.py")
    return origin.parents[depth]


def _closure(name: str, origin: Path, root: Path, inside: str | None) -> set[Path]:
    """The module's file and those of the modules below `root` that it needs; `inside` limits the package."""
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
    """Dotted names that a module may import; of ``from a import b`` both ``a`` and ``a.b``."""
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
            yield from (start, *(f"{start}.{alias.name}" for alias in node.names))


def _files(dotted: str, root: Path) -> Iterator[tuple[str, Path]]:
    """The modules that importing a dotted name runs: each package on the way, then itself."""
    parts = list(filter(None, dotted.split(".")))
    for count in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:count])
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if file.is_file():
                yield ".".join(parts[:count]), file
                break
