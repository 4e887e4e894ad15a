"""What runs say of cells: the leader, ties, what is worse or breaks a limit, and the noise."""

import math

import pytest

from mps_experiments.analysis.standing import Arm, Fate, Runs

DRIFT = (0.0, 0.2, -0.1, 0.1, -0.2, 0.3)  # of all cells of a block
NOISE = (0.001, -0.001) * 3


def of_six_blocks(*cells: tuple[float, float]) -> Runs:
    """Cells of growing cost, each with the logarithms of its score and of its value over the limit."""
    runs = Runs(arms=[Arm(cost=(float(place),)) for place in range(len(cells))], limits=1)
    for arm, (score, excess) in enumerate(cells):
        for block, (drift, noise) in enumerate(zip(DRIFT, NOISE, strict=True)):
            runs.add(arm, block, score + drift + noise * (-1) ** arm, [excess + noise])
    return runs


def test_the_leader_keeps_the_limit_and_the_cheapest_that_ties_is_chosen() -> None:
    standing = of_six_blocks((0.0, -1.0), (1.0, -0.5), (1.01, -0.5), (2.0, 0.3)).standing()
    assert standing.fates == (Fate.WORSE, Fate.TIED, Fate.LEADER, Fate.BROKEN)
    assert (standing.leader, standing.chosen) == (2, 1)
    assert [standing.seems_to_keep(arm) for arm in range(4)] == [True, True, True, False]


def test_what_blocks_share_falls_out_of_differences() -> None:
    runs = of_six_blocks((0.0, -1.0), (1.0, -1.0))
    over = runs.over(0)[1]
    assert over.mean == pytest.approx(1.0)
    assert over.blocks == 6
    assert over.half < 0.01
    assert runs.effects()[1] - runs.effects()[0] == pytest.approx(1.0)


def test_without_runs_nothing_leads_and_a_value_that_is_not_told_is_unknowable() -> None:
    runs = Runs(arms=[Arm(cost=(1.0,)), Arm(cost=(2.0,))], limits=1)
    assert runs.standing().fates == (Fate.OPEN, Fate.OPEN)
    runs.add(0, 0, 1.0, [None])
    runs.excluded.add(1)
    standing = runs.standing()
    assert (standing.leader, standing.fates) == (None, (Fate.UNKNOWABLE, Fate.EXCLUDED))
    assert (runs.blocks(0), runs.has(0, 0), runs.has(1, 0)) == (1, True, False)


def test_the_noise_is_that_of_equal_runs_and_more_blocks_show_more() -> None:
    runs = Runs(arms=[Arm(cost=(1.0,)), Arm(cost=(2.0,))])
    assert (runs.noise(), runs.detectable(4)) == (None, None)
    for block, score in enumerate((-0.02, 0.0, 0.02)):
        runs.add(0, block, score)
    assert runs.noise() == pytest.approx(0.02)
    few, many = runs.detectable(4), runs.detectable(12)
    assert few is not None
    assert many is not None
    # t(1 - 0.05 / 2, 6) = 2.4469 and a difference has the variance of both runs
    assert math.log1p(few) == pytest.approx(2.4469 * 0.02 * math.sqrt(2 / 4), rel=1e-4)
    assert many < few


def test_cells_that_share_one_block_are_compared_by_all_of_their_blocks() -> None:
    runs = Runs(arms=[Arm(cost=(1.0,)), Arm(cost=(2.0,))])
    for block, score in enumerate((0.0, 0.1, 0.2)):
        runs.add(0, block, score)
    for block, score in zip((0, 3, 4), (1.3, 1.0, 1.0), strict=True):
        runs.add(1, block, score)
    found = runs.difference(1, 0)
    assert found.mean == pytest.approx(1.0)  # 1.3 in the common block
    # variances 0.01 and 0.03, t(1 - 0.05 / 2, 4) = 2.7764
    assert found.half == pytest.approx(2.7764 * math.sqrt(0.02 * 2 / 3), rel=1e-4)
    runs.add(1, 1, 1.1)
    assert runs.difference(1, 0) == runs.over(0)[1]


def test_cells_without_common_blocks_are_ranked_by_their_scores() -> None:
    """Whatever the number of cells and blocks in each part: lstsq alone would rank by these."""
    runs = Runs(arms=[Arm(cost=(float(place),)) for place in range(4)])
    for block in range(5):
        for arm, score in enumerate((5.0, 6.0, 6.5)):
            runs.add(arm, ("one", block), score + DRIFT[block])
    for block in range(3):
        runs.add(3, ("other", block), 7.5 + NOISE[block])
    assert runs.effects() == pytest.approx([5.0, 6.0, 6.5, 7.5], abs=0.001)
    assert runs.standing(is_final=True).fates == (Fate.WORSE, Fate.WORSE, Fate.WORSE, Fate.LEADER)


def test_at_the_end_cells_are_compared_that_share_no_block() -> None:
    runs = Runs(arms=[Arm(cost=(1.0,)), Arm(cost=(2.0,)), Arm(cost=(3.0,))])
    for sweep, arm, score in (("a", 0, 5.0), ("b", 1, 7.0), ("c", 2, 7.1)):
        for block in range(5):
            runs.add(arm, (sweep, block), score + NOISE[block])
    assert runs.standing().fates == (Fate.OPEN, Fate.OPEN, Fate.LEADER)
    final = runs.standing(is_final=True)
    assert final.fates == (Fate.WORSE, Fate.WORSE, Fate.LEADER)


def test_a_hard_limit_is_broken_by_one_run_above_it() -> None:
    for hard, fate in ((frozenset({0}), Fate.BROKEN), (frozenset[int](), Fate.OPEN)):
        runs = Runs(arms=[Arm(cost=(1.0,))], limits=1, hard=hard)
        for block, excess in enumerate((-0.1, -0.1, 0.1, -0.1)):
            runs.add(0, block, 1.0, [excess])
        assert runs.standing().fates == (fate,)
    runs = Runs(arms=[Arm(cost=(1.0,))], limits=1, hard=frozenset({0}))
    runs.add(0, 0, 1.0, [-0.1])
    assert runs.standing().fates == (Fate.LEADER,)  # a single run tells
