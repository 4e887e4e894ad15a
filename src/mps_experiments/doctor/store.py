"""Whether the tracking store can be reached and written; nothing is created or migrated in it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from mps_experiments.config import TrackingConfig
from mps_experiments.doctor.finding import Finding, fail, ok, warn
from mps_experiments.doctor.folders import why_not_writable
from mps_experiments.errors import ConfigError, without_passwords
from mps_experiments.tracking.addresses import check_tracking
from mps_experiments.tracking.health import HTTP, problem_with_address
from mps_experiments.tracking.revisions import Revisions, mlflow_revisions

_NAME = "tracking store"
_ELSE = "name another with tracking.uri=, or use tracking=none and `mps_experiments.sync` later"
_HEADER = b"SQLite format 3\0"
_WAL = b"\x02"  # the header's byte 18: a reader would make files beside a database with a write-ahead log
_LOCKED_TIMEOUT_S = 5.0


def store_findings(uri: str | None, output_dir: str, timeout_s: float) -> Iterator[Finding]:
    """Look at the store as the program would name it.

    Args:
        uri: A tracking address; None for the database in the output folder, ``none`` for no store.
        output_dir: The output folder, which may not be there yet.
        timeout_s: Seconds for a server to answer.
    """
    if uri == "none":
        yield ok(_NAME, "none: records on disk only")
        return
    if uri is None:
        try:
            folder = Path(output_dir).expanduser().absolute()
        except RuntimeError as error:  # a ~user that nobody is
            yield fail(_NAME, f"output_dir={output_dir}: {error}", "name a folder of yours with output_dir=")
            return
        yield _database(folder / "mlflow.db", mlflow_revisions())
        return
    try:
        check_tracking(TrackingConfig(uri=uri))
    except ConfigError as error:
        yield fail(_NAME, str(error), _ELSE)
        return
    yield _at(uri, timeout_s)


def _at(uri: str, timeout_s: float) -> Finding:
    if uri.startswith("sqlite:"):
        from mps_experiments.tracking.sqlite import database_of  # imports MLflow, which takes a second

        database = database_of(uri)
        if database is not None:
            return _database(database.absolute(), mlflow_revisions())
    shown = without_passwords(uri)
    problem = problem_with_address(uri, timeout_s)
    if urlsplit(uri).scheme in HTTP and problem is None:
        return ok(_NAME, f"{shown} answers")
    if problem:
        return fail(_NAME, f"{shown}: {problem.what}", f"{problem.todo}; {_ELSE}")
    return warn(
        _NAME, f"{shown} was not asked", "the doctor asks SQLite and http only; a sweep reaches it first"
    )


def _database(path: Path, known: Revisions | None) -> Finding:
    """A database file: its place, its kind, its schema."""
    folder = next(each for each in (path.parent, *path.parents) if each.exists())
    if problem := why_not_writable(folder):
        return fail(_NAME, f"{folder} cannot be written ({problem})", _ELSE)
    if path.exists() and not path.is_file():
        return fail(_NAME, f"{path} is not a file", _ELSE)
    if not path.exists() or path.stat().st_size == 0:
        return ok(_NAME, f"{path}, which will be made")
    if not os.access(path, os.R_OK | os.W_OK):
        return fail(_NAME, f"{path} cannot be read and written by this user", _ELSE)
    try:
        return _judged(path, _schema_of(path), known)
    except sqlite3.OperationalError as error:
        todo = "try again when the program that writes it has ended; a sweep waits tracking.timeout_s for it"
        return warn(_NAME, f"{path}: {error}", todo)
    except (OSError, sqlite3.DatabaseError) as error:
        return fail(_NAME, f"{path} is no SQLite database that can be read ({error})", _ELSE)


def _schema_of(path: Path) -> str | None:
    """The revision of MLflow's schema; an empty text for an empty database, None for another program's."""
    with path.open("rb") as file:
        header = file.read(20)
    if header[:16] != _HEADER:
        raise sqlite3.DatabaseError("its first bytes are not SQLite's")
    mode = "immutable=1" if _WAL in header[18:] else "mode=ro"
    uri = f"{path.as_uri()}?{mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=_LOCKED_TIMEOUT_S)) as connection:
        tables = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        if "alembic_version" not in tables or "experiments" not in tables:
            return None if tables else ""
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(row[0]) if row else ""


def _judged(path: Path, revision: str | None, known: Revisions | None) -> Finding:
    if revision is None:
        return fail(
            _NAME, f"{path} is a database of another program", f"MLflow would put its tables into it; {_ELSE}"
        )
    if known is None or revision in ("", known.newest):
        return ok(_NAME, f"{path}, schema {revision or 'none yet'}")
    if revision in known.all:
        todo = f"keep a copy of the file, then run: mlflow db upgrade sqlite:///{path}"
        return fail(_NAME, f"{path} has an older MLflow's schema ({revision})", todo)
    todo = f"install the MLflow that wrote it, or a newer one; {_ELSE}"
    return fail(_NAME, f"{path} has a schema that this MLflow does not know ({revision})", todo)
