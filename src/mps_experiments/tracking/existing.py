"""What is at an address already, seen before MLflow opens it: opening would create, or migrate, a store."""

import shlex
import urllib.parse
import urllib.request
from pathlib import Path

import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from mps_experiments.tracking.health import problem_with_address
from mps_experiments.tracking.revisions import mlflow_revisions
from mps_experiments.tracking.sqlite import database_of
from mps_experiments.tracking.trouble import StoreError, Trouble, trouble_of

_LOCKED_S = 1.0
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_ANOTHER = "give the address of an MLflow store, such as sqlite:////path/of/mlflow.db"


def problem_with(uri: str, timeout_s: float) -> Trouble | None:
    """Why nothing can be read there; None if something can. Creates nothing.

    Args:
        uri: An MLflow tracking address.
        timeout_s: For a server to say that it is there.
    """
    if (problem := problem_with_address(uri, timeout_s)) is not None:
        return problem
    if _is_database(uri):
        try:
            check_database(uri, may_be_new=False)
        except StoreError as error:
            return error.trouble
        except SQLAlchemyError as error:
            return trouble_of(error)
    folder = local_path(uri)
    if folder is not None and not (folder / ".trash").is_dir():  # MLflow's file store always has one
        return Trouble(what="there is no MLflow store in that folder", todo=_ANOTHER)
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


def check_database(uri: str, may_be_new: bool = True) -> None:
    """Refuse a database that MLflow would fill, migrate or half migrate. Creates nothing.

    MLflow puts its tables among those of any other program, and begins to migrate an older schema that lacks
    tables, which can leave the database useless.

    Args:
        uri: An address; one that is no database is left alone.
        may_be_new: Whether MLflow may make a store of it.

    Raises:
        StoreError: If it is no store of the installed MLflow.
        SQLAlchemyError: If it cannot be read now; it may be locked.
    """
    if not _is_database(uri):
        return
    database = database_of(uri)
    if database is not None and not database.is_file():
        if may_be_new:
            return
        raise StoreError(Trouble(what="there is no such file", todo=_ANOTHER))
    tables, revision = _look(uri)
    if not tables - {"alembic_version"}:
        if may_be_new:
            return
        raise StoreError(Trouble(what="no MLflow store is in this database", todo=_ANOTHER))
    if revision is None or not {"experiments", "runs"} <= tables:
        what = "no MLflow store is in this database, but tables of another program"
        raise StoreError(Trouble(what=what, todo="name a database of MLflow, or a new one"))
    if (trouble := age_trouble(uri, revision)) is not None:
        raise StoreError(trouble)


def age_trouble(uri: str, revision: str) -> Trouble | None:
    """Return what is wrong with a schema's revision for the installed MLflow; None if it is its own."""
    known = mlflow_revisions()
    if known is None or revision == known.newest:
        return None
    if revision in known.all:
        return Trouble(
            what=f"an older MLflow wrote this database (revision {revision})",
            todo=f"keep a copy of it, then run: mlflow db upgrade {shlex.quote(uri)}",
        )
    return Trouble(
        what=f"this database was written by a newer MLflow (revision {revision})",
        todo="install that version or a newer one with pip, or name another",
    )


def _is_database(uri: str) -> bool:
    return uri.partition(":")[0].partition("+")[0] in _DATABASES


def _look(uri: str) -> tuple[set[str], str | None]:
    """The names of all tables, and the revision of MLflow's schema; None where none is written down."""
    try:
        patience = {"timeout": _LOCKED_S} if uri.startswith("sqlite") else {}  # whoever asks may ask again
        engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool, connect_args=patience)
    except ImportError as error:
        raise StoreError(trouble_of(error)) from error
    try:
        with engine.connect() as connection:
            tables = set(sqlalchemy.inspect(connection).get_table_names())
            if "alembic_version" not in tables:
                return tables, None
            row = connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).first()
            return tables, None if row is None else str(row[0])
    finally:
        engine.dispose()
