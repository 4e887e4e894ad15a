"""Device memory before, between and after, read from a probe with a script."""

from collections.abc import Sequence

import pytest

from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.record.faults import DeviceMemory, FaultTrial
from mps_experiments.run import memory_watch
from mps_experiments.run.memory_watch import MemoryWatch
from mps_experiments.run.run_state import RunState
from tests.fakes.plans import FAKE_GPU
from tests.fault_records import make_trial


class Readings(FixedProbe):
    """Memory in use, one value for each reading; the last stays."""

    def __init__(self, *values: int | None) -> None:
        super().__init__((FAKE_GPU,))
        self.values, self.asked = list(values), 0

    def memory_used_bytes(self, uuid: str) -> int | None:
        assert uuid == FAKE_GPU.uuid
        self.asked += 1
        return self.values.pop(0) if len(self.values) > 1 else self.values[0]


def watched(probe: Readings, trial: FaultTrial | None = None, uuid: str | None = FAKE_GPU.uuid) -> RunState:
    """Run a trial whose workers are gone before the block is left."""
    state = RunState(on_phase=lambda _: None)
    with MemoryWatch(probe, uuid, state) as watch:
        state.fault = trial
        watch.workers_gone()
    return state


def memory_of(*values: int | None) -> DeviceMemory | None:
    state = watched(Readings(*values), make_trial())
    assert state.fault is not None
    return state.fault.memory


def test_memory_is_read_before_when_the_workers_are_gone_and_at_the_end() -> None:
    assert memory_of(7, 9, 7) == DeviceMemory(before=7, workers_gone=9, end=7)


def test_memory_that_is_given_back_a_moment_later_is_not_left_over() -> None:
    assert memory_of(7, 9, 9, 8, 6) == DeviceMemory(before=7, workers_gone=9, end=6)


def test_memory_that_is_not_given_back_is_left_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_watch, "_SETTLE_S", 0.2)
    assert memory_of(7, 9, 8) == DeviceMemory(before=7, workers_gone=9, end=8)


@pytest.mark.parametrize("values", [(None,), (7, None), (7, 9, None), (7, 9, 9, None)])
def test_where_nvml_tells_not_all_of_it_nothing_is_said(values: Sequence[int | None]) -> None:
    assert memory_of(*values) is None


def test_the_rest_of_the_trial_stays_as_it_was() -> None:
    trial = make_trial()
    state = watched(Readings(7), trial)
    assert state.fault is not None
    assert state.fault.memory is not None
    assert state.fault == make_trial(memory=state.fault.memory)


def test_without_a_trial_nothing_is_kept_and_nobody_waits() -> None:
    probe = Readings(7, 9)
    assert watched(probe).fault is None
    assert probe.asked == 2


def test_on_the_cpu_nothing_is_read() -> None:
    probe = Readings(7)
    state = watched(probe, make_trial(), uuid=None)
    assert (state.fault, probe.asked) == (make_trial(), 0)


def test_a_run_whose_workers_never_came_has_nothing_to_tell() -> None:
    state = RunState(on_phase=lambda _: None, fault=make_trial())
    with MemoryWatch(Readings(7), FAKE_GPU.uuid, state):
        pass
    assert state.fault == make_trial()
