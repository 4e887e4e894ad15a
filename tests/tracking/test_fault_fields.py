"""What of a run with a fault can be filtered and sorted by."""

from dataclasses import replace

import pytest

from mps_experiments.record.faults import DeviceMemory, Fate, FaultTrial, Newcomer, Outcome, ServerState
from mps_experiments.record.measurement import Measurement
from mps_experiments.tracking.fault_fields import fault_metrics, fault_params, fault_tags
from mps_experiments.tracking.fields import metrics_of, params_of, tags_of
from tests.records import INVALID, make_measurement, samples

SECOND = 1_000_000_000


def trial(**changed: object) -> FaultTrial:
    """Worker 0 was killed after one second; a new client asked one second later."""
    whole = FaultTrial(
        kind="kill",
        worker=0,
        trial=3,
        at=0.5,
        injected_ns=SECOND,
        injected_after=2,
        fates=(
            Fate(rank=0, outcome=Outcome.DIED, ended_ns=SECOND + 5, text="was killed by SIGKILL"),
            Fate(rank=1, outcome=Outcome.FINISHED),
        ),
        server_states=(
            ServerState(at_ns=0, servers={7: "ACTIVE"}),
            ServerState(at_ns=2 * SECOND, servers={}, no_answer="gone"),
        ),
        newcomer=Newcomer(
            asked_ns=2 * SECOND,
            served_ns=2 * SECOND + SECOND // 4,
            result_ns=3 * SECOND,
            left_ns=4 * SECOND,
            start_s=0.25,
            attached=False,
            failures=(),
        ),
        memory=DeviceMemory(before=0, workers_gone=2**21, end=2**20),
    )
    return replace(whole, **changed)  # type: ignore[arg-type]


def with_fault(mps: str = "on", fault: FaultTrial | None = None) -> Measurement:
    plain = make_measurement(mps=mps, procs=2, fault="kill", trial=3)
    first, second = plain.workers
    workers = (
        replace(first, samples=samples(0, 0, 500, 500)),
        replace(second, samples=samples(1, 0, 500, 500, 600, 500)),
    )
    config = plain.config | {"fault": {"kind": "kill", "worker": 0, "at": 0.5}}
    return replace(plain, workers=workers, fault=fault or trial(), config=config)


def test_the_kind_and_the_number_of_the_trial_can_be_filtered_by() -> None:
    found = params_of(with_fault())
    assert {name: found[name] for name in ("fault", "fault_trial", "fault_worker", "fault_at")} == {
        "fault": "kill",
        "fault_trial": "3",
        "fault_worker": "0",
        "fault_at": "0.5",
    }


def test_an_ordinary_run_says_that_it_has_no_fault_and_no_more() -> None:
    ordinary = make_measurement()
    assert fault_params(ordinary) == {"fault": "none"}
    assert fault_metrics(ordinary) == {}
    assert fault_tags(ordinary) == {"kind": "run"}


def test_the_metrics_are_those_of_the_fault_and_none_of_an_ordinary_run() -> None:
    expected = {
        "fault/others": 1.0,
        "fault/others_finished": 1.0,
        "fault/new_client_served": 1.0,
        "fault/survivor_elapsed_s": 2.1,
        "fault/latency_before_ms": 500.0,
        "fault/latency_at_ms": 600.0,
        "fault/latency_after_ms": 600.0,
        "fault/blip_ms": 100.0,
        "fault/new_client_served_after_s": 0.25,
        "fault/new_client_without_mps": 1.0,
        "fault/leftover_mib": 1.0,
    }
    assert metrics_of(with_fault()) == pytest.approx(expected)


def test_without_mps_nobody_can_fall_back_from_it() -> None:
    assert "fault/new_client_without_mps" not in fault_metrics(with_fault(mps="off"))


def test_a_client_that_was_never_served_has_no_time() -> None:
    newcomer = trial().newcomer
    assert newcomer is not None
    refused = replace(newcomer, served_ns=None, attached=None, failures=("no",))
    found = fault_metrics(with_fault(fault=trial(newcomer=refused)))
    assert found["fault/new_client_served"] == 0.0
    assert "fault/new_client_served_after_s" not in found
    assert "fault/new_client_without_mps" not in found


def test_an_invalid_trial_has_no_metrics() -> None:
    assert metrics_of(replace(with_fault(), verdict=INVALID)) == {}


def test_the_tags_say_how_each_worker_ended_and_what_became_of_the_server() -> None:
    found = tags_of(with_fault())
    assert found["kind"] == "fault"
    assert found["worker_0_end"] == "died was killed by SIGKILL"
    assert found["worker_1_end"] == "finished"
    assert found["server_states"] == "ACTIVE > no daemon"
