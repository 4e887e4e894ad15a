"""What is no MLflow store is seen before MLflow makes one of it."""

import sqlite3
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mps_experiments.tracking.existing import local_path, problem_with


def test_a_database_that_is_not_there_stays_so(tmp_path: Path) -> None:
    assert problem_with(f"sqlite:///{tmp_path / 'mlflow.db'}", 5.0) == "there is no such file"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("statement", ["CREATE TABLE cats (name TEXT)", "CREATE TABLE experiments (a TEXT)"])
def test_a_database_of_another_program_is_none_and_stays_as_it_is(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    before = path.read_bytes()
    assert problem_with(f"sqlite:///{path}", 5.0) == "no MLflow store is in this database"
    assert path.read_bytes() == before


def test_a_store_of_another_version_is_not_migrated(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    MlflowClient(tracking_uri=uri).search_experiments()
    assert problem_with(uri, 5.0) is None
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("DROP TABLE datasets")
    connection.close()
    assert "mlflow db upgrade" in str(problem_with(uri, 5.0))


def test_what_is_no_database_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8" * 999)
    problem = problem_with(f"sqlite:///{tmp_path / 'photo.jpg'}", 5.0)
    assert problem is not None
    assert problem.startswith("it cannot be read")


def test_a_folder_without_a_store_is_none(tmp_path: Path) -> None:
    assert problem_with(tmp_path.as_uri(), 5.0) == "there is no MLflow store in that folder"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_told_from_a_remote_place() -> None:
    assert local_path("file:///data/a%20b") == Path("/data/a b")
    assert local_path("/data/a%20b") == Path("/data/a%20b")
    assert local_path("s3://bucket/a") is None
