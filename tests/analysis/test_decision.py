"""The decision: best, knee, gains, costs, next step; N processes in T seconds do 10 N / T images/s."""

from dataclasses import replace
from typing import Any

import pytest

from mps_experiments.analysis.decision import Decision, decide, gaps
from mps_experiments.analysis.metrics import priced
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Verdict
from tests.evidence_records import traced_run, with_telemetry
from tests.outputs import with_output
from tests.records import INVALID, MACHINE, SKIPPED, make_measurement, samples
from tests.report_panels import CPU_ONLY, Makespans, arm, full_sweep, panel_of


def decided(*measurements: Measurement) -> Decision:
    found = decide(panel_of(*measurements))
    assert found is not None
    return found


def both(on: Makespans, off: Makespans) -> Decision:
    return decided(*arm("off", off), *arm("on", on))


def test_the_best_never_does_less_than_one_process() -> None:
    """By medians 2 do more than 1, within blocks 0.95, 1.02 and 0.51 times as much."""
    found = decided(*arm("off", {1: (1.0, 1.0, 0.5), 2: (2.1, 1.96, 1.96)}, machine=CPU_ONLY))
    medians = {count: group.throughput_median_per_s for count, group in found.arm.items()}
    assert medians == pytest.approx({1: 10.0, 2: 10.204082})
    assert (found.best.procs, found.knee.procs, found.over_one) == (1, 1, None)
    assert found.headline.startswith("1 replica on the CPU: 10.0 images/s; p50")
    assert "whether more pay is open: 2 replicas do 0.79 times that" in found.headline
    assert found.metrics["best_procs"] == found.metrics["knee_procs"] == 1
    assert found.metrics["best_throughput_per_s"] == pytest.approx(10.0)
    assert "gain_best" not in found.metrics


def test_fewer_that_do_as_much_are_the_best_and_more_do_not_pay() -> None:
    on, off = {1: 1.0, 2: 1.1, 4: 1.2, 8: 2.39}, {1: 1.2, 2: 1.5, 4: 2.99}
    found = both(on, off)  # under MPS 4 do 33.3 and 8 do 33.5, without 2 do 13.33 and 4 do 13.38
    assert (found.best.procs, found.knee.procs) == (4, 4)
    assert found.headline.startswith("4 replicas under MPS: 33.3 images/s, 3.33 times one process")
    assert found.headline.endswith(
        "no fewer reach 90 % of that; more do not pay: 8 replicas do 1.00 times that [rough: 1.00 to 1.00]."
    )
    assert (found.metrics["best_procs"], found.metrics["knee_procs"]) == (4, 4)
    assert found.metrics["best_throughput_per_s"] == pytest.approx(4 / 0.12)
    assert found.metrics["gain_over_off"] == pytest.approx((4 / 1.2) / (2 / 1.5))
    assert any(
        text.startswith("2 replicas without MPS: 13.3 images/s, 1.60 times one process")
        and "more do not pay: 4 replicas do 1.00 times that" in text
        for text in found.details
    )


def test_the_best_is_compared_with_one_process_and_with_the_best_without_mps() -> None:
    found = both({1: 1.0, 2: 1.0, 4: 1.96}, {1: 1.0, 2: 3.7})
    assert found.over_one is not None
    assert found.knee_over_one is not None
    assert found.over_off is not None
    assert found.over_one.value == pytest.approx(4 / 1.96)
    assert found.knee_over_one.value == pytest.approx(2.0)
    assert found.over_off.value == pytest.approx(4 / 1.96)
    assert found.over_off.denominator.procs == 1
    assert found.headline == (
        "4 replicas under MPS: 20.4 images/s, 2.04 times one process [rough: 2.04 to 2.04], "
        "2.04 times the best without MPS [rough: 2.04 to 2.04]; p50 196.0 ms, "
        "no p99 (40 of 1,000 iterations); 2 replicas reach 98 % of that."
    )
    assert found.details[0].startswith("2 replicas under MPS: 20.0 images/s, 2.00 times one process")
    assert found.details[1].startswith("1 replica under MPS: 10.0 images/s; p50 100.0 ms")


def test_memory_energy_and_p99_of_the_best_are_told_where_they_are_known() -> None:
    found = decided(*(with_telemetry(run, memory_used_bytes=29 * 2**30) for run in full_sweep()))
    assert "29 GiB" in found.headline
    assert "J per image" not in found.headline  # these readings have no energy
    assert found.metrics["memory_at_best_gib"] == 29
    energy = decided(*full_sweep())
    assert "J per image" in energy.headline
    assert energy.metrics["joules_per_item_at_best"] > 0
    cost = decided(*(priced(run, 3.6) for run in arm("on", {1: 1.0, 2: 1.0})))
    assert "50 per million images" in cost.headline
    assert cost.metrics["cost_per_million_at_best"] == pytest.approx(50)
    long = decided(*arm("on", {1: 1.0, 2: 1.0}, times=500))
    assert "p99 2 ms" in long.headline
    assert long.metrics["p99_at_best_ms"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("makespans", "shown"),
    [
        ({1: 1.0, 2: 0.613, 4: 1.0}, "2 do 3.26 times what one does, 4 do 4.00 times what"),
        ({1: 1.0, 2: 0.613}, "2 do 3.26 times what one does"),
        ({1: 1.0, 2: 0.96}, ""),
        ({1: (1.0, 1.0), 2: (0.6, 1.2), 4: 0.5}, "4 do 8.00 times"),  # whatever the interval holds
    ],
)
def test_a_slowed_one_process_run_withholds_verdict_and_gains(makespans: Makespans, shown: str) -> None:
    found = decided(*arm("on", makespans))
    assert found.headline.startswith("No verdict under MPS: ") == bool(shown)
    assert (found.over_one is None) == bool(shown)
    if shown:
        assert "As measured, " in found.headline
        assert "one process [" not in found.headline
        assert not {"gain_best", "ratio_2_on"} & found.metrics.keys()


def test_an_arm_without_a_verdict_leaves_that_of_the_other() -> None:
    found = decided(*arm("on", {1: 1.0, 2: 1.0}), *arm("off", {1: 1.0, 2: 0.8}))
    assert found.headline.startswith("No verdict without MPS: 2 do 2.50 times")
    assert "ratio_2_on" in found.metrics
    assert "ratio_2_off" not in found.metrics


def test_a_slowed_one_process_run_is_known_by_the_gain_where_the_slowest_worker_was_slowed_too() -> None:
    one, two = arm("on", {1: 1.0, 2: 1.0})
    slow, fast = two.workers
    quick = replace(fast, samples=samples(1, 0, *[50] * 20))
    kept = replace(two, workers=(replace(slow, samples=samples(0, 0, *[100] * 10)), quick))
    assert "2 do 3.00 times what one does" in decided(one, kept).headline


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        ((1.0, 1.1, 1.2, 1.05), (1.2, 1.7, 2.6, 1.9), "whether packing pays is open"),
        ((1.0,) * 4, (2.1, 1.9, 2.0, 2.1), "whether more pay is open: 2 replicas do 0.99 times that"),
        ((1.0,) * 4, (3.0, 3.1, 3.0, 3.1), "more do not pay: 2 replicas do 0.66 times that"),
        ((1.0,) * 4, (1.0, 1.1, 1.0, 1.1), "no fewer reach 90 % of that."),
    ],
)
def test_what_the_intervals_leave_open_is_open_in_the_headline(
    one: tuple[float, ...], two: tuple[float, ...], said: str
) -> None:
    found = decided(*arm("on", {1: one, 2: two}))
    assert said in found.headline
    assert "rough" not in found.headline  # four blocks


def test_an_unknown_interval_is_open_too() -> None:
    found = decided(*arm("on", {1: 1.0, 2: 1.0}, times=2))
    assert "2.00 times one process (interval unknown)" in found.headline
    assert "whether packing pays is open" in found.headline
    assert "gain_best_low" not in found.metrics


def test_whether_the_best_beats_the_knee_and_mps_gains_anything_may_be_open() -> None:
    found = both(
        {1: (1.0,) * 4, 2: (1.0,) * 4, 4: (1.8, 2.2, 1.9, 1.8)}, {1: (1.0,) * 4, 2: (0.9, 1.2, 1.0, 1.1)}
    )
    assert (found.best.procs, found.knee.procs) == (4, 2)
    assert any(text.startswith("Whether 4 do more than 2 is open") for text in found.details)
    assert "Whether MPS gains anything is open." in found.details


def test_a_cpu_sweep_says_nothing_about_mps() -> None:
    skipped = make_measurement("s", mps="on", procs=2, times=10, verdict=SKIPPED, machine=CPU_ONLY)
    found = decided(*arm("off", {1: 1.0, 2: 1.5}, machine=CPU_ONLY), skipped)
    assert found.headline.startswith("2 replicas on the CPU: 13.3 images/s, 1.33 times one process")
    assert "MPS" not in " ".join((found.headline, *found.details, found.next_step))


def test_the_best_without_mps_is_told_against_the_best_under_it() -> None:
    found = both({1: 1.0, 2: 2.5}, {1: 1.0, 2: 1.1})
    assert found.over_off is None
    assert "the best under MPS (1 replica) does 0.55 times that" in found.headline


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (arm("off", {1: 1.0, 2: 2.0}), "mps=on is not among these runs: add mps=on,off"),
        (
            [*arm("off", {1: 1.0, 2: 2.0}), *arm("on", {2: 1.0, 1: 1.0}, verdict=SKIPPED)],
            "mps=on has no VALID run of several processes (SKIPPED: MPS needs an NVIDIA GPU)",
        ),
        ([*arm("off", {1: 1.0, 2: 2.0}), *arm("on", {1: 1.0})], "mps=on has no run of several processes"),
        (
            [*arm("off", {1: 1.0, 2: 2.0}), *arm("on", {1: 1.0, 2: 1.1}, times=5, record="short")],
            "mps=on has no VALID run of several processes with times=10 as well.",
        ),
        (
            [*arm("on", {1: 1.0, 2: 1.0}), *arm("on", {20: 1.0}, verdict=INVALID)],
            "procs=20 has no VALID run.",
        ),
        (
            [*arm("on", {1: 1.0, 2: 1.0, 4: 1.0}), *arm("on", {1: 3.0, 2: 4.0}, times=30)],
            "This is about times=10; the tables also have times=30.",
        ),
        (
            [
                *arm("on", {1: 1.0, 2: 1.1, 4: 1.2}),
                *arm(
                    "on",
                    {2: 50.0},
                    machine=replace(MACHINE, environment={"OMP_NUM_THREADS": "8"}),
                    record="o",
                ),
            ],
            "OMP_NUM_THREADS",
        ),
        (arm("on", {2: 1.0, 4: 1.2}), "What one process does is not known"),
    ],
)
def test_what_is_missing_is_named(runs: list[Measurement], said: str) -> None:
    assert any(said in text for text in decided(*runs).details)


def test_cells_that_compute_something_else_are_left_out_with_the_reason() -> None:
    one, two, four = arm("on", {1: 1.0, 2: 1.0, 4: 1.5})
    found = decided(with_output(one, 1.0), with_output(two, 2.0), with_output(four, 1.0))
    assert found.best.procs == found.knee.procs == 4
    assert any("procs=2" in text and "output" in text for text in found.details)
    runs = [*arm("off", {1: 1.0}), *arm("on", {1: 1.0, 2: 1.0})]
    off, on, pair = (with_output(run, value) for run, value in zip(runs, (1.0, 2.0, 2.0), strict=True))
    apart = decided(off, on, pair)
    assert apart.over_off is None
    assert any(text.startswith("MPS on and off are not compared: output") for text in apart.details)


def test_nothing_is_decided_without_two_cells() -> None:
    assert decide(panel_of(*arm("on", {1: 1.0, 2: 1.0}, verdict=INVALID))) is None
    one, two = arm("on", {1: 1.0, 2: 1.0})
    panel = panel_of(with_output(one, 1.0), with_output(two, 2.0))
    assert decide(panel) is None
    assert any("procs=2" in text and "output" in text for text in gaps(panel))


@pytest.mark.parametrize("verdict", [INVALID, SKIPPED])
def test_only_valid_runs_give_numbers(verdict: Verdict) -> None:
    """The refused repeat took a hundred times as long."""
    runs = arm("on", {1: (1.0, 1.0, 1.0), 2: (1.1, 1.1)})
    (refused,) = arm("on", {2: 110.0}, record="refused")
    refused = replace(refused, cell=refused.cell.moved(repeat=2))
    assert decided(*runs, replace(refused, verdict=verdict)).headline == decided(*runs).headline
    assert decided(*runs, refused).headline != decided(*runs).headline


def traced(mps: str = "on", **many: Any) -> list[Measurement]:
    """One process at 10 ms per iteration, 4 ms of it on the GPU, and two at 20 ms."""
    telemetry = {
        key: many.pop(key) for key in ("sm_activity", "dram_activity", "sm_clock_mhz") if key in many
    }
    one = with_telemetry(traced_run("one", procs=1, mps=mps), sm_clock_mhz=1980)
    two = traced_run("two", procs=2, mps=mps, **{"iteration_ms": 18.0} | many)
    return [one, with_telemetry(two, **{"sm_clock_mhz": 1980} | telemetry)]


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        (traced(running_ms=4.0), ("host", "more processes", "CUDA graphs")),
        (traced(running_ms=12.0, sm_activity=0.95, dram_activity=0.1), ("multiprocessors", "precision")),
        (traced(running_ms=12.0, sm_activity=0.9, dram_activity=0.8), ("Memory bandwidth", "precision")),
        (traced("off", behind_ms=8.0), ("mps=on,off",)),
        (arm("on", {1: 1.0, 2: 1.0}), ("still grows", "2 replicas")),
        (arm("on", {1: 1.0, 2: 1.9}), ("",)),
        ([*arm("on", {1: 1.0}), *arm("off", {1: 1.1})], ("procs=1,2,4",)),
    ],
)
def test_the_next_step_follows_from_the_cause(runs: list[Measurement], words: tuple[str, ...]) -> None:
    step = decided(*runs).next_step
    assert all(word in step for word in words)
    assert any(words) == bool(step)


def test_more_processes_are_not_advised_where_more_were_tried_or_no_core_is_left() -> None:
    assert decided(*arm("on", {1: 1.0, 3: 1.0})).next_step == ""  # of three cores
    more = traced_run("four", procs=4, mps="on", iteration_ms=40.0)
    step = decided(*traced(running_ms=4.0), more).next_step
    assert "CUDA graphs" in step
    assert "more processes" not in step
