"""The words between parent and worker: whatever comes through the channel is a message or an error."""

import contextlib
import math
import multiprocessing
import os
import struct
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mps_experiments.errors import RunError
from mps_experiments.record.outputs import TensorDigest
from mps_experiments.workers.messages import (
    Computed,
    Failed,
    FromWorker,
    ToWorker,
    Traced,
    clipped,
    decode_from_worker,
    encode,
    receive,
    receive_from_worker,
    send,
)

# `clipped` takes surrogates out beforehand; NaN is sent, but never equal to itself.
st.register_type_strategy(str, st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
st.register_type_strategy(float, st.floats(allow_nan=False))
KINDS_FROM_WORKER = FromWorker.__args__
FROM_WORKER: st.SearchStrategy[FromWorker] = st.one_of([st.from_type(kind) for kind in KINDS_FROM_WORKER])
TO_WORKER: st.SearchStrategy[ToWorker] = st.one_of([st.from_type(kind) for kind in ToWorker.__args__])
# Nearly messages: bytes at random are refused before anything of a message is looked at.
DAMAGED = st.builds(
    lambda message, at, piece: encode(message)[:at] + piece + encode(message)[at + len(piece) :],
    FROM_WORKER,
    st.integers(min_value=0, max_value=300),
    st.binary(max_size=10),
)
NESTED = st.integers(min_value=1, max_value=5000).map(lambda depth: b'{"kind":' * depth + b"[" * depth)
DATA = st.one_of(st.binary(max_size=300), DAMAGED, NESTED)


@contextlib.contextmanager
def pipe() -> Iterator[tuple[Connection, Connection]]:
    """Yield the parent's end and the worker's."""
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        yield ours, theirs


def write(channel: Connection, data: bytes) -> None:
    """Write bytes without the length that `send_bytes` puts before them."""
    os.write(channel.fileno(), data)


@given(FROM_WORKER)
def test_every_word_of_a_worker_arrives_as_it_was_said(message: FromWorker) -> None:
    with pipe() as (ours, theirs):
        send(theirs, message)
        assert receive_from_worker(ours) == message


@given(TO_WORKER)
def test_every_word_of_the_parent_arrives_as_it_was_said(message: ToWorker) -> None:
    with pipe() as (ours, theirs):
        ours.send_bytes(encode(message))
        assert receive(theirs, 10.0) == message


def test_values_that_json_does_not_know_arrive_too() -> None:
    values = (math.nan, math.inf, -math.inf, 0.0)
    digest = TensorDigest(name="0.boxes", shape=(4,), dtype="float32", hashed=8, sha256="ab", values=values)
    answer = decode_from_worker(encode(Computed(output=(digest,))))
    assert isinstance(answer, Computed)
    assert answer.output is not None
    assert repr(answer.output[0].values) == repr(values)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\x00", b"{}", b"[]", b'{"kind": "nope"}', b'{"kind": "done"}', b'{"kind": "ready"', b"null"],
)
def test_bytes_that_are_no_message_make_the_run_invalid(data: bytes) -> None:
    with pytest.raises(RunError, match="a worker sent an invalid message"):
        decode_from_worker(data)


@given(DATA)
def test_any_bytes_are_a_message_or_a_run_error(data: bytes) -> None:
    with contextlib.suppress(RunError):
        assert isinstance(decode_from_worker(data), KINDS_FROM_WORKER)


@given(st.one_of(st.binary(max_size=64), DATA))
def test_any_bytes_in_the_channel_and_then_its_end_are_no_hang(data: bytes) -> None:
    with pipe() as (ours, theirs):
        write(theirs, data)
        theirs.close()
        with contextlib.suppress(RunError, EOFError):
            assert isinstance(receive_from_worker(ours), KINDS_FROM_WORKER)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (struct.pack("!i", -1), "announced a message of -1 bytes"),
        (struct.pack("!i", 2**24 + 1), "announced a message of 16777217 bytes"),
        (struct.pack("!i", 100) + b"{", "only part of a message"),
        (b"\0\0", "only part of a message"),
    ],
)
def test_a_length_that_cannot_be_and_half_a_message_are_no_hang(data: bytes, words: str) -> None:
    with pipe() as (ours, theirs):
        write(theirs, data)
        with pytest.raises(RunError, match=words):
            receive_from_worker(ours, timeout_s=0.05)


def test_half_a_message_and_then_the_end_is_the_end() -> None:
    with pipe() as (ours, theirs):
        write(theirs, struct.pack("!i", 100) + b"{")
        theirs.close()
        with pytest.raises(EOFError):
            receive_from_worker(ours)


def test_a_message_that_is_larger_than_a_pipe_arrives_whole() -> None:
    large = Traced(problem="x" * 3_000_000)
    with pipe() as (ours, theirs):
        sender = threading.Thread(target=send, args=(theirs, large))
        sender.start()
        assert receive_from_worker(ours) == large
        sender.join()


@pytest.mark.parametrize(
    ("text", "most_bytes"),
    [
        ("x" * 1_000_000 + "the end", 16_384),  # one write
        ("\0\U0001f600" * 100_000, 65_536),  # a pipe's buffer
        ("file \udcff.jpg", 100),
    ],
)
def test_a_text_keeps_its_end_and_fits_into_the_channel(text: str, most_bytes: int) -> None:
    kept = clipped(text)
    assert kept[-7:] == text.encode(errors="backslashreplace").decode()[-7:]
    assert len(encode(Failed(phase="load", error=kept, traceback=kept))) < most_bytes
