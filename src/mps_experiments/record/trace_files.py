"""Traces on disk: one file per worker for this program, and one of all workers for a trace viewer."""

import gzip
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mps_experiments.errors import RecordError
from mps_experiments.record.disk import write_or_refuse
from mps_experiments.record.intervals import Times
from mps_experiments.record.overlap import CPU_OPERATOR, KIND_NAMES, KernelTrace

MAX_NAME = 300  # characters kept of an operation's name: names from C++ templates can have 1,000
_PER_OPERATION = {
    "starts_ns": np.int64,
    "ends_ns": np.int64,
    "launches_ns": np.int64,
    "launched_ns": np.int64,
    "streams": np.int64,
    "kinds": np.int8,
    "sm_fill": np.float64,
    "name_ids": np.int64,
}


def save_trace(trace: KernelTrace, path: Path) -> None:
    """Write one worker's trace atomically, with names cut to `MAX_NAME` characters.

    Raises:
        RecordError: If the file cannot be written.
    """
    arrays: dict[str, Any] = {
        "identity": np.array([trace.rank, trace.pid], np.int64),
        "boundaries_ns": np.asarray(trace.boundaries_ns, np.int64),
        "names": np.array([name[:MAX_NAME] for name in trace.names], np.str_),
        **{name: np.asarray(getattr(trace, name), dtype) for name, dtype in _PER_OPERATION.items()},
    }
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_or_refuse(path, content.getvalue())


def load_trace(path: Path) -> KernelTrace:
    """Read a trace that `save_trace` wrote.

    Raises:
        RecordError: If the file is missing, damaged or not a trace.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return _parse(content)
    except Exception as error:  # numpy and zipfile raise many kinds for a file that is damaged or no archive
        raise RecordError(f"{path} is not a whole trace: {' '.join(str(error).split())}") from error


def _parse(content: bytes) -> KernelTrace:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        rank, pid = map(int, archive["identity"])
        boundaries_ns = archive["boundaries_ns"]
        names = tuple(map(str, archive["names"]))
        arrays: dict[str, Any] = {name: archive[name] for name in _PER_OPERATION}
    for name, array in {**arrays, "boundaries_ns": boundaries_ns}.items():
        if array.dtype != _PER_OPERATION.get(name, np.int64):
            raise ValueError(f"{name} is of type {array.dtype}")
    if boundaries_ns.ndim != 1 or not boundaries_ns.size:
        raise ValueError("the pass has no start")
    if {array.shape for array in arrays.values()} != {(arrays["starts_ns"].size,)}:
        raise ValueError("the operations' arrays differ in length")
    ids, kinds = arrays["name_ids"], arrays["kinds"]
    if ids.size and not (
        0 <= ids.min() <= ids.max() < len(names) and 0 <= kinds.min() <= kinds.max() < len(KIND_NAMES)
    ):
        raise ValueError("an operation has no name or kind")
    return KernelTrace(rank=rank, pid=pid, boundaries_ns=boundaries_ns, names=names, **arrays)


def write_merged_trace(traces: Sequence[KernelTrace], path: Path, title: str) -> None:
    """Write all workers' traces as one gzipped Chrome trace, which Perfetto (ui.perfetto.dev) opens.

    Each worker is a process, with threads for its iterations, the host's launch calls and each stream. Times
    are in microseconds since the earliest start of a pass; earlier operations are omitted.

    Raises:
        RecordError: If the file cannot be written.
    """
    base_ns = min((int(trace.boundaries_ns[0]) for trace in traces), default=0)
    events = ",\n".join(event for trace in traces for event in _process_events(trace, base_ns))
    other = json.dumps({"title": title, "base_time_ns": base_ns})
    text = f'{{"traceEvents":[\n{events}\n],"displayTimeUnit":"ns","otherData":{other}}}\n'
    write_or_refuse(path, gzip.compress(text.encode(), compresslevel=1, mtime=0))


@dataclass(frozen=True, eq=False)
class _Spans:
    """The spans of one kind, for one thread of the viewer or several.

    Attributes:
        heads: The JSON of each event up to its process, thread and times.
    """

    label: str
    heads: NDArray[np.object_]
    starts_ns: Times
    ends_ns: Times


def _process_events(trace: KernelTrace, base_ns: int) -> Iterator[str]:
    """Yield one worker's events as JSON, with threads numbered in the order in which a viewer shows them."""
    pid, tid = trace.pid, 0
    yield _about(pid, 0, "process_name", name=f"worker {trace.rank} (pid {pid})")
    yield _about(pid, 0, "process_sort_index", sort_index=trace.rank)
    for spans in (_iterations(trace), _launches(trace), *_streams(trace)):
        starts, ends = spans.starts_ns - base_ns, np.maximum(spans.ends_ns, spans.starts_ns) - base_ns
        for number, lane in enumerate(_lanes(starts, ends), start=1):
            tid += 1
            yield _about(pid, tid, "thread_name", name=spans.label + (f" ({number})" if number > 1 else ""))
            yield _about(pid, tid, "thread_sort_index", sort_index=tid)
            heads, begun = spans.heads[lane].tolist(), starts[lane]
            times = zip(heads, begun.tolist(), (ends[lane] - begun).tolist(), strict=True)
            where = f'"pid":{pid},"tid":{tid}'
            for head, start, length in times:
                yield f'{head},{where},"ts":{start / 1e3:.3f},"dur":{length / 1e3:.3f}}}'


def _about(pid: int, tid: int, what: str, **value: str | int) -> str:
    return json.dumps({"ph": "M", "pid": pid, "tid": tid, "name": what, "args": value})


def _iterations(trace: KernelTrace) -> _Spans:
    heads = [_head(f"iteration {number}", "iteration") for number in range(trace.iterations)]
    return _Spans("iterations", np.array(heads, object), trace.boundaries_ns[:-1], trace.boundaries_ns[1:])


def _launches(trace: KernelTrace) -> _Spans:
    """Return the host's launch calls, each once: one may launch many operations, as with a CUDA graph."""
    told = trace.launched_ns > trace.launches_ns
    calls = np.unique(np.stack([trace.launches_ns[told], trace.launched_ns[told]]), axis=1)
    heads = np.full(calls.shape[1], _head("launch", "launch"), object)
    return _Spans("launches", heads, calls[0], calls[1])


def _streams(trace: KernelTrace) -> Iterator[_Spans]:
    names = [_head(name[:MAX_NAME], kind) for kind in KIND_NAMES for name in trace.names]
    heads = np.array(names, object)[trace.kinds.astype(np.int64) * len(trace.names) + trace.name_ids]
    for stream in np.unique(trace.streams):
        own = trace.streams == stream
        label = "operators" if (trace.kinds[own] == CPU_OPERATOR).all() else f"stream {stream}"
        yield _Spans(label, heads[own], trace.starts_ns[own], trace.ends_ns[own])


def _head(name: str, category: str) -> str:
    return f'{{"ph":"X","cat":"{category}","name":{json.dumps(name)}'


def _lanes(starts_ns: Times, ends_ns: Times) -> list[NDArray[np.int64]]:
    """Split the spans from time 0 on into lists of indices, so that none overlap within a list.

    A viewer drops spans that overlap on one thread. They overlap where the profiler's clock errs, and because
    CPU operators contain one another.
    """
    order = np.lexsort((ends_ns, starts_ns))
    order = order[starts_ns[order] >= 0]
    starts, ends = starts_ns[order], ends_ns[order]
    if (starts[1:] >= np.maximum.accumulate(ends)[:-1]).all():
        return [order] if len(order) else []
    reached: list[int] = []
    lane_of = np.empty(len(order), np.int64)
    for index, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        lane = next((lane for lane, until in enumerate(reached) if until <= start), len(reached))
        reached[lane : lane + 1] = [end]
        lane_of[index] = lane
    return [order[lane_of == lane] for lane in range(len(reached))]
