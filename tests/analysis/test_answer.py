"""What the report says first, sentence by sentence; ten iterations per process."""

from dataclasses import replace

import pytest

from mps_experiments.analysis.answer import Answer, answer
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Verdict
from tests.outputs import with_output
from tests.records import INVALID, MACHINE, SKIPPED, make_measurement, samples
from tests.report_panels import CPU_ONLY, arm, panel_of


def said(*measurements: Measurement) -> Answer:
    return answer(panel_of(*measurements))


def test_both_arms_are_compared_with_one_process_of_their_own() -> None:
    found = said(*arm("off", {1: 1.0, 2: 3.7}), *arm("on", {1: 1.0, 2: 1.03}))
    assert found.headline == (
        "Two replicas under MPS do 1.94 times what one does [rough interval 1.94 to 1.94]; "
        "time-sliced 0.54 times [0.54 to 0.54]."
    )
    assert found.details == (
        "Under MPS packing pays up to 2 replicas, the most that were measured: together they do 19.4 "
        "images/s, 1.94 times [1.94 to 1.94] what one does.",
        "Without MPS packing does not pay: 2 replicas together do 5.4 images/s, "
        "0.54 times [0.54 to 0.54] what one does.",
        "The most with MPS (2 replicas, 19.4 images/s) is 1.94 times [1.94 to 1.94] the most without "
        "(1 replica, 10.0 images/s).",
        "Under MPS an iteration takes 103.0 ms (median) with 2 replicas, 100.0 ms with one: 1.03 times.",
        "One block: the intervals cover what happened within the runs, not between them. Add "
        "repeat=0,1,2,3 before you act on it.",
    )
    assert found.text == " ".join((found.headline, *found.details))


def test_packing_pays_up_to_a_number_and_not_beyond() -> None:
    details = said(*arm("on", {1: 1.0, 2: 1.0, 4: 1.96})).details
    assert details[:2] == (
        "Under MPS packing pays up to 2 replicas: together they do 20.0 images/s, "
        "2.00 times [2.00 to 2.00] what one does.",
        "Beyond that it does not: 4 do 20.4 images/s, 1.02 times [1.02 to 1.02] that.",
    )


def test_a_step_that_gives_nothing_is_named() -> None:
    details = said(*arm("on", {1: 1.0, 2: 2.0, 4: 1.0})).details
    assert "The step from 1 to 2 alone does not: 1.00 times [1.00 to 1.00]." in details


def test_what_the_intervals_leave_open_is_open_in_the_answers_own_sentence() -> None:
    found = said(*arm("on", {1: (1.0, 1.1, 1.2, 1.05), 2: (1.2, 1.7, 2.6, 1.9)}))
    assert found.headline == (
        "Two replicas under MPS do 1.22 times what one does [95 % interval 0.82 to 1.81], known to ±49 % "
        "only: whether that is more or less is open."
    )
    assert found.details[0] == (
        "It is open whether under MPS packing pays: 2 replicas together do 11.1 images/s, "
        "1.22 times [0.82 to 1.81] what one does."
    )


def test_one_arm_alone_asks_for_the_other() -> None:
    found = said(*arm("off", {1: 1.0, 2: 2.0}))
    assert found.headline == (
        "Two replicas without MPS do 1.00 times what one does [rough interval 1.00 to 1.00]: less than 1.05 "
        "times."
    )
    assert found.details[0] == (  # in agreement
        "Without MPS packing does not pay (less than 1.05 times): 2 replicas together do 10.0 images/s, "
        "1.00 times [1.00 to 1.00] what one does."
    )
    assert "mps=on is not among these runs: add mps=on,off for the other half of the answer." in found.details


def test_a_skipped_arm_says_why() -> None:
    skipped = [make_measurement(f"s{n}", mps="on", procs=n, times=10, verdict=SKIPPED) for n in (1, 2)]
    found = said(*arm("off", {1: 1.0, 2: 2.0}), *skipped)
    reason = "SKIPPED: MPS needs an NVIDIA GPU"
    assert f"mps=on has no VALID run of several processes ({reason})." in found.details


def test_an_arm_of_other_times_is_not_mixed_in() -> None:
    found = said(*arm("off", {1: 1.0, 2: 2.0}), *arm("on", {1: 1.0, 2: 1.1}, times=5, record="short"))
    assert "mps=on has no VALID run of several processes with times=10 as well." in found.details
    assert "under MPS" not in found.headline


def test_nothing_valid_says_nothing() -> None:
    runs = [make_measurement(str(n), procs=n, verdict=INVALID) for n in (1, 2)]
    found = said(*runs)
    assert found.headline == "No VALID run with several processes: nothing can be said about packing."
    assert not any(character.isdigit() for character in found.headline)


@pytest.mark.parametrize("verdict", [INVALID, SKIPPED])
def test_only_valid_runs_give_numbers(verdict: Verdict) -> None:
    """The refused repeat took a hundred times as long."""
    runs = arm("on", {1: (1.0, 1.0, 1.0), 2: (1.1, 1.1)})
    (refused,) = arm("on", {2: 110.0}, record="refused")
    refused = replace(refused, cell=refused.cell.moved(repeat=2))
    assert said(*runs, replace(refused, verdict=verdict)) == said(*runs)
    assert said(*runs, refused) != said(*runs)


def test_the_cpu_says_nothing_about_mps() -> None:
    skipped = make_measurement("s", mps="on", procs=2, times=10, verdict=SKIPPED, machine=CPU_ONLY)
    found = said(*arm("off", {1: 1.0, 2: 1.5}, machine=CPU_ONLY), skipped)
    assert found.headline == (
        "Two replicas at once on the CPU do 1.33 times what one does [rough interval 1.33 to 1.33]."
    )
    assert found.details[:2] == (
        "Without a GPU nothing measured here says anything about MPS.",
        "Packing pays up to 2 replicas, the most that were measured: together they do 13.3 images/s, "
        "1.33 times [1.33 to 1.33] what one does.",
    )
    assert "MPS needs" not in found.text


def test_without_one_process_there_is_no_ratio_but_the_packs_are_compared() -> None:
    found = said(*arm("on", {2: 1.0, 4: 1.2}))
    assert found.headline == (
        "Two replicas under MPS do 20.0 images/s (no gain: no VALID one-process run with mps=on times=10)."
    )
    assert "1.67 times [1.67 to 1.67] what 2 do." in found.details[0]


def test_replicas_that_compute_differently_have_no_ratio() -> None:
    one, two = arm("on", {1: 1.0, 2: 1.1})
    found = said(with_output(one, 1.0), with_output(two, 2.0))
    assert "Two replicas under MPS do 18.2 images/s (no gain: not comparable" in found.headline
    assert "output" in found.headline
    assert "packing pays" not in found.text


def test_the_smallest_pack_that_both_arms_have_comes_first() -> None:
    found = said(*arm("off", {1: 1.0, 2: 2.0, 4: 4.0}), *arm("on", {1: 1.0, 4: 1.5}))
    assert found.headline.startswith("Four replicas under MPS do 2.67 times what one does")
    assert "; time-sliced 1.00 times [1.00 to 1.00]" in found.headline
    many = said(*arm("on", {1: 1.0, 48: 3.0})).headline
    assert many.startswith("48 replicas under MPS do 16.00 times what one does")


def test_runs_under_other_conditions_are_left_out_and_named() -> None:
    other = replace(MACHINE, environment={"OMP_NUM_THREADS": "8"})
    found = said(*arm("on", {1: 1.0, 2: 1.1, 4: 1.2}), *arm("on", {2: 50.0}, machine=other, record="other"))
    (sentence,) = [each for each in found.details if "neither in this answer" in each]
    assert "environment" in sentence
    assert "OMP_NUM_THREADS" in sentence
    assert "1.82 times" in found.headline


def test_without_a_run_of_one_replica_nothing_is_claimed_about_it() -> None:
    found = said(*arm("on", {2: 1.0, 4: 2.2}))
    assert found.details[:2] == (
        "Under MPS packing more than 2 does not pay: 4 replicas together do 18.2 images/s, "
        "0.91 times [0.91 to 0.91] what 2 do.",
        "What one replica does is not known: there is no VALID run of it, so whether 2 pay is not known "
        "either.",
    )
    paying = said(*arm("on", {2: 1.0, 4: 1.0}))
    assert paying.details[1].startswith("What one replica does is not known")


def test_a_larger_number_without_a_valid_run_was_measured_too() -> None:
    bad = make_measurement("bad", mps="on", procs=20, times=10, verdict=INVALID)
    details = said(*arm("on", {1: 1.0, 2: 1.0}), bad).details
    assert details[0].startswith(
        "Under MPS packing pays up to 2 replicas, the most with a VALID run (procs=20 has none): together"
    )


def test_of_several_times_the_one_with_the_most_cells_counts_and_the_others_are_named() -> None:
    found = said(*arm("on", {1: 1.0, 2: 1.0, 4: 1.0, 8: 1.0}), *arm("on", {1: 3.0, 2: 4.0}, times=30))
    assert found.details[0].startswith("Under MPS packing pays up to 8 replicas")
    assert "This answer is about times=10; times=30 is in the tables only." in found.details
    assert "times=" not in said(*arm("on", {1: 1.0, 2: 1.0})).text


NO_VERDICT = (
    "something slowed the one-process run. N processes cannot do more than N times what one does, yet "
)


def test_a_gain_above_the_number_of_processes_opens_with_that_and_has_no_verdict() -> None:
    found = said(*arm("off", {1: 1.0, 2: 0.613, 4: 1.0}, machine=CPU_ONLY))
    assert found.headline == f"No verdict: {NO_VERDICT}2 do 3.26 times. Measure them again."
    assert found.details[0].startswith("As measured, two replicas at once on the CPU do 3.26 times what one")
    assert "pay" not in found.text
    assert "No verdict" not in said(*arm("on", {1: 1.0, 2: 0.96})).text
    spread = said(*arm("on", {1: (1.0, 1.0), 2: (0.6, 1.2), 4: 0.5}))  # whatever the interval holds
    assert spread.headline == (
        f"No verdict under MPS: {NO_VERDICT}2 do 2.36 times and 4 do 8.00 times. Measure them again."
    )


def test_an_arm_without_a_verdict_leaves_that_of_the_other() -> None:
    found = said(*arm("on", {1: 1.0, 2: 1.0}), *arm("off", {1: 1.0, 2: 0.8}))
    assert found.headline.startswith("No verdict without MPS: ")
    assert "Under MPS packing pays up to 2 replicas" in found.text
    assert "Without MPS packing" not in found.text


def test_a_gain_above_the_number_of_processes_tells_of_a_slowed_one_where_the_ratio_does_not() -> None:
    one, two = arm("on", {1: 1.0, 2: 1.0})
    slow, fast = two.workers
    quick = replace(fast, samples=samples(1, 0, *[50] * 20))
    kept = replace(two, workers=(replace(slow, samples=samples(0, 0, *[100] * 10)), quick))
    found = said(one, kept)
    assert found.headline == f"No verdict under MPS: {NO_VERDICT}2 do 3.00 times. Measure them again."


def test_intervals_of_fewer_than_four_blocks_are_called_rough_and_wide_ones_claim_nothing_flatly() -> None:
    two = said(*arm("on", {1: (1.0, 1.0), 2: (1.0, 1.3)}))
    assert two.headline == (
        "Two replicas under MPS do 1.75 times what one does [rough interval 1.35 to 2.28], "
        "known to ±30 % only."
    )
    assert two.details[0].startswith("Under MPS packing seems to pay up to 2 replicas")
    assert "95 %" not in two.text
    worse = said(*arm("on", {1: (1.0, 1.0), 2: (3.0, 4.0)}))
    assert worse.details[0].startswith("Under MPS packing seems not to pay: 2 replicas")
    narrow = said(*arm("on", {1: (1.0, 1.0), 2: (1.0, 1.01)}))
    assert narrow.details[0].startswith("Under MPS packing pays up to 2 replicas")


def test_a_wide_interval_is_told_of_the_arm_it_is_of() -> None:
    noisy, steady = (1.0, 1.2, 1.3, 1.1), (1.5,) * 4
    found = said(*arm("on", {1: (1.0,) * 4, 2: noisy}), *arm("off", {1: (1.0,) * 4, 2: steady}))
    assert found.headline == (
        "Two replicas under MPS do 1.75 times what one does [95 % interval 1.46 to 2.09], known to ±20 % "
        "only; time-sliced 1.33 times [1.33 to 1.33]."
    )
