"""What the kernel tells a process of its own use of the CPU, and how fast its core is."""

import resource
import time
from pathlib import Path

import pytest

from mps_experiments.workers import usage
from mps_experiments.workers.usage import core_speed_per_us, cpu_usage

DEADLINE_S = 20.0


def test_a_busy_process_has_used_the_time_that_the_kernel_counted() -> None:
    before, enough_s = cpu_usage(), time.process_time() + 0.05
    deadline = time.monotonic() + DEADLINE_S
    while time.process_time() < enough_s:
        assert time.monotonic() < deadline
    used = cpu_usage().since(before)
    assert used.cpu_s >= 0.04  # the two calls of the kernel may round differently
    assert used.user_s >= 0
    assert used.system_s >= 0
    if Path("/proc/self/schedstat").exists():
        assert used.run_queue_wait_s is not None
        assert used.run_queue_wait_s >= 0


def test_the_figures_are_those_of_getrusage_in_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = [1.5, 0.25, *range(2, 14), 40, 50]  # ru_utime, ru_stime, ..., ru_nvcsw, ru_nivcsw
    told = resource.struct_rusage(fields)
    monkeypatch.setattr(resource, "getrusage", {resource.RUSAGE_SELF: told}.__getitem__)
    found = cpu_usage()
    assert (found.user_s, found.system_s) == (1.5, 0.25)
    assert (found.voluntary_switches, found.involuntary_switches) == (40, 50)


@pytest.mark.parametrize(("content", "wait_s"), [("12345 2500000000 77\n", 2.5), (None, None)])
def test_the_wait_for_a_core_is_the_second_field_in_nanoseconds(
    content: str | None, wait_s: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "schedstat"
    if content is not None:
        path.write_text(content)
    monkeypatch.setattr(usage, "_SCHEDSTAT", path)
    assert cpu_usage().run_queue_wait_s == wait_s


def test_the_speed_is_the_steps_of_the_fastest_round(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1.0 < core_speed_per_us() < 2000.0, "the order of a Python loop"
    rounds = iter([900_000, 500_000, 250_000, *[800_000] * 20])
    monkeypatch.setattr(usage, "_loop_ns", lambda: next(rounds))
    assert core_speed_per_us() == pytest.approx(5000 / 250)
