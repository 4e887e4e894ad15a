"""The words between the parent and its workers: small JSON messages, checked on arrival.

Each fits into one pipe write, so that a worker that dies never leaves half a message behind. Timestamps
do not travel here: a worker writes them into shared memory, where they outlive it.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from mps_experiments.errors import RunError

_MAX_TEXT = 6000  # characters; keeps a message in one write of multiprocessing's Connection


@dataclass(frozen=True, kw_only=True)
class WorkerFacts:
    """What a worker found out while it got ready.

    Attributes:
        phases_s: Seconds per phase of getting ready, in order.
        torch_facts: Versions and device as torch sees them.
        weights_sha256: Digest of the tensors loaded; None where the workload has no state dict.
    """

    cpu_cores: tuple[int, ...]
    phases_s: dict[str, float]
    torch_facts: dict[str, str]
    weights_sha256: str | None
    output_shape: str


@dataclass(frozen=True, kw_only=True)
class Ready:
    """Loaded and warm; waiting for the start."""

    kind: Literal["ready"] = "ready"
    facts: WorkerFacts


@dataclass(frozen=True, kw_only=True)
class Forward:
    """One forward was done; sent only with ``workers.verbose=true``."""

    kind: Literal["forward"] = "forward"
    iteration: int
    stream: str
    shape: str


@dataclass(frozen=True, kw_only=True)
class Done:
    """All iterations were done; the worker stays attached until it is told to exit."""

    kind: Literal["done"] = "done"
    peak_memory_allocated_bytes: int | None
    peak_memory_reserved_bytes: int | None
    peak_rss_bytes: int


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The worker gives up; `traceback` is its last part."""

    kind: Literal["failed"] = "failed"
    phase: str
    error: str
    traceback: str


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A workload was checked without a GPU. `expected` is None where it fits.

    Attributes:
        option: The option that does not fit.
        value: Its value.
        expected: What would work instead.
        weights_file_sha256: Digest of the weights file's bytes.
    """

    kind: Literal["checked"] = "checked"
    option: str = ""
    value: str = ""
    expected: str | None = None
    weights_file_sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Go:
    """Start at this time of the system-wide monotonic clock, in nanoseconds."""

    kind: Literal["go"] = "go"
    start_at_ns: int


@dataclass(frozen=True, kw_only=True)
class Exit:
    """Nothing more is wanted."""

    kind: Literal["exit"] = "exit"


FromWorker = Ready | Forward | Done | Failed | Checked
ToWorker = Go | Exit
_from_worker: TypeAdapter[FromWorker] = TypeAdapter(Annotated[FromWorker, Field(discriminator="kind")])
_to_worker: TypeAdapter[ToWorker] = TypeAdapter(Annotated[ToWorker, Field(discriminator="kind")])


def encode(message: FromWorker | ToWorker) -> bytes:
    """The message as JSON."""
    adapter: TypeAdapter[FromWorker] | TypeAdapter[ToWorker]
    adapter = _to_worker if isinstance(message, Go | Exit) else _from_worker
    return adapter.dump_json(message)  # type: ignore[arg-type]


def decode_from_worker(data: bytes) -> FromWorker:
    """Read what a worker sent.

    Raises:
        RunError: If the bytes are no message.
    """
    try:
        return _from_worker.validate_json(data)
    except ValidationError as error:
        raise RunError(
            f"a worker sent something that is no message ({error.error_count()} errors)"
        ) from error


def decode_to_worker(data: bytes) -> ToWorker:
    """Read what the parent sent; raises RunError if the bytes are no message."""
    try:
        return _to_worker.validate_json(data)
    except ValidationError as error:
        raise RunError("the parent sent something that is no message") from error


def clipped(text: str) -> str:
    """The end of a text that may be too long for one message, without what JSON cannot carry."""
    text = text.encode(errors="backslashreplace").decode()  # file names may hold bytes that are no UTF-8
    return text if len(text) <= _MAX_TEXT else "..." + text[-_MAX_TEXT:]
