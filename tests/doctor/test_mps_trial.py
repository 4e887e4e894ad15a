"""``--try-mps`` starts a daemon for a moment and leaves nothing."""

from pathlib import Path

import pytest

from mps_experiments.doctor.finding import Level
from mps_experiments.doctor.mps_trial import trial_findings, trial_timeout_s
from mps_experiments.machine.gpus import open_probe
from mps_experiments.mps.control import control_program
from mps_experiments.mps.daemon import DaemonTimeouts
from tests.doctor.conftest import H100, the_only
from tests.fakes.plans import own_mps_processes, use_fakes

SHORT = DaemonTimeouts(start_s=0.5, command_s=0.5, quit_s=0.5)


def program() -> Path:
    found = control_program()
    assert found is not None
    return found


def test_mps_that_works_is_ok_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    use_fakes(monkeypatch)
    the_only(trial_findings(program(), H100), Level.OK)
    assert own_mps_processes() == []


@pytest.mark.parametrize(
    ("misbehaviour", "reason"),
    [
        ("exit=1", "the MPS daemon ended at once with code 1"),
        ("silent", "the MPS daemon did not answer within 0.5 s"),
        ("stale_pid", "another daemon answers in"),
    ],
)
def test_mps_that_does_not_work_fails_with_the_reason_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, temporary: Path, misbehaviour: str, reason: str
) -> None:
    use_fakes(monkeypatch, misbehaviour)
    finding = the_only(trial_findings(program(), H100, SHORT), Level.FAIL)
    assert reason in finding.found
    assert "mps=off" in finding.todo
    assert own_mps_processes() == []


def test_its_deadline_is_longer_than_all_of_the_daemons() -> None:
    assert trial_timeout_s(SHORT) > SHORT.start_s + SHORT.command_s + 4 * SHORT.quit_s


@pytest.mark.gpu
def test_mps_works_on_a_real_gpu() -> None:
    with open_probe() as probe:
        the_only(trial_findings(program(), probe.gpus()[0]), Level.OK)
