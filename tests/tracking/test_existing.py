"""What is no MLflow store is seen before MLflow makes one of it."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mps_experiments.tracking.existing import check_database, local_path, problem_with
from mps_experiments.tracking.revisions import mlflow_revisions
from mps_experiments.tracking.trouble import StoreError

ANOTHER = "; give the address of an MLflow store, such as sqlite:////path/of/mlflow.db"
OLDER = "451aebb31d03"
AGED = "UPDATE alembic_version SET version_num = '451aebb31d03'"

DOWNGRADE = """
import sys
from alembic import command
from alembic.config import Config
from mlflow.store.db import utils
config = utils._get_alembic_config(sys.argv[1])
command.downgrade(config, "-1")
"""


def store(path: Path) -> str:
    """The address of a new store of the installed MLflow."""
    uri = f"sqlite:///{path}"
    MlflowClient(tracking_uri=uri).search_experiments()
    return uri


def changed(path: Path, *statements: str) -> bytes:
    """Execute statements in a database; what the file holds then."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in filter(None, statements):
            connection.execute(statement)
    return path.read_bytes()


def told(uri: str) -> str | None:
    problem = problem_with(uri, 5.0)
    return None if problem is None else str(problem)


def test_a_database_that_is_not_there_stays_so(tmp_path: Path) -> None:
    assert told(f"sqlite:///{tmp_path / 'mlflow.db'}") == f"there is no such file{ANOTHER}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("statement", ["CREATE TABLE cats (name TEXT)", "CREATE TABLE experiments (a TEXT)"])
def test_a_database_of_another_program_is_none_and_stays_as_it_is(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "other.db"
    changed(path, statement)
    before = path.read_bytes()
    for may_be_new in (True, False):
        with pytest.raises(StoreError) as refused:
            check_database(f"sqlite:///{path}", may_be_new)
        assert str(refused.value) == (
            "no MLflow store is in this database, but tables of another program; "
            "name a database of MLflow, or a new one"
        )
    assert path.read_bytes() == before


def test_an_empty_database_may_become_a_store_but_is_none_yet(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    check_database(uri)
    assert told(uri) == f"no MLflow store is in this database{ANOTHER}"


@pytest.mark.parametrize("lacking", ["", "DROP TABLE datasets"])
def test_a_store_of_an_older_mlflow_is_not_migrated(tmp_path: Path, lacking: str) -> None:
    uri = store(tmp_path / "my mlflow.db")
    assert problem_with(uri, 5.0) is None
    check_database(uri)
    before = changed(tmp_path / "my mlflow.db", AGED, lacking)
    with pytest.raises(StoreError) as refused:
        check_database(uri)
    assert str(refused.value) == told(uri)
    assert told(uri) == (
        f"an older MLflow wrote this database (revision {OLDER}); "
        f"keep a copy of it, then run: mlflow db upgrade '{uri}'"
    )
    assert (tmp_path / "my mlflow.db").read_bytes() == before


def test_the_command_that_is_named_upgrades_it(tmp_path: Path) -> None:
    uri = store(tmp_path / "mlflow.db")
    known = mlflow_revisions()
    assert known is not None
    downgraded = subprocess.run(
        [sys.executable, "-c", DOWNGRADE, uri], capture_output=True, text=True, check=False
    )
    assert downgraded.returncode == 0, downgraded.stderr
    assert "an older MLflow wrote this database" in str(told(uri))
    subprocess.run([sys.executable, "-m", "mlflow", "db", "upgrade", uri], capture_output=True, check=True)
    check_database(uri)


def test_a_store_of_a_newer_mlflow_says_so(tmp_path: Path) -> None:
    uri = store(tmp_path / "mlflow.db")
    changed(tmp_path / "mlflow.db", "UPDATE alembic_version SET version_num = 'ffffffffffff'")
    assert told(uri) == (
        "this database was written by a newer MLflow (revision ffffffffffff); "
        "install that version or a newer one with pip, or name another"
    )


def test_what_is_no_database_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8" * 999)
    assert told(f"sqlite:///{tmp_path / 'photo.jpg'}") == (
        "the file is no SQLite database (not a database); name a database of MLflow, or a new file"
    )


def test_a_driver_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", None)
    said = str(told("mysql+pymysql://127.0.0.1:9/x"))
    assert said.startswith("the Python driver of this database is not installed (")
    assert "pymysql" in said
    assert said.endswith("; install it with pip")


def test_a_folder_without_a_store_is_none(tmp_path: Path) -> None:
    assert told(tmp_path.as_uri()) == f"there is no MLflow store in that folder{ANOTHER}"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_told_from_a_remote_place() -> None:
    assert local_path("file:///data/a%20b") == Path("/data/a b")
    assert local_path("/data/a%20b") == Path("/data/a%20b")
    assert local_path("s3://bucket/a") is None
