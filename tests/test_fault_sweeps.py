"""A sweep with a fault through the real command, on the CPU: trials, what they are compared with, MLflow."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from mps_experiments.measurement.faults import Outcome
from mps_experiments.measurement.verdict import Status
from mps_experiments.record import Measurement, find_measurements, read_measurement
from mps_experiments.sync import main as sync
from tests.fakes.plans import wait_until
from tests.test_sweep import MOODY, environment

STEADY = ("fault.newcomer_after_s=0",)
START_S = 120.0


def command(*arguments: str) -> list[str]:
    options = ("procs=2", "times=20", "+workload.options.sleep_s=0.02", "fault.trials=2")
    return [
        sys.executable,
        "-m",
        "mps_experiments",
        "-m",
        *MOODY,
        *options,
        *STEADY,
        *arguments,
    ]


@dataclass(frozen=True)
class Finished:
    """A sweep that has ended."""

    result: subprocess.CompletedProcess[str]
    folder: Path

    def by_place(self) -> dict[str, Measurement]:
        """``kill/trial-1`` -> its record."""
        found = {}
        for path in find_measurements(self.folder / "outputs"):
            if "mlartifacts" in path.parts:
                continue
            record = read_measurement(path)
            name = path.parent.name if path.parent.name.startswith(("trial-", "reference")) else ""
            cell = next(part for part in path.parts if "procs=2" in part)
            kind = "none" if "fault=none" in cell else "kill"
            found[f"{kind}/{name}".rstrip("/")] = record
        return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("faults")
    result = subprocess.run(
        command("fault=kill,none"), cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    return Finished(result, folder)


def runs(uri: str) -> dict[str, Run]:
    """MLflow's runs by record id; the parent of the sweep is called PARENT."""
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("mps_experiments")
    found = client.search_runs([experiment.experiment_id])
    by_id = {run.data.tags.get("record_id", "PARENT"): run for run in found}
    assert len(by_id) == len(found), "a run was logged twice"
    return by_id


def test_the_sweep_succeeds_and_each_trial_has_a_record_of_its_own(finished: Finished) -> None:
    assert finished.result.returncode == 0, finished.result.stdout + finished.result.stderr
    records = finished.by_place()
    assert set(records) == {"kill/reference", "kill/trial-0", "kill/trial-1", "none"}
    assert {record.verdict.status for record in records.values()} == {Status.VALID}
    assert [records[f"kill/trial-{n}"].cell.trial for n in (0, 1)] == [0, 1]
    for n in (0, 1):
        trial = records[f"kill/trial-{n}"].fault
        assert trial is not None
        assert [fate.outcome for fate in trial.fates] == [Outcome.DIED, Outcome.FINISHED]


def test_the_run_to_compare_with_is_an_ordinary_one_of_one_process(finished: Finished) -> None:
    reference = finished.by_place()["kill/reference"]
    assert reference.is_ordinary
    assert (reference.cell.procs, reference.config["procs"]) == (1, 1)
    assert reference.config["fault"]["kind"] == "none"
    assert not [text for text in reference.overrides if text.startswith(("fault", "procs=2"))]


def test_the_tables_hold_the_ordinary_runs_and_the_faults_apart(finished: Finished) -> None:
    out = finished.result.stdout
    assert out.index("MPS OFF") < out.index("FAULTS")
    line = next(line for line in out.splitlines() if line.startswith("│ kill"))
    assert [cell.strip() for cell in line.split("│")[1:5]] == ["kill", "off", "2", "2 of 2"]
    assert "fault=kill trial=0: VALID  worker 0 was killed by SIGKILL; 1 of 1 others finished" in out


def test_mlflow_has_every_trial_below_the_sweep_with_its_metrics(finished: Finished) -> None:
    found = runs(f"sqlite:///{finished.folder / 'outputs' / 'mlflow.db'}")
    parent = found["PARENT"].info.run_id
    assert found["PARENT"].info.status == "FINISHED"
    for place, record in finished.by_place().items():
        run = found[record.record_id]
        assert run.data.tags["mlflow.parentRunId"] == parent
        assert run.data.tags["kind"] == ("fault" if "trial" in place else "run")
        assert run.data.params["fault"] == record.cell.fault
        assert ("fault/others_finished" in run.data.metrics) is ("trial" in place)
        assert ("ratio" in run.data.metrics) is (place == "kill/reference")
    of_fault = found[finished.by_place()["none"].record_id].data.tags["ratio_missing"]
    assert "window (kept against fixed)" in of_fault, "a fault's reference is measured in another way"


def test_sync_brings_trials_into_another_store_once_each(finished: Finished, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    (sweep_json,) = (finished.folder / "outputs").rglob("sweep.json")
    for _ in range(2):
        assert sync([str(sweep_json.parent), "--tracking-uri", uri]) == 0
    found = runs(uri)
    assert set(found) == {"PARENT", *(record.record_id for record in finished.by_place().values())}
    assert found["PARENT"].data.tags["command"] == json.loads(sweep_json.read_bytes())["command"]


def test_ctrl_c_in_a_trial_keeps_those_before_it(tmp_path: Path) -> None:
    runner = subprocess.Popen(
        command("fault=kill", "fault.trials=3", "tracking=none", "times=400"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until(
            lambda: list(tmp_path.rglob("trial-1/worker-0.log")) or runner.poll() is not None,
            "the second trial has begun",
            deadline_s=START_S,
        )
        runner.send_signal(signal.SIGINT)
        output, _ = runner.communicate(timeout=60)
    finally:
        runner.kill()
        runner.communicate()
    assert runner.returncode == 128 + signal.SIGINT, output
    records = {path.parent.name: read_measurement(path) for path in find_measurements(tmp_path)}
    assert set(records) == {"reference", "trial-0", "trial-1"}
    assert records["trial-0"].verdict.status is Status.VALID
    assert records["trial-1"].was_interrupted
    assert records["trial-1"].fault is None
    assert "FAULTS" in output
