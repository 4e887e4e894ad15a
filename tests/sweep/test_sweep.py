"""Whole sweeps through the real command, on the CPU, read back from disk and from MLflow."""

import itertools
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from mps_experiments.record.measurement import Measurement, find_measurements, has_files_of, read_measurement
from mps_experiments.record.verdict import Status
from tests.conftest import CHECKOUT, SRC, command_of
from tests.fakes.plans import wait_until
from tests.fakes.stores import new_store
from tests.fakes.warm import Running, warm

MOODY = ("workload=custom", "workload.factory=tests.fakes.moody:build", "device=cpu", "mps=off")
DEADLINE_S = 120.0


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "mps_experiments", *arguments]


def environment() -> dict[str, str]:
    paths = [str(SRC), str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


@dataclass(frozen=True)
class Finished:
    """A sweep that has ended, and what it left."""

    result: subprocess.CompletedProcess[str]
    folder: Path

    @property
    def measurements(self) -> dict[str, Measurement]:
        found = [read_measurement(path) for path in find_measurements(self.folder)]
        return {measurement.name: measurement for measurement in found}

    def all_runs(self) -> list[Run]:
        """MLflow's runs."""
        client = MlflowClient(tracking_uri=f"sqlite:///{self.folder / 'outputs' / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("mps_experiments")
        return list(client.search_runs([experiment.experiment_id]))

    def runs(self) -> dict[str, Run]:
        """MLflow's runs by name; the parent of the sweep is called PARENT."""
        found = self.all_runs()
        return {"PARENT" if "command" in run.data.tags else str(run.info.run_name): run for run in found}


def begin(folder: Path, *arguments: str) -> Running:
    """Begin a command; MLflow's store is there already, since making one takes seconds."""
    outputs = [word.partition("=")[2] for word in arguments if word.startswith("output_dir=")]
    store = folder / (outputs[0] if outputs else "outputs") / "mlflow.db"
    if not store.exists() and not any(word.startswith("tracking") for word in arguments):
        new_store(store)
    return warm().start("mps_experiments", arguments, folder, environment())


def sweep(folder: Path, *arguments: str) -> Finished:
    """Run a command to its end."""
    return Finished(begin(folder, *arguments).finish(), folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One ordinary sweep; many tests look at it."""
    folder = tmp_path_factory.mktemp("sweep")
    arguments = ("-m", "workload=ssdlite", "procs=2,1", "times=2,3", "mps=off,on", "device=cpu")
    return sweep(folder, *arguments)


def test_a_sweep_without_a_gpu_succeeds_and_says_so(finished: Finished) -> None:
    assert finished.result.returncode == 0, finished.result.stderr
    assert finished.result.stdout.splitlines()[:4] == [
        "checking the workload and the tracking store ...",
        "no GPU in use: the same pipeline runs on the CPU",
        "SKIPPED: 4 of 8 runs: mps=on needs an NVIDIA GPU, and this run is on device=cpu; "
        "add mps=off to measure on the CPU",
        "4 runs, how long is known after the first",
    ]


@pytest.mark.parametrize(("times", "said"), [("3,2", ["3,2"]), ("3,auto", [])])
def test_a_window_that_is_typed_without_effect_is_told_once(
    tmp_path: Path, times: str, said: list[str]
) -> None:
    done = sweep(tmp_path, "-m", "mps=on", f"times={times}", "window_s=5", "device=cpu", "tracking=none")
    assert [line for line in done.result.stdout.splitlines() if "no effect" in line] == [
        f"window_s=5 has no effect with times={each}; times=auto measures for a time" for each in said
    ]


def test_each_measured_cell_is_one_line_with_its_verdict(finished: Finished) -> None:
    lines = [line for line in finished.result.stdout.splitlines() if re.match(r"mps=\w+ procs=\d", line)]
    assert sum(": VALID  makespan" in line for line in lines) == 4
    assert not any("mps=on" in line for line in lines), "why they are skipped was said before"


def test_the_two_tables_come_at_the_end_with_where_to_look_next(finished: Finished) -> None:
    out = finished.result.stdout
    assert (
        out.index("MPS OFF") < out.index("MPS ON") < out.index("records: ") < out.index("browse the runs: ")
    )
    store = finished.folder / "outputs" / "mlflow.db"
    assert f"-m mlflow ui --backend-store-uri sqlite:///{store}" in out


def test_every_record_holds_the_raw_samples_of_each_worker(finished: Finished) -> None:
    valid = [m for m in finished.measurements.values() if m.verdict.status is Status.VALID]
    assert len(valid) == 4
    for measurement in valid:
        sizes = [len(worker.samples.latencies_ns) for worker in measurement.workers if worker.samples]
        assert sizes == [measurement.cell.times] * measurement.cell.procs
        assert {w.facts.weights_sha256 for w in measurement.workers if w.facts} != {None}
        assert measurement.machine.git_commit is not None


def test_no_file_of_a_cell_is_written_in_the_window_of_the_next(finished: Finished) -> None:
    paths = [path for path in find_measurements(finished.folder) if "mlartifacts" not in path.parts]
    found = [(path.parent, read_measurement(path)) for path in paths]
    ran = sorted((pair for pair in found if pair[1].telemetry), key=lambda pair: pair[1].started_at)
    assert len(ran) == 4
    for (folder, _), (_, following) in itertools.pairwise(ran):
        assert following.telemetry is not None
        window_ns = following.window_ns()
        assert window_ns is not None
        released_ns = window_ns[0] + following.telemetry.epoch_offset_ns
        written_ns = [(folder / name).stat().st_mtime_ns for name in ("trace.json.gz", "timeline.png")]
        assert max(written_ns) < released_ns
        assert min(written_ns) > (folder / "measurement.json").stat().st_mtime_ns, "the record comes first"


def test_mlflow_has_a_parent_and_a_child_for_each_cell(finished: Finished) -> None:
    runs = finished.runs()
    parent = runs.pop("PARENT")
    assert set(runs) == set(finished.measurements)
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    assert {run.info.status for run in (parent, *runs.values())} == {"FINISHED"}
    assert "on the CPU: " in parent.data.tags["mlflow.note.content"].partition("\n")[0]


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A sweep whose first cell fails."""
    folder = tmp_path_factory.mktemp("failed")
    (folder / "now").touch()
    options = f"workload.options.fail_if={folder / 'now'},{folder / 'never'}"
    return sweep(folder, "-m", *MOODY, "procs=1", "times=2", options, "workload.options.say=hello")


def test_a_failing_cell_fails_the_sweep_but_not_the_other_cells(failed: Finished) -> None:
    out = failed.result.stdout
    assert failed.result.returncode == 1
    assert "INVALID: worker 0 failed (load): RuntimeError: told to fail" in out
    assert out.count(": VALID  makespan") == 1
    assert "MPS OFF" in out


def test_what_a_worker_prints_is_in_its_log_only(failed: Finished) -> None:
    assert "hello" not in (failed.result.stdout + failed.result.stderr).splitlines()
    logs = [path.read_text() for path in failed.folder.glob("outputs/**/worker-0.log")]
    assert any("hello" in text for text in logs)
    assert any("RuntimeError: told to fail" in text for text in logs)


def test_one_cell_alone_has_no_parent_and_prints_each_forward_if_asked(tmp_path: Path) -> None:
    done = sweep(tmp_path, *MOODY, "procs=2", "times=3", "workers.verbose=true")
    assert done.result.returncode == 0, done.result.stderr
    forwards = re.findall(r"^worker (\d) pid (\d+) stream \S+ #(\d): (.+)$", done.result.stdout, re.MULTILINE)
    assert sorted((rank, number) for rank, _, number, _ in forwards) == [
        (rank, number) for rank in "01" for number in "123"
    ]
    assert set(done.runs()) == {"mps=off procs=2 times=3"}
    assert "no ratio: no VALID one-process run with mps=off times=3" in done.result.stdout
    assert "mps=on" not in done.result.stdout


@pytest.mark.parametrize(("place", "fault"), [("", "none"), ("trial-0", "kill")])
def test_in_a_folder_that_was_used_before_only_the_files_of_the_later_run_stand_beside_its_record(
    tmp_path: Path, place: str, fault: str
) -> None:
    folder = tmp_path / "X" / place
    given = [*MOODY, "hydra.run.dir=X", f"fault={fault}", "fault.trials=1", "trace.iterations=0", "times=40"]
    given += ["workload.options.sleep_s=0.02", "fault.newcomer_after_s=0.1"]
    sweep(tmp_path, *given, "procs=3")
    record_id = read_measurement(folder / "measurement.json").record_id
    for name in ("trace.json.gz", "timeline.png", "notes.txt"):
        (folder / name).write_text("text")
    done = sweep(tmp_path, *given, "procs=2")
    assert done.result.returncode == 0, done.result.stdout + done.result.stderr
    assert read_measurement(folder / "measurement.1.json").record_id == record_id
    logs = {"worker-0.log", "worker-1.log"} | ({"newcomer.log"} if fault == "kill" else set())
    names = {path.name for path in folder.glob("[mnwt]*")} - {"tables.txt"}
    aside = {name for name in names if re.search(r"\.1\.\w+$", name)}
    assert names - aside == {"measurement.json", "notes.txt", *logs}
    numbered = {"measurement.1.json", "trace.json.1.gz", "timeline.1.png"}
    assert aside >= {*numbered, "worker-0.1.log", "worker-1.1.log", "worker-2.1.log"}
    record_id = read_measurement(folder / "measurement.json").record_id
    (later,) = [run for run in done.all_runs() if run.data.tags.get("record_id") == record_id]
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'outputs' / 'mlflow.db'}")
    stored = {each.path for each in client.list_artifacts(later.info.run_id)}
    assert stored >= logs
    assert not stored & {"worker-2.log", "trace.json.gz", "timeline.png", *aside}


def test_beside_an_earlier_record_stand_no_files_of_a_later_run_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "turnstile").mkdir()
    (tmp_path / "turnstile" / "closed").touch()
    given = [*MOODY, "hydra.run.dir=X", "trace.iterations=0", "times=3", "tracking=none"]
    sweep(tmp_path, *given, "procs=2")
    runner = begin(tmp_path, *given, f"workload.options={{turnstile: {tmp_path}/turnstile, admits: 0}}")
    wait_until(lambda: len(list((tmp_path / "turnstile").iterdir())) == 2, "its worker waits", DEADLINE_S)
    runner.kill()
    runner.communicate()
    aside = {"measurement.1.json", "worker-0.1.log", "worker-1.1.log"}
    assert {path.name for path in (tmp_path / "X").glob("[mw]*")} == {*aside, "worker-0.log"}
    assert not has_files_of(tmp_path / "X", read_measurement(tmp_path / "X" / "measurement.1.json").record_id)


def test_repeats_have_workers_of_their_own_and_are_compared_together(tmp_path: Path) -> None:
    arguments = ("procs=1,2", "times=3", "repeat=0,1", "workload.options.sleep_s=0.01")
    done = sweep(tmp_path, "-m", *MOODY, *arguments)
    assert done.result.returncode == 0, done.result.stderr + done.result.stdout
    names = {f"mps=off procs={procs} times=3 repeat={repeat}" for procs in (1, 2) for repeat in (0, 1)}
    twin = "mps=off procs=1 times=3 repeat=0 twin"
    runs = done.runs()
    assert set(done.measurements) == names | {twin} == set(runs) - {"PARENT"}
    assert {name: done.measurements[name].cell.repeat for name in names} == {n: int(n[-1]) for n in names}
    assert [m.name for m in done.measurements.values() if m.cell.is_twin] == [twin]
    assert [name for name, run in runs.items() if "twin" in run.data.params] == [twin]
    pids = [worker.pid for m in done.measurements.values() for worker in m.workers]
    assert len(set(pids)) == len(pids) == 7
    assert len(re.findall(r"\d \(\S+ to \S+\)", done.result.stdout)) == 2
    two = runs["mps=off procs=2 times=3 repeat=1"].data
    if slowed := two.tags.get("ratio_missing"):  # a busy machine slowed one process in both blocks
        assert slowed.startswith("something slowed the one-process run")
        return
    assert two.tags["ratio_spread"].startswith("2 blocks: ")
    for mean in ("ratio_mean", "gain_mean"):
        assert two.metrics[f"{mean}_low"] <= two.metrics[mean] <= two.metrics[f"{mean}_high"]


def summary_of(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("outputs/*/*/sweep.json")
    summary: dict[str, Any] = json.loads(path.read_text())
    return summary


def test_cells_run_in_blocks_and_sweep_json_tells_in_which_order(tmp_path: Path) -> None:
    arguments = ("procs=1,2", "times=3", "repeat=0,1", "tracking=none", "order_seed=3")
    done = sweep(tmp_path, "-m", *MOODY, *arguments)
    assert done.result.returncode == 0, done.result.stderr + done.result.stdout
    summary = summary_of(tmp_path)
    assert (summary["order"], summary["order_seed"]) == ("blocks", 3)
    names = [cell["name"].removeprefix("mps=off ") for cell in summary["cells"]]
    assert [re.sub(r".*repeat=", "", name) for name in names] == ["0", "0", "0 twin", "1", "1"]
    assert names[0] == "procs=1 times=3 repeat=0"
    folders = {cell["name"]: cell["folder"] for cell in summary["cells"]}
    one = folders["mps=off procs=1 times=3 repeat=0"]
    assert folders["mps=off procs=1 times=3 repeat=0 twin"] == f"{one},twin"
    assert {m.config["order_seed"] for m in done.measurements.values()} == {3}


def test_blocks_are_added_until_the_intervals_are_narrow_or_the_budget_is_used(tmp_path: Path) -> None:
    arguments = ("procs=1,2", "times=30", "tracking=none", "precision=0.9", "budget_min=0.5")
    done = sweep(tmp_path, "-m", *MOODY, *arguments, "workload.options.sleep_s=0.01")
    assert done.result.returncode == 0, done.result.stderr + done.result.stdout
    out, summary = done.result.stdout, summary_of(tmp_path)
    blocks = {m.cell.repeat for m in done.measurements.values()}
    assert blocks == set(range(len(blocks)))
    assert len(blocks) >= 2
    assert len(done.measurements) == 2 * len(blocks) + 1 == len(summary["cells"])
    last = done.measurements[f"mps=off procs=2 times=30 repeat={len(blocks) - 1}"]
    assert last.overrides[-1] == f"repeat={len(blocks) - 1}"
    assert len(re.findall(r"^precision: .* repeat=\d+ is added$", out, re.MULTILINE)) == len(blocks) - 1
    assert f"precision: {summary['stopped']}" in out.splitlines()


def test_an_interrupted_sweep_keeps_what_it_measured_and_says_killed(tmp_path: Path) -> None:
    started = tmp_path / "started"
    runner = subprocess.Popen(
        command(
            *("-m", *MOODY, "procs=1", "times=3,100000", "order=as_given", "workload.options.sleep_s=0.01"),
            f"+workload.options.touch={started}-${{times}}",
        ),
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_for(Path(f"{started}-100000"), runner)
        runner.send_signal(signal.SIGINT)
        out, err = runner.communicate(timeout=DEADLINE_S)
    finally:
        runner.kill()
        runner.communicate()
    assert runner.returncode == 128 + signal.SIGINT
    assert err == "mps_experiments: interrupted by SIGINT\n"
    assert "MPS OFF" in out
    runs = Finished(subprocess.CompletedProcess([], 0), tmp_path).runs()
    assert {name: run.info.status for name, run in runs.items()} == {
        "PARENT": "KILLED",
        "mps=off procs=1 times=3": "FINISHED",
        "mps=off procs=1 times=100000": "KILLED",
    }


def wait_for(path: Path, runner: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not path.exists():
        assert runner.poll() is None, runner.communicate()
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.05)


def test_on_a_terminal_progress_is_drawn_and_the_tables_stay(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    arguments = ("-m", *MOODY, "procs=1", "times=2,3", "tracking=none")
    runner = subprocess.Popen(
        command(*arguments), cwd=tmp_path, env=environment() | {"TERM": "xterm", "COLUMNS": "120"},
        stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs)
    text = read_all(ours, runner)
    assert runner.wait(DEADLINE_S) == 0, text
    assert "\x1b[" in text
    assert "sweep" in text
    assert "2/2" in text
    assert text.index("2/2") < text.rindex("MPS OFF")


def read_all(descriptor: int, runner: subprocess.Popen[bytes]) -> str:
    """What comes out of a terminal until its program has closed it."""
    parts, deadline = [], time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        readable, _, _ = select.select([descriptor], [], [], 1.0)
        if not readable:
            if runner.poll() is not None:
                break
            continue
        try:
            parts.append(os.read(descriptor, 65536))
        except OSError:  # Linux says EIO where a terminal was closed
            break
    os.close(descriptor)
    return b"".join(parts).decode(errors="replace")


def test_ctrl_c_while_the_fork_server_imports_torch_is_one_line(tmp_path: Path) -> None:
    """Ctrl-C reaches the whole process group, the fork server too."""
    runner = subprocess.Popen(
        command("workload=ssdlite", "procs=1", "times=100000", "device=cpu", "mps=off", "tracking=none"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(lambda: fork_server_of(runner), "the fork server is there", DEADLINE_S)
        os.killpg(runner.pid, signal.SIGINT)
        out, _ = runner.communicate(timeout=DEADLINE_S)
    finally:
        runner.kill()
        runner.communicate()
    assert runner.returncode == 128 + signal.SIGINT
    assert out.splitlines()[1:] == ["mps_experiments: interrupted by SIGINT"]


def fork_server_of(runner: subprocess.Popen[str]) -> bool:
    children = psutil.Process(runner.pid).children()
    return any("multiprocessing.forkserver" in command_of(child) for child in children)
