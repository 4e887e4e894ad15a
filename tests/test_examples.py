"""The example workloads, run as their docstrings say."""

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, Command

EXAMPLES = sorted((CHECKOUT / "examples").glob("*.py"))


def command_of(example: Path) -> list[str]:
    """The overrides of the command in an example's docstring."""
    match = re.search(r"^python -m mps_experiments (.+)$", example.read_text(), flags=re.MULTILINE)
    assert match, f"{example.name} does not say how to run it"
    return shlex.split(match[1])


@pytest.mark.gpu
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_as_its_docstring_says(
    example: Path, mps_experiments: Command, tmp_path: Path
) -> None:
    result = mps_experiments(
        *command_of(example), "times=5", "tracking=none", f"output_dir={tmp_path}", cwd=CHECKOUT
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "INVALID" not in result.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_names_its_own_factory(example: Path) -> None:
    assert f"workload.factory=examples.{example.stem}:build" in command_of(example)
