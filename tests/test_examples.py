"""The example workloads, run as their docstrings say."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from examples import causes

from tests.conftest import CHECKOUT, Command

EXAMPLES = sorted((CHECKOUT / "examples").glob("*.py"))


SHORT = {"times": "20", "repeat": "0", "tracking": "none"}


def command_of(example: Path) -> list[str]:
    """The overrides of the command in an example's docstring, which may go on after a backslash."""
    text = example.read_text().replace("\\\n", " ")
    match = re.search(r"^python -m mps_experiments (.+)$", text, flags=re.MULTILINE)
    assert match, f"{example.name} does not say how to run it"
    return shlex.split(match[1])


@pytest.mark.gpu
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_as_its_docstring_says(
    example: Path, mps_experiments: Command, tmp_path: Path
) -> None:
    """With fewer iterations and no repeats."""
    command = [each for each in command_of(example) if each.partition("=")[0] not in SHORT]
    short = [f"{option}={value}" for option, value in SHORT.items()]
    result = mps_experiments(*command, *short, f"output_dir={tmp_path}", cwd=CHECKOUT)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "INVALID" not in result.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_names_its_own_factory(example: Path) -> None:
    assert f"workload.factory=examples.{example.stem}:build" in command_of(example)


@pytest.mark.parametrize("kind", ["tiny_kernels", None])
def test_the_causes_compute_on_the_cpu_too(kind: str | None) -> None:
    model, value = causes.build(torch.device("cpu"), {} if kind is None else {"kind": kind})
    output = model(value)
    assert isinstance(output, torch.Tensor)
    assert set(output.tolist()) == {1000.0}


def test_every_kind_of_cause_that_the_command_names_is_there() -> None:
    (kinds,) = (
        each.removeprefix("+workload.options.kind=")
        for each in command_of(CHECKOUT / "examples" / "causes.py")
        if each.startswith("+workload.options.kind=")
    )
    for kind in kinds.split(","):
        assert callable(getattr(causes, kind))
    with pytest.raises(KeyError):
        causes.build(torch.device("cpu"), {"kind": "no such kind"})
