"""Every error that this program raises on purpose.

::

    MpsExperimentsError
    ├── ConfigError      a user's mistake: one line, exit code 2, nothing started
    ├── RunError         this cell is INVALID, the sweep goes on
    │   ├── DaemonError  the MPS daemon did not start, answer or stop
    │   ├── ProofError   the workers were not attached as the cell claims
    │   └── WorkerError  a worker failed, died or hung
    ├── EvidenceError    a piece of evidence cannot be had; the numbers stay, the record says what is missing
    ├── RecordError      a record on disk cannot be written or read
    └── TrackingError    MLflow did not take what was measured; the record on disk stays

    Interrupted          a signal asked the runner to stop (a KeyboardInterrupt, so nothing swallows it)
"""

import re
import signal

_MAX_VALUE = 1000  # characters of a value in a line
_MAX_WORDS = 500  # characters of what an exception says
_MAX_IN_GROUP = 3  # exceptions of a group that are named
_USER_INFO = re.compile(r"(?<=://)[^\s/@]\S*@")
_QUERY = re.compile(r"([?&][^\s=&]*(?:pass|pwd|token|secret|key)[^\s=&]*=)[^\s&;:,]+", re.IGNORECASE)


class MpsExperimentsError(Exception):
    """Root of the errors raised on purpose."""


class ConfigError(MpsExperimentsError):
    """A value that the user gave cannot work.

    Args:
        option: The option as it is written on the command line, for example ``procs``.
        value: The value as the user gave it; an empty text where there was none.
        expected: What would work, as the rest of the sentence.
    """

    def __init__(self, option: str, value: object, expected: str) -> None:
        self.option, self.value, self.expected = option, value, expected
        given = f"{option}={_as_typed(value)}" if value != "" else option
        line = " ".join(without_passwords(f"{given}: {expected}").split())
        super().__init__("".join(each if each.isprintable() else _escaped(each) for each in line))


def _escaped(character: str) -> str:
    """A character that would tell the terminal to do something."""
    return character.encode("unicode_escape").decode()


def without_passwords(text: str) -> str:
    """A line for a terminal or a log, in which no address shows its password.

    >>> without_passwords("tracking.uri=http://me:secret@host:5000: no")
    'tracking.uri=http://***@host:5000: no'
    """
    return _QUERY.sub(r"\1***", _USER_INFO.sub("***@", text))


def _as_typed(value: object) -> str:
    """A value that YAML has read, as it is written on the command line."""
    if value is None:
        return "null"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}..."


def in_words(error: BaseException, whole: bool = False) -> str:
    """Name an exception's type and the first line of its text, also where the text is endless or raises.

    Args:
        error: What was raised.
        whole: Put all lines of the text into one.

    >>> in_words(ValueError("no such file\\nsecond line"))
    'ValueError: no such file'
    """
    name = type(error).__name__
    try:
        text = str(error).strip()
    except BaseException as other:
        return f"{name}, whose text raises {type(other).__name__}"
    line = " ".join(text.split()) if whole else next(iter(text.splitlines()), "")
    if isinstance(error, BaseExceptionGroup):
        line = "; ".join([line, *map(in_words, error.exceptions[:_MAX_IN_GROUP])])
    line = line if len(line) <= _MAX_WORDS else f"{line[:_MAX_WORDS]}..."
    return f"{name}: {line}" if line else name


class RunError(MpsExperimentsError):
    """The cell cannot give a number; its verdict is INVALID with this text as the reason."""


class DaemonError(RunError):
    """The MPS daemon did not start, did not answer in time, or refused a command."""


class ProofError(RunError):
    """The workers were not attached (or not unattached) as the cell claims."""


class WorkerError(RunError):
    """A worker failed, died or hung.

    Args:
        rank: The worker's rank, from 0.
        reason: What happened, for a person.
        traceback: The worker's own traceback, empty where it left none.
    """

    def __init__(self, rank: int, reason: str, traceback: str = "") -> None:
        self.rank, self.reason, self.traceback = rank, reason, traceback
        super().__init__(f"worker {rank} {reason}")


class EvidenceError(MpsExperimentsError):
    """A piece of evidence (a trace, telemetry, an output) cannot be had; no number depends on it."""


class RecordError(MpsExperimentsError):
    """A record on disk cannot be written or read."""


class TrackingError(MpsExperimentsError):
    """MLflow did not answer or refused; what was measured is still on disk."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the runner to stop.

    Args:
        signal_number: The signal, for example ``signal.SIGTERM``.
    """

    def __init__(self, signal_number: int) -> None:
        self.signal_number = signal_number
        super().__init__(f"interrupted by {signal.Signals(signal_number).name}")
