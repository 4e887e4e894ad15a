"""Whatever bytes come through the channel: a message or a RunError, and never a wait without end."""

import contextlib
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
from mps_experiments.workers import messages
from mps_experiments.workers.messages import (
    FromWorker,
    ToWorker,
    decode_from_worker,
    decode_to_worker,
    encode,
    receive,
    receive_from_worker,
)

# `clipped` takes surrogates out beforehand; NaN is sent, but never equal to itself.
st.register_type_strategy(str, st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
st.register_type_strategy(float, st.floats(allow_nan=False))
KINDS_FROM_WORKER = FromWorker.__args__
KINDS_TO_WORKER = ToWorker.__args__
FROM_WORKER: st.SearchStrategy[FromWorker] = st.one_of([st.from_type(kind) for kind in KINDS_FROM_WORKER])
TO_WORKER: st.SearchStrategy[ToWorker] = st.one_of([st.from_type(kind) for kind in KINDS_TO_WORKER])
# Nearly messages: bytes at random are refused before anything of a message is looked at.
DAMAGED = st.builds(
    lambda message, at, piece: encode(message)[:at] + piece + encode(message)[at + len(piece) :],
    st.one_of(FROM_WORKER, TO_WORKER),
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


@given(FROM_WORKER)
def test_every_word_of_a_worker_arrives_as_it_was_said(message: FromWorker) -> None:
    with pipe() as (ours, theirs):
        messages.send(theirs, message)
        assert receive_from_worker(ours) == message


@given(TO_WORKER)
def test_every_word_of_the_parent_arrives_as_it_was_said(message: ToWorker) -> None:
    with pipe() as (ours, theirs):
        ours.send_bytes(encode(message))
        assert receive(theirs, 10.0) == message


@given(DATA)
def test_any_bytes_are_a_message_or_a_run_error(data: bytes) -> None:
    with contextlib.suppress(RunError):
        assert isinstance(decode_from_worker(data), KINDS_FROM_WORKER)
    with contextlib.suppress(RunError):
        assert isinstance(decode_to_worker(data), KINDS_TO_WORKER)


@given(st.one_of(st.binary(max_size=64), DATA))
def test_any_bytes_in_the_channel_and_then_its_end_are_no_hang(data: bytes) -> None:
    with pipe() as (ours, theirs):
        _write(theirs, data)
        theirs.close()
        with contextlib.suppress(RunError, EOFError):
            assert isinstance(receive_from_worker(ours), KINDS_FROM_WORKER)


@given(st.binary(max_size=64))
def test_any_bytes_in_the_channel_and_then_silence_are_no_hang(data: bytes) -> None:
    with pipe() as (ours, theirs):
        _write(theirs, data)
        with contextlib.suppress(RunError):
            assert isinstance(receive_from_worker(ours, timeout_s=0.01), KINDS_FROM_WORKER)


@pytest.mark.parametrize("length", [-1, -2, -(2**31), 2**31 - 1, 2**24 + 1])
def test_a_length_that_cannot_be_is_refused_before_anything_is_read(length: int) -> None:
    with pipe() as (ours, theirs):
        _write(theirs, struct.pack("!i", length))
        with pytest.raises(RunError, match=f"announced a message of {length} bytes"):
            receive_from_worker(ours)


def test_half_a_message_and_then_silence_is_a_run_error() -> None:
    for data in (struct.pack("!i", 100) + b"{", b"\0\0"):
        with pipe() as (ours, theirs):
            _write(theirs, data)
            with pytest.raises(RunError, match="only part of a message"):
                receive_from_worker(ours, timeout_s=0.05)


def test_half_a_message_and_then_the_end_is_the_end() -> None:
    with pipe() as (ours, theirs):
        _write(theirs, struct.pack("!i", 100) + b"{")
        theirs.close()
        with pytest.raises(EOFError):
            receive_from_worker(ours)


def test_a_message_that_is_larger_than_a_pipe_arrives_whole() -> None:
    large = messages.Traced(problem="x" * 3_000_000)
    with pipe() as (ours, theirs):
        sender = threading.Thread(target=messages.send, args=(theirs, large))
        sender.start()
        assert receive_from_worker(ours) == large
        sender.join()


def _write(channel: Connection, data: bytes) -> None:
    """Write bytes without the length that `send_bytes` puts before them."""
    os.write(channel.fileno(), data)
