"""The arrows of docs/architecture.md, read from the imports themselves."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SRC

PACKAGE = SRC / "mps_experiments"

# From the ground up: a room may import rooms below it, never one above or beside it.
FLOORS: list[set[str]] = [
    {"axes", "errors", "disk", "option", "standard_streams"},
    {"config"},
    {"afterwork", "measurement", "signals"},
    {"trace_files"},
    {"machine", "workloads", "composition", "blocks"},
    {"mps", "workers", "plan"},
    {"environment", "record", "skip", "terminal"},
    {"run_state", "report", "keeping", "mps_check", "summaries", "mistaken"},
    {"bystanders", "mps_ending", "pages", "precision"},
    {"recorder"},
    {"evidence", "faults", "fingerprint"},
    {"runner", "tracking", "resume"},
    {"preflight", "trials", "agenda"},
    {"ledger", "reporting"},
    {"sweep", "lookup"},
    {"opening"},
    {"sync", "cli", "doctor", "export"},
    {"replay"},
    {"__main__"},
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

# Who may import what at all; inside functions counts too.
ONLY_IN = {
    "torch": {"workloads", "workers"},
    "torchvision": {"workloads"},
    "safetensors": {"workloads"},
    "mlflow": {"tracking"},
    "hydra": {"config", "composition", "cli", "sweep"},
    "pynvml": {"machine"},
    "PIL": {"workloads"},
    "matplotlib": {"report", "pages"},
    "scipy": {"measurement", "report"},
}
FORBIDDEN_NAMES = {"utils", "helpers", "common", "base"}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room_of(path: Path) -> str:
    """An entry of a package (python -m mps_experiments.report) lies as high as the program's own."""
    parts = path.relative_to(PACKAGE).parts
    return "__main__" if parts[-1] == "__main__.py" else parts[0].removesuffix(".py")


def imported(path: Path, top_level_only: bool = False) -> Iterator[str]:
    """Dotted names of the modules that a file imports."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_lies_below_it(path: Path) -> None:
    room = room_of(path)
    for name in imported(path):
        parts = name.split(".")
        if parts[0] != "mps_experiments" or len(parts) == 1 or parts[1] == room:
            continue
        assert FLOOR_OF[parts[1]] < FLOOR_OF[room], f"{room} imports {name}, which lies above or beside it"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_library_is_imported_only_where_it_belongs(path: Path) -> None:
    for name in imported(path):
        allowed = ONLY_IN.get(name.split(".")[0])
        assert allowed is None or room_of(path) in allowed, f"{name} is imported in {room_of(path)}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "workers").glob("*.py")), ids=lambda path: path.name)
def test_worker_modules_that_the_parent_imports_have_no_torch_at_the_top(path: Path) -> None:
    top = {name.split(".")[0] for name in imported(path, top_level_only=True)}
    assert not top & {"torch", "torchvision"}


def test_every_room_has_a_floor() -> None:
    assert {room_of(path) for path in modules()} <= set(FLOOR_OF)


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert not {path.stem for path in modules()} & FORBIDDEN_NAMES


def test_every_module_says_what_it_is_for() -> None:
    silent = [path.name for path in modules() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []
