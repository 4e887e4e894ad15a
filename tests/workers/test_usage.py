"""What the kernel tells a process of its own use of the CPU."""

import resource
import time
from pathlib import Path

import pytest

from mps_experiments.workers import usage
from mps_experiments.workers.usage import cpu_usage

DEADLINE_S = 20.0


def used_until(cpu_s: float) -> None:
    """Compute until this process has used so much CPU time."""
    deadline = time.monotonic() + DEADLINE_S
    while time.process_time() < cpu_s:
        assert time.monotonic() < deadline


def test_a_busy_process_has_used_the_time_that_the_kernel_counted() -> None:
    before = cpu_usage()
    used_until(time.process_time() + 0.05)
    used = cpu_usage().since(before)
    assert used.cpu_s >= 0.04  # the two calls of the kernel may round differently
    assert used.user_s >= 0
    assert used.system_s >= 0


def test_the_figures_are_those_of_getrusage_in_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = [1.5, 0.25, *range(2, 14), 40, 50]  # ru_utime, ru_stime, ..., ru_nvcsw, ru_nivcsw
    told = resource.struct_rusage(fields)
    monkeypatch.setattr(resource, "getrusage", {resource.RUSAGE_SELF: told}.__getitem__)
    found = cpu_usage()
    assert (found.user_s, found.system_s) == (1.5, 0.25)
    assert (found.voluntary_switches, found.involuntary_switches) == (40, 50)


def test_the_wait_for_a_core_is_the_second_field_in_nanoseconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "schedstat"
    path.write_text("12345 2500000000 77\n")
    monkeypatch.setattr(usage, "_SCHEDSTAT", path)
    assert cpu_usage().run_queue_wait_s == 2.5


@pytest.mark.parametrize("content", [None, "", "12345", "12345 many 77"])
def test_a_wait_that_the_kernel_does_not_tell_is_unknown(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "schedstat"
    if content is not None:
        path.write_text(content)
    monkeypatch.setattr(usage, "_SCHEDSTAT", path)
    assert cpu_usage().run_queue_wait_s is None


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this kernel has no schedstat")
def test_the_real_wait_never_goes_back() -> None:
    before, after = cpu_usage().run_queue_wait_s, cpu_usage().run_queue_wait_s
    assert before is not None
    assert after is not None
    assert 0 <= before <= after
