"""How the makespan grew, part by part, against parts made by hand."""

from typing import Any

import numpy as np
import pytest

from mps_experiments.analysis.growth import Growth
from mps_experiments.record.measurement import Measurement
from tests.evidence_records import TIMES, traced_run, with_late_start, with_telemetry


def one(**parts: Any) -> Measurement:
    """10 ms an iteration: 4 ms run, 0.5 ms idle, 5.5 ms host."""
    return traced_run("one", procs=1, **({"iteration_ms": 10.0, "running_ms": 4.0, "idle_ms": 0.5} | parts))


def growth(**parts: Any) -> Growth:
    """From `one` to two workers with 20 ms: 6 ms run, 3 ms behind, 2 ms idle, 9 ms host."""
    many: dict[str, Any] = {"iteration_ms": 20.0, "running_ms": 6.0, "behind_ms": 3.0, "idle_ms": 2.0}
    return Growth.between(traced_run(**(many | parts)), one())


def test_each_part_is_the_difference_per_iteration() -> None:
    found = growth()
    parts = (found.kernels_s, found.behind_s, found.idle_s, found.host_s)
    assert parts == pytest.approx((0.002, 0.003, 0.0015, 0.0035))
    assert found.total_s == pytest.approx(0.010)
    assert found.ratio == pytest.approx(2.0)
    assert found.gpu_busy_alone == pytest.approx(0.4)


@pytest.mark.parametrize("seed", range(50))
def test_the_parts_and_the_late_start_add_up_to_the_total(seed: int) -> None:
    rng = np.random.default_rng(seed)
    runs = []
    for procs in (1, int(rng.integers(2, 6))):
        keys = ("running_ms", "behind_ms", "idle_ms")
        parts = dict(
            zip(keys, rng.uniform(0.0, 9.0, 3), strict=True)
        )  # sometimes more than there is room for
        run = traced_run(f"{procs}", procs=procs, iteration_ms=float(rng.uniform(5, 30)), **parts)
        runs.append(with_late_start(run, float(rng.uniform(0, 50))) if procs > 1 else run)
    found = Growth.between(runs[1], runs[0])
    parts_s = found.kernels_s + found.behind_s + found.idle_s + found.host_s
    assert parts_s + found.late_start_s == pytest.approx(found.total_s, abs=1e-9)


def test_a_late_start_is_no_part_of_an_iteration() -> None:
    late = with_late_start(traced_run(iteration_ms=10.0, running_ms=4.0, idle_ms=0.5), late_ms=50.0)
    found = Growth.between(late, one())
    assert found.total_s == pytest.approx(0.050 / TIMES)
    assert found.late_start_s == pytest.approx(0.050 / TIMES)
    assert (found.kernels_s, found.behind_s, found.idle_s) == pytest.approx((0, 0, 0))
    assert found.figures()["share/late_start"] == pytest.approx(0.050 / 1.050)


def test_the_figures_have_their_units_in_their_names() -> None:
    assert growth().figures() == pytest.approx(
        {
            "share/run": 0.3,
            "share/behind_others": 0.15,
            "share/waiting_idle": 0.1,
            "share/host": 0.45,
            "share/late_start": 0.0,
            "tail_share": 0.0,
            "growth/kernels_ms": 2.0,
            "growth/behind_others_ms": 3.0,
            "growth/waiting_idle_ms": 1.5,
            "growth/host_ms": 3.5,
            "growth/late_start_ms": 0.0,
            "growth/total_ms": 10.0,
            "gpu_busy_alone_share": 0.4,
            "sm_clock_factor": 1.0,
            "trace_slowdown": 1.0,
        },
        abs=1e-9,
    )


def test_most_is_sixty_percent_of_what_was_added() -> None:
    found = growth()
    assert found.is_mostly(0.0061)
    assert not found.is_mostly(0.0059)


def test_a_part_that_shrank_does_not_let_another_look_like_most_of_it() -> None:
    """Kernels added 6 ms, waiting behind others 5 ms, the host took 7 ms less: 4 ms in all, none is most."""
    before = traced_run("one", procs=1, iteration_ms=20.0, running_ms=10.0)
    after = traced_run(iteration_ms=24.0, running_ms=16.0, behind_ms=5.0)
    found = Growth.between(after, before)
    assert (found.kernels_s, found.behind_s, found.host_s) == pytest.approx((0.006, 0.005, -0.007))
    assert found.total_s == pytest.approx(0.004)
    assert not found.is_mostly(found.kernels_s)
    assert found.is_mostly(found.kernels_s + found.behind_s)


def test_the_clock_factor_is_the_mean_clock_alone_over_that_with_all() -> None:
    before, after = with_telemetry(one(), sm_clock_mhz=1980), with_telemetry(traced_run(), sm_clock_mhz=1650)
    assert Growth.between(after, before).clock_factor == pytest.approx(1.2)
