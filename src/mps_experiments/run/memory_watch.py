"""Read device memory before a trial, after its workers are gone, and after everything is gone."""

import time
from dataclasses import replace
from typing import Self

from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.record.faults import DeviceMemory
from mps_experiments.run.run_state import RunState

_SETTLE_S = 5.0  # the driver releases a dead process's memory a moment later
_LOOK_AGAIN_S = 0.05


class MemoryWatch:
    """Reads memory when the block is entered, when told that the workers are gone, and when it is left.

    Args:
        gpu_uuid: None reads nothing.
        state: Receives the readings in its trial.
    """

    def __init__(self, probe: GpuProbe, gpu_uuid: str | None, state: RunState) -> None:
        self._probe, self._gpu_uuid, self._state = probe, gpu_uuid, state
        self._workers_gone: int | None = None

    def __enter__(self) -> Self:
        self._before = self._read()
        return self

    def workers_gone(self) -> None:
        self._workers_gone = self._read()

    def __exit__(self, *_: object) -> None:
        trial = self._state.fault
        if trial is None or self._before is None or self._workers_gone is None:
            return
        end = self._settled(self._before)
        if end is not None:
            memory = DeviceMemory(before=self._before, workers_gone=self._workers_gone, end=end)
            self._state.fault = replace(trial, memory=memory)

    def _settled(self, before: int) -> int | None:
        """Read until memory is down to what it was before or the time is over; return the last reading."""
        deadline = time.monotonic() + _SETTLE_S
        while (now := self._read()) is not None and now > before and time.monotonic() < deadline:
            time.sleep(_LOOK_AGAIN_S)
        return now

    def _read(self) -> int | None:
        return self._probe.memory_used_bytes(self._gpu_uuid) if self._gpu_uuid else None
