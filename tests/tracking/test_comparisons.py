"""What of the comparison becomes metrics and tags."""

import math
from dataclasses import replace

import pytest
from mlflow.utils.validation import _validate_metric, _validate_tag

from mps_experiments.analysis.comparison import ratios
from mps_experiments.analysis.explanation import explain
from mps_experiments.analysis.growth import Growth
from mps_experiments.record.measurement import Measurement
from mps_experiments.tracking.comparisons import NOTE, Fields, comparison_fields, decision_metrics
from tests.evidence_records import traced_run
from tests.fault_records import faulty_run
from tests.outputs import with_output
from tests.records import INVALID, SKIPPED, make_measurement

ONE = traced_run("one", procs=1, mps="on", iteration_ms=10.0, running_ms=9.5)
TWO = traced_run("two", mps="on", iteration_ms=18.0, running_ms=15.0, behind_ms=2.5)


def repeats(procs: int, *makespans_s: float) -> list[Measurement]:
    return [
        make_measurement(f"{procs}-{n}", procs=procs, makespan_s=s, repeat=n)
        for n, s in enumerate(makespans_s)
    ]


def plain(fields: Fields) -> dict[str, str]:
    """The tags that are neither description nor cause."""
    return {name: text for name, text in fields.tags.items() if name not in (NOTE, "cause", "why")}


def test_one_block_has_its_ratio_and_its_gain() -> None:
    found = comparison_fields([*repeats(1, 2.0), *repeats(2, 3.0)], {"1-0": "run of one"})["2-0"]
    gain = 2 / 1.5
    assert found.metrics == pytest.approx({"ratio": 1.5, "ratio_mean": 1.5, "gain": gain, "gain_mean": gain})
    assert plain(found).keys() == {"ratio_partner", "ratio_spread"}
    assert found.tags["ratio_partner"] == "run of one"
    assert found.tags["cause"] == "undecided"


def test_a_run_has_ratio_and_gain_of_its_block_beside_the_means_of_its_cell() -> None:
    cells = [*repeats(1, 2.0, 2.4, 2.2, 2.0), *repeats(2, 3.0, 3.6, 3.3, 3.1)]
    found = comparison_fields(cells, {})["2-1"]
    ratio = ratios(cells)["2-1"]
    assert ratio.overall is not None
    assert ratio.overall.interval is not None
    assert ratio.gain is not None
    assert ratio.gain.interval is not None
    assert found.metrics == pytest.approx(
        {
            "ratio": 3.6 / 2.4,
            "gain": 2 * 2.4 / 3.6,
            "ratio_mean": (1.5**3 * 1.55) ** (1 / 4),
            "ratio_mean_low": ratio.overall.interval[0],
            "ratio_mean_high": ratio.overall.interval[1],
            "gain_mean": 2 / (1.5**3 * 1.55) ** (1 / 4),
            "gain_mean_low": ratio.gain.interval[0],
            "gain_mean_high": ratio.gain.interval[1],
        }
    )
    assert found.tags["ratio_partner"] == "1-0,1-1,1-2,1-3"
    assert found.tags["ratio_spread"].startswith("4 blocks")
    means = f"ratio_mean {ratio.overall.text}, gain_mean {ratio.gain.text} (95 % interval)"
    said = f"2 processes: ratio 1.50, gain 1.33\n\nOver the 4 runs of the cell: {means}\n\n"
    assert said in found.tags[NOTE]


def test_the_description_has_the_verdict_the_ratio_and_the_cause() -> None:
    alone = make_measurement("alone", times=9, procs=2)
    others = [make_measurement("bad", mps="on", procs=2, verdict=INVALID), alone, faulty_run("hit")]
    found = comparison_fields([ONE, TWO, *others], {})
    notes = {name: fields.tags[NOTE] for name, fields in found.items()}
    assert "**VALID**" in notes["two"]
    assert "ratio 1.80, gain 1.11" in notes["two"]
    assert notes["two"].endswith(found["two"].tags["why"])
    assert notes["bad"] == f"**INVALID**: {INVALID.reason}"
    assert "No ratio: no VALID one-process run" in notes["alone"]
    assert notes["one"].endswith("1 process: the reference of ratios")
    assert "ratio" not in notes["hit"]


def test_one_process_has_neither_ratio_nor_cause() -> None:
    found = comparison_fields([ONE, TWO], {})["one"]
    assert (found.metrics, plain(found)) == ({}, {})
    assert "cause" not in found.tags


def test_a_run_without_a_ratio_says_why() -> None:
    found = comparison_fields([make_measurement("skipped", verdict=SKIPPED)], {})["skipped"]
    assert (found.metrics, plain(found)) == ({}, {"ratio_missing": "the run is SKIPPED"})


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
    assert [each.tags["output_difference"].partition(":")[0] for each in found.values()] == [
        "identical",
        "within tolerance",
        "beyond tolerance",
        "beyond tolerance",
    ]
    assert "output (by up to 0.5" in found["far"].tags["ratio_missing"]


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_an_output_that_is_no_number_gives_no_metric_that_is_none(value: float) -> None:
    cells = [with_output(make_measurement("off"), 1.0), with_output(make_measurement("on", mps="on"), value)]
    found = comparison_fields(cells, {})["on"]
    assert found.metrics == {}
    assert found.tags["output_difference"] == "beyond tolerance: no number: 0.boxes"


def test_the_cause_is_a_tag_with_its_paragraph_and_what_it_rests_on_are_metrics() -> None:
    found = comparison_fields([ONE, TWO], {})["two"]
    why = explain(TWO, ONE)
    assert why is not None
    assert (found.tags["cause"], found.tags["why"]) == (why.cause.value, why.text)
    growth = {f"why/{name}": value for name, value in Growth.between(TWO, ONE).figures().items()}
    compared = {name: value for name, value in found.metrics.items() if not name.startswith("why/")}
    assert compared == pytest.approx(
        dict.fromkeys(("ratio", "ratio_mean", "ratio_mean_low", "ratio_mean_high"), 1.8)
        | dict.fromkeys(("gain", "gain_mean", "gain_mean_low", "gain_mean_high"), 1 / 0.9)
    )
    assert growth.items() <= found.metrics.items()
    assert found.metrics["why/growth/kernels_ms"] == pytest.approx(5.5)


def test_each_repeat_is_explained_by_the_one_process_run_of_its_own() -> None:
    """The wait of 0.5 ms in the one and 0.1 ms in the other run with one process is what differs."""
    ones = [
        traced_run(f"1-{n}", procs=1, mps="on", idle_ms=idle, repeat=n) for n, idle in enumerate((0.5, 0.1))
    ]
    twos = [traced_run(f"2-{n}", mps="on", iteration_ms=20.0, idle_ms=2.0, repeat=n) for n in (0, 1)]
    found = comparison_fields([*twos, *ones], {})
    grew = [found[f"2-{n}"].metrics["why/growth/waiting_idle_ms"] for n in (0, 1)]
    assert grew == pytest.approx([1.5, 1.9])


def test_a_ratio_that_is_refused_has_no_cause_to_name() -> None:
    found = comparison_fields([with_output(ONE, 1.0), with_output(TWO, 2.0)], {})["two"]
    assert "ratio_missing" in found.tags
    assert found.tags["cause"] == "undecided"
    assert set(found.metrics) == {"output_difference/largest"}


def test_mlflow_takes_all_of_it() -> None:
    cells = [with_output(ONE, 1.0), with_output(TWO, 1.0), make_measurement("off", verdict=SKIPPED)]
    for fields in comparison_fields(cells, {}).values():
        for name, value in fields.metrics.items():
            assert math.isfinite(value), name
            _validate_metric(name, value, 0, 0)
        for name, text in fields.tags.items():
            _validate_tag(name, text)


def test_a_run_with_a_fault_has_no_comparison_and_is_in_none() -> None:
    ordinary = [with_output(ONE, 1.0), with_output(TWO, 1.0)]
    faulty = [with_output(replace(faulty_run("trial"), started_at=0.0), 2.0), faulty_run("other", "exit")]
    found = comparison_fields([*faulty, *ordinary], {})
    assert {name: found[name] for name in ("one", "two")} == comparison_fields(ordinary, {})
    for name in ("trial", "other"):
        assert (found[name].metrics, plain(found[name])) == ({}, {"ratio_missing": "a run with a fault"})


def test_a_sweep_has_the_numbers_of_its_decision_under_stable_names() -> None:
    cells = [*repeats(1, 2.0, 2.0), *repeats(2, 2.2, 2.2), *repeats(4, 4.0, 4.0)]  # 1, 1.82, 2 items/s
    found = decision_metrics(cells)
    assert found["best_throughput_per_s"] == pytest.approx(2.0)
    assert (found["best_procs"], found["knee_procs"]) == (4, 2)
    assert (found["gain_best"], found["ratio_2_off"]) == pytest.approx((2.0, 1.1))
    assert found["p50_at_best_ms"] == pytest.approx(2000)
    assert not {"p99_at_best_ms", "gain_over_off"} & found.keys()
    for name, value in found.items():
        _validate_metric(name, value, 0, 0)


def test_a_sweep_over_batches_has_its_best_one_and_of_two_models_each_has_its_own() -> None:
    small = [make_measurement(f"s{n}", procs=n) for n in (1, 2)]
    large = [make_measurement(f"l{n}", procs=n, batch=8) for n in (1, 2)]
    found = decision_metrics([*small, *large])
    assert (found["best_batch"], found["best_procs"], found["best_throughput_per_s"]) == (8, 2, 32)
    other = [make_measurement(f"o{n}", procs=n, model="resnet50") for n in (1, 2)]
    names = decision_metrics([*small, *other])
    assert {"best_procs/resnet50", "best_procs/maskrcnn_resnet50_fpn"} <= names.keys()
    assert "best_procs" not in names
    for name, value in names.items():
        _validate_metric(name, value, 0, 0)


def test_where_nothing_is_decided_a_sweep_has_no_such_number() -> None:
    assert decision_metrics([make_measurement("skipped", verdict=SKIPPED), faulty_run("hit")]) == {}
    assert decision_metrics([]) == {}


def test_a_slowed_one_process_run_leaves_no_ratio_and_no_gain_and_says_why() -> None:
    runs = [
        make_measurement(f"{n}", procs=n, times=10, makespan_s=s) for n, s in ((1, 3.0), (2, 1.0), (4, 4.0))
    ]
    reason = (
        "something slowed the one-process run (mps=off procs=1 times=10): 2 do 6.00 times what one does, "
        "which is impossible"
    )
    for fields in comparison_fields(runs, {}).values():
        assert not [name for name in fields.metrics if name.startswith(("ratio", "gain"))]
        assert fields.tags["ratio_missing"] == reason
        assert f"\n\nNo ratio: {reason}" in fields.tags[NOTE]
