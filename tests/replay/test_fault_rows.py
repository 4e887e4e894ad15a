"""Runs with a fault, then and now."""

from mps_experiments.replay.fault_rows import fault_rows
from tests.fault_records import faulty_run, make_trial, newcomer
from tests.records import INVALID

SERVED = make_trial(came=newcomer(300, 500))


def test_runs_with_a_fault_show_who_survived_then_and_now() -> None:
    stored = [faulty_run(f"then-{n}", trial=SERVED) for n in range(3)]
    now = [faulty_run("now-0", trial=SERVED), faulty_run("now-1", verdict=INVALID)]
    found = {row.what: row for row in fault_rows(stored, now)}
    assert (found["others finished"].stored, found["others finished"].now) == ("3 of 3", "1 of 1")
    assert found["survivor s"].spread.startswith("one repeat now, within the 0.5 to 0.5 of the 3 stored")
    assert (found["new client served"].stored, found["new client served"].now) == ("3 of 3", "1 of 1")


def test_who_was_not_served_is_counted_and_without_a_valid_trial_there_is_nothing() -> None:
    stored = [faulty_run("then-0", trial=SERVED), faulty_run("then-1")]
    found = {row.what: row.stored for row in fault_rows(stored, stored)}
    assert found["new client served"] == "1 of 2"
    assert list(fault_rows(stored, [faulty_run("bad", verdict=INVALID)])) == []


def test_a_blip_that_is_not_known_has_no_row() -> None:
    """Nobody finished an iteration before the fault."""
    unknown = faulty_run("unknown", latencies_ms={0: (100, 100), 1: (600, 100, 100, 100)})
    figures = unknown.survivor_figures()
    assert figures is not None
    assert figures.blip_s is None
    assert "blip ms" not in {row.what for row in fault_rows([unknown], [unknown])}
