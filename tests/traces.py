"""Traced passes made by hand or at random, for the tests of all that reads them."""

from collections.abc import Sequence

import numpy as np

from mps_experiments.record.overlap import KERNEL, KernelTrace

Span = tuple[int, int]


def make_trace(
    spans: Sequence[Span],
    *,
    rank: int = 0,
    boundaries_ns: Sequence[int] = (0, 100),
    launches: Sequence[Span] | None = None,
    streams: Sequence[int] | None = None,
    kinds: Sequence[int] | None = None,
    sm_fill: Sequence[float] | None = None,
    names: Sequence[str] = ("gemm",),
) -> KernelTrace:
    """A trace of the given operations, in order of their start; nanoseconds.

    Args:
        spans: Start and end of each operation.
        rank: The worker's rank; its pid is 100 more.
        boundaries_ns: Start of the pass, then the end of each iteration.
        launches: Start and end of each operation's launch; by default nothing is known of it.
        streams: All 7 by default.
        kinds: All kernels by default.
        sm_fill: All unknown by default.
        names: Given to the operations in turn.
    """
    ran = np.array(spans, np.int64).reshape(-1, 2)
    calls = ran[:, [0, 0]] if launches is None else np.array(launches, np.int64).reshape(-1, 2)
    count = len(ran)
    return KernelTrace(
        rank=rank,
        pid=100 + rank,
        boundaries_ns=np.array(boundaries_ns, np.int64),
        starts_ns=ran[:, 0],
        ends_ns=ran[:, 1],
        launches_ns=calls[:, 0],
        launched_ns=calls[:, 1],
        streams=np.array([7] * count if streams is None else streams, np.int64),
        kinds=np.array([KERNEL] * count if kinds is None else kinds, np.int8),
        sm_fill=np.array([np.nan] * count if sm_fill is None else sm_fill, np.float64),
        name_ids=np.arange(count, dtype=np.int64) % len(names),
        names=tuple(names),
    )


def random_trace(
    rng: np.random.Generator, rank: int = 0, *, operations: int = 20, iterations: int = 2
) -> KernelTrace:
    """A pass of 0 to about 300 ns on up to three streams; the operations of one stream do not overlap."""
    streams = np.sort(rng.integers(5, 8, operations))
    spans: list[Span] = []
    for stream in streams:
        free = spans[-1][1] if spans and streams[len(spans) - 1] == stream else int(rng.integers(0, 30))
        start = free + int(rng.integers(0, 20))
        spans.append((start, start + int(rng.integers(0, 25))))
    order = np.argsort([start for start, _ in spans], kind="stable")
    launched = [start - int(rng.integers(0, 15)) for start, _ in spans]
    launches = [(end - int(rng.integers(0, 12)), end) for end in launched]
    first = int(rng.integers(0, 40))
    return make_trace(
        [spans[i] for i in order],
        rank=rank,
        boundaries_ns=np.cumsum([first, *rng.integers(40, 150, iterations)]).tolist(),
        launches=[launches[i] for i in order],
        streams=streams[order].tolist(),
    )


def replica_trace(
    rank: int, *, operations: int = 18_000, mean_ns: int = 15_000, busy: float = 0.5, seed: int = 0
) -> KernelTrace:
    """A pass as large as a real one: three iterations of kernels with launches, 200 long names."""
    rng = np.random.default_rng(seed + rank)
    lengths = rng.exponential(mean_ns, operations).astype(np.int64) + 500
    gaps = rng.exponential(mean_ns / busy * (1 - busy), operations).astype(np.int64)
    begin = 1_795_470_982_128_729_215
    starts = begin + np.cumsum(gaps + lengths) - lengths
    spans = list(zip(starts.tolist(), (starts + lengths).tolist(), strict=True))
    launched = starts - rng.integers(1_000, 9_000, operations)
    launches = list(zip((launched - 900).tolist(), launched.tolist(), strict=True))
    end = spans[-1][1] + 1_000_000
    return make_trace(
        spans,
        rank=rank,
        boundaries_ns=np.linspace(begin - 20_000, end, 4).astype(np.int64).tolist(),
        launches=launches,
        names=[f"void at::native::kernel_{number}<{'float, ' * 30}int>" for number in range(200)],
    )
