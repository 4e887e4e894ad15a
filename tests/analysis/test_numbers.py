"""Numbers for people; the examples in the docstrings are tested, too."""

import doctest
import time

import pytest

from mps_experiments.analysis import numbers


def test_the_examples_are_true() -> None:
    assert doctest.testmod(numbers) == doctest.TestResults(failed=0, attempted=7)


def test_a_time_keeps_three_digits_at_least() -> None:
    assert [numbers.seconds(value) for value in (71.9, 1.0, 0.276)] == ["71.90", "1.00", "0.276"]
    assert [numbers.milliseconds(value) for value in (0.00595, None)] == ["5.95", ""]


def test_dates_are_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert numbers.day(1_700_000_000) == "2023-11-15"
        assert numbers.moment(1_700_000_000) == "2023-11-15 07:13:20"
    finally:
        monkeypatch.undo()
        time.tzset()
