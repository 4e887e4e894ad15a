"""The arrows of docs/architecture.md, read from the imports themselves; each test lists its offenders."""

import ast
import re
from collections.abc import Iterator

from tests.conftest import CHECKOUT, SRC

PACKAGE = SRC / "mps_experiments"

# From the ground up: a room may import rooms below it, never one above or beside it.
FLOORS: list[set[str]] = [
    {"errors"},
    {"record"},
    {"analysis", "config", "machine", "workloads"},
    {"mps", "report", "tracking", "workers"},
    {"run"},
    {"sweep"},
    {"cli"},
    {
        "__main__",
        "compare",
        "doctor",
        "export",
        "recommend",
        "replay",
        "sync",
    },  # python -m mps_experiments, and of each tool
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

# Who may import what at all; inside functions counts too.
ONLY_IN = {
    "torch": {"workloads", "workers"},
    "torchvision": {"workloads"},
    "safetensors": {"workloads"},
    "mlflow": {"tracking"},
    "hydra": {"config", "sweep"},
    "pynvml": {"machine"},
    "PIL": {"workloads"},
    "matplotlib": {"report"},
    "scipy": {"analysis", "record"},
}
FORBIDDEN_NAMES = {"utils", "helpers", "common", "base"}


def modules() -> Iterator[tuple[str, str, ast.Module]]:
    """Yield each module's path below the package, its room and its tree."""
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        if path.name != "__init__.py":
            room = "__main__" if path.name == "__main__.py" else place.parts[0].removesuffix(".py")
            yield str(place), room, ast.parse(path.read_text())


def imported(nodes: list[ast.stmt] | list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_a_room_imports_only_what_lies_below_it() -> None:
    offenders = []
    for place, room, tree in modules():
        for name in imported(list(ast.walk(tree))):
            package, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if package == "mps_experiments" and other not in {"", room} and FLOOR_OF[other] >= FLOOR_OF[room]:
                offenders.append(f"{place}: {name}")
    assert offenders == []


def test_heavy_packages_are_imported_where_they_belong() -> None:
    offenders = [
        f"{place}: {name}"
        for place, room, tree in modules()
        for name in imported(list(ast.walk(tree)))
        if room not in ONLY_IN.get(name.partition(".")[0], {room})
    ]
    assert offenders == []


def test_rooms_and_modules_have_names_that_say_something_and_stand_in_the_map() -> None:
    text = (CHECKOUT / "docs" / "architecture.md").read_text()
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert {room for room in rooms if not re.search(rf"`{room}/", text)} == set()
    told = {
        word for row in re.findall(r"^\| .*", text, re.MULTILINE) for word in re.findall(r"[`/](\w+)`", row)
    }
    modules = {path.stem for path in PACKAGE.rglob("*.py") if path.parent.parent.name != "sweep"}
    assert modules - told - {"__init__"} == set()
    names = {path.stem for path in PACKAGE.rglob("*.py")} | rooms
    assert names & FORBIDDEN_NAMES == set()
