"""Read GPU and CPU while workers are measured, in a thread that sleeps between readings."""

import contextlib
import dataclasses
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self, TypeVar

from mps_experiments.record.telemetry import CoreUse, GpuSample, Telemetry

_STAT = Path("/proc/stat")
_T = TypeVar("_T")


class GpuMeter(Protocol):
    """Reads one GPU. `nvml_meter.NvmlMeter` is the real one."""

    def sample(self) -> GpuSample:
        """Read the GPU now."""

    def share_by_pid(self, since_us: int) -> dict[int, float] | None:
        """Return each process's share of the GPU since a wall-clock time in microseconds; None if unknown."""

    def sm_clock_max_mhz(self) -> int | None:
        """Return the highest SM clock of the GPU; None if unknown."""

    def power_limit_w(self) -> float | None:
        """Return the power limit in force; None if unknown."""

    def close(self) -> None:
        """Free its resources."""


class Sampler:
    """A context manager that samples during its block. A reading that fails does not fail the block.

    Args:
        meter: Reads the GPU and is closed at the end; None reads the CPU only.
        interval_s: Seconds between two readings; 0 reads the GPU not at all.
        timeout_s: Seconds that a reading under way at the end is waited for: NVML answers in milliseconds or
            hangs in the driver.
    """

    def __init__(self, meter: GpuMeter | None, interval_s: float, timeout_s: float = 10.0) -> None:
        self._meter = meter
        self._interval_s, self._timeout_s = interval_s, timeout_s
        self._samples: list[GpuSample] = []
        self._problem = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self.telemetry = Telemetry()

    def __enter__(self) -> Self:
        self._since_us = time.time_ns() // 1000
        self._cores = read_cores()
        self._own_s = time.process_time()
        self._started = time.monotonic()
        if self._meter is not None and self._interval_s:
            self._read()  # before the window, as the baseline of the energy counter
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        try:
            if self._thread.is_alive():
                self._thread.join(self._timeout_s)
            if self._thread.is_alive():  # stuck in a reading: nobody else may touch the meter
                self._meter = None
                self._problem = f"a reading did not return within {self._timeout_s:g} s"
            self.telemetry = self._telemetry()
        finally:
            self._ask(lambda meter: meter.close())

    def _telemetry(self) -> Telemetry:
        of_cpu = Telemetry(
            epoch_offset_ns=time.time_ns() - time.monotonic_ns(),
            cores=self._core_use(),
            own_cpu_s=time.process_time() - self._own_s,
        )
        if not self._interval_s:
            return of_cpu
        self._read()
        return dataclasses.replace(
            of_cpu,
            gpu=tuple(self._samples),
            gpu_share_by_pid=self._ask(lambda meter: meter.share_by_pid(self._since_us)),
            sm_clock_max_mhz=self._ask(lambda meter: meter.sm_clock_max_mhz()),
            power_limit_w=self._ask(lambda meter: meter.power_limit_w()),
            problem=self._problem,
        )

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._read()

    def _read(self) -> None:
        if sample := self._ask(lambda meter: meter.sample()):
            self._samples.append(sample)

    def _ask(self, question: Callable[[GpuMeter], _T]) -> _T | None:
        """Return the answer; None without a meter or if it fails. The first failure is noted."""
        if self._meter is None:
            return None
        try:
            return question(self._meter)
        except Exception as error:  # the workers' numbers do not depend on it
            self._problem = self._problem or f"{type(error).__name__}: {error}"
            return None

    def _core_use(self) -> CoreUse | None:
        before, after = self._cores, read_cores()
        kept = sorted(before.keys() & after.keys())  # a core can go offline meanwhile
        if not kept:
            return None
        return CoreUse(
            seconds=time.monotonic() - self._started,
            busy_s={core: after[core][0] - before[core][0] for core in kept},
            stolen_s={core: after[core][1] - before[core][1] for core in kept},
        )


def read_cores() -> dict[int, tuple[float, float]]:
    """Return seconds busy and seconds stolen since boot by core number; empty if the kernel does not tell.

    The fields of /proc/stat are user, nice, system, idle, iowait, irq, softirq, steal; see proc_stat(5).
    """
    ticks = os.sysconf("SC_CLK_TCK")
    cores: dict[int, tuple[float, float]] = {}
    with contextlib.suppress(OSError):
        for number, text in re.findall(r"^cpu(\d+) (.*)$", _STAT.read_text(), re.MULTILINE):
            user, nice, system, _, _, irq, softirq, steal = map(int, text.split()[:8])
            cores[int(number)] = ((user + nice + system + irq + softirq) / ticks, steal / ticks)
    return cores
