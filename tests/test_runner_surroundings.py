"""What a run records of its surroundings: who else was there, cores, notes, the order of events."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from mps_experiments.config.schema import CpuAffinity, StartMethod
from mps_experiments.machine.cell_variables import not_passed_on
from mps_experiments.mps.control import DEFAULT_PIPE_DIRECTORY, PIPE_DIRECTORY, MpsControl, control_program
from mps_experiments.record.findings import Finding, Severity
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.run_paths import RunPaths
from mps_experiments.record.verdict import Status
from mps_experiments.run.environment import Environment, open_environment
from mps_experiments.run.runner import Outcome
from tests.fakes.client import Attachment
from tests.fakes.plans import (
    FAKE_GPU,
    attaching,
    daemon_of_somebody_else,
    is_running,
    run_plan,
    short_folder,
)
from tests.fakes.running import Lab, Witness


@pytest.fixture
def foreign(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Start a daemon that every CUDA process of this user would find; yield its directory."""
    with short_folder() as folder, daemon_of_somebody_else(folder / "pipe"):
        monkeypatch.setenv(PIPE_DIRECTORY, str(folder / "pipe"))
        yield folder / "pipe"


def only_finding(measurement: Measurement, check: str) -> Finding:
    (finding,) = (each for each in measurement.findings if each.check == check)
    return finding


def is_left_alone(pipe_dir: Path, pid: int) -> bool:
    """Tell if the daemon runs, answers and has never had a client of ours."""
    program = control_program()
    assert program is not None
    return MpsControl(program, pipe_dir, 5.0).clients() == () and is_running(psutil.Process(pid))


def valid(outcome: Outcome) -> Outcome:
    assert outcome.measurement.verdict.status is Status.VALID, outcome.measurement.verdict.reason
    return outcome


def test_with_mps_off_no_worker_reaches_the_daemon_that_others_use(
    lab: Lab, foreign: Path, tmp_path: Path
) -> None:
    if lab.gpu is FAKE_GPU:
        with Attachment() as attachment:
            assert attachment.is_on, "an ordinary process would be served by it"
    plan = run_plan(
        tmp_path / "run",
        attaching(sleep_s=0.02, beacon=str(tmp_path)),
        gpu=lab.gpu,
        times=20,
        mps={"enabled": False},
        workers={"start_method": StartMethod.spawn},  # inherits this process's variables, the foreign one too
    )
    measurement = valid(lab.run(plan)).measurement
    assert (tmp_path / str(measurement.workers[0].pid)).read_text() != str(foreign)
    assert measurement.proof is not None
    for seen in measurement.proof.observations:
        asked = {daemon.pipe_dir: daemon.client_pids for daemon in seen.foreign_daemons}
        assert asked[str(foreign)] == ()


@pytest.mark.parametrize(
    ("enabled", "accepted", "status"),
    [(True, False, Status.VALID), (False, True, Status.VALID), (False, False, Status.INVALID)],
)
def test_a_foreign_daemon_is_told_and_left_alone_and_refuses_a_run_without_mps_unless_accepted(
    lab: Lab, foreign: Path, tmp_path: Path, enabled: bool, accepted: bool, status: Status
) -> None:
    pid = int((foreign / "nvidia-cuda-mps-control.pid").read_text())
    strict = {"foreign_daemon_invalid": not accepted}
    plan = run_plan(tmp_path / "run", attaching(), gpu=lab.gpu, mps={"enabled": enabled}, strict=strict)
    measurement = lab.run(plan).measurement
    told = f"a foreign MPS daemon (pid {pid}) serves {foreign}"
    assert told in measurement.contended
    assert str(foreign) in {daemon.pipe_dir for daemon in measurement.foreign_daemons}
    finding = only_finding(measurement, "foreign_daemon")
    invalid = status is Status.INVALID
    assert finding.severity is (Severity.INVALID if invalid else Severity.WARNING)
    assert told in finding.text
    assert measurement.verdict.status is status
    assert ("validity.foreign_daemon_invalid=false" if invalid else "foreign_daemon") in (
        measurement.verdict.reason
    )
    assert measurement.proof is not None
    assert measurement.proof.failure is None, "what was claimed of the workers is proved all the same"
    assert is_left_alone(foreign, pid)


def test_with_mps_off_a_daemon_at_the_default_path_makes_the_run_invalid(lab: Lab, tmp_path: Path) -> None:
    plan = run_plan(
        tmp_path / "run",
        attaching(sleep_s=0.02),
        gpu=lab.gpu,
        mps={"enabled": False},
        strict={"foreign_daemon_invalid": True},
    )
    with daemon_at_the_default_path():
        measurement = lab.run(plan).measurement
    assert measurement.verdict.status is Status.INVALID
    assert f"serves {DEFAULT_PIPE_DIRECTORY}" in measurement.verdict.reason
    assert measurement.proof is not None
    assert measurement.proof.failure is None


@contextlib.contextmanager
def daemon_at_the_default_path() -> Iterator[None]:
    """Start a daemon at the default path; remove its folder if it was not there before."""
    was_there = DEFAULT_PIPE_DIRECTORY.exists()
    try:
        with daemon_of_somebody_else(DEFAULT_PIPE_DIRECTORY):
            yield
    finally:
        if not was_there:
            shutil.rmtree(DEFAULT_PIPE_DIRECTORY)


@pytest.mark.parametrize(
    ("enabled", "reason"),
    [
        (True, "are not in our MPS server's client list: they ran without MPS"),
        (False, "are clients of another MPS daemon"),
    ],
)
def test_workers_that_attach_to_another_daemon_are_found_out(
    lab: Lab, foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enabled: bool, reason: str
) -> None:
    @contextlib.contextmanager
    def misled(*arguments: Any) -> Iterator[Environment]:
        with open_environment(*arguments) as environment:
            variables = environment.variables | {PIPE_DIRECTORY: str(foreign)}
            yield replace(environment, variables=variables)

    monkeypatch.setattr("mps_experiments.run.runner.open_environment", misled)
    plan = run_plan(tmp_path / "run", *[attaching()] * 2, gpu=lab.gpu, mps={"enabled": enabled})
    witness = Witness()
    measurement = lab.run(plan, witness).measurement
    assert measurement.verdict.status is Status.INVALID
    assert reason in measurement.verdict.reason
    assert "measured_window" not in witness.phases
    assert measurement.proof is not None
    (daemon,) = (
        each for each in measurement.proof.observations[0].foreign_daemons if each.pipe_dir == str(foreign)
    )
    assert set(daemon.client_pids or ()) == {worker.pid for worker in measurement.workers}


def test_a_foreign_daemon_that_comes_during_the_run_is_noticed(fake_lab: Lab, tmp_path: Path) -> None:
    strict = {"foreign_daemon_invalid": True}
    with short_folder() as folder:
        comes = daemon_of_somebody_else(folder / "late")
        plan = run_plan(tmp_path / "run", attaching(), mps={"enabled": False}, strict=strict)
        measurement = fake_lab.run(plan, Witness({"measured_window": comes.__enter__})).measurement
        comes.__exit__(None, None, None)
    assert str(folder / "late") in " ".join(measurement.contended)
    assert str(folder / "late") not in {daemon.pipe_dir for daemon in measurement.foreign_daemons}
    assert measurement.verdict.status is Status.INVALID
    assert str(folder / "late") in measurement.verdict.reason


def test_every_worker_looks_for_mps_in_the_private_directory(fake_lab: Lab, tmp_path: Path) -> None:
    before = dict(os.environ)
    plan = run_plan(tmp_path / "run", *[attaching(beacon=str(tmp_path))] * 2)
    measurement = valid(fake_lab.run(plan)).measurement
    assert dict(os.environ) == before, "the parent edited its own environment"
    seen = {(tmp_path / str(worker.pid)).read_text() for worker in measurement.workers}
    assert len(seen) == 1
    assert not Path(seen.pop()).parent.exists()


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_what_the_shell_says_of_mps_reaches_no_worker(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_method: str
) -> None:
    def told(name: str) -> dict[str, Any]:
        (tmp_path / name).mkdir()
        attached = attaching(tell=str(tmp_path / name))
        plan = run_plan(
            tmp_path / "run", attached, gpu=lab.gpu, workers={"start_method": StartMethod(start_method)}
        )
        measurement = valid(lab.run(plan)).measurement
        assert measurement.machine.not_passed_on == not_passed_on(os.environ)
        assert not not_passed_on(measurement.machine.environment)
        (path,) = (tmp_path / name).iterdir()
        return dict(json.loads(path.read_text()))

    plain = told("plain")
    monkeypatch.setenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "10")
    monkeypatch.setenv("CUDA_DEVICE_MAX_CONNECTIONS", "1")
    capped = told("capped")
    assert set(not_passed_on(capped["environment"])) == {PIPE_DIRECTORY}
    assert capped["multi_processor_count"] == plain["multi_processor_count"]
    if lab.gpu is not FAKE_GPU:
        assert capped["multi_processor_count"] > 13, "all multiprocessors, not a tenth of them"


def test_a_pinned_worker_has_its_core_for_itself_and_the_parent_comes_back(lab: Lab, tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    while_measured: set[int] = set()
    witness = Witness({"measured_window": lambda: while_measured.update(os.sched_getaffinity(0))})
    plan = run_plan(tmp_path / "run", attaching(), gpu=lab.gpu, workers={"cpu_affinity": CpuAffinity.auto})
    measurement = valid(lab.run(plan, witness, cores=tuple(sorted(before)[:2]))).measurement
    worker = measurement.workers[0]
    assert worker.facts is not None
    assert len(worker.cpu_cores_planned) == 1
    assert worker.facts.cpu_cores == worker.cpu_cores_planned
    assert not while_measured & set(worker.cpu_cores_planned)
    assert os.sched_getaffinity(0) == before
    assert measurement.cell.axes["cpu_affinity"] == "auto"


@pytest.mark.parametrize(
    ("own", "pinned", "planned"),
    [((1,), True, [(1,)]), ((), True, [()]), ((1,), False, [()]), ((1,), True, [(), ()])],
    ids=["own core", "none free", "not pinned", "too few"],
)
def test_workers_are_placed_on_the_sweeps_own_cores(
    fake_lab: Lab, tmp_path: Path, own: tuple[int, ...], pinned: bool, planned: list[tuple[int, ...]]
) -> None:
    affinity = CpuAffinity.auto if pinned else CpuAffinity.none
    plan = run_plan(tmp_path / "run", *[attaching()] * len(planned), workers={"cpu_affinity": affinity})
    measurement = valid(fake_lab.run(plan, cores=(0, 1), own_cores=own)).measurement
    assert [worker.cpu_cores_planned for worker in measurement.workers] == planned


def test_workers_that_share_a_core_are_a_finding(lab: Lab, tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0))
    plan = run_plan(tmp_path / "run", *[attaching(core=core)] * 2, gpu=lab.gpu, mps={"enabled": False})
    measurement = valid(lab.run(plan)).measurement
    finding = only_finding(measurement, "shared_cores")
    assert finding.text == "2 workers share 1 CPU core"
    assert finding.severity is Severity.WARNING
    assert "shared_cores" in measurement.verdict.reason


def test_a_verbose_worker_reports_each_forward_with_its_pid(lab: Lab, tmp_path: Path) -> None:
    witness = Witness()
    plan = run_plan(tmp_path / "run", attaching(), gpu=lab.gpu, times=3, workers={"verbose": True})
    measurement = valid(lab.run(plan, witness)).measurement
    assert witness.forwards == [(0, measurement.workers[0].pid, number) for number in (1, 2, 3)]
    assert "workers.verbose=true: printing is part of the measured time" in measurement.notes


def test_the_logs_show_all_clients_attached_until_the_last_is_done(fake_lab: Lab, tmp_path: Path) -> None:
    plan = run_plan(tmp_path / "run", *[attaching(sleep_s=0.01)] * 2)
    measurement = valid(fake_lab.run(plan)).measurement
    server = RunPaths(folder=tmp_path / "run").server_log.read_text()
    pids = {worker.pid for worker in measurement.workers}
    events = re.findall(r"Client {PID: (\d+), Context ID: 0} (\w+)", server)
    assert [what for _, what in events] == ["connected"] * 2 + ["disconnected"] * 2
    assert {int(pid) for pid, _ in events[:2]} == {int(pid) for pid, _ in events[2:]} == pids
    control = RunPaths(folder=tmp_path / "run").control_log.read_text()
    steps = ["Starting control daemon", "Starting new server", "NEW CLIENT", "exited with status 0", "Exit"]
    places = [control.index(step) for step in steps]
    assert places == sorted(places)
