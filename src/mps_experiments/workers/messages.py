"""Messages between the parent and its workers: small JSON texts, validated on arrival.

Timestamps are not sent: a worker writes them into shared memory, where they outlive it.
"""

import os
import struct
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from mps_experiments.errors import RunError
from mps_experiments.record.outputs import OutputDigest
from mps_experiments.record.worker import Done, Forward, WorkerFacts

_MESSAGE_TIMEOUT_S = 5.0  # from the first byte of a message to its last
_MAX_BYTES = 2**24
_MAX_TEXT = 6000  # characters; keeps a message in one write of multiprocessing's Connection


@dataclass(frozen=True, kw_only=True)
class Started:
    """First message: the worker's own process id, since multiprocessing knows only its keeper's."""

    kind: Literal["started"] = "started"
    pid: int


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The worker is loaded and warm, and waits for the start."""

    kind: Literal["ready"] = "ready"
    facts: WorkerFacts


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The worker gives up; `traceback` holds the end of its traceback."""

    kind: Literal["failed"] = "failed"
    phase: str
    error: str
    traceback: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Answer to a question after the window; `problem` says why there is none."""

    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Computed(Answer):
    """The output for the first input."""

    kind: Literal["computed"] = "computed"
    output: OutputDigest | None = None


@dataclass(frozen=True, kw_only=True)
class Tracing(Answer):
    """The profiler runs and the traced pass can start."""

    kind: Literal["tracing"] = "tracing"


@dataclass(frozen=True, kw_only=True)
class Traced(Answer):
    """The traced pass is written to its file."""

    kind: Literal["traced"] = "traced"


@dataclass(frozen=True, kw_only=True)
class Operators(Answer):
    """Number of operators that each of some iterations ran on the device."""

    kind: Literal["operators"] = "operators"
    counts: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Products(Answer):
    """Relative errors of matrix products by data type."""

    kind: Literal["products"] = "products"
    errors: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Checked:
    """Result of checking a workload in a child.

    Attributes:
        expected: What would work in place of the option's value; None if the workload is all right.
        weights_file_sha256: Digest of the weights file's bytes.
        remark: Line about steps needed to read the weights file; empty if none.
    """

    kind: Literal["checked"] = "checked"
    option: str = ""
    value: str = ""
    expected: str | None = None
    weights_file_sha256: str | None = None
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class Preloaded:
    """Result of importing modules in the fork server.

    Attributes:
        problems: Module -> reason not to import it there.
        spoilt: True if one of them left the fork server in a state that no worker may inherit.
    """

    kind: Literal["preloaded"] = "preloaded"
    problems: dict[str, str]
    spoilt: bool


@dataclass(frozen=True, kw_only=True)
class Go:
    """Start at this time of the system-wide monotonic clock, in nanoseconds."""

    kind: Literal["go"] = "go"
    start_at_ns: int


@dataclass(frozen=True, kw_only=True)
class Compute:
    """Compute the first input once more and report the output."""

    kind: Literal["compute"] = "compute"


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Start the profiler for a pass of this many iterations, and write the trace to `path` afterwards."""

    kind: Literal["trace"] = "trace"
    iterations: int
    path: str


@dataclass(frozen=True, kw_only=True)
class CountOperators:
    """Run this many iterations, and count the operators that each runs on the device."""

    kind: Literal["count_operators"] = "count_operators"
    iterations: int


@dataclass(frozen=True, kw_only=True)
class CheckProducts:
    """Compare matrix products on the device with the CPU's."""

    kind: Literal["check_products"] = "check_products"


@dataclass(frozen=True, kw_only=True)
class Exit:
    """Exit: there are no more questions."""

    kind: Literal["exit"] = "exit"


FromWorker = (
    Started
    | Ready
    | Forward
    | Done
    | Computed
    | Tracing
    | Traced
    | Operators
    | Products
    | Failed
    | Checked
    | Preloaded
)
ToWorker = Go | Compute | Trace | CountOperators | CheckProducts | Exit
_from_worker: TypeAdapter[FromWorker] = TypeAdapter(
    Annotated[FromWorker, Field(discriminator="kind")],
    config=ConfigDict(ser_json_inf_nan="strings"),  # JSON has no NaN; outputs may have some
)
_to_worker: TypeAdapter[ToWorker] = TypeAdapter(Annotated[ToWorker, Field(discriminator="kind")])


def encode(message: FromWorker | ToWorker) -> bytes:
    """Return the message as JSON."""
    adapter: TypeAdapter[Any] = _to_worker if isinstance(message, ToWorker) else _from_worker
    return adapter.dump_json(message)


def decode_from_worker(data: bytes) -> FromWorker:
    """Decode a message from a worker.

    Raises:
        RunError: If the bytes are not a valid message.
    """
    try:
        return _from_worker.validate_json(data)
    except ValidationError as error:
        raise RunError(f"a worker sent an invalid message ({error.error_count()} errors)") from error


def send(channel: Connection, message: FromWorker) -> None:
    """Send a worker's message to the parent."""
    channel.send_bytes(encode(message))


def receive(channel: Connection, timeout_s: float) -> ToWorker:
    """Return the parent's next message to a worker, or `Exit` if the parent is gone.

    Raises:
        TimeoutError: If none came in time.
    """
    if not channel.poll(timeout_s):
        raise TimeoutError(f"no message from the parent for {timeout_s:g} s")
    try:
        return _to_worker.validate_json(channel.recv_bytes())
    except EOFError:
        return Exit()


def receive_from_worker(channel: Connection, timeout_s: float = _MESSAGE_TIMEOUT_S) -> FromWorker:
    """Read a worker's next message; to be called when there is something to read.

    It reads what `Connection.send_bytes` writes. `Connection.recv_bytes` would wait forever for the rest of
    half a message, and allocate any length that is announced.

    Raises:
        RunError: If the bytes are not a valid message, or the rest of a message does not come in time.
        EOFError: If the channel was closed.
        OSError: If the channel is broken.
    """
    deadline = time.monotonic() + timeout_s
    (length,) = struct.unpack("!i", _read(channel, 4, deadline))
    if not 0 <= length <= _MAX_BYTES:
        raise RunError(f"a worker announced a message of {length} bytes")
    return decode_from_worker(_read(channel, length, deadline))


def _read(channel: Connection, length: int, deadline: float) -> bytes:
    data = b""
    while len(data) < length:
        if not channel.poll(max(0.0, deadline - time.monotonic())):
            raise RunError("a worker sent only part of a message")
        piece = os.read(channel.fileno(), length - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def clipped(text: str) -> str:
    """Return the end of a text, short enough for a message and without what JSON cannot carry."""
    text = text.encode(errors="backslashreplace").decode()  # file names may hold bytes that are not UTF-8
    return text if len(text) <= _MAX_TEXT else "..." + text[-_MAX_TEXT:]
