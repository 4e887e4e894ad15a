"""Whether an address leads to an MLflow store that is there already: opening a new one would create it."""

import urllib.parse
import urllib.request
from pathlib import Path

import sqlalchemy
from mlflow.store.tracking.dbmodels.models import Base
from sqlalchemy.exc import SQLAlchemyError

from mps_experiments.tracking.health import problem_with_address
from mps_experiments.tracking.sqlite import database_of

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


def problem_with(uri: str, timeout_s: float) -> str | None:
    """Why nothing can be read there; None if something can. Creates nothing.

    Args:
        uri: An MLflow tracking address.
        timeout_s: For a server to say that it is there.
    """
    if (problem := problem_with_address(uri, timeout_s)) is not None:
        return problem
    if uri.partition(":")[0].partition("+")[0] in _DATABASES:
        return _problem_with_database(uri)
    folder = local_path(uri)
    if folder is not None and not (folder / ".trash").is_dir():  # MLflow's file store always has one
        return "there is no MLflow store in that folder"
    return None


def local_path(uri: str) -> Path | None:
    """The folder of a ``file:`` address or of a plain path; None for any other address.

    >>> local_path("file:///data/ml%20artifacts")
    PosixPath('/data/ml artifacts')
    >>> local_path("mlflow-artifacts:/1/abc/artifacts")
    """
    parts = urllib.parse.urlsplit(uri)
    if parts.scheme not in ("", "file"):
        return None
    return Path(urllib.request.url2pathname(parts.path) if parts.scheme else uri)


def _problem_with_database(uri: str) -> str | None:
    """MLflow would create or migrate the tables that it misses, so all must be there."""
    database = database_of(uri)
    if database is not None and not database.is_file():
        return "there is no such file"
    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool)
    try:
        there = set(sqlalchemy.inspect(engine).get_table_names())
        with engine.connect() as connection:
            filled = "experiments" in there and _has_rows(connection)
    except SQLAlchemyError as error:
        return f"it cannot be read ({type(error).__name__})"  # its text may hold a password
    finally:
        engine.dispose()
    if not filled:
        return "no MLflow store is in this database"
    if not set(Base.metadata.tables) <= there:
        return "another version of MLflow wrote it; `mlflow db upgrade` brings it up to date"
    return None


def _has_rows(connection: sqlalchemy.Connection) -> bool:
    return connection.execute(sqlalchemy.text("SELECT 1 FROM experiments LIMIT 1")).first() is not None
