"""One worker's latency against the benchmarks of PyTorch and Triton, in turns in one process.

python benchmarks/latency_references.py --workloads resnet50,maskrcnn_resnet50_fpn --rounds 9

The same call is timed by the program's loop, by ``torch.utils.benchmark`` and by ``triton.testing.do_bench``,
each with a synchronisation at the end of every call, as the program measures. ``do_bench`` is also given the
bare forward: it reads GPU events and lets the host run ahead, so it answers another question.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.benchmark import Timer

from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.workers.timing import timed_loop
from mps_experiments.workloads.inputs import resolve_inputs
from mps_experiments.workloads.loading import Workload, load, synchronizer


def ours_ms(workload: Workload, synchronize: Callable[[], None], calls: int) -> float:
    """Return the mean latency that the program would record."""
    boundaries = [0] * (calls + 1)
    timed_loop(workload.forward, synchronize, boundaries, calls)
    return (boundaries[calls] - boundaries[0]) / calls / 1e6


def torch_ms(workload: Workload, synchronize: Callable[[], None], calls: int) -> float:
    """Return the mean of `torch.utils.benchmark`, a synchronisation in every call."""
    timer = Timer(
        "forward(); synchronize()", globals={"forward": workload.forward, "synchronize": synchronize}
    )
    return float(timer.timeit(calls).mean) * 1e3


def triton_ms(call: Callable[[], object], duration_ms: float) -> float:
    """Return the mean of `triton.testing.do_bench`; it clears the L2 cache before each call."""
    from triton.testing import do_bench

    return float(do_bench(call, warmup=1, rep=duration_ms, return_mode="mean"))


def compare(name: str, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Time one model by all ways in turns; returns milliseconds by way."""
    device = torch.device("cuda:0")
    spec = WorkloadSpec(kind="torchvision", model=name, inputs=resolve_inputs("sample"))
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    found: dict[str, list[float]] = {}
    with torch.inference_mode(), torch.cuda.stream(stream):
        workload = load(spec, device)
        synchronize = synchronizer("stream", stream)

        def call() -> None:
            workload.forward()
            synchronize()

        calls = max(5, round(seconds * 1e3 / ours_ms(workload, synchronize, 5)))
        ways: dict[str, Callable[[], float]] = {
            "ours": lambda: ours_ms(workload, synchronize, calls),
            "torch": lambda: torch_ms(workload, synchronize, calls),
            "triton": lambda: triton_ms(call, seconds * 1e3),
            "triton, bare forward": lambda: triton_ms(workload.forward, seconds * 1e3),
        }
        for turn in range(rounds):
            order = list(ways)[turn % len(ways) :] + list(ways)[: turn % len(ways)]
            for way in order:
                found.setdefault(way, []).append(ways[way]())
    return found


def main() -> None:
    """Print for each model the latency of each way and its ratio to ours, round by round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", default="resnet50,maskrcnn_resnet50_fpn")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5, help="per way and round")
    parser.add_argument("--json", type=Path, help="write all values there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    everything = {}
    for name in arguments.workloads.split(","):
        found = compare(name, arguments.rounds, arguments.seconds)
        everything[name] = found
        for way, values in found.items():
            logs = np.log(np.asarray(values) / np.asarray(found["ours"]))
            half = 2.0 * logs.std(ddof=1) / len(logs) ** 0.5 if len(logs) > 1 else float("nan")
            ratio, low, high = np.exp([logs.mean(), logs.mean() - half, logs.mean() + half])
            sys.stdout.write(
                f"{name} {way}: median {statistics.median(values):.3f} ms, "
                f"over ours {ratio:.3f} [{low:.3f}, {high:.3f}]\n"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
