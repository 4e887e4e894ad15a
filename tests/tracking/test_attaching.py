"""A report put on the run of a sweep in a real store, and on a real server."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mps_experiments.config import TrackingConfig
from mps_experiments.errors import ConfigError, TrackingError
from mps_experiments.tracking.attaching import attach_report
from tests.fakes.stores import locked
from tests.records import make_measurement
from tests.tracking.test_stored import log

NOTE = "mlflow.note.content"


@dataclass(frozen=True, kw_only=True)
class Logged:
    """A sweep that MLflow has, and a report of it."""

    tracking: TrackingConfig
    parent: str
    files: tuple[Path, ...]

    def attach(
        self,
        sweep_id: str = "sweep",
        description: str = "**what it says**",
        record_ids: Collection[str] = ("record-1", "record-2"),
    ) -> str | None:
        return attach_report(self.tracking, sweep_id, record_ids, description, self.files)

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=self.tracking.uri)


@pytest.fixture
def logged(uri: str, request: pytest.FixtureRequest, tmp_path: Path) -> Logged:
    experiment = f"of {request.node.name}"
    parent = log(uri, experiment, tmp_path, *(make_measurement(f"record-{n}", procs=n) for n in (1, 2)))
    (tmp_path / "figures").mkdir()
    files = (tmp_path / "report.html", tmp_path / "report.md", tmp_path / "figures" / "ratio.png")
    for path in files:
        path.write_text(f"content of {path.name}")
    tracking = TrackingConfig(uri=uri, experiment=experiment, timeout_s=60)
    return Logged(tracking=tracking, parent=parent, files=files)


def test_description_and_files_come_to_the_parent_run(logged: Logged, tmp_path: Path) -> None:
    assert logged.attach() == logged.parent
    tags = logged.client.get_run(logged.parent).data.tags
    assert tags[NOTE].startswith("**what it says**\n\n[The runs of this sweep")
    found = tmp_path / "fetched"
    found.mkdir()
    for name in ("report.html", "report.md", "figures/ratio.png"):
        fetched = Path(logged.client.download_artifacts(logged.parent, name, str(found)))
        assert fetched.read_text() == f"content of {Path(name).name}"


def test_a_later_report_replaces_an_earlier_one(logged: Logged) -> None:
    logged.attach()
    logged.files[0].write_text("newer")
    assert logged.attach(description="newer words") == logged.parent
    tags = logged.client.get_run(logged.parent).data.tags
    assert tags[NOTE].startswith("newer words")
    names = [each.path for each in logged.client.list_artifacts(logged.parent)]
    assert sorted(names) == ["figures", "report.html", "report.md", "tables.txt"]


def test_a_report_that_lacks_runs_of_the_sweep_does_not_replace_one_that_has_them(logged: Logged) -> None:
    logged.attach()
    with pytest.raises(TrackingError, match=r"^1 of the sweep's runs are not in this report"):
        logged.attach(description="less", record_ids=("record-1", "of another sweep"))
    tags = logged.client.get_run(logged.parent).data.tags
    assert tags[NOTE].startswith("**what it says**")
    assert logged.attach(record_ids=("record-1", "record-2", "taken over")) == logged.parent


def test_the_runs_below_it_stay_as_they_are(logged: Logged) -> None:
    def children() -> list[dict[str, str]]:
        experiment = logged.client.get_experiment_by_name(logged.tracking.experiment)
        runs = logged.client.search_runs([experiment.experiment_id])
        return [run.data.tags for run in runs if run.info.run_id != logged.parent]

    before = children()
    assert len(before) == 2
    logged.attach()
    assert children() == before


def test_a_description_that_is_too_long_is_cut_at_a_line(logged: Logged) -> None:
    logged.attach(description="a line of some length\n" * 1000)
    note = logged.client.get_run(logged.parent).data.tags[NOTE]
    assert len(note) <= 8000
    assert "(shortened: all of it is in the artifacts)" in note


@pytest.mark.parametrize("sweep_id", ["unknown", "", "it's", "' or tags.command != '", "x" * 600])
def test_an_unknown_sweep_is_nobodys(logged: Logged, sweep_id: str) -> None:
    assert logged.attach(sweep_id) is None
    assert "what it says" not in logged.client.get_run(logged.parent).data.tags[NOTE]


def test_a_sweep_of_another_experiment_is_nobodys(logged: Logged) -> None:
    elsewhere = TrackingConfig(uri=logged.tracking.uri, experiment="no such experiment", timeout_s=60)
    assert attach_report(elsewhere, "sweep", (), "", logged.files) is None
    assert logged.client.get_experiment_by_name("no such experiment") is None


def test_a_deleted_run_is_left_in_peace(logged: Logged) -> None:
    logged.client.delete_run(logged.parent)
    assert logged.attach() is None


def test_a_file_that_is_gone_is_said(logged: Logged) -> None:
    logged.files[0].unlink()
    with pytest.raises(TrackingError, match="could not take the report"):
        logged.attach()


def test_a_store_that_is_not_there_is_not_created(tmp_path: Path) -> None:
    tracking = TrackingConfig(uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    with pytest.raises(ConfigError, match="there is no such file"):
        attach_report(tracking, "sweep", (), "", ())
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"127.0.0.1:9"):
        attach_report(TrackingConfig(uri="http://127.0.0.1:9"), "sweep", (), "", ())


def test_a_locked_store_is_waited_for_no_longer_than_agreed(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    log(uri, "e", tmp_path, make_measurement("a"))
    tracking = TrackingConfig(uri=uri, experiment="e", timeout_s=2)
    with locked(tmp_path / "mlflow.db"), pytest.raises((TrackingError, ConfigError)):
        attach_report(tracking, "sweep", (), "", ())
