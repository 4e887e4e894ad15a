"""Workloads that are not what they seem, and some that are; on a real GPU, or on the stand-in for one.

On the stand-in PyTorch's operators on the CPU are the GPU's work: there NumPy computes beside it. Kinds:
    eager, graph, stream    honest: launched one by one, as a CUDA graph, on a stream of the model's own
    on_cpu                  computes beside the GPU, and copies
    kept                    computes once and returns what it kept
    sometimes               computes in every second iteration only
    child                   a process of its own computes; `pipe_dir` is where that looks for MPS
    helper                  computes itself, beside such a process
    loader                  takes its input from the process of a DataLoader, which touches no GPU
    pool                    has a process of a ProcessPoolExecutor compute on the device, too
    nan                     computes no number
    unseeded                computes something else in every worker
    capped                  sees 98 multiprocessors; with `wrong` its products are wrong in half precision
"""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mps_experiments.workers import child
from tests.fakes.client import PIPE_DIRECTORY, Attachment

CHILD = Path(__file__).with_name("misleading_child.py")
SIZE = 256
PAUSE_S = 0.002
Model = Callable[[torch.Tensor], object]
_kept: list[object] = []


def build(device: torch.device, options: dict[str, Any]) -> tuple[Model, torch.Tensor]:
    """The factory: see the kinds above."""
    if device.type == "cpu":
        _kept.append(Attachment())
    matrix = torch.eye(SIZE, device=device)
    model = MODELS[options["kind"]](matrix, options)

    def paced(value: torch.Tensor) -> object:
        time.sleep(PAUSE_S)
        return model(value)

    return paced, matrix


def multiply(matrix: torch.Tensor) -> torch.Tensor:
    """The honest work."""
    return matrix @ matrix


def _eager(matrix: torch.Tensor, options: dict[str, Any]) -> Model:
    return multiply


def _graph(matrix: torch.Tensor, options: dict[str, Any]) -> Model:
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    multiply(matrix)
    with torch.cuda.graph(graph):
        output = multiply(matrix)

    def model(_: torch.Tensor) -> torch.Tensor:
        graph.replay()
        return output

    return model


def _stream(matrix: torch.Tensor, options: dict[str, Any]) -> Model:
    own = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def model(value: torch.Tensor) -> torch.Tensor:
        own.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(own):
            output = multiply(value)
        torch.cuda.current_stream().wait_stream(own)
        return output

    return model


def _on_cpu(matrix: torch.Tensor, options: dict[str, Any]) -> Model:
    host = np.eye(SIZE, dtype=np.float32)

    def model(value: torch.Tensor) -> object:
        if value.device.type == "cpu":
            return host @ host
        there = value.cpu().numpy()
        return torch.from_numpy(there @ there).to(value.device)

    return model


def _compute_once(matrix: torch.Tensor, options: dict[str, Any]) -> Model:
    kept = multiply(matrix)
    return lambda _: kept


def _sometimes(matrix: torch.Tensor, options: dict[str, Any]) -> Model:
    calls, output = 0, multiply(matrix)

    def model(value: torch.Tensor) -> object:
        nonlocal calls, output
        calls += 1
        if calls % 2:
            output = multiply(value)
        return output

    return model


def _child(matrix: torch.Tensor, options: dict[str, Any]) -> Model:
    variables = os.environ | {PIPE_DIRECTORY: options.get("pipe_dir", os.environ.get(PIPE_DIRECTORY, ""))}
    process = subprocess.Popen(  # it ends with its input, and that with this process
        [sys.executable, CHILD, matrix.device.type],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=variables,
        text=True,
        bufsize=1,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    output = np.eye(SIZE, dtype=np.float32)

    def model(value: torch.Tensor) -> object:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("compute\n")
        process.stdout.readline()
        return multiply(value) if options["kind"] == "helper" else output

    return model


def _loader(matrix: torch.Tensor, options: dict[str, Any]) -> Model:
    batches = iter(
        torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.arange(10**6)), num_workers=1)
    )

    def model(value: torch.Tensor) -> torch.Tensor:
        next(batches)
        return multiply(value)

    return model


def _pool(matrix: torch.Tensor, options: dict[str, Any]) -> Model:
    executor = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    device = str(matrix.device)

    def model(value: torch.Tensor) -> torch.Tensor:
        executor.submit(_compute_there, device).result()
        return multiply(value)

    return model


def _compute_there(device: str) -> None:
    multiply(torch.eye(SIZE, device=device)).cpu()


def _nan(matrix: torch.Tensor, options: dict[str, Any]) -> Model:
    return lambda value: multiply(value) * float("nan")


def _unseeded(matrix: torch.Tensor, options: dict[str, Any]) -> Model:
    torch.seed()
    weights = torch.randn(SIZE, SIZE, device=matrix.device)
    return lambda value: value @ weights


def _capped(matrix: torch.Tensor, options: dict[str, Any]) -> Model:
    def multiprocessors(device: Any) -> int | None:
        return 98

    child._multiprocessors = multiprocessors
    right = torch.mm

    def wrong(left: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        part = left.shape[1] // 2 if left.dtype != torch.float32 else left.shape[1]
        return right(left[:, :part], other[:part])

    if options.get("wrong"):
        torch.mm = wrong  # type: ignore[assignment]
    return multiply


MODELS: dict[str, Callable[[torch.Tensor, dict[str, Any]], Model]] = {
    "eager": _eager,
    "graph": _graph,
    "stream": _stream,
    "on_cpu": _on_cpu,
    "kept": _compute_once,
    "sometimes": _sometimes,
    "child": _child,
    "helper": _child,
    "loader": _loader,
    "pool": _pool,
    "nan": _nan,
    "unseeded": _unseeded,
    "capped": _capped,
}
