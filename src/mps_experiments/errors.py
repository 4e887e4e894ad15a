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

import signal


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
        super().__init__(" ".join(f"{given}: {expected}".split()))


def _as_typed(value: object) -> str:
    """A value that YAML has read, as it is written on the command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


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
