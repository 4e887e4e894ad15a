"""What the README and the docs promise: commands that work, files that exist."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from mps_experiments.composition import parse
from mps_experiments.config import options
from tests.conftest import CHECKOUT, Command

README = (CHECKOUT / "README.md").read_text()
DOCUMENTS = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
LAUNCH = "python -m mps_experiments "


def commands(text: str) -> list[str]:
    """Lines of the indented or fenced blocks of a document that start this program."""
    lines = (line.strip().removeprefix("$ ") for line in text.splitlines())
    return [line.partition("  #")[0].strip() for line in lines if line.startswith(LAUNCH)]


@pytest.mark.parametrize("command", sorted({c for d in DOCUMENTS for c in commands(d.read_text())}))
def test_a_documented_command_line_composes(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)

    request = parse(shlex.split(command)[3:])

    assert request.cells or not request.runs


def test_the_quickstart_runs_as_the_readme_writes_it(mps_experiments: Command) -> None:
    command = "python -m mps_experiments experiment=quickstart"
    assert command in commands(README)

    result = mps_experiments(*shlex.split(command)[3:])

    assert result.returncode == 0, result.stdout + result.stderr
    assert "MPS OFF" in result.stdout
    assert "MPS ON" in result.stdout


@pytest.mark.parametrize("target", re.findall(r"make ([a-z-]+)", README))
def test_a_make_target_of_the_readme_exists(target: str) -> None:
    result = subprocess.run(["make", "-n", target], cwd=CHECKOUT, capture_output=True, check=False)

    assert result.returncode == 0


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_linked_file_exists(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())

    missing = [link for link in links if not (document.parent / link).exists()]

    assert missing == []


def test_every_option_named_in_the_docs_exists() -> None:
    names = {option.name for option in options()}
    groups = {"mps", "workload", "tracking", "experiment", "workers"}
    for document in DOCUMENTS:
        for name in re.findall(
            r"`(?:\+)?((?:mps|workload|workers|tracking)\.[a-z_]+)=", document.read_text()
        ):
            assert name in names or name.split(".")[0] not in groups, f"{document.name}: {name}"


def test_the_readme_fits_on_a_few_screens() -> None:
    assert len(README.splitlines()) <= 150
