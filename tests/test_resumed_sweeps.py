"""Sweeps that were cut off and are resumed, through the real command."""

import re
import signal
from pathlib import Path

import pytest

from mps_experiments.record.measurement import (
    FILE_NAME,
    Measurement,
    find_measurements,
    read_measurement,
)
from mps_experiments.record.verdict import Status
from mps_experiments.sweep.lookup import find_runs
from tests.fakes.plans import wait_until
from tests.records import read_json
from tests.sweep.test_sweep import DEADLINE_S, MOODY, Finished, begin, sweep

SLOWLY = ("workload.options.sleep_s=0.02",)
SLOWED = "something slowed the one-process run (mps=off procs=1 times={times})"


def records(folder: Path) -> dict[str, Measurement]:
    """Record id -> record, below outputs, without MLflow's copies."""
    paths = [path for path in find_measurements(folder / "outputs") if "mlartifacts" not in path.parts]
    return {measurement.record_id: measurement for measurement in map(read_measurement, paths)}


def cut_off(folder: Path, number: signal.Signals, *arguments: str) -> list[str]:
    """A sweep that got this signal in its third cell of four; returns the command that was given."""
    turnstile = folder / "turnstile"
    turnstile.mkdir()
    (turnstile / "closed").touch()
    given = [
        *("-m", *MOODY, "procs=1,2", "times=3,4", "order=as_given", *arguments),
        f"workload.options={{turnstile: {turnstile}, admits: 2, sleep_s: 0.02}}",
    ]
    runner = begin(folder, *given)
    try:
        wait_until(lambda: len(list(turnstile.iterdir())) == 5, "two workers wait", DEADLINE_S)
        runner.send_signal(number)
        runner.communicate(timeout=DEADLINE_S)
    finally:
        runner.kill()
        runner.communicate()
    assert runner.returncode == (-signal.SIGKILL if number is signal.SIGKILL else 128 + number)
    (turnstile / "closed").unlink()
    return given


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_same_command_runs_only_the_rest_of_a_sweep_that_was_cut_off(
    tmp_path: Path, number: signal.Signals
) -> None:
    given = cut_off(tmp_path, number)
    before = records(tmp_path)
    done = sweep(tmp_path, *given, "resume=true")
    out = done.result.stdout
    assert done.result.returncode == 0, out + done.result.stderr

    valid = {m.name: m for m in before.values() if m.verdict.status is Status.VALID}
    assert set(valid) == {"mps=off procs=1 times=3", "mps=off procs=1 times=4"}
    for name in valid:
        assert re.search(
            rf"^{name}: RESUMED: VALID record of \S+ \S+ in {tmp_path}/outputs/", out, re.MULTILINE
        )
    new = [m.name for record_id, m in records(tmp_path).items() if record_id not in before]
    assert sorted(new) == ["mps=off procs=2 times=3", "mps=off procs=2 times=4"]
    why = r"^mps=off procs=2 times=3: runs: the record of .* is INVALID: interrupted by SIGINT$"
    assert bool(re.search(why, out, re.MULTILINE)) == (number is signal.SIGINT)

    # What was resumed is part of the tables, of sweep.json and of the ratios as if it had been run now.
    rows = re.findall(r"^│ +([34]) │ +\S+ │ +\S+, \S+ │ +(\S+) │ +(\S+) │$", out, re.MULTILINE)
    assert [times for times, *_ in rows] == ["3", "4"]
    for times, *figures in rows:
        if SLOWED.format(times=times) in out:  # a busy machine slowed the one process
            assert figures == ["-", "-"]
        else:
            assert all(re.fullmatch(r"\d+\.\d\d", figure) for figure in figures)
    match = re.search(r"^records: (.+)$", out, re.MULTILINE)
    assert match
    place = Path(match[1])
    cells = read_json(place / "sweep.json")["cells"]
    assert [cell["name"] for cell in cells] == [
        f"mps=off procs={p} times={t}" for p in (1, 2) for t in (3, 4)
    ]
    for cell in cells:
        if cell["name"] in valid:
            for folder in (place / cell["resumed_from"], place / cell["folder"]):
                assert read_measurement(folder / FILE_NAME).record_id == cell["record_id"]
        else:
            assert "resumed_from" not in cell
    assert set(valid) == {cell["name"] for cell in cells if "resumed_from" in cell}
    runs = {run.data.tags["record_id"]: run for run in done.all_runs() if "record_id" in run.data.tags}
    two = runs[next(cell["record_id"] for cell in cells if cell["name"] == "mps=off procs=2 times=3")]
    if SLOWED.format(times=3) not in out:
        assert two.data.tags["ratio_partner"] == runs[valid["mps=off procs=1 times=3"].record_id].info.run_id

    # The sweep's folder alone is read from anywhere.
    moved = place.rename(tmp_path / "moved")
    found = find_runs([str(moved)], tracking_uri=None, output_dir=tmp_path / "nowhere")
    assert ({run.measurement.name for run in found.runs}, found.problems) == ({c["name"] for c in cells}, ())


def test_resumed_the_second_time_nothing_runs_and_mlflow_has_each_record_once(tmp_path: Path) -> None:
    """The first sweep is not tracked: resuming logs what MLflow missed."""
    given = ("-m", *MOODY, "procs=1,2", "times=3", *SLOWLY, "resume=true")
    assert sweep(tmp_path, *given, "tracking=none").result.returncode == 0
    first = records(tmp_path)
    assert len(first) == 2
    for _ in range(2):
        done = sweep(tmp_path, *given)
        assert done.result.returncode == 0, done.result.stderr
        assert done.result.stdout.count(": RESUMED: VALID record of ") == 2
    assert set(records(tmp_path)) == set(first)
    logged = [run.data.tags["record_id"] for run in done.all_runs() if "record_id" in run.data.tags]
    assert sorted(logged) == sorted(first)


def test_a_sweep_goes_on_in_the_block_in_which_it_was_cut_off(tmp_path: Path) -> None:
    """The first block is there with its twin; of the second one cell is."""
    given = ("-m", *MOODY, "procs=1,2", "times=3", "tracking=none", *SLOWLY)
    done = sweep(tmp_path, *given, "repeat=0,1")
    assert done.result.returncode == 0, done.result.stdout + done.result.stderr
    order = cells_of(done)
    assert order[2] == "mps=off procs=1 times=3 repeat=0 twin"
    gone = next(path for path in find_measurements(tmp_path) if read_measurement(path).name == order[4])
    gone.unlink()
    again = sweep(tmp_path, *given, "repeat=0,1", "resume=true")
    assert again.result.returncode == 0, again.result.stdout + again.result.stderr
    assert cells_of(again) == order
    resumed = re.findall(r"^(.+): RESUMED: ", again.result.stdout, re.MULTILINE)
    assert resumed == order[:4]
    third = sweep(tmp_path, *given, "repeat=0,1,2", "resume=true")
    assert cells_of(third)[:5] == order
    assert len(re.findall(": RESUMED: ", third.result.stdout)) == 5


def cells_of(done: Finished) -> list[str]:
    """The names of a sweep's runs in the order in which they ran."""
    match = re.search(r"^records: (.+)$", done.result.stdout, re.MULTILINE)
    assert match
    return [cell["name"] for cell in read_json(Path(match[1]) / "sweep.json")["cells"]]


def test_an_edited_workload_runs_again_and_says_why(tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    source.write_text("def build(device, options):\n    return (lambda value: value + 1), 0\n")
    given = (
        "workload=custom",
        "workload.factory=mine:build",
        "device=cpu",
        "mps=off",
        "times=3",
        "tracking=none",
    )
    assert sweep(tmp_path, *given).result.returncode == 0
    source.write_text(source.read_text().replace("+ 1", "+ 2"))
    done = sweep(tmp_path, *given, "resume=true")
    assert done.result.returncode == 0, done.result.stderr
    assert re.search(
        r"^mps=off procs=1 times=3: runs: the record of .* differs in source of the workload \(",
        done.result.stdout,
        re.MULTILINE,
    )
    assert len(records(tmp_path)) == 2
