"""A claim about MPS holds only if somebody looked while the workers were measured, and saw it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.mps.attachment import failure_in, find_foreign_daemons, observe, prove
from mps_experiments.mps.control import (
    CONTROL_PROGRAM,
    DEFAULT_PIPE_DIRECTORIES,
    DEFAULT_PIPE_DIRECTORY,
    PIPE_DIRECTORY,
)
from mps_experiments.mps.processes import processes_of
from mps_experiments.record.machine import GpuProcess
from mps_experiments.record.proof import ForeignDaemon, Observation
from tests.fakes.client import Attachment
from tests.fakes.plans import FAKE_GPU, wait_until
from tests.mps.conftest import NewDaemon

TIMEOUT_S = 2.0
WORKERS = (548, 549)
ON = Observation(
    from_ns=100,
    to_ns=200,
    server_status={476: "ACTIVE"},
    client_pids=WORKERS,
    nvml_mps_pids=WORKERS,
    foreign_daemons=(),
)
OFF = replace(ON, server_status={}, client_pids=(), nvml_mps_pids=())
STRANGER = ForeignDaemon(pid=9, pipe_dir="/x", client_pids=(1, 2))
STARTED = 700  # by a worker
ON_GPU = (GpuProcess(pid=548, memory_bytes=None), GpuProcess(pid=STARTED, memory_bytes=None))
# 701 is not on the GPU.
WITH_HELPERS: dict[str, Any] = {"descendant_pids": (STARTED, 701), "gpu_processes": ON_GPU}
THIEF = replace(STRANGER, client_pids=(1, 549))


class ListingProbe(FixedProbe):
    """A probe whose NVML lists some MPS clients."""

    def mps_pids(self, uuid: str) -> tuple[int, ...] | None:
        assert uuid == FAKE_GPU.uuid
        return WORKERS


@pytest.mark.parametrize(
    ("observation", "expected_on"),
    [
        (ON, True),
        (replace(ON, client_pids=(*WORKERS, 7)), True),
        (replace(ON, nvml_mps_pids=None), True),
        (replace(ON, foreign_daemons=(STRANGER,)), True),
        (OFF, False),
        (replace(OFF, nvml_mps_pids=None), False),
        (replace(OFF, nvml_mps_pids=(7,)), False),
        (replace(OFF, foreign_daemons=(STRANGER, replace(STRANGER, client_pids=None))), False),
        (replace(ON, client_pids=(*WORKERS, STARTED), **WITH_HELPERS), True),
        (replace(ON, descendant_pids=(701,), gpu_processes=ON_GPU), True),
        (replace(ON, gpu_processes=ON_GPU), True),
        (replace(OFF, **WITH_HELPERS), False),
    ],
)
def test_an_observation_that_shows_the_claim_has_no_failure(
    observation: Observation, expected_on: bool
) -> None:
    assert failure_in(observation, expected_on, WORKERS) is None


@pytest.mark.parametrize(
    ("observation", "expected_on", "reason"),
    [
        (replace(ON, client_pids=(548,)), True, r"workers \[549\] are not in our MPS server's client list"),
        (OFF, True, r"workers \[548, 549\] are not in our MPS server's client list"),
        (replace(ON, server_status={}), True, "our MPS server is not ACTIVE: there is none"),
        (replace(ON, server_status={476: "FAULT"}), True, "our MPS server is not ACTIVE: {476: 'FAULT'}"),
        (
            replace(ON, server_status={476: "ACTIVE", 477: "Server 477 not found"}),
            True,
            "is not ACTIVE: {477: 'Server 477 not found'}",
        ),
        (
            replace(ON, foreign_daemons=(STRANGER, THIEF)),
            True,
            r"\[549\] are clients of another MPS daemon, /x",
        ),
        (replace(OFF, foreign_daemons=(THIEF,)), False, r"\[549\] are clients of another MPS daemon, /x"),
        (replace(OFF, nvml_mps_pids=(7, 548)), False, r"NVML lists workers \[548\] as MPS clients"),
        (
            replace(ON, **WITH_HELPERS),
            True,
            r"processes \[700\], which the workers started, are on the GPU but not in our MPS server",
        ),
        (
            replace(ON, descendant_pids=(STARTED,), nvml_mps_pids=(*WORKERS, STARTED)),
            True,
            r"processes \[700\], which the workers started",
        ),
        (
            replace(
                ON,
                descendant_pids=(STARTED,),
                client_pids=(*WORKERS, STARTED),
                foreign_daemons=(replace(STRANGER, client_pids=(STARTED,)),),
            ),
            True,
            r"processes started by workers \[700\] are clients of another MPS daemon, /x",
        ),
        (
            replace(
                OFF,
                descendant_pids=(STARTED,),
                foreign_daemons=(replace(STRANGER, client_pids=(STARTED,)),),
            ),
            False,
            r"processes started by workers \[700\] are clients of another MPS daemon, /x",
        ),
        (
            replace(OFF, descendant_pids=(STARTED,), nvml_mps_pids=(STARTED,)),
            False,
            r"NVML lists processes started by workers \[700\] as MPS clients",
        ),
    ],
)
def test_an_observation_that_denies_the_claim_says_why(
    observation: Observation, expected_on: bool, reason: str
) -> None:
    assert re.search(reason, str(failure_in(observation, expected_on, WORKERS)))


BEFORE, INSIDE, AFTER = (0, 10), (100, 200), (900, 950)


@pytest.mark.parametrize(("claim", "expected_on"), [(ON, True), (OFF, False)])
@pytest.mark.parametrize(
    ("spans", "window", "method", "of_a_fault"),
    [
        pytest.param([BEFORE, INSIDE, AFTER], (90, 800), "during", "during", id="within the window"),
        pytest.param([INSIDE], (100, 200), "during", "during", id="exactly the window"),
        pytest.param([BEFORE, INSIDE, AFTER], (150, 800), "bracketed", "before", id="began too early"),
        pytest.param([BEFORE, INSIDE, AFTER], (90, 190), "bracketed", "before", id="ended too late"),
        pytest.param([BEFORE, (20, 30)], (10, 20), "bracketed", "before", id="before and after, touching"),
        pytest.param([INSIDE, AFTER], (90, 190), None, None, id="never before"),
        pytest.param([BEFORE, INSIDE], (90, 190), None, "before", id="never after"),
        pytest.param([BEFORE, INSIDE], (300, 250), None, "before", id="a fault before all had begun"),
        pytest.param([BEFORE, INSIDE], None, None, None, id="no window"),
        pytest.param([], (90, 190), None, None, id="no look at all"),
    ],
)
def test_a_proof_says_how_it_was_seen_and_of_a_run_with_a_fault_a_look_before_is_enough(
    claim: Observation,
    expected_on: bool,
    spans: list[tuple[int, int]],
    window: tuple[int, int] | None,
    method: str | None,
    of_a_fault: str | None,
) -> None:
    looks = [replace(claim, from_ns=start, to_ns=end) for start, end in spans]
    for before_is_enough, expected in ((False, method), (True, of_a_fault)):
        proof = prove(expected_on, WORKERS, looks, window, before_is_enough)
        assert proof.method == expected
        assert proof.failure == (None if expected else "nobody looked while the workers were measured")
        assert proof.expected == ("on" if expected_on else "off")
        assert (proof.worker_pids, proof.observations) == (WORKERS, tuple(looks))


def test_a_look_before_that_denies_the_claim_is_not_enough_for_a_run_with_a_fault() -> None:
    denied = replace(ON, from_ns=0, to_ns=10, client_pids=())
    proof = prove(True, WORKERS, [denied], (90, 190), before_is_enough=True)
    assert proof.method is None
    assert "they ran without MPS" in str(proof.failure)


def test_one_look_that_denies_the_claim_spoils_the_proof_and_the_first_is_told() -> None:
    looks = [ON, replace(ON, server_status={}), replace(ON, client_pids=())]
    proof = prove(True, WORKERS, looks, (90, 300))
    assert proof.method is None
    assert proof.failure == "our MPS server is not ACTIVE: there is none"


@contextmanager
def attached(pipe_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make this process a client of the stand-in."""
    with monkeypatch.context() as patch:
        patch.setenv(PIPE_DIRECTORY, str(pipe_dir))
        attachment = Attachment()
    with attachment:
        assert attachment.is_on
        yield


def test_a_look_sees_clients_server_and_what_nvml_lists(
    fake_programs: None, new_daemon: NewDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_daemon() as daemon, attached(daemon.pipe_dir, monkeypatch):
        seen = observe(daemon.control, ListingProbe(), FAKE_GPU.uuid, (), TIMEOUT_S)
        server = daemon.control.servers()[0]
    assert (seen.client_pids, seen.server_status) == ((os.getpid(),), {server: "ACTIVE"})
    assert seen.nvml_mps_pids == WORKERS
    assert seen.from_ns < seen.to_ns
    assert failure_in(seen, True, [os.getpid()]) is None


@pytest.mark.parametrize(
    ("misbehaviour", "reason"),
    [
        ("drop_clients", "not in our MPS server's client list"),
        ("forget_status", "is not ACTIVE: {.*not found'}"),
        ("status=FAULT", "is not ACTIVE: {.*'FAULT'}"),
    ],
)
def test_a_daemon_that_does_not_show_the_worker_proves_nothing(
    fake_programs: None,
    new_daemon: NewDaemon,
    monkeypatch: pytest.MonkeyPatch,
    misbehaviour: str,
    reason: str,
) -> None:
    monkeypatch.setenv("FAKE_MPS", misbehaviour)
    with new_daemon(quit_s=0.5) as daemon, attached(daemon.pipe_dir, monkeypatch):
        seen = observe(daemon.control, FixedProbe(), FAKE_GPU.uuid, (), TIMEOUT_S)
    assert re.search(reason, str(failure_in(seen, True, [os.getpid()])))


def test_a_look_finds_the_processes_that_a_worker_started_and_theirs() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
        try:
            started = psutil.Process(child.pid)
            wait_until(started.children, "it has a child of its own")
            (grandchild,) = started.children()
            seen = observe(None, FixedProbe(), None, (), TIMEOUT_S, [os.getpid(), child.pid])
            alone = observe(None, FixedProbe(), None, (), TIMEOUT_S, [grandchild.pid])
        finally:
            assert child.stdin is not None
            child.stdin.close()
    assert {child.pid, grandchild.pid} <= set(seen.descendant_pids)
    assert alone.descendant_pids == ()
    dead = observe(None, FixedProbe(), None, (), TIMEOUT_S, [grandchild.pid])
    assert dead.descendant_pids == ()


def test_a_daemon_that_is_gone_has_no_clients(gpu_uuid: str, new_daemon: NewDaemon) -> None:
    with new_daemon(gpu_uuid) as daemon:
        pass
    seen = observe(daemon.control, FixedProbe(), None, (), TIMEOUT_S)
    assert (seen.client_pids, seen.server_status, seen.nvml_mps_pids) == ((), {}, None)


def test_a_foreign_daemon_and_its_clients_are_found_and_ours_is_not_one(
    fake_programs: None, new_daemon: NewDaemon, foreign_daemon: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_daemon() as daemon, attached(foreign_daemon, monkeypatch):
        found = {each.pipe_dir: each for each in find_foreign_daemons(daemon.pipe_dir, TIMEOUT_S)}
        assert str(daemon.pipe_dir) not in found
        assert found[str(foreign_daemon)].client_pids == (os.getpid(),)
        (daemon_pid,) = (
            process.pid for process in processes_of(foreign_daemon) if process.program == CONTROL_PROGRAM
        )
        assert found[str(foreign_daemon)].pid == daemon_pid
        seen = observe(None, FixedProbe(), None, tuple(found.values()), TIMEOUT_S)
    assert "clients of another MPS daemon" in str(failure_in(seen, False, [os.getpid()]))


def test_a_foreign_daemon_without_clients_is_found_too(gpu_uuid: str, foreign_daemon: Path) -> None:
    found = {each.pipe_dir: each for each in find_foreign_daemons(Path("/nowhere"), TIMEOUT_S)}
    assert found[str(foreign_daemon)].client_pids == ()


def test_a_daemon_that_is_reachable_but_not_visible_is_found_by_its_directory(
    fake_programs: None, short_dir: Path, monkeypatch: pytest.MonkeyPatch, foreign_daemon: Path
) -> None:
    mirror = short_dir / "mirror"  # as a mounted directory of another container shows it
    mirror.symlink_to(foreign_daemon)
    monkeypatch.setenv(PIPE_DIRECTORY, str(mirror))
    found = {each.pipe_dir: each for each in find_foreign_daemons(Path("/nowhere"), TIMEOUT_S)}
    assert found[str(mirror)] == ForeignDaemon(pid=None, pipe_dir=str(mirror), client_pids=())


@pytest.mark.parametrize("directory", ["/nowhere", "/" + "x" * 3000, "/dev/null"])
def test_a_variable_that_names_no_daemon_is_no_daemon(
    fake_programs: None, monkeypatch: pytest.MonkeyPatch, directory: str
) -> None:
    monkeypatch.setenv(PIPE_DIRECTORY, directory)
    assert directory not in {each.pipe_dir for each in find_foreign_daemons(Path("/own"), TIMEOUT_S)}


def test_a_foreign_daemon_that_does_not_answer_is_reported_without_clients(
    fake_programs: None, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MPS", "silent")
    pipe_dir: Path = request.getfixturevalue("foreign_daemon")
    wait_until(lambda: processes_of(pipe_dir), "it is there")
    found = {each.pipe_dir: each for each in find_foreign_daemons(Path("/own"), TIMEOUT_S)}
    assert found[str(pipe_dir)].client_pids is None


def test_a_daemon_in_the_newer_default_directory_is_found(
    fake_programs: None, short_dir: Path, monkeypatch: pytest.MonkeyPatch, foreign_daemon: Path
) -> None:
    newer = short_dir / "run"  # as /run/nvidia-mps; the process cannot be told from the directory alone
    newer.symlink_to(foreign_daemon)
    places = (DEFAULT_PIPE_DIRECTORY, newer)
    monkeypatch.setattr("mps_experiments.mps.attachment.DEFAULT_PIPE_DIRECTORIES", places)
    found = {each.pipe_dir: each for each in find_foreign_daemons(Path("/own"), TIMEOUT_S)}
    assert found[str(newer)].client_pids == ()
    assert Path("/run/nvidia-mps") in DEFAULT_PIPE_DIRECTORIES


def test_the_daemon_of_another_sweep_tells_which_gpu_it_serves(
    fake_programs: None, new_daemon: NewDaemon
) -> None:
    with new_daemon("GPU-6d0eddc6-6d21-4916-9c4c-ffffffffffff") as theirs:
        found = {each.pipe_dir: each for each in find_foreign_daemons(Path("/own"), TIMEOUT_S)}
    daemon = found[str(theirs.pipe_dir)]
    assert not daemon.may_serve(FAKE_GPU.uuid)
    assert daemon.may_serve("GPU-6d0eddc6-6d21-4916-9c4c-ffffffffffff")
    assert replace(daemon, gpu_uuids=None).may_serve(FAKE_GPU.uuid), "unknown counts as foreign"
