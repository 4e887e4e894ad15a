"""Reading a scripted GPU, and the machine's own cores."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mps_experiments.machine import sampler
from mps_experiments.machine.sampler import Sampler, read_cores
from mps_experiments.record.telemetry import GpuSample, Telemetry

DEADLINE_S = 20.0
TIMEOUT_S = 5.0
OFTEN_S = 0.001
NEVER_S = 1000.0  # no reading in between


class ScriptedMeter:
    """A `GpuMeter` that numbers its readings.

    Args:
        at: Called with the number of each reading, from 1, before it is answered.
        broken: Name of a method that raises.
    """

    def __init__(self, at: Callable[[int], None] = lambda _: None, broken: str = "") -> None:
        self.calls: list[str] = []
        self.threads: list[str] = []
        self.since_us = 0
        self.readings = 0
        self._at = at
        if broken:
            setattr(self, broken, self._fail)

    def _fail(self, *_: object) -> None:
        raise OSError("the GPU has fallen off the bus")

    def sample(self) -> GpuSample:
        self.calls.append("sample")
        self.threads.append(threading.current_thread().name)
        self.readings += 1
        self._at(self.readings)
        return GpuSample(at_ns=time.monotonic_ns(), power_w=float(self.readings))

    def share_by_pid(self, since_us: int) -> dict[int, float] | None:
        self.calls.append("share_by_pid")
        self.since_us = since_us
        return {7: 0.5}

    def sm_clock_max_mhz(self) -> int | None:
        return 1980

    def power_limit_w(self) -> float | None:
        return 700.0

    def close(self) -> None:
        self.calls.append("close")


def telemetry_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "telemetry"]


def reached(number: int) -> tuple[threading.Event, Callable[[int], None]]:
    """Return an event and the function that sets it at a reading of this number."""
    event = threading.Event()

    def at(reading: int) -> None:
        if reading >= number:
            event.set()

    return event, at


def read_once(meter: ScriptedMeter | None, interval_s: float = NEVER_S) -> Telemetry:
    """Return the telemetry of an empty block."""
    with Sampler(meter, interval_s, TIMEOUT_S) as sampling:
        pass
    return sampling.telemetry


def test_one_reading_before_the_block_and_one_after_it_surround_the_window() -> None:
    meter = ScriptedMeter()
    before_us = time.time_ns() // 1000
    with Sampler(meter, NEVER_S, TIMEOUT_S) as sampling:
        start, entered_us = time.monotonic_ns(), time.time_ns() // 1000
        assert meter.readings == 1
        end = time.monotonic_ns()
    told = sampling.telemetry
    first, last = told.gpu
    assert first.at_ns <= start < end <= last.at_ns
    assert (first.power_w, last.power_w) == (1.0, 2.0)
    assert (told.gpu_share_by_pid, told.sm_clock_max_mhz, told.power_limit_w) == ({7: 0.5}, 1980, 700.0)
    assert told.problem == ""
    assert before_us <= meter.since_us <= entered_us
    assert meter.calls == ["sample", "sample", "share_by_pid", "close"]


def test_readings_in_between_are_made_by_a_thread_of_their_own_and_come_in_order() -> None:
    event, at = reached(5)
    meter = ScriptedMeter(at)
    with Sampler(meter, OFTEN_S, TIMEOUT_S) as sampling:
        assert telemetry_threads()
        assert event.wait(DEADLINE_S)
    assert telemetry_threads() == []
    gpu = sampling.telemetry.gpu
    assert len(gpu) == meter.readings >= 6
    assert [each.power_w for each in gpu] == [float(number + 1) for number in range(len(gpu))]
    assert sorted(each.at_ns for each in gpu) == [each.at_ns for each in gpu]
    own = threading.current_thread().name
    assert (meter.threads[0], meter.threads[-1]) == (own, own)
    assert set(meter.threads[1:-1]) == {"telemetry"}


def test_the_offset_turns_the_monotonic_clock_into_the_wall_clock() -> None:
    offset_ns = time.time_ns() - time.monotonic_ns()
    # Between two readings of clocks a process may lose its core.
    assert read_once(None).epoch_offset_ns == pytest.approx(offset_ns, abs=1_000_000_000)


def test_an_interval_of_zero_reads_the_cpu_alone_and_closes_the_meter() -> None:
    meter = ScriptedMeter()
    with Sampler(meter, 0.0, TIMEOUT_S) as sampling:
        assert telemetry_threads() == []
    told = sampling.telemetry
    assert meter.calls == ["close"]
    assert (told.gpu, told.gpu_share_by_pid, told.power_limit_w) == ((), None, None)
    assert (told.cores is None) == (not read_cores())


def test_without_a_meter_the_cpu_alone_is_read() -> None:
    with Sampler(None, OFTEN_S, TIMEOUT_S) as sampling:
        assert telemetry_threads() == []
    told = sampling.telemetry
    assert (told.gpu, told.gpu_share_by_pid, told.problem) == ((), None, "")
    assert told.own_cpu_s >= 0


def test_a_block_that_raises_leaves_no_thread_and_loses_no_reading() -> None:
    event, at = reached(3)
    meter = ScriptedMeter(at)
    sampling = Sampler(meter, OFTEN_S, TIMEOUT_S)

    def interrupted() -> None:
        with sampling:
            assert event.wait(DEADLINE_S)
            raise KeyboardInterrupt("a signal")

    with pytest.raises(KeyboardInterrupt, match="a signal"):
        interrupted()
    assert telemetry_threads() == []
    assert meter.calls[-1] == "close"
    assert len(sampling.telemetry.gpu) == meter.readings >= 4


@pytest.mark.parametrize("failing", [[1], [2], [3], [1, 2, 4]])
def test_readings_that_fail_are_left_out_and_the_first_failure_is_told(failing: list[int]) -> None:
    event = threading.Event()

    def at(reading: int) -> None:
        if reading in failing:
            raise OSError(f"reading {reading}")
        if reading >= 5:
            event.set()

    meter = ScriptedMeter(at)
    with Sampler(meter, OFTEN_S, TIMEOUT_S) as sampling:
        assert event.wait(DEADLINE_S)
    told = sampling.telemetry
    assert not set(failing) & {each.power_w for each in told.gpu}
    assert len(told.gpu) == meter.readings - len(failing)
    assert told.problem == f"OSError: reading {failing[0]}"
    assert told.gpu_share_by_pid == {7: 0.5}
    assert meter.calls[-1] == "close"


@pytest.mark.parametrize(
    ("broken", "lost"),
    [
        ("share_by_pid", "gpu_share_by_pid"),
        ("sm_clock_max_mhz", "sm_clock_max_mhz"),
        ("power_limit_w", "power_limit_w"),
        ("close", None),
    ],
)
def test_a_question_that_fails_at_the_end_loses_its_answer_only(broken: str, lost: str | None) -> None:
    told = read_once(ScriptedMeter(broken=broken))
    answers = ("gpu_share_by_pid", "sm_clock_max_mhz", "power_limit_w")
    assert [name for name in answers if getattr(told, name) is None] == ([lost] if lost else [])
    assert told.problem == ("OSError: the GPU has fallen off the bus" if lost else "")
    assert len(told.gpu) == 2


def test_an_error_of_the_block_is_not_hidden_by_a_broken_meter() -> None:
    meter = ScriptedMeter(broken="sample")
    with pytest.raises(ValueError, match="of the block"), Sampler(meter, NEVER_S, TIMEOUT_S):
        raise ValueError("of the block")


def test_a_reading_that_does_not_come_back_is_left_behind() -> None:
    stuck, let_go = threading.Event(), threading.Event()

    def at(reading: int) -> None:
        if reading == 3:
            stuck.set()
            assert let_go.wait(DEADLINE_S)

    meter = ScriptedMeter(at)
    try:
        with Sampler(meter, OFTEN_S, 0.01) as sampling:
            assert stuck.wait(DEADLINE_S)
        told = sampling.telemetry
        assert [each.power_w for each in told.gpu] == [1.0, 2.0]
        assert told.problem == "a reading did not return within 0.01 s"
        # Nobody touches a meter that is being read, not even to close it.
        assert meter.calls == ["sample"] * 3
    finally:
        let_go.set()
        for thread in telemetry_threads():
            thread.join(DEADLINE_S)
    assert telemetry_threads() == []


# /proc/stat

STAT = """\
cpu  400 0 0 0 0 0 0 0 0 0
cpu0 100 20 30 4000 500 6 7 80 900 1000
cpu3 200 0 0 0 0 0 0 0 0 0
intr 1 2 3
ctxt 4
"""


@pytest.fixture
def stat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a file in place of /proc/stat, in a kernel that counts in hundredths."""
    path = tmp_path / "stat"
    path.write_text(STAT)
    monkeypatch.setattr(sampler, "_STAT", path)
    monkeypatch.setattr(os, "sysconf", {"SC_CLK_TCK": 100}.__getitem__)
    return path


def test_a_core_is_busy_in_user_nice_system_and_interrupt_time_and_stolen_time_is_apart(stat: Path) -> None:
    """Count neither idle time nor waiting for input; guest time is in user time already."""
    busy = pytest.approx((100 + 20 + 30 + 6 + 7) / 100)
    assert read_cores() == {0: (busy, pytest.approx(0.8)), 3: (2.0, 0.0)}


def test_a_missing_table_gives_nothing(stat: Path) -> None:
    stat.unlink()
    assert read_cores() == {}
    assert read_once(None).cores is None


def test_the_use_of_a_core_is_the_difference_of_the_cores_that_stayed(stat: Path) -> None:
    with Sampler(None, NEVER_S, TIMEOUT_S) as sampling:
        stat.write_text(
            "cpu0 150 20 30 9999 500 6 7 95 0 0\ncpu5 1 1 1 1 1 1 1 1 1 1\n"  # core 3 went, core 5 came
        )
    use = sampling.telemetry.cores
    assert use is not None
    assert use.busy_s == {0: pytest.approx(0.5)}
    assert use.stolen_s == {0: pytest.approx(0.15)}
    assert use.seconds > 0


def test_the_kernel_tells_of_every_core_that_this_process_may_use() -> None:
    before, after = read_cores(), read_cores()
    assert os.sched_getaffinity(0) <= before.keys()
    assert all(busy >= 0 and stolen >= 0 for busy, stolen in before.values())
    assert all(after[core][0] >= before[core][0] for core in before)
