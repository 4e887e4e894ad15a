"""What is known of a run while it goes on."""

import pytest

from mps_experiments.run.run_state import RunState


def test_a_phase_entered_twice_adds_up_and_is_told_each_time() -> None:
    told: list[str] = []
    state = RunState(on_phase=told.append)
    for _ in range(2):
        with state.phase("proof"):
            pass
    first = state.phases_s["proof"]
    with pytest.raises(ValueError, match="inside"), state.phase("proof"):
        raise ValueError("inside")
    assert state.phases_s["proof"] > first > 0
    assert told == ["proof"] * 3
