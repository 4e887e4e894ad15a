"""What PyTorch was seen to run on a device in one iteration."""

from collections.abc import Callable

import pytest
import torch

from mps_experiments.workers.operators import count_operators

MATRIX = torch.eye(4)
LINEAR = torch.nn.Linear(4, 4)


@pytest.mark.parametrize(
    ("forward", "count"),
    [
        (lambda: MATRIX @ MATRIX, 1),
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


def test_operators_on_another_device_are_not_counted() -> None:
    assert count_operators(lambda: MATRIX @ MATRIX, "cuda") == 0
    assert count_operators(lambda: torch.empty(3, device="meta") + 1, "meta") == 1


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
