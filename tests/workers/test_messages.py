"""The words between parent and worker."""

import math
from dataclasses import replace

import pytest

from mps_experiments.errors import RunError
from mps_experiments.record.outputs import TensorDigest
from mps_experiments.record.telemetry import CpuUsage
from mps_experiments.record.worker import Done, Forward, WorkerFacts
from mps_experiments.workers.messages import (
    Checked,
    CheckProducts,
    Compute,
    Computed,
    CountOperators,
    Exit,
    Failed,
    FromWorker,
    Go,
    Operators,
    Products,
    Ready,
    ToWorker,
    Trace,
    Traced,
    Tracing,
    clipped,
    decode_from_worker,
    decode_to_worker,
    encode,
)

FACTS = WorkerFacts(
    cpu_cores=(1, 2),
    phases_s={"b": 1.0, "a": 2.0},
    torch_facts={"torch": "2"},
    weights_sha256=None,
    output_shape="ü",
)
USAGE = CpuUsage(
    user_s=1.0, system_s=0.5, voluntary_switches=1, involuntary_switches=2, run_queue_wait_s=None
)
DIGEST = TensorDigest(name="0.boxes", shape=(2, 4), dtype="bool", hashed=8, sha256="ab", values=(0.1, -1e-30))


@pytest.mark.parametrize(
    "message",
    [
        Ready(facts=FACTS),
        Forward(iteration=1, stream="0x1", shape="(1,)"),
        Done(peak_memory_allocated_bytes=None, peak_memory_reserved_bytes=1, peak_rss_bytes=2),
        Done(peak_memory_allocated_bytes=0, peak_memory_reserved_bytes=0, peak_rss_bytes=2**40, cpu=USAGE),
        Computed(output=(DIGEST, DIGEST)),
        Computed(output=()),
        Computed(output=None, problem="ValueError: ü"),
        Tracing(),
        Tracing(problem="no"),
        Traced(problem="no"),
        Operators(counts=(3, 0)),
        Operators(problem="no"),
        Products(errors={"float16": math.inf, "float32": 1e-6}),
        Failed(
            phase="load",
            error="E\0",
            traceback="T\n\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
        ),
        Checked(option="a", value="b", expected=None),
    ],
)
def test_what_a_worker_says_arrives_as_it_was_said(message: FromWorker) -> None:
    assert decode_from_worker(encode(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        Go(start_at_ns=2**62),
        Compute(),
        Trace(iterations=3, path="/ü/0.npz"),
        CountOperators(iterations=3),
        CheckProducts(),
        Exit(),
    ],
)
def test_what_the_parent_says_arrives_as_it_was_said(message: ToWorker) -> None:
    assert decode_to_worker(encode(message)) == message


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\x00", b"{}", b"[]", b'{"kind": "nope"}', b'{"kind": "done"}', b'{"kind": "ready"', b"null"],
)
def test_bytes_that_are_no_message_make_the_run_invalid(data: bytes) -> None:
    with pytest.raises(RunError, match="a worker sent an invalid message"):
        decode_from_worker(data)
    with pytest.raises(RunError, match="the parent sent an invalid message"):
        decode_to_worker(data)


def test_values_that_json_does_not_know_arrive_too() -> None:
    values = (math.nan, math.inf, -math.inf, 0.0)
    answer = decode_from_worker(encode(Computed(output=(replace(DIGEST, values=values),))))
    assert isinstance(answer, Computed)
    assert answer.output is not None
    assert repr(answer.output[0].values) == repr(values)


def test_phases_keep_their_order() -> None:
    message = decode_from_worker(encode(Ready(facts=FACTS)))
    assert isinstance(message, Ready)
    assert list(message.facts.phases_s) == ["b", "a"]


def test_a_long_text_keeps_its_end_and_stays_in_one_write() -> None:
    text = clipped("x" * 1_000_000 + "the end")
    assert text.startswith("...")
    assert text.endswith("the end")
    assert len(encode(Failed(phase="load", error=text, traceback=text))) < 16_384
    assert clipped("short") == "short"


def test_a_text_that_json_has_to_escape_stays_in_the_pipe_too() -> None:
    text = clipped("\0\U0001f600" * 100_000)
    assert len(encode(Failed(phase="load", error=text, traceback=text))) < 65_536  # a pipe's buffer


def test_a_text_that_is_not_unicode_can_be_sent() -> None:
    assert encode(Failed(phase="load", error=clipped("file \udcff.jpg"), traceback=""))
