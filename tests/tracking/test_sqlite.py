"""What is no MLflow store is seen before MLflow makes one of it."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mps_experiments.tracking.sqlite import check_database, database_of
from mps_experiments.tracking.trouble import StoreError
from tests.fakes.stores import new_store

DOWNGRADE = """
import sys
from alembic import command
from mlflow.store.db import utils
command.downgrade(utils._get_alembic_config(sys.argv[1]), "-1")
"""


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:////data/mlflow.db", Path("/data/mlflow.db")),
        ("sqlite:////data/mlflow.db?timeout=5", Path("/data/mlflow.db")),
        ("sqlite:///file:/data/mlflow.db?mode=ro&uri=true", Path("/data/mlflow.db")),
        ("sqlite:///:memory:", None),
        ("sqlite://", None),
        ("postgresql://host/db", None),
    ],
)
def test_the_file_of_an_address(uri: str, path: Path | None) -> None:
    assert database_of(uri) == path


def changed(path: Path, *statements: str) -> str:
    """Execute statements in a database; its address."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return f"sqlite:///{path}"


def refused(uri: str, may_be_new: bool = True) -> str:
    """What is said of a database, which stays as it is."""
    path = database_of(uri)
    assert path is not None
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(StoreError) as caught:
        check_database(uri, may_be_new, 1.0)
    assert (path.read_bytes() if path.exists() else None) == before
    return str(caught.value)


@pytest.mark.parametrize("content", [None, b""])
def test_a_database_that_is_not_there_or_empty_may_become_a_store_but_is_none(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "mlflow.db").write_bytes(content)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    check_database(uri, True, 1.0)
    assert refused(uri, may_be_new=False).startswith("there is no MLflow store; ")


@pytest.mark.parametrize("statement", ["CREATE TABLE cats (name TEXT)", "CREATE TABLE experiments (a TEXT)"])
def test_a_database_of_another_program_is_none(tmp_path: Path, statement: str) -> None:
    assert refused(changed(tmp_path / "other.db", statement)).startswith("the database is of another program")


def test_a_schema_that_this_mlflow_does_not_know_is_newer(tmp_path: Path) -> None:
    new_store(tmp_path / "mlflow.db")
    uri = changed(tmp_path / "mlflow.db", "UPDATE alembic_version SET version_num = 'ffffffffffff'")
    assert "a newer MLflow wrote this database (revision ffffffffffff)" in refused(uri)


def test_an_older_store_lacks_tables_and_is_not_migrated(tmp_path: Path) -> None:
    new_store(tmp_path / "my mlflow.db")
    first = "UPDATE alembic_version SET version_num = '451aebb31d03'"  # of 2019
    uri = changed(tmp_path / "my mlflow.db", first, "DROP TABLE datasets")
    assert "an older MLflow wrote this database (revision 451aebb31d03)" in refused(uri)
    assert refused(uri).endswith(f"run: mlflow db upgrade '{uri}'")


def test_the_command_that_is_named_upgrades_it(tmp_path: Path) -> None:
    uri = new_store(tmp_path / "mlflow.db")
    subprocess.run([sys.executable, "-c", DOWNGRADE, uri], capture_output=True, check=True)
    assert "an older MLflow" in refused(uri)
    subprocess.run([sys.executable, "-m", "mlflow", "db", "upgrade", uri], capture_output=True, check=True)
    check_database(uri, False, 1.0)


def test_what_is_no_database_or_no_sqlite_at_all(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8" * 999)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        check_database(f"sqlite:///{tmp_path / 'photo.jpg'}", True, 1.0)
    check_database("postgresql://host/db", False, 1.0)
