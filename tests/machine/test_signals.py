"""Signals end the program in order, and never between a measurement and its record."""

import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from mps_experiments.errors import Interrupted
from mps_experiments.machine.signals import catch_signals, held_back, let_through
from tests.conftest import run_python

TWICE = """
import os, signal
from mps_experiments.machine.signals import catch_signals
catch_signals()
try:
    os.kill(os.getpid(), signal.SIGTERM)
finally:
    os.kill(os.getpid(), signal.SIGTERM)
    print("still here", flush=True)
"""

IN_A_DESTRUCTOR = """
import os, signal, threading
from mps_experiments.errors import Interrupted
from mps_experiments.machine.signals import catch_signals

class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)

catch_signals()
try:
    Dying()
    threading.Event().wait(60)
except Interrupted as error:
    print("ended by", error.signal_number, flush=True)
"""


@pytest.fixture(autouse=True)
def other_thread() -> Iterator[None]:
    """Run a thread that may take the signal instead of the main one, as a library's may."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    yield
    end.set()
    thread.join()


@pytest.fixture
def caught() -> Iterator[None]:
    """Install our handlers, and pytest's again afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # pytest itself may run under nohup
    hook = sys.unraisablehook
    catch_signals()
    yield
    sys.unraisablehook = hook
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("caught")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts(number: signal.Signals) -> None:
    with pytest.raises(Interrupted) as interruption:
        os.kill(os.getpid(), number)
    assert interruption.value.signal_number == number


@pytest.mark.usefixtures("caught")
def test_under_nohup_a_lost_terminal_does_not_interrupt() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    catch_signals()
    os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.usefixtures("caught")
def test_a_signal_that_comes_while_held_back_is_raised_at_the_end() -> None:
    reached = []

    def record() -> None:
        with held_back():
            os.kill(os.getpid(), signal.SIGTERM)
            reached.append("the record is written")

    with pytest.raises(Interrupted):
        record()
    assert reached


@pytest.mark.usefixtures("caught")
def test_what_is_held_back_is_let_through_inside() -> None:
    reached = []
    with held_back():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted), let_through():
            reached.append("measuring")
        reached.append("recording")
    assert reached == ["recording"]


def test_a_second_signal_ends_the_program_at_once() -> None:
    result = run_python("-c", TWICE)
    assert (result.returncode, result.stdout) == (128 + signal.SIGTERM, "")


def test_a_signal_that_arrives_in_a_destructor_is_not_lost() -> None:
    result = run_python("-c", IN_A_DESTRUCTOR)
    assert (result.returncode, result.stdout, result.stderr) == (0, "ended by 15\n", "")
