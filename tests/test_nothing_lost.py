"""Stores and disks that fail in a sweep: every finished cell has its record on disk, `sync` does the rest."""

import contextlib
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mps_experiments.record.measurement import Measurement, find_measurements, read_measurement
from mps_experiments.record.verdict import Status
from mps_experiments.tracking.addresses import database_of
from tests.fakes.plans import wait_until
from tests.fakes.stores import fill, immutable, locked, mounted, new_store, read_only
from tests.fakes.warm import Running, warm
from tests.records import read_json
from tests.sweep.test_sweep import DEADLINE_S, MOODY, environment
from tests.tracking.conftest import free_port, mlflow_server, stop

NAMES = [f"mps=off procs=1 times={times}" for times in (3, 4, 5)]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder with a short name: the paths of sockets below TMPDIR have to be short."""
    with tempfile.TemporaryDirectory(prefix="mpst-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@dataclass(frozen=True)
class Sweep:
    """A sweep of three cells that stands still in its second one, until its turnstile is opened."""

    runner: Running
    turnstile: Path
    outputs: Path
    uri: str

    def finish(self) -> tuple[int, str, str]:
        """Let it go on, and wait: its exit code, what it printed, what it complained of."""
        (self.turnstile / "closed").unlink()
        out, err = self.runner.communicate(timeout=DEADLINE_S)
        assert self.runner.returncode is not None
        return self.runner.returncode, out, err

    def records(self) -> dict[str, Measurement]:
        """Name -> record."""
        found = [path for path in find_measurements(self.outputs) if "mlartifacts" not in path.parts]
        return {measurement.name: measurement for measurement in map(read_measurement, found)}

    def logged(self) -> list[str]:
        """The names of the runs that MLflow has, sorted; the parent's begins with its model."""
        client = MlflowClient(tracking_uri=self.uri)
        experiment = client.get_experiment_by_name("mps_experiments")
        return sorted(str(run.info.run_name) for run in client.search_runs([experiment.experiment_id]))

    def sync(self, *folders: str) -> "subprocess.CompletedProcess[str]":
        given = folders or [str(self.outputs)]
        return warm().run("mps_experiments.sync", given, self.turnstile.parent, surroundings())


def surroundings(**variables: str) -> dict[str, str]:
    """The environment of a command, in which MLflow asks a server that is gone once more, not for minutes."""
    return environment() | {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"} | variables


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a sweep to its end; its temporary folder is `folder`."""
    return warm().run("mps_experiments", (*arguments, *MOODY), folder, surroundings(TMPDIR=str(folder)))


def is_noted(outputs: Path) -> bool:
    """Whether the first cell is in sweep.json, the last thing that is done for it beside the second."""
    return any(read_json(path)["cells"] for path in outputs.rglob("sweep.json"))


@contextlib.contextmanager
def standing_still(
    folder: Path, *arguments: str, outputs: Path | None = None, uri: str = ""
) -> Iterator[Sweep]:
    """A sweep that has finished its first cell and is in its second."""
    turnstile, outputs = folder / "turnstile", outputs or folder / "outputs"
    turnstile.mkdir()
    (folder / "temporary").mkdir()
    address = uri or f"sqlite:///{outputs / 'mlflow.db'}"
    if (database := database_of(address)) is not None:
        new_store(database)
    (turnstile / "closed").touch()
    options = f"{{turnstile: {turnstile}, admits: 1, sleep_s: 0.02, say: {'x' * 100}}}"
    given = (
        *("-m", *MOODY, "procs=1", "times=3,4,5", "order=as_given"),
        *(f"workload.options={options}", f"output_dir={outputs}"),
        *([f"tracking.uri={uri}"] if uri else []),
        *arguments,
    )
    around = surroundings(TMPDIR=str(folder / "temporary"))
    runner = warm().start("mps_experiments", given, folder, around)
    try:
        wait_until(
            lambda: (len(list(turnstile.iterdir())) == 3 and is_noted(outputs)) or runner.poll() is not None,
            "the second cell waits",
            DEADLINE_S,
        )
        assert runner.poll() is None, runner.communicate()
        yield Sweep(runner, turnstile, outputs, address)
    finally:
        runner.kill()
        runner.communicate()


def assert_sync_brings_all(sweep: Sweep, *folders: str) -> None:
    for _ in range(2):
        synced = sweep.sync(*folders)
        assert synced.returncode == 0, synced.stderr
    assert sweep.logged()[: len(NAMES)] == NAMES
    assert len(sweep.logged()) == len(NAMES) + 1, "one parent"


def assert_it_said_what_is_missing(finished: tuple[int, str, str], reason: str) -> None:
    code, out, err = finished
    assert code == 1, out + err
    assert out.count(": VALID  makespan") == 3
    assert re.search(
        rf"^mps_experiments: MLflow .*{reason}.*; the records stay on disk", err, re.MULTILINE
    ), err
    assert len(err.splitlines()) == 1
    assert re.search(r"^MLflow is missing runs \(.*\); log them later: ", out, re.MULTILINE)


def test_a_store_locked_for_longer_than_the_deadline_is_synced_later(tmp_path: Path) -> None:
    with standing_still(tmp_path, "tracking.timeout_s=15") as sweep:
        with locked(tmp_path / "outputs" / "mlflow.db"):
            assert_it_said_what_is_missing(sweep.finish(), "did not log mps=off procs=1 times=4 within 15 s")
        assert set(sweep.records()) == set(NAMES)
        assert set(sweep.logged()) & set(NAMES) == {NAMES[0]}
        assert_sync_brings_all(sweep)


def test_a_store_locked_for_a_while_misses_nothing(tmp_path: Path) -> None:
    with standing_still(tmp_path, "tracking.timeout_s=100") as sweep:
        with locked(tmp_path / "outputs" / "mlflow.db"):
            (sweep.turnstile / "closed").unlink()
            wait_until(lambda: NAMES[1] in sweep.records(), "the second cell's record is there", DEADLINE_S)
        out, err = sweep.runner.communicate(timeout=DEADLINE_S)
        assert (sweep.runner.returncode, err) == (0, ""), out + err
        assert sweep.logged()[:3] == NAMES


def test_a_signal_while_the_cell_before_is_still_logged_loses_neither(tmp_path: Path) -> None:
    """The third cell's workers are ready and wait for the second one to be in MLflow."""
    with standing_still(tmp_path, "tracking.timeout_s=100") as sweep:
        with locked(tmp_path / "outputs" / "mlflow.db"):
            (sweep.turnstile / "closed").unlink()
            wait_until(lambda: NAMES[1] in sweep.records(), "the second cell's record is there", DEADLINE_S)
            wait_until(lambda: len(list(sweep.turnstile.iterdir())) == 3, "the third is warm", DEADLINE_S)
            sweep.runner.send_signal(signal.SIGTERM)
        out, err = sweep.runner.communicate(timeout=DEADLINE_S)
        assert sweep.runner.returncode == 128 + signal.SIGTERM, out + err
        assert sweep.logged()[:3] == NAMES
        third = sweep.records()[NAMES[2]]
        assert third.verdict.reason == "interrupted by SIGTERM"
        (path,) = sweep.outputs.rglob("sweep.json")
        summary = read_json(path)
        assert (summary["status"], len(summary["cells"])) == ("KILLED", 3)


def test_a_store_that_is_locked_at_the_start_is_refused(tmp_path: Path) -> None:
    uri = new_store(tmp_path / "mlflow.db")
    with locked(tmp_path / "mlflow.db"):
        done = run(tmp_path, "times=3", f"tracking.uri={uri}", "tracking.timeout_s=10")
    assert done.returncode == 2, done.stdout + done.stderr
    assert re.fullmatch(
        r"mps_experiments: tracking\.uri=sqlite.*: another program has locked the database; try again.*\n",
        done.stderr,
    )
    assert find_measurements(tmp_path) == []


def test_a_store_that_becomes_read_only_is_synced_later(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    with standing_still(tmp_path, uri=f"sqlite:///{store / 'mlflow.db'}") as sweep:
        with immutable(store / "mlflow.db", store):
            assert_it_said_what_is_missing(sweep.finish(), "could not log mps=off procs=1 times=4")
            synced = sweep.sync()
            assert synced.returncode == 2
            assert "readonly database" in synced.stderr
        assert set(sweep.records()) == set(NAMES)
        assert_sync_brings_all(sweep)


def test_a_store_whose_file_is_deleted_is_made_again_by_sync(tmp_path: Path) -> None:
    with standing_still(tmp_path) as sweep:
        (tmp_path / "outputs" / "mlflow.db").unlink()
        reason = "could not log mps=off procs=1 times=4: the file of the database was deleted or moved away"
        assert_it_said_what_is_missing(sweep.finish(), reason)
        assert_sync_brings_all(sweep)


def test_a_record_that_is_deleted_under_way_is_told_by_the_sweep_and_by_sync(tmp_path: Path) -> None:
    with standing_still(tmp_path) as sweep:
        (record,) = [path for path in find_measurements(sweep.outputs) if "mlartifacts" not in path.parts]
        folder = record.parents[1]
        shutil.rmtree(record.parent)
        code, out, err = sweep.finish()
        assert (code, err) == (1, f"mps_experiments: 1 of 3 records are no longer in {folder}\n"), out
        synced = sweep.sync()
    what = f"1 of 3 runs of its sweep.json have no record that can be read: {NAMES[0]}"
    assert (synced.returncode, synced.stderr) == (1, f"mps_experiments: {folder}: {what}\n")


def test_a_server_that_is_killed_is_synced_later(tmp_path: Path) -> None:
    port = free_port()
    with (
        mlflow_server(tmp_path, port) as (address, server),
        standing_still(tmp_path, "tracking.timeout_s=15", uri=address) as sweep,
    ):
        stop(server)
        assert server.returncode == -signal.SIGKILL
        assert_it_said_what_is_missing(sweep.finish(), "mps=off procs=1 times=4")
    assert set(sweep.records()) == set(NAMES)
    refused = sweep.sync()
    assert refused.returncode == 2
    assert f"tracking.uri={address}" in refused.stderr
    with mlflow_server(tmp_path, port):
        assert_sync_brings_all(sweep)


def test_a_full_disk_costs_no_measured_cell_and_begins_no_other(tmp_path: Path) -> None:
    """The record of the cell that was running goes to the temporary folder; `sync` takes both."""
    with mounted(tmp_path / "disk", "16m") as disk:
        with standing_still(tmp_path, "min_free_disk_mb=1", outputs=disk) as sweep:
            filling = fill(disk)
            code, out, err = sweep.finish()
        assert code == 1
        assert set(sweep.records()) == {NAMES[0]}
        match = re.search(
            rf"^mps_experiments: {NAMES[1]}: .* has no room for its record: it is (\S+)$", err, re.MULTILINE
        )
        assert match, out + err
        aside = Path(match[1])
        assert aside.is_relative_to(tmp_path / "temporary")
        second = read_measurement(aside)
        assert (second.name, second.verdict.status) == (NAMES[1], Status.VALID)
        assert re.search(r"times=5: REFUSED: .* \(No space left on device\)$", out, re.MULTILINE), out
        assert "MPS OFF" in out
        filling.unlink()
        for _ in range(2):
            synced = sweep.sync(str(disk), str(aside.parent))
            assert synced.returncode == 0, synced.stderr
        assert sweep.logged()[:2] == NAMES[:2]


def test_a_store_on_a_full_disk_is_synced_later(tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "store", "2m") as store,
        standing_still(tmp_path, uri=f"sqlite:///{store / 'mlflow.db'}") as sweep,
    ):
        filling = fill(store)
        assert_it_said_what_is_missing(sweep.finish(), "could not log mps=off procs=1 times=4.* full")
        assert set(sweep.records()) == set(NAMES)
        filling.unlink()
        assert_sync_brings_all(sweep)


def test_a_disk_with_less_room_than_asked_for_begins_no_other_cell(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "16m") as disk:
        with standing_still(tmp_path, "min_free_disk_mb=1", "tracking=none", outputs=disk) as sweep:
            with fill(disk).open("r+b") as filling:
                filling.truncate(filling.seek(0, 2) - 900_000)
            code, out, err = sweep.finish()
        assert code == 1
        assert set(sweep.records()) == set(NAMES[:2])
        (path,) = disk.rglob("sweep.json")
        assert [cell["verdict"] for cell in read_json(path)["cells"]] == ["VALID", "VALID", "REFUSED"]
        refused = rf"^{NAMES[2]}: REFUSED: only 0 MB are free in .*, less than min_free_disk_mb=1$"
        assert re.search(refused, out, re.MULTILINE), out + err


def test_a_worker_that_has_no_room_to_print_fails_and_its_record_says_so(tmp_path: Path) -> None:
    """It prints 20 MB on a disk of 16 MB."""
    with mounted(tmp_path / "disk", "16m") as disk:
        say = f"workload.options.say={'x' * 20_000}"
        done = run(tmp_path, "times=1000", say, f"output_dir={disk}", "min_free_disk_mb=0", "tracking=none")
        # On the disk, or aside: the worker's last buffer may fit or not.
        (path,) = find_measurements(tmp_path)
        record = read_measurement(path)
    assert done.returncode == 1
    assert "No space left on device" in record.verdict.reason
    assert record.failure is not None


def test_two_syncs_at_once_log_each_record_once(tmp_path: Path) -> None:
    done = run(tmp_path, "-m", "times=3,4,5", "order=as_given", "tracking=none")
    assert done.returncode == 0, done.stderr
    outputs = tmp_path / "outputs"
    (folder,) = (str(path.parent) for path in outputs.glob("*/*/sweep.json"))
    new_store(outputs / "mlflow.db")
    syncs = [warm().start("mps_experiments.sync", [folder], tmp_path, surroundings()) for _ in range(2)]
    said = [each.communicate(timeout=DEADLINE_S) for each in syncs]
    assert [each.returncode for each in syncs] == [0, 0], said
    counts = [re.findall(r"\d+", out) for out, _ in said]
    assert sum(int(logged) for logged, _ in counts) == len(NAMES)
    assert_sync_brings_all(
        Sweep(syncs[0], tmp_path / "none", outputs, f"sqlite:///{outputs / 'mlflow.db'}"), folder
    )


@pytest.mark.parametrize("how", ["the file", "the disk"])
def test_a_store_that_can_only_be_read_is_refused_before_anything_starts(tmp_path: Path, how: str) -> None:
    with mounted(tmp_path / "store", "16m") as store, contextlib.ExitStack() as stack:
        database = store / "mlflow.db"
        new_store(database)
        if how == "the file":
            stack.enter_context(immutable(database))
        else:
            read_only(store)
        done = run(tmp_path, "times=3", f"tracking.uri=sqlite:///{database}")
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("mps_experiments: tracking.uri=sqlite:///")
    assert "readonly database" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert find_measurements(tmp_path) == []
