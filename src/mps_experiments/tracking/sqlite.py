"""Look into an SQLite store before MLflow opens it: MLflow would create, fill or migrate what is there."""

import importlib.util
import re
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

from mps_experiments.tracking.trouble import StoreError

_PREFIX = "sqlite:///"
_ID = re.compile(r"[\"'](\w+)[\"']")


def database_of(uri: str) -> Path | None:
    """Return the file of an SQLite address; None for any other address and for a database in memory.

    >>> database_of("sqlite:////data/mlflow.db")
    PosixPath('/data/mlflow.db')
    >>> database_of("sqlite:///file:/data/mlflow.db?mode=ro&uri=true")
    PosixPath('/data/mlflow.db')
    """
    if not uri.startswith(_PREFIX):
        return None
    name = uri.removeprefix(_PREFIX).partition("?")[0].removeprefix("file:")
    return Path(name) if name not in ("", ":memory:") else None


def check_database(uri: str, may_be_new: bool, patience_s: float) -> None:
    """Refuse a database that is no store of the installed MLflow; any other address is left alone.

    Args:
        uri: An address.
        may_be_new: Whether MLflow may make a store there.
        patience_s: How long another program may have it locked.

    Raises:
        StoreError: If MLflow would fill or migrate it.
        sqlite3.Error: If it cannot be read.
    """
    database = database_of(uri)
    if database is None:
        return
    tables, revision = _look(database, patience_s) if database.is_file() else (set(), None)
    if not tables - {"alembic_version"}:
        if may_be_new:
            return
        raise StoreError("there is no MLflow store; give the address of one, as sqlite:////path/of/mlflow.db")
    if revision is None or not {"experiments", "runs"} <= tables:
        raise StoreError("the database is of another program; name a database of MLflow, or a new one")
    known, newest = _revisions()
    if revision not in known:
        what = f"a newer MLflow wrote this database (revision {revision})"
        raise StoreError(f"{what}; install that version or a newer one with pip, or name another")
    if revision not in newest:
        what = f"an older MLflow wrote this database (revision {revision})"
        raise StoreError(f"{what}; keep a copy of it, then run: mlflow db upgrade {shlex.quote(uri)}")


def _look(database: Path, patience_s: float) -> tuple[set[str], str | None]:
    """Return the names of all tables, and the revision of MLflow's schema."""
    address = f"{database.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=patience_s)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {str(name) for (name,) in names}
        if "alembic_version" not in tables:
            return tables, None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return tables, None if row is None else str(row[0])


def _revisions() -> tuple[set[str], set[str]]:
    """Return the schemas that the installed MLflow knows, and the newest: its migration scripts name them."""
    spec = importlib.util.find_spec("mlflow")
    assert spec is not None  # noqa: S101 - a dependency
    assert spec.origin is not None  # noqa: S101
    known, followed = set[str](), set[str]()
    for path in (Path(spec.origin).parent / "store" / "db_migrations" / "versions").glob("*.py"):
        text = path.read_text()
        known.update(*map(_ID.findall, re.findall(r"^revision\b.*", text, re.MULTILINE)))
        followed.update(*map(_ID.findall, re.findall(r"^down_revision\b.*", text, re.MULTILINE)))
    return known, known - followed
