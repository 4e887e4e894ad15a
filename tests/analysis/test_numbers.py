"""Numbers for people; the examples in the docstrings are tested, too."""

import doctest

from mps_experiments.analysis import numbers


def test_the_examples_are_true() -> None:
    assert doctest.testmod(numbers) == doctest.TestResults(failed=0, attempted=7)


def test_a_time_keeps_three_digits_at_least() -> None:
    assert [numbers.seconds(value) for value in (71.9, 1.0, 0.276)] == ["71.90", "1.00", "0.276"]
    assert [numbers.milliseconds(value) for value in (0.00595, None)] == ["5.95", ""]
