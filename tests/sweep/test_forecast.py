"""How long a sweep will take, before and while it runs."""

import pytest

from mps_experiments.config.schema import FaultKind
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.trials import runs_of
from mps_experiments.sweep.forecast import HINT, Forecast, in_words, opening_line
from tests.planned import planned
from tests.records import make_measurement


def plan(procs: int, times: int | str, **more: object) -> RunPlan:
    return planned(procs=procs, times=times, mps__enabled=False, **more)  # type: ignore[arg-type]


def test_windows_of_a_given_length_are_known_before_the_first_run() -> None:
    forecast = Forecast.of([plan(1, "auto", window_s=10.0), plan(2, "auto", window_s=10.0)])
    assert forecast.left_s == pytest.approx(2 * 15.0)
    assert opening_line(2, forecast, None) == "2 runs, about 30 s"
    assert (
        opening_line(2, forecast, None, resumes=True) == "2 runs, about 30 s, less what is measured already"
    )
    assert opening_line(2, forecast, None, twins=1) == "2 runs, 1 of them twice (A/A), about 30 s"
    assert opening_line(2, forecast, 30.0) == "2 runs, about 30 s, then more blocks, 30 min in all at most"


def test_a_sweep_of_an_hour_or_more_says_so_with_what_to_do() -> None:
    forecast = Forecast.of([plan(1, "auto", window_s=595.0)] * 12)
    assert opening_line(12, forecast, None) == f"12 runs, about 2.0 h; {HINT}"


def test_windows_of_iterations_are_known_from_the_first_run_on() -> None:
    plans = [plan(1, 100), plan(2, 100), plan(4, 200)]
    forecast = Forecast.of(plans)
    assert forecast.left_s is None
    assert opening_line(3, forecast, None) == "3 runs, how long is known after the first"
    forecast.finish(plans[0], make_measurement(times=100, makespan_s=10.0), took_s=12.0)
    assert forecast.left_s == pytest.approx((20.0 + 2.0) + (80.0 + 2.0))
    forecast.finish(plans[1])  # resumed: it is there already
    assert forecast.left_s == pytest.approx(82.0)
    forecast.expect(2)
    assert forecast.left_s == pytest.approx(3 * 82.0)
    forecast.finish(plans[2])
    forecast.finish(plans[0])
    forecast.finish(plans[0])
    assert forecast.left_s == 0


def test_that_an_hour_is_left_is_told_once_when_it_is_known() -> None:
    plans = [plan(1, 100), plan(2, 10_000), plan(2, 10_000)]
    forecast = Forecast.of(plans)
    assert forecast.words == ""
    first = make_measurement(times=100, makespan_s=20.0)
    assert forecast.finish(plans[0], first, took_s=21.0) == f"about 2.2 h left: {HINT}"
    assert forecast.finish(plans[1]) == ""
    assert forecast.words == "about 1.1 h left"


def test_a_skipped_run_takes_no_time_and_a_fault_has_its_reference_and_its_trials() -> None:
    skipped = planned(procs=2, times=50)  # mps=on without a GPU
    assert Forecast.of([skipped]).left_s == 0
    same = Forecast.of([skipped, plan(2, 50)])
    same.finish(skipped)
    assert same.left_s is None
    trials = plan(2, 50, fault__kind=FaultKind.kill, fault__trials=3)
    forecast = Forecast.of([trials])
    for run in runs_of(trials, {}, ()):
        assert forecast.left_s != 0
        forecast.finish(run.plan)
    assert forecast.left_s == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3, "about 10 s"),
        (44, "about 40 s"),
        (95, "about 2 min"),
        (3599, "about 60 min"),
        (9000, "about 2.5 h"),
    ],
)
def test_a_length_of_time_is_told_roughly(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
