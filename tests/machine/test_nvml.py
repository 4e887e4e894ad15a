"""NVML's questions, asked of a GPU that may not know the answer."""

import pynvml
import pytest

from mps_experiments.machine.nvml import or_none


def raises(error: Exception) -> int:
    raise error


def test_an_answer_is_passed_on_a_zero_too() -> None:
    assert or_none(lambda: 7) == 7
    assert or_none(lambda: 0) == 0


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_NO_PERMISSION])
def test_a_question_that_nvml_refuses_has_no_answer(code: int) -> None:
    assert or_none(lambda: raises(pynvml.NVMLError(code))) is None


def test_an_error_of_our_own_is_not_swallowed() -> None:
    with pytest.raises(KeyError):
        or_none(lambda: raises(KeyError("ours")))
