"""Reach an MLflow store: seen before it is opened, and each call within a deadline."""

import logging
from collections.abc import Callable
from typing import TypeVar

from mlflow import MlflowClient

from mps_experiments.tracking.deadline import within
from mps_experiments.tracking.health import problem_with_address
from mps_experiments.tracking.sqlite import check_database
from mps_experiments.tracking.trouble import StoreError

_LOCKED_PART = 0.75  # of a deadline
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
