"""What every refusal has to be: one line, exit code 2, nothing started, nothing lost, nothing executed."""

import contextlib
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.sweep.program import main
from tests.conftest import Command

GONE_TIMEOUT_S = 30.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)


@dataclass(frozen=True, kw_only=True)
class Bad:
    """One bad input. ``{here}`` stands for the folder that the command runs in.

    Attributes:
        name: Of the row, for a person.
        arguments: What is typed.
        says: What the line has to say: option, value, and what would work.
        files: Text of files beside, by relative path.
        environment: Variables to set.
    """

    name: str
    arguments: Sequence[str]
    says: Sequence[str]
    files: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


def rows(table: Sequence[Bad]) -> pytest.MarkDecorator:
    """A test of every row."""
    return pytest.mark.parametrize("bad", table, ids=[bad.name for bad in table])


Refused = Callable[[Bad], str]


@pytest.fixture
def refused_by_command(tmp_path: Path, mps_experiments: Command) -> Refused:
    """The line with which the command, started as a user does, refuses a row."""

    def run(bad: Bad) -> str:
        here, before = _prepare(bad, tmp_path)
        mark = uuid.uuid4().hex
        environment = {name: value.format(here=here) for name, value in bad.environment.items()}
        done = mps_experiments(*_arguments(bad, here), cwd=here, HOSTILE_ROW=mark, **environment)
        _check(bad, here, before, done.returncode, done.stdout, done.stderr)
        _, alive = psutil.wait_procs(_started_with(mark), GONE_TIMEOUT_S)
        assert alive == []
        return done.stderr

    return run


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Refused]:
    """The line with which `cli.main` refuses a row inside this process: the same, seconds sooner."""
    before_signals = {number: signal.getsignal(number) for number in _SIGNALS}

    def run(bad: Bad) -> str:
        here, before = _prepare(bad, tmp_path)
        monkeypatch.chdir(here)
        monkeypatch.setattr(sys, "argv", ["mps_experiments", *_arguments(bad, here)])
        monkeypatch.setattr(sys, "path", [str(here), *sys.path])  # as `python -m` has it
        for name, value in bad.environment.items():
            monkeypatch.setenv(name, value.format(here=here))
        capfd.readouterr()
        code = main(FixedProbe())
        printed = capfd.readouterr()
        _check(bad, here, before, code, printed.out, printed.err)
        return printed.err

    yield run
    for number, handler in before_signals.items():
        signal.signal(number, handler)


def _prepare(bad: Bad, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    here = tmp_path / "a" / "b" / "here"  # room above, for a path that leads out
    here.mkdir(parents=True, exist_ok=True)
    for name, text in bad.files.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(text.replace("{here}", str(here)))
    return here, _snapshot(tmp_path)


def _arguments(bad: Bad, here: Path) -> list[str]:
    return [argument.replace("{here}", str(here)) for argument in bad.arguments]


FIRST_LINE = "checking the workload and the tracking store ...\n"  # of what takes seconds


def _check(bad: Bad, here: Path, before: dict[str, str], code: int, out: str, err: str) -> None:
    assert code == 2, err
    assert out in ("", FIRST_LINE)
    assert err.startswith("mps_experiments: ")
    assert err.count("\n") == 1, err
    assert err.endswith("\n")
    assert err[:-1].isprintable()
    for text in bad.says:
        assert text.format(here=here) in err
    after = _snapshot(here.parents[2])
    left = {name: kind for name, kind in after.items() if name not in before}
    assert left in ({}, {"a/b/here/outputs": "folder"})
    assert before.items() <= after.items()


def _snapshot(folder: Path) -> dict[str, str]:
    """Everything below a folder, with what it holds; Python's own cache of modules left out."""
    return {
        str(path.relative_to(folder)): _content(path)
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts
    }


def _content(path: Path) -> str:
    if path.is_dir():
        return "folder"
    if not path.is_file():
        return "special"
    size = path.stat().st_size
    return f"{size} bytes: {path.read_bytes()!r}" if size < 10**7 else f"{size} bytes"


def _started_with(mark: str) -> list[psutil.Process]:
    """All processes of this machine that inherited the environment of one command."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("HOSTILE_ROW") == mark and process.pid != os.getpid():
                found.append(process)
    return found
