"""Calls that must not hold the program up."""

import os
import subprocess
import sys
import threading

import pytest

from mps_experiments.errors import TrackingError
from mps_experiments.tracking.deadline import within
from tests.conftest import SRC

HANGS = """
import sys, threading
from mps_experiments.errors import TrackingError
from mps_experiments.tracking.deadline import within
try:
    within(0.1, "log", threading.Event().wait)
except TrackingError as error:
    sys.stdout.write(str(error))
"""


@pytest.mark.parametrize("value", [3, None])
def test_the_result_is_passed_on(value: object) -> None:
    assert within(10, "log", lambda: value) is value


def test_a_late_call_is_a_tracking_error() -> None:
    release = threading.Event()
    try:
        with pytest.raises(TrackingError, match=r"MLflow did not log within 0\.05 s"):
            within(0.05, "log", release.wait)
    finally:
        release.set()


@pytest.mark.parametrize("error", [ValueError("two\n  lines"), SystemExit("two lines")])
def test_any_error_becomes_a_tracking_error_of_one_line(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(TrackingError) as caught:
        within(10, "log", fail)
    assert str(caught.value) == f"MLflow could not log: {type(error).__name__}: two lines"
    assert caught.value.__cause__ is error


def test_a_call_that_hangs_does_not_keep_the_program_from_ending() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGS],
        env=os.environ | {"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "MLflow did not log within 0.1 s"
