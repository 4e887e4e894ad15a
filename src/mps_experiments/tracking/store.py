"""Reach an MLflow store: seen before it is opened, and each call within a deadline.

MLflow itself retries a dead server for minutes and has no deadline of its own; it fills or migrates
any database.
"""

import logging
import os
import re
import shlex
import sqlite3
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar

import mlflow

from mps_experiments.errors import ConfigError, TrackingError, without_passwords
from mps_experiments.tracking.addresses import database_of

HTTP = ("http://", "https://")
_HEALTHY = b"OK"  # what MLflow's /health says
_LOCKED_PART = 0.75  # of a deadline: what locks a database is then told, and not only the deadline
_PAUSE_S = 0.2
_SCHEMAS = Path(mlflow.__file__).parent / "store" / "db_migrations" / "versions"
_MAX_TEXT = 300  # characters of what another program said
_STATUS = re.compile(r"error code (\d{3})|(\d{3}) error responses")
_LOGIN = "set or correct MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
# What an error says, and what that means; the first that is found counts.
_KNOWN = {
    "database is locked": "another program has locked the database; try again when that has ended",
    "not a database": "the file is not an SQLite database; name a database of MLflow, or a new file",
    "MLFLOW_ALLOW_FILE_STORE": "MLflow no longer keeps runs in a folder; name a database, "
    "sqlite:////path/of/mlflow.db, or set MLFLOW_ALLOW_FILE_STORE=true",
    "Supported URI schemes": "MLflow knows no store at such an address; give http://host:5000 or "
    "sqlite:////path/of/mlflow.db",
}
_DELETED = "SQLITE_READONLY_DBMOVED"  # SQLite's name for it; in words it says what a read-only file does
_T = TypeVar("_T")

for _name in ("mlflow", "alembic", "urllib3"):  # they tell of every retry; we say it once, at the end
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class StoreError(TrackingError):
    """A store that cannot be used: what was found, and what would work."""


def look(uri: str, timeout_s: float, connect_timeout_s: float, may_be_new: bool) -> None:
    """Refuse what does not answer or is no store of this MLflow. Creates nothing.

    Args:
        uri: Tracking address.
        timeout_s: Deadline to read a database.
        connect_timeout_s: Deadline for a server to say that it is there.
        may_be_new: Whether MLflow may make a store there.

    Raises:
        TrackingError: If it cannot be used, with what would work.
    """
    # The deadline of urlopen leaves out the look-up of the name.
    within(connect_timeout_s, "answer", lambda: check_address(uri, connect_timeout_s))
    patience_s = timeout_s * _LOCKED_PART
    within(timeout_s, "look at the store", lambda: check_database(uri, may_be_new, patience_s))


def within(timeout_s: float, what: str, call: Callable[[], _T]) -> _T:
    """Return the call's result, waited for at most `timeout_s` seconds.

    The call runs in a daemon thread, left behind when it is late: it cannot keep the program from ending.
    It is repeated while another program has locked the database: MLflow gives up too early.

    Raises:
        TrackingError: If the call is late or raises anything.
        ConfigError: As the call raises it.
    """
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(_patiently(call, timeout_s * _LOCKED_PART))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name=f"mlflow: {what}", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if errors:
        if isinstance(errors[0], ConfigError | StoreError):  # a whole sentence already
            raise errors[0]
        raise TrackingError(f"MLflow could not {what}: {_trouble_of(errors[0])}") from errors[0]
    if not results:
        raise TrackingError(f"MLflow did not {what} within {timeout_s:g} s")
    return results[0]


def _patiently(call: Callable[[], _T], timeout_s: float) -> _T:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return call()
        except Exception as error:
            if "database is locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)


def check_address(uri: str, timeout_s: float) -> None:
    """Refuse an address at which nothing can be had. A server is asked once; what is none is only looked at.

    Raises:
        StoreError: If something speaks against it.
    """
    if "://" not in uri and not uri.startswith("databricks"):  # MLflow would take it for a folder
        what = f"write http://{uri} for a server, sqlite:///{Path(uri).absolute()} for a database"
        raise StoreError(f"it has no scheme such as http:// or sqlite:///; {what}")
    if not uri.startswith(HTTP):
        return
    try:
        url = f"{uri.rstrip('/')}/health"
        with urllib.request.urlopen(url, timeout=timeout_s, context=_tls()) as answer:  # noqa: S310 - http(s) only
            is_mlflow = answer.read(len(_HEALTHY) + 1).strip() == _HEALTHY
    except urllib.error.HTTPError as error:
        error.close()
        if error.code >= 500:  # below: Databricks has no such page, and a proxy may want a password first
            raise StoreError(refusal(error.code)) from error
        return
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        why = str(reason) or type(reason).__name__
        raise StoreError(f"no MLflow store answers there ({why}); start one with `mlflow server`") from error
    if not is_mlflow:
        raise StoreError("a server that is not MLflow answers there; correct the address")


def _tls() -> ssl.SSLContext:
    """Trust whom MLflow's own variables name, as MLflow does."""
    trusted = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or os.environ.get("REQUESTS_CA_BUNDLE")
    context = ssl.create_default_context(cafile=trusted or None)
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def check_database(uri: str, may_be_new: bool, patience_s: float) -> None:
    """Refuse an SQLite file that is no store of the installed MLflow; any other address is left alone.

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
    another = "name a database of MLflow, or a new file"
    if database.exists() and not database.is_file():
        raise StoreError(f"it is not a file; {another}")
    tables, revision = _tables_of(database, patience_s) if database.exists() else (set(), None)
    if not tables - {"alembic_version"}:
        if may_be_new:
            return
        raise StoreError("there is no MLflow store; give the address of one, as sqlite:////path/of/mlflow.db")
    if revision is None or not {"experiments", "runs"} <= tables:
        raise StoreError(f"the database is of another program; {another}")
    # MLflow's migration scripts name the schemas that it knows, each with the one before it.
    scripts = "".join(path.read_text() for path in _SCHEMAS.glob("*.py"))
    if not re.search(rf"^revision\b.*{revision}", scripts, re.MULTILINE):
        what = f"a newer MLflow wrote this database (revision {revision})"
        raise StoreError(f"{what}; install that version or a newer one with pip, or name another")
    if re.search(rf"^down_revision\b.*{revision}", scripts, re.MULTILINE):
        what = f"an older MLflow wrote this database (revision {revision})"
        raise StoreError(f"{what}; keep a copy of it, then run: mlflow db upgrade {shlex.quote(uri)}")


def _tables_of(database: Path, patience_s: float) -> tuple[set[str], str | None]:
    """Return the names of all tables, and the revision of MLflow's schema."""
    # Not read-only where it need not be: what a killed writer began is undone when the database is opened.
    mode = "rw" if os.access(database, os.W_OK) else "ro"
    address = f"{database.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(address, uri=True, timeout=patience_s)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {str(name) for (name,) in names}
        if "alembic_version" not in tables:
            return tables, None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return tables, None if row is None else re.escape(str(row[0]))


def refusal(status: int, text: str = "") -> str:
    """Return what is said of a server that answers with an HTTP error, and with `text` besides."""
    what = f"the server there refuses ({status}{f': {text}' if text else ''})"
    if status in (401, 403):
        return f"{what}; {_LOGIN}, or ask for the permission"
    if status >= 500:
        return f"{what}; see its log, or try again later"
    return f"{what}; it is no MLflow, or not at this path or scheme: correct the address"


def _trouble_of(error: BaseException) -> str:
    """Say what an error of MLflow, or below it, means for the person; no address in it shows a password."""
    whole, text = str(error), _shortened(str(error)) or type(error).__name__
    if isinstance(error, ImportError):
        return f"the Python driver of this database is not installed ({text}); install it with pip"
    if any(getattr(each, "sqlite_errorname", "") == _DELETED for each in _causes(error)):
        return "the file of the database was deleted or moved away; put it back, or a new one is made"
    if (known := next((known for sign, known in _KNOWN.items() if sign in whole), None)) is not None:
        return known
    if (status := _status_of(error, whole)) is not None:
        body = re.search(r"Response body: '(.*)'", whole, re.DOTALL)
        said = _shortened(body[1]) if body else text
        return refusal(status, "an HTML page" if said[:1] == "<" else said)
    return f"{type(error).__name__}: {text}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def _shortened(text: str) -> str:
    """Return the beginning of a text in one line, without SQL and passwords."""
    return without_passwords(" ".join(text.partition("[SQL:")[0].split())[:_MAX_TEXT])


def _status_of(error: BaseException, text: str) -> int | None:
    """Return the HTTP status behind an MlflowException; None for what no server said."""
    if match := _STATUS.search(text):
        return int(match[1] or match[2])
    ask = getattr(error, "get_http_status_code", None)
    return int(ask()) if ask is not None and hasattr(error, "json") else None  # json: a server's own words
