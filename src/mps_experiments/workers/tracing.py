"""Child side of the traced pass: the GPU operations and their times as PyTorch's profiler (CUPTI) saw them.

Nothing here is imported or loaded before the measured window is over.
"""

import json
import tempfile
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mps_experiments.errors import EvidenceError
from mps_experiments.record.overlap import CPU_OPERATOR, KERNEL, MEMCPY, MEMSET, KernelTrace

_GPU_KINDS = {"kernel": KERNEL, "gpu_memcpy": MEMCPY, "gpu_memset": MEMSET}
_LAUNCHES = ("cuda_runtime", "cuda_driver")
# Run before and after the iterations. If the profiler misses these, its seeing nothing else proves nothing.
_CONTROLS = {True: "spin_kernel", False: "aten::hann_window"}
_CONTROL_CYCLES = 1000
_CLOCKS_DIFFER_NS = 100_000  # the most by which the clocks of host and GPU differ


class _Operation(NamedTuple):
    start_ns: int
    end_ns: int
    kind: int
    stream: int
    correlation: int
    sm_fill: float
    name: str


class KernelTracer:
    """Records the GPU's operations between `start` and `stop`, or PyTorch's operators on the CPU.

    It runs an operation of its own at either end, which shows that the profiler records at all.
    """

    def __init__(self, on_gpu: bool, synchronize: Callable[[], None] = lambda: None) -> None:
        self._on_gpu, self._synchronize = on_gpu, synchronize

    def start(self) -> None:
        """Start recording. The first start in a process loads CUPTI.

        Raises:
            EvidenceError: If this PyTorch cannot trace, or another profiler runs already.
        """
        import torch.profiler

        wanted = torch.profiler.ProfilerActivity.CUDA if self._on_gpu else torch.profiler.ProfilerActivity.CPU
        if wanted not in torch.profiler.supported_activities():  # type: ignore[no-untyped-call]
            raise EvidenceError("this PyTorch was built without CUPTI")
        if torch.autograd._profiler_enabled():  # type: ignore[attr-defined] # a second would end the first
            raise EvidenceError("the model runs a profiler of its own")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it warns that events are kept for one cycle only
                self._profile = torch.profiler.profile(activities=[wanted])
                self._profile.start()
        except (RuntimeError, AssertionError) as error:
            raise EvidenceError(f"the profiler does not start: {error}") from error
        self._run_control()

    def _run_control(self) -> None:
        import torch

        if self._on_gpu:
            torch.cuda._sleep(_CONTROL_CYCLES)  # type: ignore[no-untyped-call]
        else:
            torch.hann_window(1)
        self._synchronize()

    def stop(self, rank: int, pid: int, boundaries_ns: list[int], scratch: Path) -> KernelTrace:
        """Stop recording, and return the operations within the boundaries; there may be none.

        Raises:
            EvidenceError: If the profiler did not record this tracer's own operations.
        """
        self._run_control()
        self._profile.stop()
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            path = Path(folder) / "trace.json"
            self._profile.export_chrome_trace(str(path))
            content = json.loads(path.read_bytes())
        operations, launches = _read(content, self._on_gpu)
        own = [each for each in operations if _CONTROLS[self._on_gpu] in each.name]
        before, after = own[:1], own[-1:]  # a model may run the same in between
        if not before or before[0].end_ns > boundaries_ns[0]:
            what = "GPU operation: CUPTI is missing, in use or not permitted" if self._on_gpu else "operator"
            raise EvidenceError(f"the profiler recorded no {what} (see worker-{rank}.log)")
        if after[0].start_ns < boundaries_ns[-1] - _CLOCKS_DIFFER_NS:
            raise EvidenceError(f"the profiler lost the last operations (see worker-{rank}.log)")
        within = [each for each in operations if each.end_ns > boundaries_ns[0] and each is not after[0]]
        return _kernel_trace(rank, pid, boundaries_ns, within, launches)


def _read(content: dict[str, Any], on_gpu: bool) -> tuple[list[_Operation], dict[int, tuple[int, int]]]:
    """Read a Chrome trace: operations by start time, and launching calls' begin and end by correlation id."""
    base_ns = int(content.get("baseTimeNanoseconds", 0))
    operations: list[_Operation] = []
    launches: dict[int, tuple[int, int]] = {}
    for event in content["traceEvents"]:
        category = event.get("cat")
        if event.get("ph") != "X":
            continue
        if category in _LAUNCHES:
            if correlation := event.get("args", {}).get("correlation"):
                launches[correlation] = _times(event, base_ns)
        elif category in _GPU_KINDS or (category == "cpu_op" and not on_gpu):
            operations.append(_operation(event, base_ns))
    operations.sort()
    return operations if on_gpu else list(_outermost(operations)), launches


def _times(event: dict[str, Any], base_ns: int) -> tuple[int, int]:
    start_ns = base_ns + round(event["ts"] * 1000)
    return start_ns, start_ns + round(event["dur"] * 1000)


def _operation(event: dict[str, Any], base_ns: int) -> _Operation:
    arguments = event.get("args", {})
    start_ns, end_ns = _times(event, base_ns)
    return _Operation(
        start_ns=start_ns,
        end_ns=end_ns,
        kind=_GPU_KINDS.get(event["cat"], CPU_OPERATOR),
        stream=int(arguments.get("stream", event.get("tid", 0))),
        correlation=int(arguments.get("correlation", 0)),
        sm_fill=min(float(arguments.get("blocks per SM", "nan")), 1.0),  # in this order NaN stays NaN
        name=str(event["name"]),
    )


def _outermost(operations: Iterable[_Operation]) -> Iterable[_Operation]:
    """Select the operators that no other operator of their thread called."""
    reached: dict[int, int] = {}
    for each in sorted(operations, key=lambda one: (one.start_ns, -one.end_ns)):
        if each.start_ns >= reached.get(each.stream, 0):
            reached[each.stream] = each.end_ns
            yield each


def _kernel_trace(
    rank: int,
    pid: int,
    boundaries_ns: list[int],
    operations: list[_Operation],
    launches: dict[int, tuple[int, int]],
) -> KernelTrace:
    names = {name: index for index, name in enumerate(dict.fromkeys(each.name for each in operations))}
    calls = [launches.get(each.correlation, (each.start_ns, each.start_ns)) for each in operations]
    integers = partial(np.array, dtype=np.int64)
    return KernelTrace(
        rank=rank,
        pid=pid,
        boundaries_ns=integers(boundaries_ns),
        starts_ns=integers([each.start_ns for each in operations]),
        ends_ns=integers([each.end_ns for each in operations]),
        launches_ns=integers([begin for begin, _ in calls]),
        launched_ns=integers([end for _, end in calls]),
        streams=integers([each.stream for each in operations]),
        kinds=np.array([each.kind for each in operations], dtype=np.int8),
        sm_fill=np.array([each.sm_fill for each in operations], dtype=np.float64),
        name_ids=integers([names[each.name] for each in operations]),
        names=tuple(names),
    )
