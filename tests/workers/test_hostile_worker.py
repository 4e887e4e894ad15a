"""A worker that writes anything into its channel ends its run, in bounded time, and nothing else."""

import struct
from dataclasses import replace
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mps_experiments.errors import WorkerError
from mps_experiments.workers.child import WorkerSpec
from mps_experiments.workers.pool import WorkerPool
from tests.workers.conftest import MakeSpecs

Context = ForkServerContext | SpawnContext
READY_S = 60.0

# The factory finds the channel where its own process keeps it, and writes into it past `send_bytes`.
SHOUTING = """\
import os, sys, time

def build(device, options):
    frame = sys._getframe()
    while "channel" not in frame.f_locals:
        frame = frame.f_back
    os.write(frame.f_locals["channel"].fileno(), bytes.fromhex(options["data"]))
    if options["leaves"]:
        os._exit(0)
    time.sleep(600)
"""


@pytest.fixture
def make_shouting(make_specs: MakeSpecs, tmp_path: Path) -> MakeSpecs:
    """Make specs of one worker that writes bytes of its own before it is ready."""
    (tmp_path / "shouting.py").write_text(SHOUTING)

    def make(data: bytes, leaves: bool) -> list[WorkerSpec]:
        (spec,) = make_specs("small")
        options = {"data": data.hex(), "leaves": leaves}
        workload = replace(spec.workload, factory="shouting:build", options=options)
        return [replace(spec, workload=workload)]

    return make


def ignore(*_: object) -> None:
    """Ignore a forward."""


def outcome(context: Context, specs: list[WorkerSpec]) -> str:
    """Return the pool's error about the worker, which must be gone afterwards."""
    pool = WorkerPool(context, specs, stop_timeout_s=5.0, on_forward=ignore)
    with pool, pytest.raises(WorkerError) as caught:
        pool.wait_ready(READY_S)
    assert pool.workers[0].process.exitcode is not None
    assert caught.value.rank == 0
    return caught.value.reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\0\0\0\x02{}", "sent an invalid message"),
        (b"\0\0\0\x40half of it", "sent only part of a message"),
        (struct.pack("!iQ", -1, 2**60), "announced a message of -1 bytes"),
        (b"GET / HTTP/1.1\r\n\r\n", "announced a message of 1195725856 bytes"),
    ],
)
def test_bytes_that_are_no_message_end_the_run_with_a_reason(
    forkserver: Context, make_shouting: MakeSpecs, data: bytes, reason: str
) -> None:
    assert reason in outcome(forkserver, make_shouting(data, leaves=False))


def test_half_a_message_of_a_worker_that_leaves_is_its_death(
    forkserver: Context, make_shouting: MakeSpecs
) -> None:
    reason = outcome(forkserver, make_shouting(b"\0\0\0\x40half of it", leaves=True))
    assert reason == "exited with code 0 without a word"


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=100))
def test_any_bytes_of_a_worker_that_leaves_are_an_error_of_that_worker(
    forkserver: Context, make_shouting: MakeSpecs, data: bytes
) -> None:
    assert outcome(forkserver, make_shouting(data, leaves=True))
