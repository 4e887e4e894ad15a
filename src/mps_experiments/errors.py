"""Every error that this program raises on purpose.

::

    MpsExperimentsError
    ├── ConfigError      a mistake of the user: one line, exit code 2, nothing is started
    ├── RunError         this cell is INVALID; the sweep goes on
    │   ├── DaemonError  the MPS daemon did not start, answer or stop
    │   ├── ProofError   the workers were not attached as the cell claims
    │   └── WorkerError  a worker failed, died or hung
    ├── EvidenceError    evidence is missing; the numbers stay, and the record says what is missing
    ├── RecordError      a record on disk cannot be written or read
    └── TrackingError    MLflow did not take a record; the one on disk stays

    Interrupted          a signal asked the runner to stop (a KeyboardInterrupt, which no handler swallows)
"""

import re
import signal

_MAX_VALUE = 1000  # characters shown of a value
_MAX_WORDS = 500  # characters shown of an exception's text
_MAX_IN_GROUP = 3  # exceptions shown of a group
_USER_INFO = re.compile(r"(?<=://)[^\s/@]\S*@")
_QUERY = re.compile(r"([?&][^\s=&]*(?:pass|pwd|token|secret|key)[^\s=&]*=)[^\s&;:,]+", re.IGNORECASE)


class MpsExperimentsError(Exception):
    """Root of the errors raised on purpose."""


class ConfigError(MpsExperimentsError):
    """A value from the user cannot work.

    Args:
        option: The option as on the command line, such as ``procs``.
        value: The value that the user gave; an empty text for none.
        expected: What is wrong and what would work, as the rest of the line.
    """

    def __init__(self, option: str, value: object, expected: str) -> None:
        self.option, self.value, self.expected = option, value, expected
        given = f"{option}={_as_typed(value)}" if value != "" else option
        line = " ".join(without_passwords(f"{given}: {expected}").split())
        super().__init__("".join(each if each.isprintable() else _escaped(each) for each in line))


def _escaped(character: str) -> str:
    """Escape a character that could control the terminal."""
    return character.encode("unicode_escape").decode()


def without_passwords(text: str) -> str:
    """Replace the passwords in the addresses of a text, for a terminal or a log.

    >>> without_passwords("tracking.uri=http://me:secret@host:5000: no")
    'tracking.uri=http://***@host:5000: no'
    """
    return _QUERY.sub(r"\1***", _USER_INFO.sub("***@", text))


def _as_typed(value: object) -> str:
    """Write a value that YAML has read as it is typed on the command line, cut if it is long."""
    if value is None:
        return "null"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}..."


def in_words(error: BaseException, whole: bool = False) -> str:
    """Return an exception's type and the first line of its text, cut if it is long.

    A user's exception may raise when its text is asked for; this is said instead.

    Args:
        error: The exception.
        whole: Join all lines of the text instead of taking the first.

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
    """The cell gives no number: its verdict is INVALID, with this text as the reason."""


class DaemonError(RunError):
    """The MPS daemon did not start, did not answer in time, or refused a command."""


class ProofError(RunError):
    """The workers were not attached (or not unattached) as the cell claims."""


class WorkerError(RunError):
    """A worker failed, died or hung.

    Args:
        rank: Rank of the worker, from 0.
        reason: What happened, in words that follow "worker N".
        traceback: The worker's own traceback; empty if it left none.
    """

    def __init__(self, rank: int, reason: str, traceback: str = "") -> None:
        self.rank, self.reason, self.traceback = rank, reason, traceback
        super().__init__(f"worker {rank} {reason}")


class EvidenceError(MpsExperimentsError):
    """Evidence (a trace, telemetry, an output) is missing; no number depends on it."""


class RecordError(MpsExperimentsError):
    """A record on disk cannot be written or read."""


class TrackingError(MpsExperimentsError):
    """MLflow did not answer or refused; the record is still on disk."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the runner to stop.

    Args:
        signal_number: The signal, for example ``signal.SIGTERM``.
    """

    def __init__(self, signal_number: int) -> None:
        self.signal_number = signal_number
        super().__init__(f"interrupted by {signal.Signals(signal_number).name}")


def interruption_in(error: BaseException) -> Interrupted | None:
    """Return the signal that an error came of; None if it came of none.

    A library that is interrupted may fail while it tidies up, and then raises that instead.
    """
    seen = set[int]()  # by identity: some errors cannot be compared
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:  # Hydra makes errors that are the cause of their cause
        if isinstance(cause, Interrupted):
            return cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return None
