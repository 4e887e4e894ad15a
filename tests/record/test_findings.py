"""A value against its limits."""

import pytest

from mps_experiments.record.findings import Finding, Severity, too_little, too_much

INVALID, WARNING = Severity.INVALID, Severity.WARNING


def found(severity: Severity, value: float, limit: float) -> Finding:
    return Finding(check="a check", severity=severity, text="text", value=value, limit=limit)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, None),
        (0.11, found(WARNING, 0.11, 0.1)),
        (0.5, found(WARNING, 0.5, 0.1)),
        (0.51, found(INVALID, 0.51, 0.5)),
    ],
)
def test_too_much_is_above_a_limit_and_the_graver_limit_counts(
    value: float, expected: Finding | None
) -> None:
    assert too_much("a check", value, "text", warn=0.1, invalid=0.5) == expected


def test_too_much_may_have_one_limit_only() -> None:
    assert too_much("a check", 9.0, "text", warn=0.1) == found(WARNING, 9.0, 0.1)
    assert too_much("a check", 9.0, "text", invalid=0.1) == found(INVALID, 9.0, 0.1)
    assert too_much("a check", 9.0, "text") is None


@pytest.mark.parametrize("value", [0.3, 0.6])
def test_a_value_above_an_invalid_limit_below_the_warning_is_invalid(value: float) -> None:
    assert too_much("a check", value, "text", warn=0.5, invalid=0.1) == found(INVALID, value, 0.1)


@pytest.mark.parametrize(("value", "expected"), [(0.95, None), (0.94, found(WARNING, 0.94, 0.95))])
def test_too_little_is_below_a_limit_and_only_warns(value: float, expected: Finding | None) -> None:
    assert too_little("a check", value, "text", warn=0.95) == expected
