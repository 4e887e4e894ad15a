"""Outputs of different cells, compared."""

from dataclasses import replace

import pytest

from mps_experiments.analysis.parity import (
    difference_text,
    output_differences,
    output_references,
    survivor_differences,
    worst_difference,
)
from tests.fault_records import faulty_run
from tests.outputs import with_output, with_tolerance
from tests.records import GPU, INVALID, MACHINE, make_measurement

ONE = with_output(make_measurement("one"), 1.0, 2.0)
TWO = with_output(make_measurement("two", procs=2), 1.0, 2.0)
ON = with_output(make_measurement("on", mps="on"), 1.0, 2.00001)


def test_on_is_compared_with_the_off_run_of_one_process() -> None:
    found = output_differences([ON, TWO, ONE])
    assert {name: m.record_id for name, m in output_references([ON, TWO, ONE]).items()} == dict.fromkeys(
        ("on", "two", "one"), "one"
    )
    assert found["two"].identical
    assert not found["on"].identical
    assert found["on"].within_tolerance
    assert found["on"].largest == pytest.approx(1e-5)


@pytest.mark.parametrize(
    "other",
    [
        {"model": "resnet50"},
        {"weights": "default"},
        {"inputs": ()},
        {"seed": 1},
        {"options": {"batch": 8}},
        {"machine": replace(MACHINE, gpu=replace(GPU, name="NVIDIA A100"))},
        {"device": "cpu"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_workload_has_another_reference(other: dict[str, object]) -> None:
    different = with_output(make_measurement("other", procs=2, **other), 9.0)  # type: ignore[arg-type]
    assert output_references([ONE, different])["other"].record_id == "other"


@pytest.mark.parametrize("option", [{"norm_layer": "batch"}, {"weights_key": "model_ema"}])
def test_other_layers_or_weights_of_a_file_have_another_reference(option: dict[str, str]) -> None:
    measurement = replace(make_measurement("other", procs=2), config={"workload": option})
    assert output_references([ONE, with_output(measurement, 9.0)])["other"].record_id == "other"


def test_another_driver_or_the_same_model_of_gpu_has_the_same_reference() -> None:
    machine = replace(MACHINE, driver_version="1", gpu=replace(GPU, uuid="GPU-2"))
    other = with_output(make_measurement("other", procs=2, device="GPU-2", machine=machine), 1.0, 2.0)
    assert output_references([ONE, other])["other"].record_id == "one"


def test_runs_without_numbers_or_outputs_are_not_compared() -> None:
    invalid = with_output(make_measurement("invalid", verdict=INVALID), 7.0)
    assert set(output_differences([invalid, make_measurement("silent"), TWO])) == {"two"}


def test_the_tolerance_is_that_of_the_run() -> None:
    assert not worst_difference([ONE], [with_tolerance(ON, 1e-9, 1e-9)]).within_tolerance  # type: ignore[union-attr]
    far = with_output(make_measurement("far"), 1.0, 2.5)
    assert not worst_difference([ONE], [far]).within_tolerance  # type: ignore[union-attr]
    assert worst_difference([ONE], [with_tolerance(far, 0.5, 0.0)]).within_tolerance  # type: ignore[union-attr]


def test_of_several_pairs_the_worst_counts() -> None:
    found = worst_difference([ONE, ONE], [TWO, with_output(make_measurement("far"), 1.0, 2.5), ON])
    assert found is not None
    assert found.largest == pytest.approx(0.5)
    assert worst_difference([ONE], [make_measurement("silent")]) is None


def test_a_difference_is_told_in_words() -> None:
    texts = [
        difference_text(found)
        for other in (TWO, ON, with_output(make_measurement("few"), 1.0, shape=(1, 4)))
        if (found := worst_difference([ONE], [other]))
    ]
    assert texts == [
        "identical",
        "by up to 1e-05, most in 0.boxes",
        "no number: 0.boxes (2,) against 0.boxes (1, 4)",
    ]


def test_no_run_is_compared_with_one_that_had_a_fault() -> None:
    """Its first worker may be a survivor, with an output; what a fault leaves is not what is expected."""
    faulty = replace(with_output(faulty_run("faulty", options={"worker": 1}), 9.0, 9.0), started_at=0.0)
    assert output_references([faulty, TWO, ON]) == output_references([TWO, ON])
    assert set(output_differences([faulty, ONE, TWO])) == {"one", "two"}


def test_each_survivors_output_is_compared_with_that_of_a_process_alone() -> None:
    trial = with_output(faulty_run("trial"), 1.0, 2.5)
    first, second = trial.workers
    of_second = replace(trial, workers=(replace(first, output=None), replace(second, output=first.output)))
    of_both = replace(trial, workers=(first, replace(second, output=first.output)))
    assert [difference.largest for difference in survivor_differences(ONE, of_second)] == [0.5]
    assert len(survivor_differences(ONE, of_both)) == 2
    assert survivor_differences(ONE, faulty_run("all died")) == []
    assert survivor_differences(make_measurement("silent"), of_both) == []
