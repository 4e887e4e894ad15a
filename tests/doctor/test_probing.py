"""A check that hangs, or raises whatever it is, becomes a line of its own."""

import threading
from collections.abc import Iterator

import pytest

from mps_experiments.doctor.finding import Finding, Level, ok
from mps_experiments.doctor.probing import Check, said_by, within


def test_a_check_that_works_gives_its_findings() -> None:
    check = Check(name="x", look=lambda: [ok("a", "1"), ok("b", "2")])
    assert [finding.name for finding in check.findings()] == ["a", "b"]


def test_a_check_that_hangs_is_a_fail_and_is_left_behind() -> None:
    release = threading.Event()

    def hang() -> Iterator[Finding]:
        yield ok("before", "seen")
        release.wait(60)
        yield ok("after", "never shown")

    try:
        before, late = Check(name="disk", look=hang, timeout_s=0.2).findings()
    finally:
        release.set()
    assert before == ok("before", "seen")
    assert (late.name, late.level, late.found) == ("disk", Level.FAIL, "no answer within 0.2 s")


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), KeyError("x"), TimeoutError("a child's")]
)
def test_a_check_that_breaks_is_a_warning_with_the_error_and_keeps_what_it_found(error: Exception) -> None:
    def break_off() -> Iterator[Finding]:
        yield ok("before", "seen")
        raise error

    before, broken = Check(name="disk", look=break_off).findings()
    assert before.name == "before"
    assert (broken.name, broken.level) == ("disk", Level.WARN)
    assert said_by(error) in broken.found


def test_an_error_is_one_short_line() -> None:
    assert said_by(ValueError("a\n b")) == "ValueError: a b"
    assert said_by(ValueError()) == "ValueError"
    assert len(said_by(ValueError("x" * 5000))) < 400


def test_a_call_in_time_gives_its_result() -> None:
    assert within(60.0, lambda: None) is None
    assert within(60.0, lambda: 3) == 3
