"""Ratios against values computed by hand."""

import random
from dataclasses import replace
from typing import Any

import pytest

from mps_experiments.analysis.comparison import groups, ratios
from mps_experiments.record.measurement import Measurement
from tests.fault_records import faulty_run, make_trial
from tests.outputs import with_output, with_tolerance
from tests.records import INVALID, MACHINE, SKIPPED, make_measurement, with_latencies


def one_process(**partner: Any) -> Measurement:
    """A one-process run of 2 s, which may be the partner of another."""
    return make_measurement("one", **({"makespan_s": 2.0} | partner))


def test_the_ratio_is_makespan_over_the_makespan_of_one_process() -> None:
    found = ratios([one_process(), make_measurement("two", procs=2, makespan_s=3.0)])
    assert found["two"].value == pytest.approx(1.5)
    assert found["two"].partner_ids == ("one",)
    assert found["two"].reason == ""


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
    found = ratios([*partners, make_measurement("two", procs=2, makespan_s=3.0, repeat=1)])
    assert found["two"].value == pytest.approx(3.0 / 2.0)
    assert found["two"].partner_ids == ("one-1.0", "one-2.0", "one-9.0")


@pytest.mark.parametrize("verdict", [INVALID, SKIPPED])
def test_a_run_that_is_not_valid_is_no_partner_and_has_no_ratio(verdict: Any) -> None:
    two = make_measurement("two", procs=2)
    assert ratios([one_process(verdict=verdict), two])["two"].value is None
    found = ratios([one_process(), replace(two, verdict=verdict)])["two"]
    assert (found.value, found.partner_ids) == (None, ())
    assert found.reason == f"the run is {verdict.status.value}"


def repeats(procs: int, *makespans_s: float, **cell: Any) -> list[Measurement]:
    """Repeats of one cell, named ``procs-repeat``."""
    return [
        make_measurement(f"{procs}-{n}", procs=procs, makespan_s=s, repeat=n, **cell)
        for n, s in enumerate(makespans_s)
    ]


def test_a_run_has_ratio_and_gain_over_the_one_process_run_of_its_block_and_the_cell_over_all_blocks() -> (
    None
):
    found = ratios([*repeats(2, 3.0, 3.6, 3.3), *repeats(1, 2.0, 2.4, 2.2)])
    assert [found[f"2-{n}"].value for n in range(3)] == pytest.approx([3.0 / 2.0, 3.6 / 2.4, 3.3 / 2.2])
    assert [found[f"2-{n}"].run_gain for n in range(3)] == pytest.approx([4 / 3.0, 4.8 / 3.6, 4.4 / 3.3])
    assert found["2-0"].repeats == 3
    assert found["2-0"].partner_ids == ("1-0", "1-1", "1-2")
    overall, gain = found["2-1"].overall, found["2-1"].gain
    assert overall is not None
    assert gain is not None
    assert (overall.value, gain.value) == pytest.approx((1.5, 2 / 1.5))
    assert overall.interval == pytest.approx((1.5, 1.5))  # whatever slowed a block slowed both


def test_a_run_whose_block_has_no_one_process_run_is_compared_with_their_median() -> None:
    found = ratios([*repeats(2, 3.0, 3.6, 4.4), *repeats(1, 2.0, 2.4)])
    assert found["2-2"].value == pytest.approx(4.4 / 2.2)
    assert found["2-2"].run_gain == pytest.approx(2 * (1 / 2.0 + 1 / 2.4) ** -1 * 2 / 4.4)
    assert found["2-2"].overall is not None
    assert found["2-2"].overall.blocks == 2


def test_one_process_is_its_own_reference_and_has_no_interval() -> None:
    found = ratios(repeats(1, 2.0, 2.1, 2.2, 2.3, 2.4))
    assert found["1-0"].value == pytest.approx(2.0 / 2.2)
    for estimate in (found["1-0"].overall, found["1-0"].gain):
        assert estimate is not None
        assert estimate.value == pytest.approx(1.0)
        assert estimate.interval is None
        assert estimate.why == "one process is the reference"


def test_with_times_auto_the_ratio_is_that_of_the_time_of_an_iteration() -> None:
    one = make_measurement("one", times="auto", window_s=10.0, makespan_s=10.0)
    two = make_measurement("two", procs=2, times="auto", window_s=10.0, makespan_s=10.1)
    half_as_many = with_latencies(two, *[2000.0] * 5)
    assert ratios([one, half_as_many])["two"].value == pytest.approx(2.0)


def test_the_second_of_two_equal_runs_is_in_no_group_and_has_no_ratio() -> None:
    one, twin = one_process(), replace(one_process(), record_id="twin")
    twin = replace(twin, cell=twin.cell.moved(twin=1))
    runs = [one, twin, make_measurement("two", procs=2, makespan_s=3.0)]
    assert groups(runs) == groups([one, runs[2]])
    found = ratios(runs)
    assert found["two"].partner_ids == (one.record_id,)
    assert found["twin"].reason.startswith("the second of two equal runs (A/A)")


def test_the_same_repeat_of_two_sweeps_counts_as_two() -> None:
    found = ratios([one_process(), *(make_measurement(name, procs=2, sweep_id=name) for name in "ab")])
    assert (found["a"].repeats, found["b"].repeats) == (2, 2)


REFUSED = "not comparable with the one-process run: "
OLD_DRIVER = replace(MACHINE, driver_version="575.2")
DRIVER = "driver (580.1 against 575.2)"


@pytest.mark.parametrize(
    ("ones", "two", "reason"),
    [
        ([], {"mps": "on", "times": 7}, "no VALID one-process run with mps=on times=7"),
        (
            [{"machine": OLD_DRIVER, "cpu_affinity": "none"}],
            {},
            f"{REFUSED}{DRIVER}, cpu_affinity (auto against none)",
        ),
        # of several the nearest is named
        ([{"machine": OLD_DRIVER, "seed": 1}, {"machine": OLD_DRIVER}, {"times": 5}], {}, REFUSED + DRIVER),
        ([{"seed": 1}], {"times": 7}, "no VALID one-process run with mps=off times=7"),
        # records of earlier versions, which do not name the window, are of fixed ones
        ([{}, {"window": "kept", "times": 3}], {"window": "kept"}, f"{REFUSED}window (kept against fixed)"),
    ],
)
def test_why_there_is_no_ratio_is_said_with_the_names_of_what_differs(
    ones: list[dict[str, Any]], two: dict[str, Any], reason: str
) -> None:
    runs = [make_measurement(f"one-{n}", **one) for n, one in enumerate(ones)]
    for order in (runs, runs[::-1]):
        found = ratios([*order, make_measurement("two", procs=2, **two)])["two"]
        assert (found.value, found.partner_ids, found.reason) == (None, (), reason)


def test_another_output_than_that_of_one_process_is_refused() -> None:
    one, two = with_output(one_process(), 1.0, 2.0), with_output(make_measurement("two", procs=2), 1.0, 2.5)
    found = ratios([one, two])
    assert (found["one"].value, found["two"].value) == (1.0, None)
    assert found["two"].reason == f"{REFUSED}output (by up to 0.5, most in 0.boxes)"
    assert ratios([one, with_tolerance(two, rtol=0.0, atol=1.0)])["two"].value is not None


def test_one_repeat_with_another_output_refuses_the_whole_cell() -> None:
    ones = [with_output(m, 1.0) for m in repeats(1, 2.0, 2.0)]
    twos = [with_output(m, v) for m, v in zip(repeats(2, 3.0, 3.0), (1.0, 7.0), strict=True)]
    found = ratios([*ones, *twos])
    assert {found[name].value for name in ("2-0", "2-1")} == {None}
    assert "output (by up to 6" in found["2-0"].reason


FAULTY = [
    faulty_run("trial", "kill"),
    faulty_run("its time would count", "exit", trial=make_trial("exit")),
    replace(faulty_run("one process"), cell=faulty_run("").cell.moved(procs=1)),
]


def test_runs_with_a_fault_are_in_no_group_and_no_partner_of_anybody() -> None:
    ordinary = [make_measurement("one", times=4), make_measurement("two", procs=2, times=4)]
    assert groups([*FAULTY, *ordinary]) == groups(ordinary)
    found = ratios([*FAULTY, *ordinary])
    assert {m.record_id: found[m.record_id] for m in ordinary} == ratios(ordinary)
    assert {(found[m.record_id].value, found[m.record_id].reason) for m in FAULTY} == {
        (None, "a run with a fault")
    }


def test_a_slowed_one_process_run_has_ratios_of_which_none_is_told() -> None:
    runs = [
        make_measurement(f"{procs}", procs=procs, makespan_s=s) for procs, s in ((1, 1.0), (2, 0.4), (4, 2.0))
    ]
    found = ratios(
        [*runs, make_measurement("other", mps="on", procs=1), make_measurement("two", mps="on", procs=2)]
    )
    shown = "2 do 5.00 times what one does"
    assert [found[each].slowed for each in ("1", "2", "4", "other", "two")] == [shown, shown, shown, "", ""]
    assert found["2"].gain is not None
    told = found["4"].told  # though 4 alone do nothing impossible
    assert (told.value, told.run_gain, told.overall, told.gain) == (None, None, None, None)
    assert told.partner_ids == ("1",)
    assert told.reason == (
        f"something slowed the one-process run (mps=off procs=1 times=2): {shown}, which is impossible"
    )
    assert found["two"].told is found["two"]
