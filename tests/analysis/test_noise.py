"""Noise, told once for all runs."""

from dataclasses import replace

import pytest

from mps_experiments.analysis.noise import noise_line
from mps_experiments.record.findings import NOISE, Finding, Severity
from mps_experiments.record.measurement import Measurement
from tests.records import INVALID, make_measurement, samples


def noisy(number: int, *findings: tuple[str, float], text: str = "text") -> Measurement:
    found = [
        Finding(check=check, severity=Severity.WARNING, text=text, value=value, limit=0.0)
        for check, value in findings
    ]
    return replace(make_measurement(str(number), repeat=number), findings=tuple(found))


def test_each_kind_is_counted_over_the_valid_runs_with_its_extent() -> None:
    runs = [
        noisy(0, ("drift", 0.12), ("drift", 0.24), ("core_wait", 0.3)),
        noisy(1, ("drift", 0.2)),
        noisy(2),
        replace(noisy(3, ("drift", 0.9)), verdict=INVALID),
    ]
    assert noise_line(runs) == (
        "noise in 3 runs: drift in 2 (up to 24 %), waiting for a core in 1 (up to 30 %); "
        "no interval includes it"
    )


def test_cores_of_unequal_speed_are_told_with_the_latencies_of_their_workers() -> None:
    run = noisy(0, ("unequal_workers", 1.8), text="cores of unequal speed: 3.5 to 6.4 ms")
    one, two = (replace(run.workers[0], samples=samples(rank, 0, ms, ms)) for rank, ms in ((0, 4), (1, 7)))
    pair = replace(run, workers=(one, two))
    assert noise_line([pair, noisy(1)]) == (
        "noise in 2 runs: cores of unequal speed in 1 (4 to 7 ms); no interval includes it"
    )
    other = replace(pair, findings=(replace(pair.findings[0], text="workers of unequal speed: 4 to 7 ms"),))
    assert (
        noise_line([other])
        == "noise in 1 run: workers of unequal speed in 1 (4 to 7 ms); no interval includes it"
    )


@pytest.mark.parametrize("check", sorted(NOISE))
def test_every_kind_of_noise_has_its_words(check: str) -> None:
    assert noise_line([noisy(0, (check, 0.5))] if check != "unequal_workers" else [noisy(0, (check, 2.0))])


def test_noise_is_in_the_intervals_only_where_there_are_any() -> None:
    drift = noisy(0, ("drift", 0.2)).findings
    long = replace(make_measurement("long", times=10), findings=drift)
    assert str(noise_line([long])).endswith("; the intervals include it")
    blocks = [
        replace(make_measurement(f"{procs}-{n}", procs=procs, repeat=n), findings=drift)
        for procs in (1, 2)
        for n in range(4)
    ]
    assert all((figures := m.statistics()) and not figures.throughput_interval_per_s for m in blocks)
    assert str(noise_line(blocks)).endswith("; the intervals include it")
    assert str(noise_line(blocks[:4])).endswith("; no interval includes it")


def test_without_noise_nothing_is_said() -> None:
    assert noise_line([make_measurement()]) is None
    assert noise_line([noisy(0, ("power_cap", 0.5), ("common_window", 0.7))]) is None
    assert noise_line([]) is None
