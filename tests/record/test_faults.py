"""The figures of a trial, against windows laid out by hand."""

from dataclasses import replace

import pytest

from mps_experiments.record.faults import (
    HITS_EVERY_CLIENT,
    DeviceMemory,
    Fate,
    Outcome,
    ServerState,
    SurvivorFigures,
    no_effect,
    survivor_figures,
)
from tests.fault_records import FAILED, FAULT_MS, FINISHED, KILLED, make_trial, newcomer
from tests.records import samples

THIRD = Fate(rank=2, outcome=Outcome.FINISHED)


def figures(*latencies_ms: int, start_ms: int = 0, **trial: object) -> SurvivorFigures:
    """Return the figures of one survivor."""
    survivor = samples(1, start_ms, *latencies_ms)
    found = survivor_figures(make_trial(**trial), {0: samples(0, 0, 100), 1: survivor})  # type: ignore[arg-type]
    assert found is not None
    return found


def test_iterations_are_told_apart_by_the_moment_of_the_fault() -> None:
    found = figures(100, 120, 110, 190, 130, 140, injected_ms=400)
    assert found.elapsed_s == pytest.approx(0.79)
    assert found.before_s == pytest.approx(0.11)
    assert found.at_s == pytest.approx(0.19), "the one that was under way at 400 ms"
    assert found.blip_s == pytest.approx(0.08)
    assert found.after_s == pytest.approx(0.135)


def test_an_iteration_that_ends_at_the_fault_was_before_it_and_one_that_begins_then_is_after() -> None:
    found = figures(100, 100, 300, 500, injected_ms=200, came=newcomer(201, 1000))
    assert found.before_s == pytest.approx(0.1)
    assert found.at_s == pytest.approx(0.3), "it was under way when the newcomer asked, and began before"
    assert found.after_s is None, "both overlap the newcomer's stay"


def test_a_fault_before_the_first_iteration_is_done_leaves_nothing_to_compare_with() -> None:
    found = figures(100, 150, injected_ms=50)
    assert (found.before_s, found.blip_s) == (None, None)
    assert found.at_s == pytest.approx(0.15)
    assert found.after_s == pytest.approx(0.15)


def test_a_fault_before_the_survivor_has_begun_is_before_all_of_its_iterations() -> None:
    found = figures(100, 150, start_ms=80, injected_ms=50)
    assert found.before_s is None
    assert found.after_s == pytest.approx(0.125)


def test_a_survivor_that_had_finished_before_the_fault_has_nothing_after_it() -> None:
    found = figures(100, 120, injected_ms=400, came=newcomer(500, 900))
    assert found.before_s == pytest.approx(0.11)
    assert (found.at_s, found.blip_s, found.after_s) == (None, None, None)
    assert found.elapsed_s == pytest.approx(0.22)


def test_an_iteration_at_the_fault_that_was_faster_is_no_blip() -> None:
    assert figures(100, 100, 60, injected_ms=210).blip_s == 0.0


def test_without_a_newcomer_the_longest_iteration_after_the_fault_counts_to_the_end() -> None:
    assert figures(100, 100, 110, 100, 300, injected_ms=210).at_s == pytest.approx(0.3)


def test_what_happens_while_the_newcomer_is_there_is_not_blamed_on_the_fault() -> None:
    #        0-100 100-200 200-320 320-420 420-820 820-920 920-1020
    found = figures(100, 100, 120, 100, 400, 100, 100, injected_ms=210, came=newcomer(500, 900))
    assert found.at_s == pytest.approx(0.4), "it began before the newcomer asked"
    found = figures(100, 100, 120, 100, 400, 100, 100, injected_ms=210, came=newcomer(420, 900))
    assert found.at_s == pytest.approx(0.12), "it began when the newcomer asked"
    assert found.after_s == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("asked_ms", "left_ms", "after_ms"),
    [
        pytest.param(420, 820, [100, 100, 300], id="one iteration long"),
        pytest.param(421, 821, [100, 300], id="a millisecond later: touches two"),
        pytest.param(330, 1300, [], id="all the time"),
        pytest.param(2000, 3000, [100, 400, 100, 300], id="when all is done"),
    ],
)
def test_after_the_fault_only_iterations_without_the_newcomer_count(
    asked_ms: int, left_ms: int, after_ms: list[int]
) -> None:
    # fault at 210; from there on: 320-420, 420-820, 820-920, 920-1220
    found = figures(100, 100, 120, 100, 400, 100, 300, injected_ms=210, came=newcomer(asked_ms, left_ms))
    middle = sorted(after_ms)
    expected = (middle[(len(middle) - 1) // 2] + middle[len(middle) // 2]) / 2e3 if middle else None
    assert found.after_s == (None if expected is None else pytest.approx(expected))


def test_of_several_survivors_the_slowest_time_and_all_iterations_count() -> None:
    trial = make_trial("kill", KILLED, FINISHED, THIRD, injected_ms=250)
    found = survivor_figures(
        trial, {0: samples(0, 0, 900), 1: samples(1, 0, 100, 100, 100), 2: samples(2, 0, 200, 400, 160)}
    )
    assert found is not None
    assert found.elapsed_s == pytest.approx(0.76)
    assert found.before_s == pytest.approx(0.1), "the median of 100, 100 and 200 ms"
    assert found.at_s == pytest.approx(0.4)
    assert found.after_s == pytest.approx(0.16)


def test_only_survivors_count() -> None:
    trial = make_trial("kill", KILLED, FAILED, THIRD, injected_ms=250)
    found = survivor_figures(trial, {1: samples(1, 0, 9000), 2: samples(2, 0, 100, 200)})
    assert found is not None
    assert found.elapsed_s == pytest.approx(0.3)


def test_where_nobody_survived_there_are_no_figures() -> None:
    assert survivor_figures(make_trial("kill", KILLED, FAILED), {0: samples(0, 0, 1)}) is None


def test_a_worker_that_was_hit_is_the_culprit_and_the_others_are_its_neighbours() -> None:
    first, hit = replace(FINISHED, rank=0), replace(KILLED, rank=1)
    trial = make_trial("kill", first, hit, THIRD, worker=1)
    assert trial.culprit == hit
    assert trial.neighbours == trial.survivors == (first, THIRD)


@pytest.mark.parametrize("kind", HITS_EVERY_CLIENT)
def test_where_mps_was_hit_there_is_no_culprit_and_everybody_is_a_neighbour(kind: str) -> None:
    trial = make_trial(kind, KILLED, FINISHED)
    assert trial.culprit is None
    assert trial.neighbours == (KILLED, FINISHED)
    assert trial.survivors == (FINISHED,)


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.DIED, Outcome.STALLED])
def test_a_neighbour_that_did_not_finish_is_no_survivor(outcome: Outcome) -> None:
    trial = make_trial("kill", KILLED, Fate(rank=1, outcome=outcome, ended_ns=1, text="a text"))
    assert len(trial.neighbours) == 1
    assert trial.survivors == ()


@pytest.mark.parametrize(("attached", "fell_back"), [(True, False), (False, True)])
def test_a_client_that_is_served_without_being_attached_fell_back_silently(
    attached: bool, fell_back: bool
) -> None:
    assert make_trial(came=newcomer(500, 900, attached=attached)).fell_back_silently is fell_back


def test_a_client_that_was_not_served_did_not_fall_back() -> None:
    assert make_trial().fell_back_silently is None
    refused = newcomer(500, 900, served_ns=None, attached=None)
    assert make_trial(came=refused).fell_back_silently is None


@pytest.mark.parametrize(("end", "left"), [(7, 0), (5, 0), (9, 2)])
def test_memory_is_left_over_if_there_is_more_in_use_than_before(end: int, left: int) -> None:
    memory = DeviceMemory(before=7, workers_gone=100, end=end)
    assert make_trial(memory=memory).leftover_bytes == left


def test_where_nvml_tells_nothing_nothing_is_known_of_memory() -> None:
    assert make_trial().leftover_bytes is None


def test_a_fault_of_a_worker_that_did_all_of_its_iterations_had_no_effect() -> None:
    unharmed = make_trial("oom", Fate(rank=0, outcome=Outcome.FINISHED), FINISHED)
    assert no_effect(unharmed, []) == "fault=oom had no effect: worker 0 did all of its iterations"


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.DIED, Outcome.STALLED])
def test_a_fault_after_which_its_worker_does_not_finish_had_an_effect(outcome: Outcome) -> None:
    assert no_effect(make_trial("oom", Fate(rank=0, outcome=outcome), FINISHED), []) is None


def test_mps_can_be_hit_without_effect_on_anybody_and_that_is_a_result() -> None:
    unharmed = make_trial("server_kill", Fate(rank=0, outcome=Outcome.FINISHED), FINISHED)
    assert no_effect(unharmed, []) is None


@pytest.mark.parametrize(
    ("end_ms", "too_early"), [(FAULT_MS - 1, True), (FAULT_MS, True), (FAULT_MS + 1, False)]
)
def test_a_fault_after_another_worker_was_done_tells_nothing_of_it(end_ms: int, too_early: bool) -> None:
    reason = no_effect(make_trial(), [samples(0, 0, 10), samples(1, 0, end_ms)])
    expected = "worker 1 had done all of its iterations before the fault: increase times"
    assert reason == (expected if too_early else None)


def test_a_worker_that_ended_otherwise_before_the_fault_does_not_make_the_trial_invalid() -> None:
    both_died = make_trial("server_kill", KILLED, replace(KILLED, rank=1))
    assert no_effect(both_died, [samples(0, 0, 10), samples(1, 0, 10)]) is None


@pytest.mark.parametrize(
    ("servers", "no_answer", "words"),
    [
        ({7: "ACTIVE"}, None, "ACTIVE"),
        ({7: "FAULT", 8: "ACTIVE"}, None, "ACTIVE, FAULT"),
        ({}, None, "no server"),
        ({}, "Cannot find MPS control daemon process", "no daemon"),
        ({7: "ACTIVE"}, "it did not answer", "no daemon"),
    ],
)
def test_what_the_daemon_says_of_its_servers_is_told_in_words(
    servers: dict[int, str], no_answer: str | None, words: str
) -> None:
    assert ServerState(at_ns=0, servers=servers, no_answer=no_answer).in_words == words
