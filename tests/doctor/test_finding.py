"""A finding that is not OK says what to do, and the worst one counts."""

import pytest

from mps_experiments.doctor.finding import Finding, Level, fail, ok, warn, worst


def test_the_three_levels_are_the_exit_codes() -> None:
    assert {level.name: level.value for level in Level} == {"OK": 0, "WARN": 1, "FAIL": 2}


@pytest.mark.parametrize("level", [Level.WARN, Level.FAIL])
def test_what_is_not_ok_says_what_to_do(level: Level) -> None:
    with pytest.raises(ValueError, match=f"GPU: {level.name} without a word on what to do"):
        Finding(name="GPU", level=level, found="broken")


def test_the_worst_level_is_that_of_all() -> None:
    good, bad, worse = ok("a", "x"), warn("b", "x", "mend"), fail("c", "x", "mend")
    assert worst([]) is Level.OK
    assert worst([good]) is Level.OK
    assert worst([bad, good]) is Level.WARN
    assert worst([good, worse, bad]) is Level.FAIL
