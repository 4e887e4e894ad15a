"""Stores of every kind; none is created, changed or migrated by looking."""

import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mps_experiments.doctor.finding import Finding, Level
from mps_experiments.doctor.store import store_findings
from tests.doctor.conftest import the_only
from tests.fakes.stores import immutable, locked
from tests.tracking.conftest import answering, free_port, mlflow_server


@pytest.fixture(scope="module")
def made_by_mlflow(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database as MLflow itself writes it."""
    folder = tmp_path_factory.mktemp("store")
    MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}").search_experiments()
    return (folder / "mlflow.db").read_bytes()


@pytest.fixture
def database(tmp_path: Path, made_by_mlflow: bytes) -> Path:
    path = tmp_path / "mlflow.db"
    path.write_bytes(made_by_mlflow)
    return path


def looked(uri: str | None, folder: Path, level: Level) -> Finding:
    """The finding; nothing in the folder has changed."""
    before = contents(folder)
    finding = the_only(store_findings(uri, str(folder), 10.0), level)
    assert contents(folder) == before
    return finding


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_a_database_of_this_mlflow_is_ok_by_default_and_by_address(tmp_path: Path, database: Path) -> None:
    assert str(database) in looked(None, tmp_path, Level.OK).found
    assert str(database) in looked(f"sqlite:///{database}", tmp_path, Level.OK).found


def test_a_database_that_is_not_there_yet_is_ok_and_not_made(tmp_path: Path) -> None:
    assert looked(None, tmp_path, Level.OK).found.endswith("which will be made")
    assert looked(None, tmp_path / "outputs", Level.OK).found.endswith("which will be made")
    (tmp_path / "mlflow.db").touch()
    looked(None, tmp_path, Level.OK)


def test_no_store_is_ok(tmp_path: Path) -> None:
    looked("none", tmp_path, Level.OK)


@pytest.mark.parametrize(
    ("revision", "found", "todo"),
    [
        ("451aebb31d03", "has an older MLflow's schema (451aebb31d03)", "mlflow db upgrade"),
        ("ffffffffffff", "has a schema that this MLflow does not know", "install the MLflow that wrote it"),
    ],
)
def test_a_schema_of_another_mlflow_fails_and_is_not_migrated(
    tmp_path: Path, database: Path, revision: str, found: str, todo: str
) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    finding = looked(None, tmp_path, Level.FAIL)
    assert found in finding.found
    assert todo in finding.todo


def test_a_database_of_another_program_fails(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection, connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    assert "of another program" in looked(None, tmp_path, Level.FAIL).found


@pytest.mark.parametrize(
    "content", [b"precious text", b"SQLite format 3\0" + b"x" * 4096, b"SQLite format 3\0"]
)
def test_a_file_that_is_no_database_is_not_ok(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mlflow.db").write_bytes(content)
    looked(None, tmp_path, Level.FAIL)


def test_a_folder_in_its_place_fails(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").mkdir()
    looked(None, tmp_path, Level.FAIL)


def test_a_database_with_a_write_ahead_log_is_read_without_leaving_one(
    tmp_path: Path, database: Path
) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    assert database.read_bytes()[18] == 2
    looked(None, tmp_path, Level.OK)


def test_a_database_that_another_process_has_locked_warns(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mps_experiments.doctor.store._LOCKED_TIMEOUT_S", 0.2)
    with locked(database):
        finding = the_only(store_findings(None, str(tmp_path), 10.0), Level.WARN)
    assert "database is locked" in finding.found


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path, database: Path) -> None:
    with immutable(tmp_path):
        assert "cannot be written" in looked(None, tmp_path, Level.FAIL).found


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("folder/of/runs", "no scheme"),
        ("sqlite:///relative-folder-that-is-not-there/x.db", "there is no folder"),
        ("http://host:port", "no address"),
        ("http://127.0.0.1:9", "Connection refused"),
    ],
)
def test_an_address_that_cannot_work_fails_with_the_reason(tmp_path: Path, uri: str, text: str) -> None:
    assert text in looked(uri, tmp_path, Level.FAIL).found


def test_an_address_with_a_password_fails_and_does_not_show_it(tmp_path: Path) -> None:
    finding = looked("http://me:geheim@host:5000", tmp_path, Level.FAIL)
    assert "geheim" not in finding.found + finding.todo
    assert "MLFLOW_TRACKING_PASSWORD" in finding.found


def test_a_store_that_is_not_asked_warns(tmp_path: Path) -> None:
    assert "was not asked" in looked("postgresql://host/mlflow", tmp_path, Level.WARN).found


def test_a_real_server_that_runs_is_ok_and_one_that_is_gone_fails(tmp_path: Path) -> None:
    with mlflow_server(tmp_path, free_port()) as (address, _):
        assert the_only(store_findings(address, str(tmp_path), 10.0), Level.OK).found == f"{address} answers"
    the_only(store_findings(address, str(tmp_path), 10.0), Level.FAIL)


@pytest.mark.parametrize(
    ("status", "body", "level"),
    [
        (200, b"OK", Level.OK),
        (200, b"hello", Level.FAIL),
        (401, b"", Level.OK),
        (503, b"", Level.FAIL),
    ],
)
def test_a_server_is_judged_by_what_it_says(tmp_path: Path, status: int, body: bytes, level: Level) -> None:
    with answering(status, body) as address:
        looked(f"{address}/", tmp_path, level)


def test_a_server_that_is_silent_fails_after_its_deadline(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        finding = the_only(store_findings(uri, str(tmp_path), 0.3), Level.FAIL)
    assert "timed out" in finding.found
