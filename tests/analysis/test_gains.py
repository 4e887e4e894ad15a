"""Gains of all cells of a sweep, and the smallest difference that would show."""

from dataclasses import replace

import pytest

from mps_experiments.analysis.gains import gains, sensitivity
from mps_experiments.record.measurement import Measurement
from tests.outputs import with_output
from tests.records import INVALID, make_measurement


def sweep(*cells: tuple[str, int, float], blocks: int = 1, times: int = 10) -> list[Measurement]:
    """Cells by mps, procs and makespan, each once a block."""
    return [
        make_measurement(
            f"{mps}-{procs}-{block}", mps=mps, procs=procs, makespan_s=seconds, repeat=block, times=times
        )
        for block in range(blocks)
        for mps, procs, seconds in cells
    ]


BOTH_ARMS = (("off", 1, 1.0), ("off", 2, 2.0), ("on", 1, 1.1), ("on", 2, 1.1))


def test_each_pack_is_compared_with_one_process_and_with_as_many_without_mps() -> None:
    found = {gain.name: gain.value for gain in gains(sweep(*BOTH_ARMS, blocks=2))}
    assert found == {
        "mps=off: procs=2 over procs=1": pytest.approx(1.0),
        "mps=on: procs=2 over procs=1": pytest.approx(2.0),
        "procs=2: mps=on over mps=off": pytest.approx(2 / 1.1),
    }


def test_only_valid_ordinary_runs_under_equal_conditions_are_compared() -> None:
    one, two = sweep(("on", 1, 1.0), ("on", 2, 1.0))
    assert gains([one, replace(two, verdict=INVALID)]) == []
    assert gains([one, replace(two, cell=two.cell.moved(fault="kill"))]) == []
    assert gains([one, replace(two, cell=two.cell.moved(seed=1))]) == []
    assert gains([one, replace(two, cell=two.cell.moved(window="kept"))]) == []
    assert gains([with_output(one, 1.0), with_output(two, 2.0)]) == []
    assert len(gains([with_output(one, 1.0), with_output(two, 1.0)])) == 1


def twin_of(run: Measurement, makespan_s: float) -> Measurement:
    cell = run.cell
    made = make_measurement(
        f"{run.record_id}-twin", mps=cell.mps, procs=1, times=cell.times, makespan_s=makespan_s, twin=1
    )
    return replace(made, cell=made.cell.moved(repeat=cell.repeat))


def test_two_equal_runs_are_no_cell_but_tell_what_equal_runs_differ_by() -> None:
    runs = sweep(("on", 1, 1.0), ("on", 2, 1.0), blocks=4)
    with_twin = [*runs, twin_of(runs[0], 1.1)]
    assert gains(with_twin) == gains(runs)
    assert sensitivity(runs).twins is None
    assert sensitivity(with_twin).twins == pytest.approx(0.1)
    assert sensitivity(with_twin).smallest == pytest.approx(1.1**0.5 - 1)  # over four blocks half of it


def test_a_twin_of_a_resumed_sweep_is_compared_with_the_run_that_was_taken_over() -> None:
    runs = [replace(run, sweep_id="before") for run in sweep(("on", 1, 1.0), ("on", 2, 1.0))]
    twin = twin_of(runs[0], 1.1)
    assert sensitivity([*runs, twin]).twins == pytest.approx(0.1)
    own = replace(runs[0], record_id="own", sweep_id=twin.sweep_id)
    other = make_measurement("other", mps="on", procs=1, times=10, makespan_s=2.0, sweep_id="before")
    assert sensitivity([own, other, twin]).twins == pytest.approx(0.1)  # its own sweep's comes first
    unlike = [replace(run, cell=run.cell.moved(seed=1)) for run in runs]
    assert sensitivity([*unlike, twin]).twins is None


def test_the_widest_interval_limits_what_would_show() -> None:
    noisy = [
        make_measurement(f"{procs}-{n}", mps="on", procs=procs, repeat=n, times=10, makespan_s=seconds)
        for procs, blocks in {1: (1.0,) * 4, 2: (1.0, 1.1, 1.0, 1.1), 4: (1.0,) * 4}.items()
        for n, seconds in enumerate(blocks)
    ]
    two, four = gains(noisy)
    assert four.half_width == pytest.approx(0.0, abs=1e-9)
    assert sensitivity(noisy).smallest == pytest.approx(two.half_width)
    assert (sensitivity(noisy).comparisons, sensitivity(noisy).without_interval) == (2, 0)
    short = sensitivity(sweep(("on", 1, 1.0), ("on", 2, 1.0), times=2))
    assert (short.smallest, short.comparisons, short.without_interval) == (None, 1, 1)
