"""A check that hangs or breaks becomes a finding: the others are still made."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from mps_experiments.doctor.finding import Finding, fail, warn

_T = TypeVar("_T")
_MAX_TEXT = 300  # characters of an error


@dataclass(frozen=True, kw_only=True)
class Check:
    """Something to look at.

    Attributes:
        name: Of the finding, if the check itself hangs or breaks.
        look: Makes the findings.
        timeout_s: Seconds for that.
    """

    name: str
    look: Callable[[], Iterable[Finding]]
    timeout_s: float = 15.0

    def findings(self) -> tuple[Finding, ...]:
        """What was found, up to where the check hung or broke; raises nothing."""
        found: list[Finding] = []

        def collect() -> int:
            for each in self.look():
                found.append(each)  # noqa: PERF402 - so that those before an error stay
            return len(found)

        try:
            within(self.timeout_s, collect)
        except TimeoutError:
            return (*found, _late(self.name, self.timeout_s))
        except Exception as error:  # whatever it is, it must not hide the other findings
            return (*found, _broken(self.name, error))
        return tuple(found)


def _late(name: str, timeout_s: float) -> Finding:
    todo = "find out what hangs: a driver, a disk, a name server; a run would hang there, too"
    return fail(name, f"no answer within {timeout_s:g} s", todo)


def _broken(name: str, error: Exception) -> Finding:
    todo = "mend that and ask again; if this machine is as it should be, it is a bug of the doctor"
    return warn(name, f"cannot be looked at ({said_by(error)})", todo)


def within(timeout_s: float, call: Callable[[], _T]) -> _T:
    """The call's result; a call that is late is left behind in a daemon thread.

    Raises:
        TimeoutError: If it took more than `timeout_s` seconds; else what the call raises.
    """
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="doctor", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if errors:
        raise RuntimeError(said_by(errors[0])) if isinstance(errors[0], TimeoutError) else errors[0]
    if not results:
        raise TimeoutError
    return results[0]


def said_by(error: BaseException) -> str:
    """An error's kind and text in one short line."""
    text = " ".join(str(error).split())[:_MAX_TEXT]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
