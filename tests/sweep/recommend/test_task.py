"""A search with real runs: what is lacking is measured, what is stored is part of the sweep."""

import signal
from pathlib import Path

from mps_experiments.record.measurement import Measurement, find_measurements, read_measurement
from mps_experiments.record.verdict import Status
from tests.fakes.plans import wait_until
from tests.fakes.warm import Running, warm
from tests.records import read_json
from tests.sweep.test_sweep import MOODY, environment


def used(out: str) -> str:
    (line,) = [line for line in out.splitlines() if line.startswith("USE ")]
    return line


def recommend(folder: Path, *arguments: str) -> Running:
    typed = (*MOODY, *arguments, "tracking=none", "trace.iterations=0")
    return warm().start("mps_experiments.recommend", typed, folder, environment())


def records(folder: Path) -> list[Measurement]:
    return [read_measurement(path) for path in find_measurements(folder)]


def newest(folder: Path) -> Path:
    """The folder of the sweep that was made last."""
    summaries = folder.glob("outputs/*/*/sweep.json")
    return max(summaries, key=lambda path: path.stat().st_mtime).parent


def test_what_is_lacking_is_measured_and_kept_as_a_sweep(tmp_path: Path) -> None:
    options = ("window_s=0.3", "+workload.options.sleep_s=0.01")
    first = recommend(tmp_path, "procs=1", *options).finish()
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.startswith("1 cell, 3 runs at least, 20 min at most\n")
    assert used(first.stdout).endswith("(3 blocks)")
    assert "COSTS" in first.stdout.partition("USE ")[2]  # the answer first, and no other answer
    assert "one process" not in first.stdout
    page = (newest(tmp_path) / "report.md").read_text()
    assert page.index("USE procs=1 mps=off") < page.index("What the runs say without goal and limits")
    summary = read_json(newest(tmp_path) / "sweep.json")
    assert "\n".join(summary["decided"]) in first.stdout
    assert summary["command"].startswith("python -m mps_experiments.recommend workload=custom")
    assert summary["status"] == "FINISHED"
    expected = {"report.html", "recommendation.txt", "experiment"}
    assert expected <= {path.name for path in newest(tmp_path).iterdir()}

    second = recommend(tmp_path, "procs=1,2", *options).finish()
    assert second.returncode == 0, second.stdout + second.stderr
    assert used(second.stdout).startswith("USE procs=2 mps=off: ")
    assert "measured, 3 stored" in second.stdout
    cells = read_json(newest(tmp_path) / "sweep.json")["cells"]
    assert sum("resumed_from" in cell for cell in cells) == 3
    assert (newest(tmp_path) / "pareto.png").exists()
    runs = records(tmp_path)
    assert {m.verdict.status for m in runs} == {Status.VALID}
    assert {(1, 0), (1, 1), (1, 2), (2, 3)} <= {(m.cell.procs, m.cell.repeat) for m in runs}

    third = recommend(tmp_path, "procs=1,2", *options).finish()
    assert third.returncode == 0, third.stdout + third.stderr
    assert "runs: 0 measured" in third.stdout
    assert len(records(tmp_path)) == len(runs)


def test_an_interrupted_search_says_what_it_knows_and_keeps_its_records(tmp_path: Path) -> None:
    running = recommend(tmp_path, "procs=1,2", "window_s=0.3", "+workload.options.sleep_s=0.01")
    wait_until(lambda: len(find_measurements(tmp_path)) > 1, "the search has the first record", 60.0)
    running.send_signal(signal.SIGINT)
    done = running.finish()
    assert done.returncode == 128 + signal.SIGINT, done.stdout + done.stderr
    assert "the same command goes on from what is stored" in done.stdout
    assert [m for m in records(tmp_path) if m.verdict.status is Status.VALID]
