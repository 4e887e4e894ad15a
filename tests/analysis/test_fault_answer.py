"""What faults do to other processes, in sentences."""

from dataclasses import replace
from typing import Any

import pytest

from mps_experiments.analysis.fault_answer import fault_answers
from mps_experiments.record.faults import FaultTrial
from mps_experiments.record.measurement import Measurement
from tests.fault_records import FAILED, TOO_LATE, alone, faulty_run, make_trial, newcomer
from tests.outputs import with_output
from tests.report_panels import CPU_ONLY

DEAD = replace(FAILED, rank=0)


def deadly(kind: str, **changed: Any) -> FaultTrial:
    return make_trial(kind, DEAD, FAILED, **changed)


def said(*runs: Measurement) -> str:
    (text,) = fault_answers(runs)
    return text


def trials(kind: str, *found: FaultTrial | None, mps: str = "on") -> list[Measurement]:
    return [faulty_run(f"{kind}-{mps}-{n}", kind, mps=mps, number=n, trial=t) for n, t in enumerate(found)]


def test_what_kills_all_comes_first_then_new_clients_then_what_is_survived() -> None:
    fallen = deadly("daemon_kill", came=newcomer(500, 700, attached=False))
    runs = [
        *trials("kill", None, None),
        *trials("illegal_address", deadly("illegal_address")),
        *trials("daemon_kill", fallen, fallen),
        *trials("kill", None, mps="off"),
    ]
    assert said(*runs) == (
        "maskrcnn_resnet50_fpn: Under MPS a bad address or a dead daemon kills all other workers. "
        "After a dead daemon new clients run without MPS (2 of 2). The others finish after a SIGKILL. "
        "Without MPS the others finish after a SIGKILL."
    )


def test_a_fault_that_stops_others_in_some_trials_is_counted() -> None:
    assert "a hung worker stops others in 1 of 3 trials" in said(*trials("hang", None, deadly("hang"), None))


def test_new_clients_that_are_refused_and_wrong_outputs_are_told() -> None:
    refused = make_trial(came=newcomer(1, 2, served_ns=None, attached=None, failures=("no",)))
    runs = [with_output(run, 2.0) for run in trials("kill", refused, None)]
    found = said(*runs, with_output(alone(mps="on"), 1.0))
    assert "After a SIGKILL survivors compute something else (2 of 2)." in found
    assert "after a SIGKILL 1 of 2 new clients are not served" in said(
        *trials("kill", refused, refused_late())
    )


def refused_late() -> FaultTrial:
    return make_trial(came=newcomer(1, 2))


@pytest.mark.parametrize("runs", [[alone()], [faulty_run("late", verdict=TOO_LATE, trial=make_trial())]])
def test_without_a_valid_trial_nothing_is_said(runs: list[Measurement]) -> None:
    assert list(fault_answers(runs)) == []


def test_on_the_cpu_nothing_is_said_of_mps() -> None:
    found = said(faulty_run("a", machine=CPU_ONLY))
    assert found == "maskrcnn_resnet50_fpn: On the CPU the others finish after a SIGKILL."


def test_another_workload_has_an_answer_of_its_own() -> None:
    runs = [faulty_run("a"), faulty_run("b", model="resnet50")]
    assert [text.partition(":")[0] for text in fault_answers(runs)] == ["maskrcnn_resnet50_fpn", "resnet50"]
