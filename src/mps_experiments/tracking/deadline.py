"""A deadline for calls into a library that has none of its own."""

import threading
from collections.abc import Callable
from typing import TypeVar

from mps_experiments.errors import TrackingError

_T = TypeVar("_T")


def within(timeout_s: float, what: str, call: Callable[[], _T]) -> _T:
    """The call's result, waited for at most `timeout_s` seconds.

    MLflow retries a dead server for minutes. The call runs in a daemon thread, left behind when it is late:
    it cannot keep the program from ending.

    Raises:
        TrackingError: If the call is late or raises anything.
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
        text = " ".join(str(errors[0]).partition("[SQL:")[0].split())[:300]
        raise TrackingError(f"MLflow could not {what}: {type(errors[0]).__name__}: {text}") from errors[0]
    if not results:
        raise TrackingError(f"MLflow did not {what} within {timeout_s:g} s")
    return results[0]
