"""Whole sweeps with a fault through the real command, on the CPU, read back from disk and from MLflow."""

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from mps_experiments.record.measurement import find_measurements, read_measurement
from mps_experiments.record.verdict import Status
from tests.conftest import Command
from tests.fakes.plans import wait_until
from tests.sweep.test_sweep import DEADLINE_S, MOODY, Finished, begin, sweep

SLOW = ("workload.options.sleep_s=0.02", "fault.newcomer_after_s=0.1")
AS_FAULTS = ("window=fixed", "workers.cpu_affinity=auto")
NAMES = {
    "reference": "mps=off procs=1 times=40",
    "trial-0": "mps=off procs=2 times=40 fault=kill trial=0",
    "trial-1": "mps=off procs=2 times=40 fault=kill trial=1",
    "ordinary": "mps=off procs=2 times=40",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two trials of a fault and an ordinary cell, measured as a fault is; many tests look at it."""
    folder = tmp_path_factory.mktemp("faults")
    arguments = ("procs=2", "times=40", "fault=kill,none", "fault.trials=2", *AS_FAULTS, *SLOW)
    return sweep(folder, "-m", *MOODY, *arguments)


def test_trials_are_part_of_a_sweep_that_succeeds(finished: Finished) -> None:
    assert finished.result.returncode == 0, finished.result.stderr + finished.result.stdout
    assert {m.name: m.verdict.status for m in finished.measurements.values()} == dict.fromkeys(
        NAMES.values(), Status.VALID
    )


def test_each_run_is_one_line(finished: Finished) -> None:
    lines = [line for line in finished.result.stdout.splitlines() if line.startswith("mps=off procs=")]
    assert [line.partition(": ")[0] for line in lines[:4]] == list(NAMES.values())
    for line in lines[1:3]:
        assert re.search(r"VALID  worker 0 was killed by SIGKILL; 1 of 1 others finished \(slowest", line)
        assert re.search(r"; a new client was served after \d+\.\d\d s$", line)


def test_the_table_of_faults_stands_below_the_ordinary_one(finished: Finished) -> None:
    out = finished.result.stdout
    assert out.index("MPS OFF") < out.index("FAULTS · tests.fakes.moody:build · 2 processes, times=40")
    (row,) = re.findall(r"│ kill .*", out)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[:4] == ["kill", "off", "2", "2 of 2"]
    assert float(cells[5]) > 0, "there is a process that was alone to compare with"
    assert "fault=kill mps=off: the worker that was hit: was killed by SIGKILL (2 times)" in out


def test_the_ordinary_table_has_only_the_ordinary_runs(finished: Finished) -> None:
    """One process of its own, of the reference, and two."""
    ordinary = finished.result.stdout.partition("MPS OFF")[2].partition("FAULTS")[0]
    (row,) = re.findall(r"│ +40 .*", ordinary)
    one, two, ratio, gain = [cell.strip() for cell in row.strip("│").split("│")][1:]
    assert (len(one.split(", ")), len(two.split(", "))) == (1, 2)
    if "something slowed the one-process run" in ordinary:  # a busy machine did
        assert (ratio, gain) == ("-", "-")
    else:
        assert [float(figure.split()[0]) > 0 for figure in (ratio, gain)] == [True, True]


def test_each_run_has_a_folder_of_its_own_in_that_of_its_cell(finished: Finished) -> None:
    found = [path for path in find_measurements(finished.folder) if "mlartifacts" not in path.parts]
    originals = {read_measurement(path).name: path for path in found}
    assert len(found) == len(originals) == 4
    ordinary = originals.pop(NAMES["ordinary"]).parent
    assert {path.parent.name: name for name, path in originals.items()} == {
        place: name for place, name in NAMES.items() if place != "ordinary"
    }
    (cell,) = {path.parents[1] for path in originals.values()}
    assert cell.parent == ordinary.parent
    assert (cell / ".hydra" / "overrides.yaml").is_file()
    assert not (cell / "measurement.json").exists()
    for place in ("trial-0", "trial-1"):
        assert {file.name for file in (cell / place).iterdir()} >= {
            "measurement.json",
            "worker-0.log",
            "worker-1.log",
            "newcomer.log",
        }


def test_sweep_json_names_every_run_with_its_folder(finished: Finished) -> None:
    (path,) = finished.folder.glob("outputs/*/*/sweep.json")
    summary = json.loads(path.read_text())
    assert [cell["name"] for cell in summary["cells"]] == list(NAMES.values())
    for cell in summary["cells"]:
        record = read_measurement(path.parent / cell["folder"] / "measurement.json")
        assert (record.record_id, record.name) == (cell["record_id"], cell["name"])


def test_a_record_has_the_configuration_that_asks_for_its_run(finished: Finished) -> None:
    found = {name: finished.measurements[name] for name in NAMES.values()}
    asked = {name: (m.config["procs"], m.config["fault"]["kind"]) for name, m in found.items()}
    assert list(asked.values()) == [(1, "none"), (2, "kill"), (2, "kill"), (2, "none")]
    assert [(m.cell.procs, m.cell.fault, m.cell.trial) for m in found.values()] == [
        (1, "none", 0),
        (2, "kill", 0),
        (2, "kill", 1),
        (2, "none", 0),
    ]
    pids = [worker.pid for m in found.values() for worker in m.workers]
    assert len(set(pids)) == len(pids) == 7


def test_mlflow_has_a_child_for_each_run_and_compares_the_ordinary_ones(finished: Finished) -> None:
    runs = finished.runs()
    parent = runs.pop("PARENT")
    assert set(runs) == set(NAMES.values())
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    assert {run.info.status for run in (parent, *runs.values())} == {"FINISHED"}
    assert parent.data.metrics["cells/valid"] == 4
    assert "| kill |" in parent.data.tags["mlflow.note.content"]
    two = runs[NAMES["ordinary"]].data
    if slowed := two.tags.get("ratio_missing"):  # a busy machine slowed the one process
        assert slowed.startswith("something slowed the one-process run")
    else:
        assert two.tags["ratio_partner"] == runs[NAMES["reference"]].info.run_id
        assert two.metrics["ratio"] > 0
    for place in ("trial-0", "trial-1"):
        trial = runs[NAMES[place]].data
        assert trial.tags["ratio_missing"] == "a run with a fault"
        assert not {"ratio", "makespan_s", "throughput_per_s"} & set(trial.metrics)
        assert trial.metrics["fault/others_finished"] == 1


def test_a_sweep_with_trials_that_mlflow_missed_is_logged_later_as_one(
    tmp_path: Path, mps_experiments: Command
) -> None:
    arguments = ("procs=1", "times=10", "fault=exit", "fault.trials=1", "tracking=none", *SLOW)
    done = sweep(tmp_path, "-m", *MOODY, *arguments)
    assert done.result.returncode == 0, done.result.stderr + done.result.stdout
    (folder,) = (path.parent for path in tmp_path.glob("outputs/*/*/sweep.json"))
    (trial,) = folder.glob("*/trial-0")
    for given, count in ((trial, 1), (folder, 2), (folder, 2)):
        synced = mps_experiments(str(given), module="mps_experiments.sync")
        assert synced.returncode == 0, synced.stderr
        runs = done.runs()
        assert len(runs) == 1 + count
        parent = runs.pop("PARENT")
        assert parent.info.status == "FINISHED"
        assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    assert set(runs) == {"mps=off procs=1 times=10", "mps=off procs=1 times=10 fault=exit trial=0"}


def test_one_cell_alone_with_a_fault_has_no_parent(tmp_path: Path) -> None:
    done = sweep(tmp_path, *MOODY, "procs=1", "times=10", "fault=exception", *SLOW)
    assert done.result.returncode == 0, done.result.stderr + done.result.stdout
    names = {"mps=off procs=1 times=10", "mps=off procs=1 times=10 fault=exception trial=0"}
    assert set(done.runs()) == set(done.measurements) == names
    (summary,) = tmp_path.glob("outputs/**/sweep.json")
    assert {path.name for path in summary.parent.iterdir() if path.is_dir()} == {
        ".hydra",
        "reference",
        "trial-0",
    }


def test_a_trial_that_came_too_late_fails_the_sweep(tmp_path: Path) -> None:
    done = sweep(tmp_path, *MOODY, "procs=1", "times=2", "fault=kill", "tracking=none")
    assert done.result.returncode == 1
    assert "INVALID: worker 0 did all of its iterations before the fault: increase times" in (
        done.result.stdout
    )


def test_faults_that_cannot_happen_here_are_skipped_without_failing_the_sweep(tmp_path: Path) -> None:
    arguments = ("times=2", "fault=server_kill,oom", "fault.trials=3", "tracking=none")
    done = sweep(tmp_path, "-m", *MOODY, *arguments)
    assert done.result.returncode == 0, done.result.stderr + done.result.stdout
    assert {m.verdict.status for m in done.measurements.values()} == {Status.SKIPPED}
    assert len(done.measurements) == 2
    assert "fault=oom happens on an NVIDIA GPU: this run is on the CPU" in done.result.stdout


def test_a_sweep_that_is_interrupted_in_a_trial_keeps_the_trials_before(tmp_path: Path) -> None:
    arguments = ("procs=2", "times=60", "fault=exit", "fault.trials=3", "workload.options.sleep_s=0.05")
    runner = begin(tmp_path, "-m", *MOODY, *arguments)
    try:
        begun = "outputs/*/*/*/trial-1/worker-1.log"
        wait_until(lambda: any(tmp_path.glob(begun)), "the second trial has begun", DEADLINE_S)
        runner.send_signal(signal.SIGINT)
        out, err = runner.communicate(timeout=DEADLINE_S)
    finally:
        runner.kill()
        runner.communicate()
    assert runner.returncode == 128 + signal.SIGINT, out + err
    assert err == "mps_experiments: interrupted by SIGINT\n"
    left = Finished(subprocess.CompletedProcess([], 0), tmp_path)
    name = "mps=off procs=2 times=60 fault=exit"
    assert {m.name: m.verdict.reason for m in left.measurements.values() if not m.is_ordinary} == {
        f"{name} trial=0": "the fault happened and was watched to the end",
        f"{name} trial=1": "interrupted by SIGINT",
    }
    assert {run_name: run.info.status for run_name, run in left.runs().items()} == {
        "PARENT": "KILLED",
        "mps=off procs=1 times=60": "FINISHED",
        f"{name} trial=0": "FINISHED",
        f"{name} trial=1": "KILLED",
    }
    assert "1 VALID of 2" in out
