"""Goals and limits as typed, and as numbers of a run."""

import argparse
import math
from dataclasses import replace

import pytest

from mps_experiments.analysis.moderated import Interval
from mps_experiments.errors import ConfigError
from mps_experiments.sweep.recommend.aim import LIMITS, Aim, Goal, add_aim, aim_of, positive
from tests.records import make_measurement, with_latencies
from tests.sweep.recommend.conftest import truth
from tests.sweep.recommend.stored_records import Cells, Truth


def read(*typed: str) -> Aim:
    parser = argparse.ArgumentParser()
    add_aim(parser)
    return aim_of(parser.parse_args(typed))


def test_goal_limits_and_prices_are_read() -> None:
    aim = read("--goal", "cost", "--p99-ms", "200", "--memory-gib", "70.5", "--gpu-hour", "2.5")
    assert (aim.goal, aim.gpu_hour, aim.kwh) == (Goal.cost, 2.5, 0.0)
    assert [(limit.flag, limit.most) for limit in aim.limits] == [("--p99-ms", 200.0), ("--memory-gib", 70.5)]
    assert read() == Aim()


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "nan", "inf"])
def test_what_is_no_number_above_0_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--budget-min"):
        positive("--budget-min", text)


def test_scores_are_logarithms_of_what_is_to_be_large(cells: Cells) -> None:
    run = cells.run(0, truth)  # 4 ms, 100 W, 1 process
    scores = {goal: Aim(goal=goal, gpu_hour=3.6, kwh=3.6).score(run) for goal in Goal}
    assert scores[Goal.throughput] == pytest.approx(math.log(250), abs=0.01)
    assert scores[Goal.latency] == pytest.approx(-math.log(4), abs=0.01)
    assert scores[Goal.energy] == pytest.approx(-math.log(0.4), abs=0.01)
    assert scores[Goal.cost] == pytest.approx(-math.log(0.001 / 250 + 0.4e-6), abs=0.01)
    assert Aim(goal=Goal.energy).score(replace(run, telemetry=None)) is None


def test_excess_is_the_logarithm_of_value_over_limit(cells: Cells) -> None:
    aim = Aim(limits=tuple(replace(limit, most=2.0) for limit in LIMITS))
    p99, p50, memory, energy = aim.excess(cells.run(0, truth))
    assert p50 == pytest.approx(math.log(4 / 2), abs=0.01)
    assert memory == pytest.approx(math.log(3 / 2))
    assert energy == pytest.approx(math.log(0.4 / 2), abs=0.01)
    assert p99 == pytest.approx(math.log(4 / 2) + 0.023, abs=0.02)  # iterations differ by 1 %


def test_p99_is_not_known_with_few_iterations_unless_the_median_is_beyond_the_limit() -> None:
    run = with_latencies(make_measurement(times=4), 10, 10, 10, 10)
    (limit,) = (each for each in LIMITS if each.flag == "--p99-ms")
    assert replace(limit, most=20.0).value(run) is None
    assert replace(limit, most=5.0).value(run) == 10


def test_p99_of_fewer_iterations_is_bounded_where_that_decides(cells: Cells) -> None:
    (limit,) = (each for each in LIMITS if each.flag == "--p99-ms")
    run = cells.run(0, lambda _: Truth(4.0, iterations=700))  # 1 % apart
    clear, narrow = replace(limit, most=5.0), replace(limit, most=4.05)
    assert clear.value(run) == pytest.approx(4.1, abs=0.05)
    kept = Interval(mean=math.log(4.1 / 5), half=0.1, blocks=2)
    assert clear.text(kept, [run]) == "p99 at most 4.1 ms [3.71 to 4.53] (limit 5)"
    assert narrow.value(run) is None
    assert narrow.unknown([run]) == "p99 not known (700 of 1,000 iterations in a run)"


def test_a_value_has_the_name_of_what_it_is(cells: Cells) -> None:
    (p99,) = (replace(each, most=2.0) for each in LIMITS if each.flag == "--p99-ms")
    full, few = cells.run(0, truth), cells.run(0, lambda _: Truth(4.0, iterations=220))
    broken = Interval(mean=math.log(2), half=0.1, blocks=2)
    assert p99.text(broken, [full]) == "p99 4 ms (limit 2)"
    assert p99.text(broken, [full, few]) == "p99 at least 4 ms (limit 2)"
    assert p99.text(broken, [few]) == "p50 4 ms is above the limit of p99, 2 ms"
    maybe, unsure = (Interval(mean=math.log(2), half=half, blocks=1) for half in (1.0, math.inf))
    assert p99.text(maybe, [full]) == "p99 4 ms [1.47 to 10.9] (limit 2)"
    assert p99.text(unsure, [few]) == "p50 4 ms in 1 block is above the limit of p99, 2 ms"
    assert p99.unknown([few]) == "p99 not known (220 of 1,000 iterations in a run)"


@pytest.mark.parametrize(
    "aim", [Aim(goal=Goal.energy), Aim(goal=Goal.cost, kwh=0.3), Aim(limits=LIMITS[2:3])]
)
def test_what_only_a_gpu_tells_is_refused_on_the_cpu(aim: Aim) -> None:
    with pytest.raises(ConfigError, match="needs figures of a GPU"):
        aim.refuse_without_gpu()
    Aim(limits=LIMITS[:2]).refuse_without_gpu()


def test_the_price_beside_a_cell_is_the_median_of_its_blocks(cells: Cells) -> None:
    runs = [
        cells.run(0, truths) for truths in (lambda _: Truth(4.0), lambda _: Truth(8.0), lambda _: Truth(40.0))
    ]
    hours = Aim(goal=Goal.cost, gpu_hour=3.6).figures(runs)
    assert hours.endswith(", 8 per million items (GPU hour)")
    both = Aim(goal=Goal.cost, gpu_hour=3.6, kwh=3.6).figures(runs)  # 0.8 J per item more
    assert both.endswith(", 8.8 per million items (GPU hour and energy)")


def test_a_limit_is_written_as_it_was_typed_and_a_hard_one_has_no_interval(cells: Cells) -> None:
    (memory,) = (replace(each, most=1234.5) for each in LIMITS if each.is_hard)
    assert memory.text(Interval(mean=0.0, half=0.0, blocks=3), [cells.run(0, truth)]).endswith(
        "(limit 1234.5)"
    )
    assert "[" not in memory.text(Interval(mean=0.0, half=0.0, blocks=3), [cells.run(0, truth)])
