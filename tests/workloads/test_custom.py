"""A workload of the user's own: how its factory is called, and what it must return."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.workloads.loading import load

CPU = torch.device("cpu")
MODULE = """\
SEEN = []
def build(device, options):
    SEEN.append((device, options))
    return (lambda x, y=0: x + y), {"x": options["size"], "y": 1}
def batched(device, options, batch="no batch"): return (lambda n: n), batch
def fails(device, options): raise RuntimeError("no such checkpoint")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with the user's module, which is not on the path."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "users_own_module.py").write_text(MODULE)
    monkeypatch.delitem(sys.modules, "users_own_module", raising=False)
    return tmp_path


def spec(folder: Path, function: str) -> WorkloadSpec:
    factory = f"users_own_module:{function}"
    return WorkloadSpec(
        kind="custom", model=factory, factory=factory, import_path=str(folder), options={"size": 3}
    )


def test_the_factory_gets_a_torch_device_and_a_copy_of_its_options(folder: Path) -> None:
    of = spec(folder, "build")
    assert load(of, CPU).forward() == 4
    module = sys.modules["users_own_module"]
    assert module.__file__ == str(folder / "users_own_module.py")
    ((device, options),) = module.SEEN
    assert (device, options) == (CPU, {"size": 3})
    options["size"] = 9
    assert of.options == {"size": 3}


RETURNED = {
    "None": "NoneType",
    "torch.nn.Identity()": "Identity",
    "torch.ones(1)": "Tensor",
    "(len, 'ab', 1)": "tuple of 3 (builtin_function_or_method, str, int)",
    "{'model': len, 'input': 'ab'}": "dict",
    "(torch.ones(1), torch.nn.Identity())": "tuple of 2 (Tensor, Identity)",
    "(x for x in 'ab')": "generator",
    "tuple(range(9))": "tuple of 9 (int, int, int, int, int, ...)",
    "soon()": "a coroutine; it must not be async",
}


@pytest.mark.parametrize(("value", "named"), RETURNED.items(), ids=RETURNED.keys())
def test_what_a_factory_returned_instead_is_named(folder: Path, value: str, named: str) -> None:
    returning(folder, value)
    with pytest.raises(TypeError) as caught:
        load(spec(folder, "returning"), CPU)
    assert str(caught.value) == f"users_own_module:returning must return (model, input), but returned {named}"


def returning(folder: Path, value: str) -> None:
    """Add a factory that returns this expression."""
    module = folder / "users_own_module.py"
    own = f"def returning(device, options): return {value}\n"
    module.write_text(f"import io, itertools, torch\nasync def soon(): ...\n{module.read_text()}{own}")


ONE_SHOT = {
    "(i for i in range(9))": "generator as input",
    "map(abs, [1])": "map as input",
    "zip([1], [2])": "zip as input",
    "iter([1])": "list_iterator as input",
    "iter(torch.utils.data.DataLoader([1]))": "_SingleProcessDataLoaderIter as input",
    "io.StringIO('a file')": "StringIO as input",
    "(1, iter([1]))": "list_iterator as input[1]",
    "{'x': [0, iter([1])]}": "list_iterator as input['x'][1]",
    "itertools.islice(itertools.count(), 3)": "islice as input",
}


@pytest.mark.parametrize(("value", "named"), ONE_SHOT.items(), ids=ONE_SHOT.keys())
def test_an_input_that_one_iteration_uses_up_is_refused_by_name(folder: Path, value: str, named: str) -> None:
    returning(folder, f"len, {value}")
    with pytest.raises(TypeError, match=re.escape(f"returned {named}, which one iteration uses up")):
        load(spec(folder, "returning"), CPU)


@pytest.mark.parametrize(
    "value",
    ["[1, 2]", "range(3)", "'text'", "torch.ones(3)", "{1, 2}", "torch.utils.data.DataLoader([1])", "None"],
)
def test_an_input_that_can_be_gone_through_again_is_taken(folder: Path, value: str) -> None:
    returning(folder, f"(lambda x: x), {value}")
    forward = load(spec(folder, "returning"), CPU).forward
    assert forward() is forward()


def test_an_endless_iterator_is_taken(folder: Path) -> None:
    returning(folder, "next, itertools.cycle([1, 2])")
    forward = load(spec(folder, "returning"), CPU).forward
    assert [forward() for _ in range(5)] == [1, 2, 1, 2, 1]


def test_what_a_factory_raises_comes_through(folder: Path) -> None:
    with pytest.raises(RuntimeError, match="no such checkpoint"):
        load(spec(folder, "fails"), CPU)


def test_a_batch_is_an_argument_of_its_own(folder: Path) -> None:
    of = spec(folder, "batched")
    assert [load(replace(of, batch=batch), CPU).forward() for batch in (1, 8)] == ["no batch", 8]


def test_a_factory_that_takes_no_batch_fails(folder: Path) -> None:
    with pytest.raises(TypeError, match="batch"):
        load(replace(spec(folder, "build"), batch=8), CPU)
