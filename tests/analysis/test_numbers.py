"""Numbers for people; the examples in the docstrings are tested, too."""

import doctest
import math
import time

import pytest

from mps_experiments.analysis import numbers


def test_the_examples_are_true() -> None:
    assert doctest.testmod(numbers) == doctest.TestResults(failed=0, attempted=8)


def test_a_time_keeps_three_digits_at_least() -> None:
    assert [numbers.seconds(value) for value in (71.9, 1.0, 0.276)] == ["71.90", "1.00", "0.276"]
    assert [numbers.milliseconds(value) for value in (0.00595, None)] == ["5.95", ""]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0000012, "0.0000012"),
        (0.00012, "0.00012"),
        (0.9996, "1"),
        (9.996, "10"),
        (99.96, "100"),
        (999.4, "999"),
        (999.7, "1000"),
        (-999.7, "-1000"),
        (1234.5, "1234"),
        (123456.7, "123457"),
        (0.0, "0"),
        (math.inf, "inf"),
    ],
)
def test_three_digits_are_never_written_with_an_exponent(value: float, text: str) -> None:
    assert numbers.short(value) == text


def test_no_figure_has_an_exponent_however_small_or_large() -> None:
    assert numbers.seconds(0.000012) == "0.000012"
    assert numbers.milliseconds(0.000000012) == "0.000012"
    assert [numbers.rate(value) for value in (0.000012, 999.94, 999.97)] == ["0.000012", "999.9", "1,000"]
    assert numbers.width(999.7) == "a factor of 1001"
    assert numbers.difference(998.7) == "a factor of 1000"


def test_dates_are_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert numbers.day(1_700_000_000) == "2023-11-15"
        assert numbers.moment(1_700_000_000) == "2023-11-15 07:13:20"
    finally:
        monkeypatch.undo()
        time.tzset()
