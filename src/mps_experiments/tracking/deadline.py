"""Give calls into MLflow a deadline: it retries a dead server for minutes and has none of its own."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from mps_experiments.errors import ConfigError, TrackingError
from mps_experiments.tracking.trouble import StoreError, trouble_of

_LOCKED_PART = 0.75  # of a deadline: what locks a database is then told, and not only the deadline
_PAUSE_S = 0.2
_T = TypeVar("_T")


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
        raise TrackingError(f"MLflow could not {what}: {trouble_of(errors[0])}") from errors[0]
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
