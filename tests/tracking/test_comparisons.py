"""What of the comparison becomes metrics and tags."""

import pytest

from mps_experiments.record import Measurement
from mps_experiments.report.comparison import ratios
from mps_experiments.tracking.comparisons import comparison_fields
from tests.outputs import with_output
from tests.records import SKIPPED, make_measurement


def repeats(procs: int, *makespans_s: float) -> list[Measurement]:
    return [
        make_measurement(f"{procs}-{n}", procs=procs, makespan_s=s, repeat=n)
        for n, s in enumerate(makespans_s)
    ]


def test_one_repeat_has_its_ratio_and_no_more() -> None:
    found = comparison_fields([*repeats(1, 2.0), *repeats(2, 3.0)], {"1-0": "run of one"})["2-0"]
    assert found.metrics == {"ratio": pytest.approx(1.5)}
    assert found.tags == {"ratio_partner": "run of one", "ratio_spread": "unknown: one repeat"}


def test_repeats_have_their_own_ratio_and_that_of_the_cell_with_its_interval() -> None:
    cells = [*repeats(1, 2.0, 2.4, 2.2), *repeats(2, 3.0, 3.6, 3.3)]
    found = comparison_fields(cells, {})["2-1"]
    interval = ratios(cells)["2-1"].interval
    assert interval is not None
    assert found.metrics == {
        "ratio": pytest.approx(3.6 / 2.2),
        "ratio_median": pytest.approx(1.5),
        "ratio_ci_low": interval[0],
        "ratio_ci_high": interval[1],
    }
    assert found.tags == {
        "ratio_partner": "1-0,1-1,1-2",
        "ratio_spread": "95 % interval over 3 repeats",
    }


def test_repeats_against_one_repeat_have_a_median_without_an_interval() -> None:
    found = comparison_fields([*repeats(1, 2.0), *repeats(2, 3.0, 4.0)], {})["2-0"]
    assert set(found.metrics) == {"ratio", "ratio_median"}
    assert found.tags["ratio_spread"] == "spread unknown (one repeat of one process)"


def test_a_run_without_a_ratio_says_why() -> None:
    found = comparison_fields([make_measurement("skipped", verdict=SKIPPED)], {})["skipped"]
    assert (found.metrics, found.tags) == ({}, {"ratio_missing": "the run is SKIPPED"})


def test_the_largest_difference_of_outputs_and_the_reference_are_told() -> None:
    cells = [
        with_output(make_measurement("off"), 1.0),
        with_output(make_measurement("on", mps="on"), 1.00001),
        with_output(make_measurement("far", mps="on", procs=2), 1.5),
        with_output(make_measurement("few", mps="on", procs=4), 1.0, shape=(1, 4)),
    ]
    found = comparison_fields(cells, {"off": "the reference"})
    largest = {name: each.metrics.get("output_difference/largest") for name, each in found.items()}
    assert largest == {"off": 0, "on": pytest.approx(1e-5), "far": pytest.approx(0.5), "few": None}
    assert {each.tags["output_reference"] for each in found.values()} == {"the reference"}
    assert [each.tags["output_difference"] for each in found.values()] == [
        "identical",
        "within tolerance: by up to 1e-05, most in 0.boxes",
        "beyond tolerance: by up to 0.5, most in 0.boxes",
        "beyond tolerance: no number: 0.boxes (1,) against 0.boxes (1, 4)",
    ]
    assert "output (by up to 0.5" in found["far"].tags["ratio_missing"]
