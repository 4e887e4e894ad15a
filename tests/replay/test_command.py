"""``python -m mps_experiments.replay`` as a user calls it: real sweeps on the CPU, run again."""

import json
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mps_experiments.record import Measurement, find_measurements, read_measurement, write_measurement
from mps_experiments.replay.command import main
from tests.fakes.plans import wait_until
from tests.records import read_json
from tests.test_sweep import DEADLINE_S, MOODY, environment, sweep

TIMES = ("times=3", "+workload.options.sleep_s=0.01")


@dataclass(frozen=True)
class Outputs:
    """A folder in which a sweep has run, with MLflow beside."""

    folder: Path

    def replay(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mps_experiments.replay", *arguments],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )

    def records(self) -> dict[Path, Measurement]:
        paths = [p for p in find_measurements(self.folder / "outputs") if "mlartifacts" not in p.parts]
        return {path: read_measurement(path) for path in paths}

    def replayed(self) -> list[Measurement]:
        return [record for path, record in self.records().items() if "-replay-" in str(path)]

    @property
    def sweep(self) -> Path:
        """The folder of the first sweep."""
        (found,) = [
            p.parent for p in (self.folder / "outputs").rglob("sweep.json") if "-replay-" not in str(p)
        ]
        return found


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    """Two cells, two repeats each, and the twin of the first."""
    done = sweep(tmp_path, "-m", *MOODY, *TIMES, "procs=1,2", "repeat=0,1")
    assert done.result.returncode == 0, done.result.stderr
    return Outputs(tmp_path)


def test_a_sweep_is_run_again_and_both_results_stand_side_by_side(outputs: Outputs) -> None:
    done = outputs.replay(str(outputs.sweep), "--allow-code", "--repeats", "2")
    assert done.returncode == 0, done.stderr
    assert sorted(record.cell.is_twin for record in outputs.replayed()) == [0, 0, 0, 0, 1]
    table = done.stdout.partition("STORED AGAINST NOW")[2]
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines() if "│" in line]
    assert [line[1] for line in lines if line[0]] == ["verdict", "verdict"]
    assert [line[1] for line in lines].count("ratio") == 1
    assert all(
        re.match(r"(within|beyond) the spread|cannot tell", line[5])
        for line in lines
        if line[1] == "makespan s"
    )
    assert done.stdout.startswith("nothing differs that is recorded")


def test_the_run_id_of_mlflow_is_enough_and_the_new_run_is_logged_beside(outputs: Outputs) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{outputs.folder / 'outputs' / 'mlflow.db'}")
    number = client.get_experiment_by_name("mps_experiments").experiment_id
    run = client.search_runs([number], "params.procs = '2'")[0]
    done = outputs.replay(run.info.run_id, "--allow-code")
    assert done.returncode == 0, done.stderr
    assert "one repeat each: spread unknown; add --repeats N" in done.stdout
    assert "no ratio without the one-process run" in done.stdout
    assert len(client.search_runs([number], "params.procs = '2'")) == 3


def test_what_was_typed_for_the_replay_can_be_typed_again(outputs: Outputs) -> None:
    assert outputs.replay(str(outputs.sweep), "--allow-code").returncode == 0
    (folder,) = outputs.folder.joinpath("outputs").glob("*/*-replay-*")
    typed = shlex.split(read_json(folder / "sweep.json")["command"])
    again = sweep(outputs.folder, *typed[3:], "tracking=none")
    assert again.result.returncode == 0, again.result.stderr


def test_a_factory_of_others_runs_only_with_the_word_of_the_user(outputs: Outputs) -> None:
    done = outputs.replay(str(outputs.sweep))
    assert done.returncode == 2
    assert "names code to run (tests.fakes.moody:build); if you trust it, add --allow-code" in done.stderr
    assert outputs.replayed() == []


def test_what_differs_is_said_and_refuses_nothing(outputs: Outputs) -> None:
    path = next(path for path, record in outputs.records().items() if record.cell.procs == 1)
    tree = read_json(path)
    tree["machine"]["packages"]["torch"] = "0.0.1"
    del tree["config"]["trace"]
    path.write_text(json.dumps(tree))
    done = outputs.replay(str(path), "--allow-code")
    assert done.returncode == 0, done.stderr
    assert 'differs: packages ({"torch": "0.0.1"} against ' in done.stdout
    assert "differs: the record says nothing of trace.iterations=3: today's default" in done.stdout


def test_keys_of_another_version_are_named_and_dropped_only_if_asked(outputs: Outputs) -> None:
    path = next(iter(outputs.records()))
    tree = read_json(path)
    tree["config"]["mps"]["sm_partitions"] = 4
    tree["config"]["arrivals"] = "poisson"
    path.write_text(json.dumps(tree))
    refused = outputs.replay(str(path), "--allow-code")
    assert refused.returncode == 2
    assert "it has mps.sm_partitions, arrivals, unknown here" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert outputs.replay(str(path), "--allow-code", "--drop-unknown").returncode == 0


def test_a_run_that_is_not_valid_now_is_exit_code_1_with_its_reason(outputs: Outputs) -> None:
    path = next(iter(outputs.records()))
    tree = read_json(path)
    tree["config"]["mps"]["enabled"] = True
    path.write_text(json.dumps(tree))
    done = outputs.replay(str(path), "--allow-code")
    assert done.returncode == 1
    assert "now SKIPPED: MPS needs an NVIDIA GPU" in done.stdout


def test_ctrl_c_ends_it_in_order_and_shows_what_there_is(outputs: Outputs) -> None:
    path = next(iter(outputs.records()))
    tree = read_json(path)
    tree["config"] |= {"times": 100_000}
    path.write_text(json.dumps(tree))
    command = [sys.executable, "-m", "mps_experiments.replay", str(path), "--allow-code", "tracking=none"]
    with subprocess.Popen(
        command, cwd=outputs.folder, env=environment(), stdout=subprocess.PIPE, text=True
    ) as runner:
        try:
            wait_until(lambda: any(outputs.folder.glob("outputs/*/*-replay-*/*/worker-0.log")), "it runs", 60)
            runner.send_signal(signal.SIGINT)
            out, _ = runner.communicate(timeout=DEADLINE_S)
        finally:
            runner.kill()
    assert runner.returncode == 130
    assert "now INVALID: interrupted by SIGINT" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "run=nowhere: no such file or folder"),
        ([".", "--repeats", "0"], "--repeats=0: must lie between 1 and 1000"),
        ([".", "procs=4"], "procs=4: would be another run; only these can be given anew: device, "),
        ([".", "odd"], "odd: would be another run"),
        (["."], "run=.: no measurement.json below it"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_would_make_one_cell_two_or_change_an_axis_is_a_mistake(outputs: Outputs) -> None:
    several = outputs.replay(str(outputs.sweep), "--allow-code", "tracking=none,sqlite")
    assert several.returncode == 2, several.stderr
    assert "option=tracking=none,sqlite: has several values" in several.stderr
    axis = outputs.sweep / "axis"
    for device in ("auto", "cpu"):
        record = replace(next(iter(outputs.records().values())), record_id=device)
        write_measurement(
            replace(record, config=record.config | {"device": device}), axis / device / "measurement.json"
        )
    done = outputs.replay(str(axis), "--allow-code", "device=cpu")
    assert done.returncode == 2, done.stderr
    assert done.stderr == (
        "mps_experiments: device=cpu: is an axis of the stored sweep; replay one run of it\n"
    )
    assert outputs.replayed() == []
