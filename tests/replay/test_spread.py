"""Whether repeats explain a difference."""

import pytest

from mps_experiments.replay.spread import percent, spread
from mps_experiments.report.numbers import seconds


@pytest.mark.parametrize(
    ("stored", "now", "said"),
    [
        ([1.0], [1.0], "one repeat each: spread unknown; add --repeats N"),
        ([1.0, 1.1], [1.05], "one repeat now, within the 1.00 to 1.10 of the 2 stored; add --repeats N"),
        ([1.0, 1.1], [1.2], "one repeat now, outside the 1.00 to 1.10 of the 2 stored; add --repeats N"),
        ([1.0], [1.0, 1.1], "one repeat stored, within the 1.00 to 1.10 of the 2 now"),
        ([0.9], [1.0, 1.1, 1.3], "one repeat stored, outside the 1.00 to 1.30 of the 3 now"),
        ([1.0, 1.2], [1.1, 1.15], "cannot tell: it may be -59.6 % to +160.6 %; add --repeats N"),
        ([1.0, 1.01, 1.0, 1.02], [1.0, 1.02, 1.01, 1.0], "within the spread (95 % interval -1."),
        ([1.0, 3.0], [0.3, 1.2], "cannot tell: it may be -"),
        ([1.0, 1.01], [2.0, 2.02], "beyond the spread (95 % interval +"),
        ([2.0, 2.02], [1.0, 1.01], "beyond the spread (95 % interval -"),
    ],
)
def test_the_spread_is_judged_by_an_interval_and_by_nothing_else(
    stored: list[float], now: list[float], said: str
) -> None:
    assert spread(stored, now, seconds).startswith(said)


def test_a_change_has_a_sign() -> None:
    assert [percent(ratio) for ratio in (1.0, 1.25, 0.5)] == ["+0.0 %", "+25.0 %", "-50.0 %"]
