"""Child side: get ready, wait for the start, run the timed loop, stay attached, exit.

The fork server imports this module before any worker exists; the parent imports it only to name
`worker_main`. So nothing here imports torch at module level.
"""

import contextlib
import itertools
import math
import multiprocessing
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from mps_experiments.errors import in_words
from mps_experiments.machine.cell_variables import take_on
from mps_experiments.record.worker import Done, Forward, WorkerFacts
from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.workers.evidence import Witness
from mps_experiments.workers.keeper import begin_child, print_into
from mps_experiments.workers.messages import Failed, Go, Ready, Started, clipped, receive, send
from mps_experiments.workers.misbehaviour import prepare
from mps_experiments.workers.timing import (
    NEVER,
    Beyond,
    Boundaries,
    Counts,
    keep_up_load,
    timed_loop,
    wait_until,
)
from mps_experiments.workers.usage import core_speed_per_us, cpu_usage
from mps_experiments.workers.warmup import warm_up

_MOST_PER_S = 50_000  # an iteration with a synchronisation takes longer than 20 microseconds
_MOST_TIMED = 2**20
_MAX_LINE = 1000  # characters; one line must not push the others out of a traceback
# Room for iterations after a worker's own: a multiple of these, within limits.
_EXTRA, _LEAST_EXTRA, _MOST_EXTRA = 3, 4096, 2**20


@dataclass(frozen=True, kw_only=True)
class WorkerSpec:
    """One worker as data.

    Attributes:
        device: The device in torch's notation.
        iterations: Number of measured iterations; None for as many as fit into `seconds`.
        seconds: Length of the measured window where `iterations` is None.
        kept: True if the worker keeps up the load afterwards, until all workers are done.
        warmup_iterations: Number of warm-up iterations; None warms up until latency is steady.
        cpu_cores: Cores the worker is bound to before it warms up; empty leaves it unpinned.
        environment: Variables set before the worker's first CUDA call; see `machine.cell_variables`.
        go_timeout_s: Seconds to wait for the start, and later for the order to exit.
        misbehaviour: The fault it causes in its measured window, after `misbehave_after` iterations.
    """

    rank: int
    device: str
    workload: WorkloadSpec
    iterations: int | None
    warmup_iterations: int | None
    cpu_cores: tuple[int, ...]
    environment: dict[str, str]
    verbose: bool
    log_path: str
    go_timeout_s: float
    seconds: float | None = None
    kept: bool = False
    misbehaviour: str | None = None
    misbehave_after: int = 0

    @property
    def limit(self) -> int:
        """Return the most iterations it measures."""
        if self.iterations is not None:
            return self.iterations
        assert self.seconds is not None, "a window is given by iterations or by seconds"  # noqa: S101
        return min(math.ceil(self.seconds * _MOST_PER_S) + 1, _MOST_TIMED)

    @property
    def room(self) -> int:
        """Number of iterations whose times fit into shared memory, those after its own included."""
        extra = min(max(_EXTRA * self.limit, _LEAST_EXTRA), _MOST_EXTRA) if self.kept else 0
        return self.limit + extra


@dataclass
class _Stopwatch:
    """Seconds per named phase."""

    phases_s: dict[str, float] = field(default_factory=dict)
    current: str = "start"

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self.current = name
        started = time.monotonic()
        yield
        self.phases_s[name] = time.monotonic() - started


def worker_main(spec: WorkerSpec, boundaries_ns: Boundaries, measured: Counts, channel: Connection) -> None:
    """Run one worker to its end, without multiprocessing's own teardown.

    Args:
        spec: The worker.
        boundaries_ns: Shared memory of ``room + 1`` timestamps, zero where not reached.
        measured: Shared memory of all workers: the number of iterations measured, by rank; zero until done.
        channel: Connection to the parent.
    """
    begin_child()
    with contextlib.suppress(OSError):  # the parent is gone, and so is this process in a moment
        send(channel, Started(pid=os.getpid()))
    # multiprocessing lets a daemonic process start no children. Ours need no join: the keeper ends them.
    multiprocessing.current_process().daemon = False
    take_on(os.environ, spec.environment)
    watch = _Stopwatch()
    try:
        print_into(spec.log_path)
        _run(spec, boundaries_ns, measured, channel, watch)
    except BaseException as error:
        text = "\n".join(line[:_MAX_LINE] for line in traceback.format_exc().splitlines())
        with contextlib.suppress(Exception):  # a factory may have closed or replaced it
            sys.stderr.write(f"{text}\n")
        _flush()
        failed = Failed(phase=watch.current, error=clipped(in_words(error)), traceback=clipped(text))
        with contextlib.suppress(OSError):
            send(channel, failed)
        os._exit(1)
    _flush()
    os._exit(0)  # the driver cleans up faster after the process than torch does within it


def _run(
    spec: WorkerSpec,
    boundaries_ns: Boundaries,
    measured: Counts,
    channel: Connection,
    watch: _Stopwatch,
) -> None:
    with watch.phase("import"):
        import torch

        from mps_experiments.workloads.loading import (
            describe_model,
            describe_torch,
            hash_weights,
            load,
            synchronizer,
        )

        torch.set_num_threads(1)
    with watch.phase("context"):
        device = torch.device(spec.device)
        stream = None
        if device.type == "cuda":
            stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        torch.zeros(1, device=device).cpu()
    served_ns = time.monotonic_ns()
    with torch.inference_mode(), torch.cuda.stream(stream) if stream else contextlib.nullcontext():
        with watch.phase("load"):
            workload = load(spec.workload, device)
            synchronize = synchronizer(spec.workload.synchronize, stream)
            synchronize()  # the hash reads the weights from another thread, on another stream
            digest = hash_weights(workload)
            misbehave = prepare(spec.misbehaviour, spec.device) if spec.misbehaviour else None
        if spec.cpu_cores:
            os.sched_setaffinity(0, spec.cpu_cores)
        with watch.phase("warmup"):
            output, warmed_up = warm_up(workload.forward, synchronize, spec.warmup_iterations)
        missing = dict[str, str]()
        weights_sha256, output_shape = None, ""
        with _optional("digest of the weights", missing):
            try:
                weights_sha256 = digest.result(timeout=spec.go_timeout_s)
            except Exception:  # a lazy module has its weights only now
                weights_sha256 = hash_weights(workload).result(timeout=spec.go_timeout_s)
        with _optional("shape of the output", missing):
            output_shape = workload.shape_of(output) if warmed_up else ""
        facts = WorkerFacts(
            cpu_cores=tuple(sorted(os.sched_getaffinity(0))),
            phases_s=watch.phases_s,
            torch_facts=describe_torch(device) | describe_model(workload),
            weights_sha256=weights_sha256,
            output_shape=output_shape,
            served_ns=served_ns,
            warmup_iterations=warmed_up,
            multiprocessors=_multiprocessors(device),
            missing=missing,
        )
        send(channel, Ready(facts=facts))
        watch.current = "waiting for the start"
        go = receive(channel, spec.go_timeout_s)
        if not isinstance(go, Go):
            return
        watch.current = "measured window"
        forward: Callable[[], object] = workload.forward
        if spec.verbose:
            forward = _reporting(workload.forward, synchronize, channel, stream, workload.shape_of)
        end_ns = NEVER if spec.seconds is None else go.start_at_ns + round(spec.seconds * 1e9)
        limit = spec.misbehave_after if misbehave else spec.limit
        before = cpu_usage()
        wait_until(go.start_at_ns)
        done = timed_loop(forward, synchronize, boundaries_ns, limit, end_ns)
        if misbehave:
            misbehave()
        measured[spec.rank] = done
        beyond = Beyond()
        if spec.kept:
            watch.current = "keeping up the load for the others"
            all_done = partial(all, measured)
            beyond = keep_up_load(workload.forward, synchronize, boundaries_ns, done, all_done)
        used = cpu_usage().since(before)
        watch.current = "after the measured window"
        on_gpu = device.type == "cuda"
        last = Done(
            peak_memory_allocated_bytes=torch.cuda.max_memory_allocated() if on_gpu else None,
            peak_memory_reserved_bytes=torch.cuda.max_memory_reserved() if on_gpu else None,
            peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            cpu=used,
            measured=done,
            beyond=beyond.iterations,
            beyond_ns=beyond.took_ns,
            core_speed_per_us=core_speed_per_us(),
        )
        send(channel, last)
        Witness(
            rank=spec.rank,
            device=spec.device,
            workload=workload,
            synchronize=synchronize,
            channel=channel,
            # Others may need longer, but if they need twice as long the run is INVALID anyway.
            timeout_s=spec.go_timeout_s + (boundaries_ns[done] - boundaries_ns[0]) / 1e9,
        ).answer()


@contextlib.contextmanager
def _optional(what: str, missing: dict[str, str]) -> Iterator[None]:
    """Note why a piece of evidence is missing instead of failing: the user's code may raise anything."""
    try:
        yield
    except BaseException as error:
        missing[what] = clipped(in_words(error))


def _multiprocessors(device: Any) -> int | None:
    import torch

    if device.type != "cuda":
        return None
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # a factory may have closed or replaced it
            stream.flush()


def _reporting(
    forward: Callable[[], object],
    synchronize: Callable[[], None],
    channel: Connection,
    stream: object,
    shape_of: Callable[[object], str],
) -> Callable[[], None]:
    """Wrap `forward` so that it reports each output to the parent once the device has finished it."""
    name = hex(getattr(stream, "cuda_stream", 0)) if stream is not None else "none"
    numbers = itertools.count(1)

    def forward_and_tell() -> None:
        output = forward()
        synchronize()
        try:
            shape = shape_of(output)
        except Exception:  # reported once, in the worker's facts
            shape = type(output).__name__
        send(channel, Forward(iteration=next(numbers), stream=name, shape=shape))

    return forward_and_tell
