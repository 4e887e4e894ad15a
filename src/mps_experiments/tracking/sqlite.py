"""What an SQLite store needs that a server does not: its file's name, and patience with a lock."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

_PREFIX = "sqlite:///"
_PAUSE_S = 0.2
_T = TypeVar("_T")


def database_of(uri: str) -> Path | None:
    """The file of an SQLite address; None for any other address and for a database in memory.

    >>> database_of("sqlite:////data/mlflow.db")
    PosixPath('/data/mlflow.db')
    >>> database_of("sqlite:///file:/data/mlflow.db?mode=ro&uri=true")
    PosixPath('/data/mlflow.db')
    """
    if not uri.startswith(_PREFIX):
        return None
    name = uri.removeprefix(_PREFIX).partition("?")[0].removeprefix("file:")
    return Path(name) if name not in ("", ":memory:") else None


def patiently(call: Callable[[], _T], timeout_s: float) -> _T:
    """Call again as long as another process has locked the database: MLflow gives up after 20 s, or at once.

    Args:
        call: What may be done twice.
        timeout_s: When to give up, in seconds.

    Raises:
        MlflowException, OperationalError: The last one.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return call()
        except (MlflowException, OperationalError) as error:
            if "database is locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)
