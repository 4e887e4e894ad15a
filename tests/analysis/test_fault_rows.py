"""Trials taken together: what counts, what is compared with what."""

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from mps_experiments.analysis.fault_rows import FaultRow, fault_rows
from mps_experiments.record.faults import DeviceMemory, Outcome, ServerState
from mps_experiments.record.measurement import Measurement
from tests.fault_records import (
    FINISHED,
    KILLED,
    MS,
    TOO_LATE,
    alone,
    faulty_run,
    make_trial,
    newcomer,
)
from tests.outputs import with_output
from tests.records import MACHINE, make_measurement


def only(*measurements: Measurement) -> FaultRow:
    (row,) = fault_rows(measurements)
    return row


def later(measurement: Measurement, seconds: float = 1.0) -> Measurement:
    return replace(measurement, started_at=measurement.started_at + seconds)


def survivor(name: str, *latencies_ms: int, **more: Any) -> Measurement:
    """A trial whose survivor had these latencies."""
    return faulty_run(name, latencies_ms={0: (100,), 1: latencies_ms}, **more)


def test_ordinary_runs_have_no_row() -> None:
    assert fault_rows([alone(), make_measurement(procs=2)]) == []


def test_there_is_a_row_for_each_fault_and_state_of_mps_in_order_of_time() -> None:
    cells = [
        faulty_run(f"{kind} {mps} {number}", kind, mps=mps, number=number)
        for kind in ("kill", "exit")
        for mps in ("off", "on")
        for number in (0, 1)
    ]
    timed = [later(m, seconds) for seconds, m in enumerate(cells)]
    random.Random(0).shuffle(timed)  # noqa: S311 - an order, not a secret
    rows = fault_rows(timed)
    assert [(row.first.cell.fault, row.first.cell.mps) for row in rows] == [
        ("kill", "off"),
        ("kill", "on"),
        ("exit", "off"),
        ("exit", "on"),
    ]
    assert [[m.cell.trial for m in row.measurements] for row in rows] == [[0, 1]] * 4


@pytest.mark.parametrize(
    "other",
    [
        {"options": {"worker": 1}},
        {"options": {"at": 0.25}},
        {"options": {"newcomer_after_s": 9.0}},
        {"machine": replace(MACHINE, hostname="another")},
        {"cpu_affinity": "none"},
    ],
    ids=lambda other: str(other),
)
def test_trials_of_another_setting_are_another_row(other: dict[str, Any]) -> None:
    assert len(fault_rows([faulty_run("one"), faulty_run("two", **other)])) == 2


def test_another_number_of_trials_or_another_repeat_is_the_same_row() -> None:
    row = only(faulty_run("two", repeat=1), faulty_run("one", options={"trials": 7}))
    assert [m.record_id for m in row.measurements] == ["one", "two"]


def test_a_trial_that_never_got_workers_belongs_to_the_others() -> None:
    """What its workers would have told of CUDA is not known."""
    facts = {"cuda": "13.0", "cudnn": "91002"}
    valid = [with_facts(faulty_run(name, number=n), facts) for n, name in enumerate(("a", "b"))]
    broken = replace(faulty_run("c", number=2, verdict=TOO_LATE), workers=())
    reference = with_facts(alone(), facts)
    for order in ([broken, *valid, reference], [*valid, reference, later(broken)]):
        row = only(*order)
        assert (len(row.measurements), len(row.trials)) == (3, 2)
        assert row.reference is not None


def with_facts(measurement: Measurement, torch_facts: dict[str, str]) -> Measurement:
    workers = []
    for worker in measurement.workers:
        assert worker.facts is not None
        workers.append(replace(worker, facts=replace(worker.facts, torch_facts=torch_facts)))
    return replace(measurement, workers=tuple(workers))


def test_the_survivors_time_is_the_median_over_the_trials_and_the_ratio_is_to_one_process() -> None:
    row = only(
        survivor("a", 100, 100, 100, 300),
        survivor("b", 100, 100, 100, 500, number=1),
        survivor("c", 100, 100, 100, 9000, number=2),
        alone(makespan_s=0.4),
    )
    assert row.elapsed_s == pytest.approx(0.8)
    assert row.ratio == pytest.approx(2.0)


@pytest.mark.parametrize(
    "reference",
    [
        replace(alone(), verdict=TOO_LATE),
        make_measurement("two", procs=2, times=4),
        make_measurement("other times", times=5),
        alone(cpu_affinity="none"),
        alone(machine=replace(MACHINE, hostname="another")),
        faulty_run("alone but with a fault", "exit"),
    ],
    ids=["not valid", "two processes", "other times", "not pinned", "another host", "with a fault"],
)
def test_the_ratio_is_to_a_valid_ordinary_run_of_one_process_with_the_same_settings(
    reference: Measurement,
) -> None:
    (row, *_) = fault_rows([faulty_run("one"), later(reference)])
    assert (row.first.record_id, row.ratio) == ("one", None)


def states(*entries: tuple[int, dict[int, str] | str]) -> tuple[ServerState, ...]:
    """Server states at milliseconds; a text is why there was no answer."""
    return tuple(
        ServerState(at_ns=at * MS, servers={}, no_answer=said)
        if isinstance(said, str)
        else ServerState(at_ns=at * MS, servers=said)
        for at, said in entries
    )


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (states((10, {7: "ACTIVE"})), "ACTIVE"),
        (states((10, {}), (300, {7: "ACTIVE"})), "ACTIVE"),
        (
            states((10, {7: "ACTIVE"}), (410, {}), (500, {9: "ACTIVE"})),
            "ACTIVE > no server > ACTIVE (new)",
        ),
        (states((10, {7: "ACTIVE"}), (410, {7: "FAULT"}), (500, {7: "ACTIVE"})), "ACTIVE > FAULT > ACTIVE"),
        (states((10, {7: "ACTIVE"}), (410, "gone")), "ACTIVE > no daemon"),
        (states((10, {7: "ACTIVE"}), (410, "gone"), (500, "gone for good")), "ACTIVE > no daemon"),
        (states((410, {9: "ACTIVE"})), "ACTIVE (new)"),
    ],
)
def test_what_became_of_the_server_is_told_from_the_fault_on(
    seen: tuple[ServerState, ...], words: str
) -> None:
    row = only(faulty_run("one", trial=make_trial(server_states=seen)), faulty_run("silent", number=1))
    assert row.server_states() == Counter({words: 1})


def test_survivors_outputs_are_compared_with_those_of_the_process_that_was_alone() -> None:
    same, other = (with_output(faulty_run(n, number=i), *v) for i, (n, v) in enumerate(OUTPUTS.items()))
    row = only(same, other, with_output(alone(), 1.0, 2.0))
    assert [difference.within_tolerance for difference in row.output_differences()] == [True, False]
    assert row.output_differences()[0].identical


def test_of_several_trials_each_figure_says_which_counts() -> None:
    stalled = replace(FINISHED, outcome=Outcome.STALLED, ended_ns=1, text="no iteration finished for 1 s")
    memory = DeviceMemory(before=10, workers_gone=50, end=17)
    row = only(
        survivor("a", 100, 100, 100, 100, 150, 100, 200, trial=make_trial(memory=memory)),
        survivor("b", 200, 200, 600, 300, number=1, trial=make_trial(came=newcomer(500, 700))),
        faulty_run("c", number=2, trial=make_trial("kill", KILLED, stalled)),
        faulty_run("d", number=3, trial=make_trial(came=newcomer(1, 2, served_ns=None, failures=("no",)))),
        faulty_run("late", number=4, verdict=TOO_LATE, trial=make_trial()),
    )
    assert (len(row.measurements), len(row.trials)) == (5, 4)
    assert row.blips_s == pytest.approx([0.1, 0.4])
    assert row.served_s == pytest.approx([0.1])
    assert row.leftover_bytes == 7
    assert row.texts() == {
        "the worker that was hit": {"was killed by SIGKILL": 4},
        "other workers": {"stalled: no iteration finished for 1 s": 1},
        "refused new clients": {"no": 1},
    }


OUTPUTS = {"same": (1.0, 2.0), "other": (1.0, 2.5)}
