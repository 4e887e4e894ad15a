"""Numbers for people."""

import pytest

from mps_experiments.analysis.numbers import milliseconds, seconds


@pytest.mark.parametrize(
    ("value", "text"), [(71.9, "71.90"), (1.0, "1.00"), (0.276, "0.276"), (0.00127, "0.00127")]
)
def test_a_short_time_keeps_three_digits(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(("value_s", "text"), [(0.1234, "123.4"), (0.00595, "5.95"), (0.000023, "0.023")])
def test_a_short_latency_keeps_three_digits(value_s: float, text: str) -> None:
    assert milliseconds(value_s) == text
