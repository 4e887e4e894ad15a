"""What a worker does to itself, in real worker processes."""

from pathlib import Path
from typing import Any

import psutil
import pytest

from mps_experiments.config.schema import FaultKind
from mps_experiments.errors import RunError, WorkerError
from mps_experiments.workers.child import WorkerSpec
from mps_experiments.workers.misbehaviour import prepare
from mps_experiments.workers.pool import WorkerPool
from tests.fakes.plans import fault_plan, wait_until
from tests.workers.conftest import DEADLINE_S, READY_S, Context, MakeSpecs, pool_of, started


def end_of(context: Context, specs: list[WorkerSpec]) -> tuple[WorkerError, WorkerPool]:
    """Return the end of the only worker in its window."""
    with pool_of(context, specs) as pool:
        started(pool)
        with pytest.raises(WorkerError) as caught:
            pool.wait_done(DEADLINE_S, 1.0, lambda _: None)
    return caught.value, pool


def test_a_worker_exits_in_order_after_so_many_iterations_and_what_it_printed_is_not_lost(
    forkserver: Context, make_specs: MakeSpecs, tmp_path: Path
) -> None:
    specs = make_specs("says", misbehaviour="exit", misbehave_after=3, iterations=50)
    error, pool = end_of(forkserver, specs)
    assert str(error) == "worker 0 exited with code 0 without a word"
    assert error.traceback == ""
    assert pool.workers[0].finished_iterations() == 3
    assert (tmp_path / "worker-0.log").read_text() == "said" * 4, "with the one of the warm-up"


def test_a_worker_raises_after_so_many_iterations(forkserver: Context, make_specs: MakeSpecs) -> None:
    specs = make_specs("small", misbehaviour="exception", misbehave_after=2)
    error, pool = end_of(forkserver, specs)
    assert str(error) == "worker 0 failed (measured window): RuntimeError: fault=exception: raised on purpose"
    assert "_raise" in error.traceback
    assert pool.workers[0].finished_iterations() == 2


def test_a_worker_hangs_after_so_many_iterations_and_computes_on(
    forkserver: Context, make_specs: MakeSpecs
) -> None:
    with pool_of(forkserver, make_specs("small", misbehaviour="hang", misbehave_after=2)) as pool:
        started(pool)
        wait_until(lambda: pool.workers[0].finished_iterations() == 2, "it hangs")
        process = psutil.Process(pool.pids[0])
        used_s = process.cpu_times().user
        wait_until(lambda: process.cpu_times().user > used_s + 0.1, "it has used more of its core")
        assert pool.listen(pool.workers, 0.0) == []
        assert pool.workers[0].finished_iterations() == 2
        assert pool.workers[0].done is None
    assert not psutil.pid_exists(pool.pids[0])


def test_what_cannot_be_prepared_fails_before_the_worker_is_ready(
    forkserver: Context, make_specs: MakeSpecs
) -> None:
    with (
        pool_of(forkserver, make_specs("small", misbehaviour="nonsense")) as pool,
        pytest.raises(WorkerError, match=r"failed \(load\): RunError: .*fault=nonsense"),
    ):
        pool.wait_ready(READY_S)


@pytest.mark.parametrize(
    "kind", [kind.value for kind in FaultKind if kind is not FaultKind.none], ids=lambda kind: str(kind)
)
def test_a_worker_can_do_to_itself_what_is_not_done_to_it(kind: str) -> None:
    if not fault_plan(kind).is_in_worker:
        with pytest.raises(RunError, match=f"a worker cannot cause fault={kind} in itself"):
            prepare(kind, "cpu")
    elif not fault_plan(kind).needs_gpu:
        assert callable(prepare(kind, "cpu"))


ON_GPU: dict[str, Any] = {"device": "cuda", "environment": {}, "misbehave_after": 2}


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("oom", "OutOfMemoryError"),
        ("device_assert", "device-side assert triggered"),
        ("illegal_address", "illegal memory access"),
    ],
)
def test_on_a_gpu_the_device_itself_fails(
    forkserver: Context, make_specs: MakeSpecs, kind: str, words: str
) -> None:
    error, pool = end_of(forkserver, make_specs("small", misbehaviour=kind, **ON_GPU))
    assert str(error).startswith("worker 0 failed (measured window): ")
    assert words in str(error)
    assert pool.workers[0].finished_iterations() == 2


@pytest.mark.gpu
def test_on_a_gpu_a_worker_exits_in_order_too(forkserver: Context, make_specs: MakeSpecs) -> None:
    error, _ = end_of(forkserver, make_specs("small", misbehaviour="exit", **ON_GPU))
    assert str(error) == "worker 0 exited with code 0 without a word"


@pytest.mark.gpu
def test_on_a_gpu_a_kernel_hangs_and_the_worker_can_be_ended(
    forkserver: Context, make_specs: MakeSpecs
) -> None:
    with pool_of(forkserver, make_specs("small", misbehaviour="hang", **ON_GPU)) as pool:
        started(pool)
        wait_until(lambda: pool.workers[0].finished_iterations() == 2, "it hangs")
        assert pool.listen(pool.workers, 0.5) == []
        assert pool.workers[0].done is None
    assert not psutil.pid_exists(pool.pids[0])
