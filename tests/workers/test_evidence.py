"""A worker that is done answers questions, over a real pipe, with PyTorch's real profiler on the CPU."""

import math
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
from mps_experiments.workers.evidence import Witness, count_operators, product_errors
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


def witness(channel: Connection, model: Model = square, inputs: int = 1, timeout_s: float = 10.0) -> Witness:
    return Witness(
        rank=1,
        device="cpu",
        workload=bind(model, [torch.eye(4) * (number + 1) for number in range(inputs)]),
        synchronize=lambda: None,
        channel=channel,
        timeout_s=timeout_s,
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


def test_an_output_without_tensors_is_no_problem(pipe: Pipe) -> None:
    assert asked(pipe, Compute(), Exit(), model=lambda _: ["text", None]) == [Computed(output=())]


def test_an_output_that_cannot_be_digested_is_a_problem(pipe: Pipe) -> None:
    (answer,) = asked(pipe, Compute(), Exit(), model=lambda matrix: matrix.to("meta"))
    assert isinstance(answer, Computed)
    assert answer.output is None
    assert "meta tensors" in answer.problem


def test_the_output_for_the_first_input_is_computed_whatever_came_before(pipe: Pipe, tmp_path: Path) -> None:
    trace = Trace(iterations=1, path=str(tmp_path / "0.npz"))
    first, tracing, traced, second = asked(pipe, Compute(), trace, go_soon(), Compute(), Exit(), inputs=3)
    assert first == second
    assert isinstance(first, Computed)
    assert first.output is not None
    (digest,) = first.output
    assert (digest.shape, digest.dtype, sum(digest.values)) == ((4, 4), "float32", 4.0)
    assert (tracing, traced) == (Tracing(), Traced())


def test_a_traced_pass_is_written_to_its_file(pipe: Pipe, tmp_path: Path) -> None:
    path = tmp_path / "trace-1.npz"
    go = Go(start_at_ns=time.monotonic_ns() + 300_000_000)
    before = time.time_ns()
    answers = asked(pipe, Trace(iterations=3, path=str(path)), go, Exit())
    after = time.time_ns()
    assert answers == [Tracing(), Traced()]
    trace = load_trace(path)
    assert (trace.rank, trace.pid, trace.iterations) == (1, os.getpid(), 3)
    assert set(trace.kinds) == {CPU_OPERATOR}
    assert not trace.on_gpu
    assert [trace.names[each] for each in trace.name_ids] == ["aten::matmul"] * 3
    bounds = trace.boundaries_ns
    assert before <= bounds[0] <= bounds[-1] <= after
    offset_ns = time.time_ns() - time.monotonic_ns()
    assert bounds[0] - offset_ns >= go.start_at_ns - 1_000_000, "it waits for its start"
    for number in range(3):  # each operator lies in its iteration, on the same clock
        assert bounds[number] <= trace.starts_ns[number] < trace.ends_ns[number] <= bounds[number + 1]
    assert np.isnan(trace.sm_fill).all()
    assert list(tmp_path.iterdir()) == [path], "something of the profiler's own was left"


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


def test_a_model_that_raises_is_told_and_the_worker_goes_on(pipe: Pipe, tmp_path: Path) -> None:
    trace = Trace(iterations=1, path=str(tmp_path / "0.npz"))
    words: list[ToWorker] = [Compute(), trace, go_soon(), CountOperators(iterations=1), Exit()]
    computed, tracing, traced, counted = asked(pipe, *words, model=fail)
    assert isinstance(computed, Computed)
    assert tracing == Tracing()
    assert isinstance(traced, Traced)
    assert isinstance(counted, Operators)
    for answer in (computed, traced, counted):
        assert answer.problem.startswith("ValueError: bad numberxxx")
        assert len(answer.problem) < 1000
    assert (computed.output, counted.counts) == (None, ())
    assert list(tmp_path.iterdir()) == []


def test_a_pass_without_any_operator_is_an_empty_trace(pipe: Pipe, tmp_path: Path) -> None:
    words: list[ToWorker] = [Trace(iterations=2, path=str(tmp_path / "0.npz")), go_soon(), Exit()]
    answers = asked(pipe, *words, model=lambda _: 1)
    assert answers == [Tracing(), Traced()]
    work = traced_work(load_trace(tmp_path / "0.npz"))
    assert (work.iterations, work.with_work, work.refuted) == (2, 0, True)


def test_operators_are_counted_by_iteration_and_products_compared_with_the_cpu_s(pipe: Pipe) -> None:
    counted, compared = asked(pipe, CountOperators(iterations=3), CheckProducts(), Exit())
    assert counted == Operators(counts=(1, 1, 1))
    assert compared == Products(errors=product_errors("cpu"))


def test_products_that_cannot_be_computed_are_a_problem(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_in_cublas(*_: object) -> None:
        raise RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")

    monkeypatch.setattr("torch.mm", fail_in_cublas)
    assert asked(pipe, CheckProducts(), Exit()) == [
        Products(problem="RuntimeError: CUBLAS_STATUS_ALLOC_FAILED")
    ]


def test_a_trace_that_cannot_be_written_is_told(pipe: Pipe, tmp_path: Path) -> None:
    trace = Trace(iterations=1, path=str(tmp_path / "missing" / "0.npz"))
    _, traced = asked(pipe, trace, go_soon(), Exit())
    assert isinstance(traced, Traced)
    assert "missing" in traced.problem


@pytest.mark.parametrize("last", [Exit(), Compute()])
def test_a_worker_that_is_not_sent_off_ends(pipe: Pipe, tmp_path: Path, last: ToWorker) -> None:
    assert asked(pipe, Trace(iterations=1, path=str(tmp_path / "0.npz")), last) == [Tracing()]


def test_a_worker_that_can_answer_nobody_ends(pipe: Pipe) -> None:
    ours, theirs = pipe
    ours.send_bytes(encode(Compute()))
    ours.close()
    with pytest.raises(OSError, match="Broken pipe"):
        witness(theirs).answer()


def test_a_worker_that_hears_nothing_gives_up_and_one_whose_parent_is_gone_ends(pipe: Pipe) -> None:
    ours, theirs = pipe
    with pytest.raises(TimeoutError, match=r"no message from the parent for 0.05 s"):
        witness(theirs, timeout_s=0.05).answer()
    ours.close()
    witness(theirs).answer()


# Operators on a device

MATRIX = torch.eye(4)
LINEAR = torch.nn.Linear(4, 4)


@pytest.mark.parametrize(
    ("forward", "count"),
    [
        (lambda: MATRIX @ MATRIX + 1, 2),
        (lambda: LINEAR(MATRIX), 1),
        (lambda: MATRIX.clone(), 1),
        (lambda: torch.ones(3), 1),
        (lambda: torch.topk(MATRIX, 2), 1),
        (lambda: MATRIX, 0),
        (lambda: MATRIX[1:].view(-1), 0),
        (lambda: MATRIX.to(torch.float16), 0),
        (lambda: 1 + 1, 0),
    ],
)
def test_operators_with_a_result_on_the_device_are_counted(forward: Callable[[], object], count: int) -> None:
    with torch.inference_mode():
        assert count_operators(forward, "cpu") == count
        assert count_operators(forward, "cuda") == 0


def test_a_model_that_fails_leaves_nothing_behind() -> None:
    replay = torch.cuda.CUDAGraph.replay
    with pytest.raises(ZeroDivisionError):
        count_operators(lambda: 1 / 0, "cpu")
    assert torch.cuda.CUDAGraph.replay is replay
    assert count_operators(lambda: MATRIX + 1, "cpu") == 1


@pytest.mark.gpu
def test_a_cuda_graph_counts_as_work_and_a_model_on_the_cpu_as_none() -> None:
    on_gpu, graph = MATRIX.cuda(), torch.cuda.CUDAGraph()
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.inference_mode(), torch.cuda.stream(stream):
        on_gpu @ on_gpu  # cuBLAS must be there before a capture
        with torch.cuda.graph(graph):
            on_gpu @ on_gpu
        assert count_operators(lambda: graph.replay(), "cuda") == 1
        assert count_operators(lambda: on_gpu @ on_gpu, "cuda") == 1
        assert count_operators(lambda: (on_gpu.cpu() @ MATRIX).cuda(), "cuda") == 0
        assert count_operators(lambda: on_gpu, "cuda") == 0
        stream.synchronize()


# Matrix products


def half_wrong(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Leave out a third of the sum in half precision, silently, as a capped GPU was seen to."""
    part = left.shape[1] * 2 // 3 if left.dtype != torch.float32 else left.shape[1]
    return left[:, :part] @ right[:part]


def test_a_device_has_the_errors_of_its_types_and_a_wrong_one_is_found_in_half_precision() -> None:
    right, wrong = product_errors("cpu"), product_errors("cpu", half_wrong)
    assert right["float32"] < 1e-5
    assert 1e-4 < right["bfloat16"] < 0.005
    assert 1e-5 < right["float16"] < 0.001
    assert wrong["float32"] < 1e-5
    for name in ("bfloat16", "float16"):  # a third of the sum's variance is missing
        assert wrong[name] == pytest.approx(math.sqrt(1 / 3), abs=0.02)


def test_a_product_that_is_no_number_has_an_infinite_error() -> None:
    errors = product_errors("cpu", lambda left, right: left @ right * math.nan)
    assert errors == dict.fromkeys(("float32", "bfloat16", "float16"), math.inf)


@pytest.mark.gpu
def test_a_whole_gpu_multiplies_right() -> None:
    assert max(product_errors("cuda:0").values()) < 0.005
