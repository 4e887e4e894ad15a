"""A workload of the user's own: how its factory is called, and what it must return."""

import sys
from pathlib import Path

import pytest
import torch

from mps_experiments.workloads.loading import load
from mps_experiments.workloads.spec import WorkloadSpec

CPU = torch.device("cpu")
MODULE = """\
SEEN = []
def build(device, options):
    SEEN.append((device, options))
    return (lambda x, y=0: x + y), {"x": options["size"], "y": 1}
def nothing(device, options): return None
def three(device, options): return len, "ab", 1
def not_callable(device, options): return "model", 1
def fails(device, options): raise RuntimeError("no such checkpoint")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the user's module, not on the path."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "users_own_module.py").write_text(MODULE)
    monkeypatch.delitem(sys.modules, "users_own_module", raising=False)
    return tmp_path


def spec(folder: Path, function: str) -> WorkloadSpec:
    factory = f"users_own_module:{function}"
    return WorkloadSpec(
        kind="custom", model=factory, factory=factory, import_path=str(folder), options={"size": 3}
    )


def test_the_factory_gets_a_torch_device_and_its_options(folder: Path) -> None:
    assert load(spec(folder, "build"), CPU).forward() == 4
    ((device, options),) = sys.modules["users_own_module"].SEEN
    assert device == CPU
    assert options == {"size": 3}


def test_the_module_is_imported_from_the_folder_of_the_command(folder: Path) -> None:
    load(spec(folder, "build"), CPU)
    assert sys.modules["users_own_module"].__file__ == str(folder / "users_own_module.py")


def test_the_factory_cannot_change_the_plan(folder: Path) -> None:
    of = spec(folder, "build")
    load(of, CPU)
    sys.modules["users_own_module"].SEEN[0][1]["size"] = 9
    assert of.options == {"size": 3}


@pytest.mark.parametrize("function", ["nothing", "three", "not_callable"])
def test_a_factory_that_returns_something_else_is_told_so(folder: Path, function: str) -> None:
    with pytest.raises(TypeError, match=rf"users_own_module:{function} must return \(model, input\)"):
        load(spec(folder, function), CPU)


def test_what_a_factory_raises_comes_through(folder: Path) -> None:
    with pytest.raises(RuntimeError, match="no such checkpoint"):
        load(spec(folder, "fails"), CPU)
