"""A worker that is done answers questions, over a real pipe, with PyTorch's real profiler on the CPU."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.profiler

from mps_experiments.record.gpu_work import traced_work
from mps_experiments.record.overlap import CPU_OPERATOR
from mps_experiments.record.trace_files import load_trace
from mps_experiments.workers.evidence import Witness
from mps_experiments.workers.messages import (
    CheckProducts,
    Compute,
    Computed,
    CountOperators,
    Exit,
    FromWorker,
    Go,
    Operators,
    Products,
    ToWorker,
    Trace,
    Traced,
    Tracing,
    decode_from_worker,
    encode,
)
from mps_experiments.workloads.loading import bind

Model = Callable[[torch.Tensor], object]


@pytest.fixture(autouse=True)
def no_profiler_stays() -> Iterator[None]:
    yield
    if torch.autograd._profiler_enabled():  # type: ignore[attr-defined]
        torch.autograd._disable_profiler()  # type: ignore[attr-defined]


@pytest.fixture
def pipe() -> Iterator[tuple[Connection, Connection]]:
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        yield ours, theirs


Pipe = tuple[Connection, Connection]


def square(matrix: torch.Tensor) -> torch.Tensor:
    return matrix @ matrix


def fail(matrix: torch.Tensor) -> None:
    raise ValueError("bad\nnumber" + "x" * 10_000)


def witness(channel: Connection, model: Model = square, inputs: int = 1, **more: float) -> Witness:
    return Witness(
        rank=1,
        device="cpu",
        workload=bind(model, [torch.eye(4) * (number + 1) for number in range(inputs)]),
        synchronize=lambda: None,
        channel=channel,
        timeout_s=more.get("timeout_s", 10.0),
    )


def asked(pipe: Pipe, *words: ToWorker, model: Model = square, inputs: int = 1) -> list[FromWorker]:
    """Return a worker's answers to these messages."""
    ours, theirs = pipe
    for word in words:
        ours.send_bytes(encode(word))
    worker = witness(theirs, model, inputs)
    worker.answer()
    answers = []
    while ours.poll():
        answers.append(decode_from_worker(ours.recv_bytes()))
    return answers


def go_soon() -> Go:
    return Go(start_at_ns=time.monotonic_ns() + 2_000_000)


def test_an_output_is_computed_and_told(pipe: Pipe) -> None:
    (answer,) = asked(pipe, Compute(), Exit())
    assert isinstance(answer, Computed)
    assert answer.problem == ""
    assert answer.output is not None
    (digest,) = answer.output
    assert (digest.shape, digest.dtype, sum(digest.values)) == ((4, 4), "float32", 4.0)


def test_it_is_the_output_for_the_first_input_whatever_came_before(pipe: Pipe, tmp_path: Path) -> None:
    trace = Trace(iterations=1, path=str(tmp_path / "0.npz"))
    first, tracing, traced, second = asked(pipe, Compute(), trace, go_soon(), Compute(), Exit(), inputs=3)
    assert first == second
    assert isinstance(first, Computed)
    assert (tracing, traced) == (Tracing(), Traced())


def test_a_model_that_raises_is_told_and_the_worker_goes_on(pipe: Pipe) -> None:
    first, second = asked(pipe, Compute(), Compute(), Exit(), model=fail)
    assert first == second
    assert isinstance(first, Computed)
    assert first.output is None
    assert first.problem.startswith("ValueError: bad numberxxx")
    assert len(first.problem) < 1000


@pytest.mark.parametrize("output", [None, "text", []])
def test_an_output_without_tensors_is_no_problem(pipe: Pipe, output: object) -> None:
    assert asked(pipe, Compute(), Exit(), model=lambda _: output) == [Computed(output=())]


def test_an_output_that_cannot_be_digested_is_a_problem(pipe: Pipe) -> None:
    (answer,) = asked(pipe, Compute(), Exit(), model=lambda matrix: matrix.to("meta"))
    assert isinstance(answer, Computed)
    assert answer.output is None
    assert answer.problem.startswith("NotImplementedError: ")


def test_a_traced_pass_is_written_to_its_file(pipe: Pipe, tmp_path: Path) -> None:
    path = tmp_path / "trace-1.npz"
    before = time.time_ns()
    answers = asked(pipe, Trace(iterations=3, path=str(path)), go_soon(), Exit())
    after = time.time_ns()
    assert answers == [Tracing(), Traced()]
    trace = load_trace(path)
    assert (trace.rank, trace.pid, trace.iterations) == (1, os.getpid(), 3)
    assert set(trace.kinds) == {CPU_OPERATOR}
    assert not trace.on_gpu
    assert [trace.names[each] for each in trace.name_ids] == ["aten::matmul"] * 3
    bounds = trace.boundaries_ns
    assert before <= bounds[0] <= bounds[-1] <= after
    for number in range(3):  # each operator lies in its iteration, on the same clock
        assert bounds[number] <= trace.starts_ns[number] < trace.ends_ns[number] <= bounds[number + 1]
    assert np.isnan(trace.sm_fill).all()
    assert list(tmp_path.iterdir()) == [path], "something of the profiler's own was left"


def test_the_pass_starts_when_it_is_told_to(pipe: Pipe, tmp_path: Path) -> None:
    go = Go(start_at_ns=time.monotonic_ns() + 300_000_000)
    asked(pipe, Trace(iterations=1, path=str(tmp_path / "0.npz")), go, Exit())
    start_ns = int(load_trace(tmp_path / "0.npz").boundaries_ns[0])
    assert start_ns - time.time_ns() + time.monotonic_ns() >= go.start_at_ns - 1_000_000


def test_two_passes_can_follow_each_other(pipe: Pipe, tmp_path: Path) -> None:
    orders = [Trace(iterations=number, path=str(tmp_path / f"{number}.npz")) for number in (1, 2)]
    words = [word for order in orders for word in (order, go_soon())]
    assert asked(pipe, *words, Exit()) == [Tracing(), Traced()] * 2
    assert [load_trace(Path(order.path)).iterations for order in orders] == [1, 2]
    assert len(load_trace(Path(orders[1].path)).starts_ns) == 2, "the first pass is not in the second"


@pytest.mark.filterwarnings("ignore:.*Profiler clears events")
def test_a_profiler_that_runs_already_is_told_and_left_running(pipe: Pipe, tmp_path: Path) -> None:
    other = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])
    other.start()
    answer, computed = asked(pipe, Trace(iterations=1, path=str(tmp_path / "0.npz")), Compute(), Exit())
    assert answer == Tracing(problem="the model runs a profiler of its own")
    assert isinstance(computed, Computed)
    assert computed.output is not None
    assert list(tmp_path.iterdir()) == []
    other.stop()
    names = {event.name for event in other.events() or ()}  # type: ignore[no-untyped-call]
    assert "aten::matmul" in names


def test_a_model_that_fails_in_the_pass_is_told(pipe: Pipe, tmp_path: Path) -> None:
    words: list[ToWorker] = [Trace(iterations=1, path=str(tmp_path / "0.npz")), go_soon(), Compute(), Exit()]
    tracing, traced, computed = asked(pipe, *words, model=fail)
    assert tracing == Tracing()
    assert isinstance(traced, Traced)
    assert traced.problem.startswith("ValueError: bad number")
    assert isinstance(computed, Computed)
    assert list(tmp_path.iterdir()) == []


def test_a_pass_without_any_operator_is_an_empty_trace(pipe: Pipe, tmp_path: Path) -> None:
    words: list[ToWorker] = [Trace(iterations=2, path=str(tmp_path / "0.npz")), go_soon(), Exit()]
    answers = asked(pipe, *words, model=lambda _: 1)
    assert answers == [Tracing(), Traced()]
    work = traced_work(load_trace(tmp_path / "0.npz"))
    assert (work.iterations, work.with_work, work.refuted) == (2, 0, True)


def test_operators_are_counted_by_iteration(pipe: Pipe) -> None:
    assert asked(pipe, CountOperators(iterations=3), Exit()) == [Operators(counts=(1, 1, 1))]


def test_operators_of_a_model_that_raises_are_not_counted_and_why_is_told(pipe: Pipe) -> None:
    (answer,) = asked(pipe, CountOperators(iterations=1), Exit(), model=fail)
    assert isinstance(answer, Operators)
    assert answer.counts == ()
    assert answer.problem.startswith("ValueError: bad number")


def test_products_are_compared_with_the_cpu_s(pipe: Pipe) -> None:
    (answer,) = asked(pipe, CheckProducts(), Exit())
    assert isinstance(answer, Products)
    assert answer.problem == ""
    assert list(answer.errors) == ["float32", "bfloat16", "float16"]
    assert max(answer.errors.values()) < 0.005


def test_products_that_cannot_be_computed_are_a_problem(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_in_cublas(*_: object) -> None:
        raise RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")

    monkeypatch.setattr("torch.mm", fail_in_cublas)
    assert asked(pipe, CheckProducts(), Exit()) == [
        Products(problem="RuntimeError: CUBLAS_STATUS_ALLOC_FAILED")
    ]


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_a_trace_that_cannot_be_written_is_told(pipe: Pipe, tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    words: list[ToWorker] = [Trace(iterations=1, path=str(tmp_path / folder / "0.npz")), go_soon(), Exit()]
    _, traced = asked(pipe, *words)
    assert isinstance(traced, Traced)
    assert folder in traced.problem


@pytest.mark.parametrize("last", [Exit(), Compute()])
def test_a_worker_that_is_not_sent_off_ends(pipe: Pipe, tmp_path: Path, last: ToWorker) -> None:
    assert asked(pipe, Trace(iterations=1, path=str(tmp_path / "0.npz")), last) == [Tracing()]


def test_a_worker_that_can_answer_nobody_ends(pipe: Pipe) -> None:
    ours, theirs = pipe
    ours.send_bytes(encode(Compute()))
    ours.close()
    with pytest.raises(OSError, match="Broken pipe"):
        witness(theirs).answer()


def test_a_worker_whose_parent_is_gone_ends(pipe: Pipe) -> None:
    ours, theirs = pipe
    ours.close()
    witness(theirs).answer()


def test_a_worker_that_hears_nothing_gives_up(pipe: Pipe) -> None:
    with pytest.raises(TimeoutError, match=r"no message from the parent for 0.05 s"):
        witness(pipe[1], timeout_s=0.05).answer()
