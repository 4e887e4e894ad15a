"""Jobs beside the main thread: one at a time, waited for with a deadline, nothing lost."""

import gc
import signal
import sys
import threading
import traceback
import weakref

import pytest

from mps_experiments.sweep.afterwork import Afterwork
from tests.fakes.plans import wait_until

DEADLINE_S = 30.0


def test_a_job_is_waited_for_and_told_to_be_late() -> None:
    work, gate = Afterwork(), threading.Event()

    def waits() -> None:
        gate.wait(DEADLINE_S)

    work.add(waits)
    assert not work.is_done(0.01)
    assert not work.settle(0.01)
    gate.set()
    assert work.settle(DEADLINE_S)


def test_a_job_waits_until_it_is_begun_or_waited_for() -> None:
    work, ran = Afterwork(), threading.Event()
    work.add(ran.set)
    assert not ran.is_set()
    work.begin()
    assert ran.wait(DEADLINE_S)
    ran.clear()
    work.add(ran.set)
    assert not ran.is_set()
    assert work.is_done(DEADLINE_S)
    assert ran.is_set()


def test_a_job_that_fails_keeps_no_other_from_its_turn() -> None:
    work, ran = Afterwork(), threading.Event()
    work.add(lambda: 1 // 0)
    work.add(ran.set)
    with pytest.raises(ZeroDivisionError):
        work.settle(DEADLINE_S)
    assert ran.is_set()


def test_a_job_runs_only_when_the_one_before_is_done() -> None:
    work, gate, order = Afterwork(), threading.Event(), list[str]()

    def first() -> None:
        gate.wait(DEADLINE_S)
        order.append("first")

    work.add(first)
    work.begin()
    work.add(lambda: order.append("second"))
    work.begin()
    assert not work.is_done(0.01)
    gate.set()
    assert work.is_done(DEADLINE_S)
    assert order == ["first", "second"]


def test_nothing_of_a_job_that_is_done_is_kept() -> None:
    class Large:
        """Stands for a traced pass."""

        def write(self) -> None:
            """Do nothing."""

    work, large = Afterwork(), Large()
    seen = weakref.ref(large)
    work.add(large.write)
    del large
    assert work.is_done(DEADLINE_S)
    gc.collect()
    assert seen() is None


def test_a_signal_while_waiting_lets_no_second_job_begin_beside_the_first() -> None:
    work, gate, order = Afterwork(), threading.Event(), list[str]()

    main = threading.main_thread().ident
    assert main is not None

    def main_waits() -> bool:
        calls = [call.name for call in traceback.extract_stack(sys._current_frames()[main])]
        return calls[-1] in ("wait", "_wait_for_tstate_lock") and "begin" not in calls

    def first() -> None:
        wait_until(main_waits, "the main thread waits")
        signal.pthread_kill(main, signal.SIGINT)
        gate.wait(DEADLINE_S)
        order.append("first")

    work.add(first)
    with pytest.raises(KeyboardInterrupt):
        work.is_done(DEADLINE_S)
    work.add(lambda: order.append("second"))
    assert not work.is_done(0.01)
    gate.set()
    assert work.settle(DEADLINE_S)
    assert order == ["first", "second"]
