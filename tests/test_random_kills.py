"""A few kills of the runner at random moments; ``benchmarks/random_kills.py`` does many."""

import pytest
from benchmarks.random_kills import random_kills

COUNT = 3


@pytest.mark.parametrize(
    "stand_in", [pytest.param(True, id="fake"), pytest.param(False, id="real", marks=pytest.mark.gpu)]
)
def test_after_a_kill_at_any_moment_nothing_is_left_and_the_next_sweep_starts_clean(stand_in: bool) -> None:
    whole_s, kills = random_kills(COUNT, seed=7, stand_in=stand_in, limit_s=200.0)
    assert len(kills) == COUNT
    assert [kill.left for kill in kills] == [()] * COUNT
    assert all(0 <= kill.after_s <= whole_s for kill in kills)
