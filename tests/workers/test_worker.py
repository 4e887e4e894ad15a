"""What the parent reads of a worker: its samples so far, and how it ended."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess

import pytest

from mps_experiments.errors import WorkerError
from mps_experiments.record.worker import Done
from mps_experiments.workers.messages import Exit
from mps_experiments.workers.worker import Worker, handle_of
from tests.workers.conftest import MakeSpecs

FORK = multiprocessing.get_context("fork")
RECORDED = [1000, 1010, 1030, 1060, 1100, 0, 0]


def worker_of(make_specs: MakeSpecs, process: BaseProcess, times_ns: list[int], measured: int = 0) -> Worker:
    (spec,) = make_specs("small", iterations=3)
    ours, theirs = FORK.Pipe()
    theirs.close()
    return Worker(
        spec=spec, process=process, keeper=None, channel=ours, boundaries_ns=times_ns, measured=[measured]
    )


@pytest.mark.parametrize(
    ("times_ns", "measured", "finished"),
    [([0] * 7, 0, 0), (RECORDED[:3] + [0] * 4, 0, 2), (RECORDED, 0, 3), (RECORDED, 2, 2)],
)
def test_its_own_iterations_are_those_recorded_until_it_says_how_many(
    make_specs: MakeSpecs, times_ns: list[int], measured: int, finished: int
) -> None:
    worker = worker_of(make_specs, FORK.Process(), times_ns, measured)
    assert worker.finished_iterations() == finished


def test_samples_are_there_from_the_start_and_what_had_no_room_when_it_is_done(make_specs: MakeSpecs) -> None:
    assert worker_of(make_specs, FORK.Process(), [0] * 7).samples() is None
    worker = worker_of(make_specs, FORK.Process(), RECORDED)
    samples = worker.samples()
    assert samples is not None
    assert (samples.start_ns, samples.latencies_ns, samples.kept_ns) == (1000, (10, 20, 30), (40,))
    worker.done = Done(
        peak_memory_allocated_bytes=None,
        peak_memory_reserved_bytes=None,
        peak_rss_bytes=1,
        beyond=4,
        beyond_ns=90,
    )
    samples = worker.samples()
    assert samples is not None
    assert (samples.beyond, samples.beyond_ns) == (4, 90)


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (lambda: os._exit(7), "exited with code 7 without a word"),
        (lambda: os.kill(os.getpid(), 9), "was killed by SIGKILL"),
    ],
)
def test_a_message_to_a_worker_that_is_gone_says_how_it_ended(
    make_specs: MakeSpecs, end: Callable[[], None], said: str
) -> None:
    process = FORK.Process(target=end)
    process.start()
    worker = worker_of(make_specs, process, [0] * 7)
    assert worker.pid == process.pid
    with pytest.raises(WorkerError, match=said) as caught:
        worker.send(Exit())
    assert caught.value.rank == 0
    worker.close()


def test_a_pidfd_stands_for_the_process_until_it_is_closed(make_specs: MakeSpecs) -> None:
    process = FORK.Process(target=signal.pause)
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # another test may have left a handler
    try:
        process.start()
    finally:
        signal.signal(signal.SIGTERM, before)
    worker = worker_of(make_specs, process, [0] * 7)
    worker.keeper = handle_of(process)
    assert worker.keeper is not None
    worker.kill()
    worker.close()
    assert process.exitcode == -signal.SIGTERM
    assert worker.keeper is None
