"""Ratios against values computed by hand."""

import random
from dataclasses import replace
from typing import Any

import pytest

from mps_experiments.record import Measurement
from mps_experiments.report.comparison import ratios
from tests.records import GPU, INVALID, MACHINE, SKIPPED, make_measurement


def one_process(**partner: Any) -> Measurement:
    """A one-process run of 2 s, which may be the partner of another."""
    return make_measurement("one", **({"makespan_s": 2.0} | partner))


def test_the_ratio_is_makespan_over_the_makespan_of_one_process() -> None:
    found = ratios([one_process(), make_measurement("two", procs=2, makespan_s=3.0)])
    assert found["two"].value == pytest.approx(1.5)
    assert found["two"].partner_ids == ("one",)
    assert found["two"].reason == ""


def test_one_process_has_the_ratio_one_to_itself() -> None:
    assert ratios([one_process()])["one"].value == pytest.approx(1.0)


def test_ratios_do_not_depend_on_the_order_of_the_cells() -> None:
    cells = [
        make_measurement(
            f"{mps}-{procs}-{times}", mps=mps, procs=procs, times=times, makespan_s=times * (procs + 0.5)
        )
        for mps in ("off", "on")
        for procs in (1, 2, 4)
        for times in (2, 5)
    ]
    expected = ratios(cells)
    shuffler = random.Random(0)  # noqa: S311 - an order, not a secret
    for _ in range(20):
        shuffler.shuffle(cells)
        assert ratios(cells) == expected
    assert expected["on-4-5"].value == pytest.approx(4.5 / 1.5)


def test_of_several_partners_the_median_counts() -> None:
    partners = [make_measurement(f"one-{s}", makespan_s=s) for s in (1.0, 2.0, 9.0)]
    found = ratios([*partners, make_measurement("two", procs=2, makespan_s=3.0)])
    assert found["two"].value == pytest.approx(3.0 / 2.0)
    assert found["two"].partner_ids == ("one-1.0", "one-2.0", "one-9.0")


def test_a_cell_without_its_partner_says_so() -> None:
    found = ratios([make_measurement("two", mps="on", procs=2, times=7)])
    assert found["two"].value is None
    assert found["two"].reason == "no VALID one-process run with mps=on times=7"


@pytest.mark.parametrize("verdict", [INVALID, SKIPPED])
def test_a_run_that_is_not_valid_is_no_partner_and_has_no_ratio(verdict: Any) -> None:
    two = make_measurement("two", procs=2)
    assert ratios([one_process(verdict=verdict), two])["two"].value is None
    found = ratios([one_process(), replace(two, verdict=verdict)])["two"]
    assert (found.value, found.partner_ids) == (None, ())
    assert found.reason == f"the run is {verdict.status.value}"


@pytest.mark.parametrize(
    "partner",
    [
        {"mps": "on"},
        {"times": 3},
        {"model": "resnet50"},
        {"weights": "default"},
        {"inputs": ()},
        {"device": "cpu"},
        {"start_method": "spawn"},
        {"pinned": False},
        {"verbose": True},
        {"compute_mode": "exclusive_process"},
        {"options": {"batch": 8}},
        {"seed": 1},
        {"warmup": 9},
        {"machine": replace(MACHINE, hostname="another")},
        {"machine": replace(MACHINE, driver_version="1")},
        {"machine": replace(MACHINE, gpu=replace(GPU, uuid="GPU-2"))},
        {"machine": replace(MACHINE, gpu=None)},
        {"machine": replace(MACHINE, packages={"torch": "1", "torchvision": "0.26"})},
        {"machine": replace(MACHINE, packages={"torch": "2.11", "torchvision": "0"})},
        {"machine": replace(MACHINE, mps_experiments="0.0.1")},
    ],
    ids=lambda partner: next(iter(partner)),
)
def test_a_run_that_differs_in_more_than_the_processes_is_no_partner(partner: dict[str, Any]) -> None:
    assert ratios([one_process(**partner), make_measurement("two", procs=2)])["two"].value is None


def test_options_in_another_order_are_the_same_options() -> None:
    one = make_measurement("one", options={"a": 1, "b": {"c": 2, "d": 3}})
    two = make_measurement("two", procs=2, options={"b": {"d": 3, "c": 2}, "a": 1})
    assert ratios([one, two])["two"].partner_ids == ("one",)
