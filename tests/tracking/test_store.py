"""Calls into MLflow that must not hold the program up."""

import os
import subprocess
import sys
import threading

import pytest
from mlflow.exceptions import MlflowException

from mps_experiments.errors import TrackingError
from mps_experiments.tracking.store import within
from tests.conftest import SRC

HANGS = """
import sys, threading
from mps_experiments.errors import TrackingError
from mps_experiments.tracking.store import within
try:
    within(0.1, "log", threading.Event().wait)
except TrackingError as error:
    sys.stdout.write(str(error))
"""


@pytest.mark.parametrize("value", [3, None])
def test_the_result_is_passed_on(value: object) -> None:
    assert within(10, "log", lambda: value) is value


@pytest.mark.parametrize("error", [ValueError("two\n  lines"), SystemExit("two lines")])
def test_any_error_becomes_a_tracking_error_of_one_line(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(TrackingError) as caught:
        within(10, "log", fail)
    assert str(caught.value) == f"MLflow could not log: {type(error).__name__}: two lines"
    assert caught.value.__cause__ is error


def test_a_call_that_hangs_is_late_and_does_not_keep_the_program_from_ending() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGS],
        env=os.environ | {"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "MLflow did not log within 0.1 s"


@pytest.mark.parametrize(
    ("message", "fails", "calls"),
    [("database is locked", 2, 3), ("attempt to write a readonly database", 1, 1)],
)
def test_only_a_locked_database_is_asked_again(message: str, fails: int, calls: int) -> None:
    asked = threading.Semaphore(0)
    left = iter(range(fails))

    def call() -> None:
        asked.release()
        if next(left, None) is not None:
            raise MlflowException(message)

    if calls > fails:
        within(60, "log", call)
    else:
        with pytest.raises(TrackingError, match="make the file and its folder writable"):
            within(60, "log", call)
    assert [asked.acquire(blocking=False) for _ in range(calls + 1)] == [True] * calls + [False]
