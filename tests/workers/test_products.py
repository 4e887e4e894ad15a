"""Matrix products against the CPU, with a device that multiplies wrongly as a capped GPU was seen to."""

import math
from collections.abc import Callable

import pytest
import torch

from mps_experiments.workers.products import product_errors

Multiply = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def half_wrong(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Leave out a third of the sum in half precision, silently."""
    if left.dtype == torch.float32:
        return left @ right
    part = left.shape[1] * 2 // 3
    return left[:, :part] @ right[:part]


def no_number(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return left @ right * math.nan


def test_a_right_device_has_only_the_errors_of_its_types() -> None:
    errors = product_errors("cpu")
    assert errors["float32"] < 1e-5
    assert 1e-4 < errors["bfloat16"] < 0.005
    assert 1e-5 < errors["float16"] < 0.001


def test_a_device_that_is_wrong_in_half_precision_is_found_there_only() -> None:
    errors = product_errors("cpu", half_wrong)
    assert errors["float32"] < 1e-5
    for name in ("bfloat16", "float16"):  # a third of the sum's variance is missing
        assert errors[name] == pytest.approx(math.sqrt(1 / 3), abs=0.02)


def test_a_product_that_is_no_number_has_an_infinite_error() -> None:
    assert product_errors("cpu", no_number) == dict.fromkeys(("float32", "bfloat16", "float16"), math.inf)


@pytest.mark.gpu
def test_a_whole_gpu_multiplies_right() -> None:
    assert max(product_errors("cuda:0").values()) < 0.005
