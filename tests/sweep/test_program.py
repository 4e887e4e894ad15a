"""The program in this process: what it answers without a run; tests/test_cli.py runs it as a user does."""

import sys
from pathlib import Path

import pytest

from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.sweep import program


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (["procs=0"], 2, "", "mps_experiments: procs=0: must be a whole number from 1 to 1024"),
        (["device=cuda:7", "tracking=none"], 2, "", "mps_experiments: device=cuda:7: "),
        (["--cfg", "job", "procs=3"], 0, "procs: 3\n", ""),
    ],
)
def test_a_mistake_is_answered_with_2_and_what_only_shows_with_0(
    arguments: list[str],
    code: int,
    out: str,
    err: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(program, "catch_signals", lambda: None)
    monkeypatch.setattr(sys, "argv", ["mps_experiments", *arguments])
    assert program.main(FixedProbe(), tmp_path) == code
    shown = capsys.readouterr()
    assert out in shown.out
    assert shown.err.startswith(err)
    assert shown.err.count("\n") == bool(err)
    assert list(tmp_path.iterdir()) == []
