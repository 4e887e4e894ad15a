"""The search on cells whose truth is known: log-normal noise, effects of blocks, limits, ties."""

import math
import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import pytest

from mps_experiments.analysis.search import MOST_BLOCKS, NOISE_RUNS, Search, depths
from mps_experiments.analysis.standing import ZONE, Arm, Fate

PROCS = (1, 2, 4, 8, 16)
ENOUGH_BLOCKS = 4  # that an exhaustive search takes at least, for t intervals
RESNET = (227, 426, 699, 849, 853, 231, 461, 903, 1692, 2332)  # without, then with MPS; measured on an H200
MASKRCNN = (11.5, 16, 17.5, 17.8, 17.6, 11.5, 20, 30, 38, 40)
TIES = (100, 150, 170, 178, 180, 100, 160, 200, 205, 207)
P99_MS = (4.4, 4.6, 6, 10, 20, 4.4, 4.5, 5, 6, 11)


@dataclass(frozen=True)
class Truth:
    """Cells as they are.

    Attributes:
        values: What is to be as large as possible.
        ratios: For each limit the value of each cell over it.
        noise: Standard deviation of the logarithm of a run, of each cell.
    """

    values: Sequence[float]
    costs: Sequence[tuple[float, ...]]
    depth: Sequence[int]
    ratios: Sequence[Sequence[float]] = ()
    noise: Sequence[float] = (0.03,) * 20
    block_noise: float = 0.05

    @property
    def keeping(self) -> list[int]:
        return [arm for arm in range(len(self.values)) if all(each[arm] <= 1 for each in self.ratios)]

    def is_good(self, arm: int | None) -> bool:
        """Whether a cell keeps the limits and is the best or tied with it; None if no cell keeps them."""
        if arm is None or not self.keeping:
            return arm is None and not self.keeping
        best = max(self.values[each] for each in self.keeping)
        return arm in self.keeping and self.values[arm] >= best / (1 + ZONE)


def grid(values: Sequence[float], *ratios: Sequence[float], noise: float = 0.03) -> Truth:
    """One, two, ... processes without MPS, then with it."""
    return uneven(values, [noise] * 10, *ratios)


def uneven(values: Sequence[float], noise: Sequence[float], *ratios: Sequence[float]) -> Truth:
    """The same, with a noise for each cell."""
    costs = [(float(procs), float(mps)) for mps in (0, 1) for procs in PROCS]
    return Truth(values, costs, depths(len(PROCS)) * 2, ratios, noise)


def batched() -> Truth:
    """Batches of one process do nearly all that can be done."""
    costs = [(float(procs), float(batch)) for batch in (1, 4, 16, 32) for procs in PROCS]
    values = [
        1000 * (1 - math.exp(-batch * procs / 8)) / (1 + 0.06 * math.log2(procs)) for procs, batch in costs
    ]
    return Truth(values, costs, [0] * len(costs))


@dataclass
class Played:
    search: Search
    trials: list[tuple[int, int]] = field(default_factory=list)

    @property
    def exhaustive(self) -> int:
        """Runs of a search that measures every cell as often as this one measures the best."""
        blocks = max(self.search.blocks(arm) for arm in range(len(self.search.arms)))
        return len(self.search.arms) * max(blocks, ENOUGH_BLOCKS)


def always(_: int) -> bool:
    return True


def play(truth: Truth, seed: int, most_runs: float = math.inf) -> Played:
    arms = [Arm(cost=cost, depth=depth) for cost, depth in zip(truth.costs, truth.depth, strict=True)]
    played = Played(Search(arms=arms, limits=len(truth.ratios), seed=seed))
    draw, effects = random.Random(seed), dict[Hashable, float]()  # noqa: S311
    for arm, block in played.search.trials(lambda _: len(played.trials) < most_runs):
        played.trials.append((arm, block))
        effect = effects.setdefault(block, draw.gauss(0, truth.block_noise))
        score = math.log(truth.values[arm]) + effect + draw.gauss(0, truth.noise[arm])
        excess = [math.log(each[arm]) - effect + draw.gauss(0, truth.noise[arm]) for each in truth.ratios]
        played.search.add(arm, block, score, excess)
    return played


@pytest.mark.parametrize(
    "truth",
    [
        pytest.param(grid(RESNET), id="one is best"),
        pytest.param(grid(MASKRCNN, noise=0.02), id="the second is 5 % below"),
        pytest.param(grid(TIES), id="three tie"),
        pytest.param(uneven(RESNET, [0.08, 0.08, 0.03, 0.01, 0.01] * 2), id="small cells are noisier"),
        pytest.param(grid(RESNET, [each / 8 for each in P99_MS]), id="a limit rules out the best"),
        pytest.param(grid(RESNET, [each / 8 for each in P99_MS], [0.5] * 10), id="two limits"),
        pytest.param(grid(RESNET, [each / 3 for each in P99_MS]), id="nothing keeps the limit"),
        pytest.param(batched(), id="one batched process is as good"),
    ],
)
def test_it_is_right_or_tied_with_at_most_half_of_the_exhaustive_runs(truth: Truth) -> None:
    found = [play(truth, seed) for seed in range(100)]
    assert sum(truth.is_good(each.search.standing().chosen) for each in found) >= 95
    assert sum(len(each.trials) for each in found) <= sum(each.exhaustive for each in found) / 2


@pytest.mark.parametrize(
    "truth", [grid(TIES, noise=0.06), grid([100] * 10)], ids=["noise above the zone", "all are equal"]
)
def test_it_is_right_or_tied_where_little_can_be_told(truth: Truth) -> None:
    found = [play(truth, seed) for seed in range(100)]
    assert sum(truth.is_good(each.search.standing().chosen) for each in found) >= 95


def test_of_cells_that_tie_the_cheapest_is_chosen() -> None:
    values = (*TIES[:7], 205, 206, 207)
    chosen = [play(grid(values, noise=0.01), seed).search.standing().chosen for seed in range(20)]
    assert sum(arm == 7 for arm in chosen) >= 18  # four processes with MPS
    batches = [play(batched(), seed).search for seed in range(20)]
    best = [each.standing().chosen for each in batches]
    assert {batches[0].arms[arm].cost[0] for arm in best if arm is not None} == {1}


def test_the_noise_comes_first_then_the_smallest_cells_then_the_ends() -> None:
    truth = grid(RESNET)
    first = play(truth, 1).trials[: NOISE_RUNS + 9]
    assert first[:NOISE_RUNS] == [(0, block) for block in range(NOISE_RUNS)]
    order = [truth.depth[arm] for arm, _ in first[NOISE_RUNS:]]
    assert order == sorted(order)
    assert {block for _, block in first[NOISE_RUNS:]} == {0}
    assert play(truth, 1).trials == play(truth, 1).trials
    assert play(truth, 1).trials != play(truth, 2).trials


def test_no_run_is_begun_that_does_not_fit() -> None:
    played = play(grid(TIES), 0, most_runs=15)
    assert len(played.trials) == 15
    assert played.search.stopped == "the budget is used up"
    assert played.search.standing().of(Fate.OPEN)


def test_what_is_known_already_is_not_measured_again() -> None:
    truth = grid(RESNET)
    first = play(truth, 0)
    before = first.search
    again = Search(arms=before.arms, first_block=MOST_BLOCKS)
    for arm, block in first.trials:
        again.add(arm, ("stored", block), before.scores[arm, before.places[block]])
    assert again.is_over(always)
    assert again.standing().chosen == before.standing().chosen
    assert not Search(arms=before.arms).is_over(always)


def test_a_cell_that_was_not_measured_is_measured_beside_the_best_of_those_that_were() -> None:
    search = Search(arms=[Arm(cost=(float(procs),)) for procs in range(3)], first_block=MOST_BLOCKS)
    for block in range(MOST_BLOCKS):
        search.add(0, ("stored", block), 0.01 * block)
        search.add(1, ("stored", block), 1 + 0.012 * block)
    draw, trials = random.Random(1), list[tuple[int, int]]()  # noqa: S311
    for arm, block in search.trials(always):
        trials.append((arm, block))
        search.add(arm, block, (0, 1, 1)[arm] + draw.gauss(0, 0.03))
    assert set(trials[:2]) == {(1, MOST_BLOCKS), (2, MOST_BLOCKS)}
    assert search.blocks(2) > 2  # however many stored blocks the others have
    assert search.blocks(0) < MOST_BLOCKS + 3


def test_blocks_that_are_added_have_numbers_that_no_stored_run_has() -> None:
    search = Search(arms=[Arm(cost=(1.0,)), Arm(cost=(2.0,))], first_block=3)
    for block in range(3):
        search.add(0, ("stored", block), 0.05 * block)
        search.add(1, ("stored", block), 0.05 + 0.03 * block)
    assert next(search.trials(always))[1] == 3


def test_a_value_for_a_limit_that_no_run_tells_is_not_measured_on() -> None:
    search = Search(arms=[Arm(cost=(1.0,)), Arm(cost=(2.0,))], limits=1)
    for arm, block in search.trials(lambda _: True):
        search.add(arm, block, float(arm) + 0.01 * block, [None if arm else -1.0 + 0.01 * block])
    standing = search.standing()
    assert standing.chosen == 0
    assert standing.fates == (Fate.LEADER, Fate.UNKNOWABLE)
    assert search.blocks(1) == 1


def test_a_cell_that_is_excluded_in_the_middle_of_a_pass_is_not_measured() -> None:
    search = Search(arms=[Arm(cost=(float(each),)) for each in range(4)])
    seen = []
    for arm, block in search.trials(lambda _: True):
        seen.append(arm)
        search.add(arm, block, float(arm) + 0.01 * block)
        search.excluded |= {2, 3}
    assert set(seen) == {0, 1}
    assert search.standing().of(Fate.EXCLUDED) == [2, 3]


@pytest.mark.parametrize(("count", "expected"), [(1, [0]), (2, [0, 0]), (5, [0, 2, 1, 2, 0])])
def test_the_ends_of_an_axis_come_first_then_the_middles(count: int, expected: list[int]) -> None:
    assert depths(count) == expected


def test_a_search_in_which_no_run_tells_a_limit_says_so() -> None:
    search = Search(arms=[Arm(cost=(procs,)) for procs in (1, 2)], limits=1)
    for arm in (0, 1):
        for block in range(NOISE_RUNS):
            search.add(arm, block, float(arm), [None])
    assert search.is_over(always)
    assert search.stopped == "the runs of no cell tell whether it keeps the limits"
