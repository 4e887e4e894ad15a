"""Reach an MLflow store: seen before it is opened, and each call within a deadline.

MLflow itself retries a dead server for minutes and has no deadline of its own.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from mlflow import MlflowClient

from mps_experiments.errors import ConfigError, TrackingError
from mps_experiments.tracking.health import problem_with_address
from mps_experiments.tracking.sqlite import check_database
from mps_experiments.tracking.trouble import StoreError, trouble_of

_LOCKED_PART = 0.75  # of a deadline: what locks a database is then told, and not only the deadline
_PAUSE_S = 0.2
_T = TypeVar("_T")

for _name in ("mlflow", "alembic", "urllib3"):  # they tell of every retry; we say it once, at the end
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class Store:
    """One MLflow store.

    Args:
        uri: Tracking address.
        timeout_s: Deadline of each call.
        connect_timeout_s: Deadline for a server to say that it is there.
    """

    def __init__(self, uri: str, timeout_s: float, connect_timeout_s: float) -> None:
        self.uri, self._timeout_s, self._connect_timeout_s = uri, timeout_s, connect_timeout_s

    def look(self, may_be_new: bool) -> None:
        """Refuse what does not answer or is no store of this MLflow. Creates nothing.

        Raises:
            TrackingError: If it cannot be used, with what would work.
        """
        # The deadline of urlopen leaves out the look-up of the name.
        timeout_s = self._connect_timeout_s
        if problem := within(timeout_s, "answer", lambda: problem_with_address(self.uri, timeout_s)):
            raise StoreError(problem)
        patience_s = self._timeout_s * _LOCKED_PART
        self.call("look at the store", lambda: check_database(self.uri, may_be_new, patience_s))

    def client(self) -> MlflowClient:
        """Return MLflow's client, which creates an SQLite store that is not there."""
        return MlflowClient(tracking_uri=self.uri)

    def call(self, what: str, call: Callable[[], _T]) -> _T:
        """Return the call's result; see `within`."""
        return within(self._timeout_s, what, call)


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
