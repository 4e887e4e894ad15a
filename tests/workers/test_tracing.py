"""What PyTorch's profiler exports, read into a trace: events written by hand as it writes them."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mps_experiments.errors import EvidenceError
from mps_experiments.record.overlap import CPU_OPERATOR, KERNEL, MEMCPY, MEMSET, KernelTrace
from mps_experiments.workers.tracing import KernelTracer

BASE_NS = 1_790_857_026_000_000_000  # what torch 2.11 writes: events count from here
Event = dict[str, Any]


class Recorded:
    """A profile that has recorded these events.

    Args:
        content: The Chrome trace; a text is written as it is.
    """

    def __init__(self, content: Event | str) -> None:
        self.text = content if isinstance(content, str) else json.dumps(content)
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True

    def export_chrome_trace(self, path: str) -> None:
        assert self.stopped
        Path(path).write_text(self.text)


LENGTH_NS = 10**9  # of the pass


def read(
    tmp_path: Path, content: Event | str, *, on_gpu: bool = True, since_ns: int = BASE_NS
) -> KernelTrace:
    tracer = KernelTracer(on_gpu)
    tracer._profile = Recorded(content)  # type: ignore[assignment]
    tracer._run_control = lambda: None  # type: ignore[method-assign]
    try:
        return tracer.stop(3, 77, [since_ns, since_ns + LENGTH_NS], tmp_path)
    finally:
        assert list(tmp_path.iterdir()) == [], "the exported trace was left behind"


def content(*events: Event, base_ns: int | None = BASE_NS, on_gpu: bool = True) -> Event:
    """Return a trace with the tracer's own operations before and after the pass."""
    ends = control(-20, on_gpu=on_gpu), control(LENGTH_NS / 1000 + 20, on_gpu=on_gpu)
    return bare(ends[0], *events, ends[1], base_ns=base_ns)


def bare(*events: Event, base_ns: int | None = BASE_NS) -> Event:
    base = {} if base_ns is None else {"baseTimeNanoseconds": base_ns}
    return {"schemaVersion": 1, "displayTimeUnit": "ms", **base, "traceEvents": list(events)}


def control(ts: float, *, on_gpu: bool = True, dur: float = 1.0) -> Event:
    name = "at::cuda::(anonymous namespace)::spin_kernel(long)" if on_gpu else "aten::hann_window"
    return event("kernel", ts, dur, name, stream=7) if on_gpu else event("cpu_op", ts, dur, name)


def event(category: str, ts: float, dur: float, name: str = "op", **args: Any) -> Event:
    return {"ph": "X", "cat": category, "name": name, "pid": 0, "tid": 7, "ts": ts, "dur": dur, "args": args}


def kernel(ts: float, dur: float = 1.0, name: str = "gemm", **args: Any) -> Event:
    return event("kernel", ts, dur, name, **({"stream": 7} | args))


def test_operations_of_the_gpu_are_read_with_their_kind_stream_and_name(tmp_path: Path) -> None:
    trace = read(
        tmp_path,
        content(
            {"ph": "M", "name": "process_name", "pid": 0, "tid": 0, "ts": 0, "args": {"name": "python"}},
            event("cpu_op", 0, 50, "aten::mm"),
            event("cuda_runtime", 1, 2, "cudaLaunchKernel", correlation=11),
            event("gpu_memset", 30, 1, "Memset (Device)", stream=7, correlation=13),
            event("gpu_memcpy", 20, 4.5, "Memcpy HtoD", stream=20, correlation=12),
            kernel(10, 5, "gemm", correlation=11),
            kernel(40, 5, "gemm", correlation=14),
            event("gpu_user_annotation", 0, 100, "step"),
            {"ph": "s", "id": 11, "cat": "ac2g", "name": "ac2g", "pid": 0, "tid": 7, "ts": 1},
            {"ph": "f", "id": 11, "cat": "ac2g", "name": "ac2g", "pid": 0, "tid": 7, "ts": 10, "bp": "e"},
            {"ph": "i", "cat": "kernel", "name": "an instant", "pid": 0, "tid": 7, "ts": 5, "s": "g"},
            {"name": "Record Window End", "ph": "i", "s": "g", "pid": "", "tid": "", "ts": 60},
        ),
    )
    assert (trace.rank, trace.pid, trace.iterations, trace.on_gpu) == (3, 77, 1, True)
    assert trace.kinds.tolist() == [KERNEL, MEMCPY, MEMSET, KERNEL]
    assert (trace.starts_ns - BASE_NS).tolist() == [10_000, 20_000, 30_000, 40_000]
    assert (trace.ends_ns - trace.starts_ns).tolist() == [5_000, 4_500, 1_000, 5_000]
    assert trace.streams.tolist() == [7, 20, 7, 7]
    assert trace.name_ids.tolist() == [0, 1, 2, 0]
    assert trace.names == ("gemm", "Memcpy HtoD", "Memset (Device)")


def test_each_operation_knows_the_call_that_launched_it(tmp_path: Path) -> None:
    trace = read(
        tmp_path,
        content(
            event("cuda_driver", 4, 1.5, "cuLaunchKernelEx", correlation=2),
            event("cuda_runtime", 1, 2, "cudaLaunchKernel", correlation=1),
            event("cuda_runtime", 8, 1, "cudaStreamSynchronize"),
            event("cuda_runtime", 6, 1, "cudaGraphLaunch", correlation=3),
            kernel(10, correlation=1),
            kernel(20, correlation=2),
            kernel(30, correlation=3),
            kernel(40, correlation=3),
            kernel(50, correlation=99),
            kernel(60),
        ),
    )
    begins, ends = (each - BASE_NS for each in (trace.launches_ns, trace.launched_ns))
    assert begins.tolist() == [1_000, 4_000, 6_000, 6_000, 50_000, 60_000]
    assert ends.tolist() == [3_000, 5_500, 7_000, 7_000, 50_000, 60_000], "unknown: as if launched at once"


def test_times_are_exact_to_the_nanosecond(tmp_path: Path) -> None:
    """The profiler writes microseconds with three decimals, up to three months after its base."""
    rng = random.Random(0)  # noqa: S311
    offsets = sorted(rng.randrange(1, 8 * 10**15) for _ in range(300))
    lengths = [rng.randrange(10**7) for _ in offsets]
    events = ",".join(
        '{"ph":"X","cat":"kernel","name":"k","tid":7,"args":{"stream":7},'
        f'"ts":{ts // 1000}.{ts % 1000:03d},"dur":{dur // 1000}.{dur % 1000:03d}}}'
        for ts, dur in zip(offsets, lengths, strict=True)
    )
    ends = json.dumps([control(-20), control(10**13)])[1:-1]
    trace = read(tmp_path, f'{{"baseTimeNanoseconds":{BASE_NS},"traceEvents":[{events},{ends}]}}')
    assert (trace.starts_ns - BASE_NS).tolist() == offsets
    assert (trace.ends_ns - trace.starts_ns).tolist() == lengths


def test_without_a_base_times_count_from_the_epoch(tmp_path: Path) -> None:
    trace = read(tmp_path, content(kernel(12.5, 1), base_ns=None), since_ns=0)
    assert trace.starts_ns.tolist() == [12_500]


def test_the_share_of_multiprocessors_is_at_most_one_and_unknown_where_it_is_not_told(tmp_path: Path) -> None:
    told = (0.25, 1, 62.06, 0.0)
    events = [kernel(number, 0.5, "gemm", **{"blocks per SM": fill}) for number, fill in enumerate(told)]
    copy = event("gpu_memcpy", 10, 1, "Memcpy DtoD", stream=7)
    trace = read(tmp_path, content(*events, kernel(9), copy))
    assert trace.sm_fill[:4].tolist() == [0.25, 1.0, 1.0, 0.0]
    assert np.isnan(trace.sm_fill[4:]).all()


@pytest.mark.parametrize(
    ("trace", "since_ns", "names"),
    [
        (content(), 0, ()),  # the worker ran nothing
        (content(kernel(1, 2, "early"), kernel(4, 4, "across"), kernel(9, 1, "in")), 5_000, ("across", "in")),
        # The GPU's clock may lie a little before the host's.
        (bare(control(-20), kernel(10), control(LENGTH_NS / 1000 - 99)), 0, ("gemm",)),
    ],
)
def test_what_ran_within_the_pass_is_kept(
    tmp_path: Path, trace: Event, since_ns: int, names: tuple[str, ...]
) -> None:
    found = read(tmp_path, trace, since_ns=BASE_NS + since_ns)
    assert (found.names, len(found.starts_ns), found.iterations) == (names, len(names), 1)


def test_a_model_may_run_the_same_operation_as_the_tracer(tmp_path: Path) -> None:
    trace = read(tmp_path, content(control(10), control(20)))
    assert (trace.starts_ns - BASE_NS).tolist() == [10_000, 20_000]


@pytest.mark.parametrize(
    ("trace", "words"),
    [
        (bare(), "no GPU operation: CUPTI "),
        (bare(event("cuda_runtime", 1, 1, correlation=1)), "no GPU operation: CUPTI "),
        (bare(kernel(1, 1)), "no GPU operation: CUPTI "),
        (bare(control(500)), "no GPU operation: CUPTI "),
        (bare(control(-20)), "lost the last operations "),
        (bare(control(-20), kernel(500)), "lost the last operations "),
        (bare(control(-20), control(500)), "lost the last operations "),
    ],
)
def test_a_profiler_that_misses_an_operation_of_the_tracer_s_own_may_have_missed_others(
    tmp_path: Path, trace: Event, words: str
) -> None:
    with pytest.raises(EvidenceError, match=rf"{words}.*worker-3.log"):
        read(tmp_path, trace)


def test_on_the_cpu_only_the_outermost_operators_of_each_thread_count(tmp_path: Path) -> None:
    events = [
        event("cpu_op", 1, 2, "aten::empty"),
        event("cpu_op", 0, 10, "aten::matmul"),
        event("cpu_op", 0, 9, "aten::mm"),
        event("cpu_op", 10, 1, "aten::relu"),
        event("cpu_op", 5, 1, "aten::add") | {"tid": 8},
        event("python_function", 0, 90, "forward"),
    ]
    trace = read(tmp_path, content(*events, on_gpu=False), on_gpu=False)
    assert [trace.names[each] for each in trace.name_ids] == ["aten::matmul", "aten::add", "aten::relu"]
    assert set(trace.kinds) == {CPU_OPERATOR}
    assert trace.streams.tolist() == [7, 8, 7]
    with pytest.raises(EvidenceError, match="recorded no operator"):
        read(tmp_path, bare(event("cuda_runtime", 1, 1)), on_gpu=False)


def test_an_export_that_is_cut_off_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"delimiter|Expecting|Unterminated"):
        read(tmp_path, '{"traceEvents": [{"ph": "X", "cat"')


def test_a_gpu_cannot_be_traced_by_a_torch_without_cupti(monkeypatch: pytest.MonkeyPatch) -> None:
    activities = {torch.profiler.ProfilerActivity.CPU}
    monkeypatch.setattr("torch.profiler.supported_activities", lambda: activities)
    with pytest.raises(EvidenceError, match="built without CUPTI"):
        KernelTracer(on_gpu=True).start()


def test_a_profiler_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise RuntimeError("CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED")

    monkeypatch.setattr("torch.profiler.profile", refuse)
    with pytest.raises(EvidenceError, match="does not start: CUPTI_ERROR_MULTIPLE"):
        KernelTracer(on_gpu=False).start()
