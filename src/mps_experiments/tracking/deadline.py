"""A deadline for calls into a library that has none of its own."""

import threading
from collections.abc import Callable
from typing import TypeVar

from mps_experiments.errors import ConfigError, TrackingError
from mps_experiments.tracking.trouble import StoreError, shortened

_T = TypeVar("_T")


def within(timeout_s: float, what: str, call: Callable[[], _T]) -> _T:
    """The call's result, waited for at most `timeout_s` seconds.

    MLflow retries a dead server for minutes. The call runs in a daemon thread, left behind when it is late:
    it cannot keep the program from ending.

    Raises:
        TrackingError: If the call is late or raises anything.
        ConfigError: As the call raises it.
    """
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name=f"mlflow: {what}", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if errors:
        if isinstance(errors[0], ConfigError | StoreError):  # a whole sentence already
            raise errors[0]
        text = f"{type(errors[0]).__name__}: {shortened(errors[0])}"
        raise TrackingError(f"MLflow could not {what}: {text}") from errors[0]
    if not results:
        raise TrackingError(f"MLflow did not {what} within {timeout_s:g} s")
    return results[0]
