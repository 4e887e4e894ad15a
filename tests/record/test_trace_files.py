"""Traces on disk: written and read back, damaged, and merged for a trace viewer."""

import itertools
import json
import zlib
from collections import defaultdict
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mps_experiments.errors import RecordError
from mps_experiments.record.overlap import CPU_OPERATOR, MEMCPY, KernelTrace
from mps_experiments.record.trace_files import MAX_NAME, load_trace, save_trace, write_merged_trace
from tests.traces import make_trace, random_trace, replica_trace

Event = dict[str, Any]
NOW = 1_795_470_982_128_729_215


def merged(*traces: KernelTrace, folder: Path, title: str = "mps=on") -> dict[str, Any]:
    """Return the merged trace as a viewer reads it, with exact numbers. The file must be one gzip member."""
    path = folder / "trace.json.gz"
    write_merged_trace(traces, path, title)
    member = zlib.decompressobj(wbits=31)
    text = member.decompress(path.read_bytes())
    assert member.eof
    assert member.unused_data == b""
    found: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return found


def threads(found: dict[str, Any]) -> dict[tuple[int, str], list[Event]]:
    """Group the spans by pid and name of their thread."""
    events = found["traceEvents"]
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    by_thread = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            by_thread[event["pid"], names[event["pid"], event["tid"]]].append(event)
    return dict(by_thread)


def span_ns(event: Event) -> tuple[int, int]:
    begin, length = Decimal(event["ts"]) * 1000, Decimal(event["dur"]) * 1000
    assert begin == int(begin)
    assert length == int(length)
    return int(begin), int(begin + length)


# ---- one worker's file


def test_a_trace_comes_back_as_it_was_written(tmp_path: Path) -> None:
    trace = replica_trace(3, operations=500)
    save_trace(trace, tmp_path / "trace.npz")
    found = load_trace(tmp_path / "trace.npz")
    for field in fields(KernelTrace):
        one, two = getattr(trace, field.name), getattr(found, field.name)
        assert type(one) is type(two)
        assert np.array_equal(one, two, equal_nan=field.name == "sm_fill"), field.name
    assert [path.name for path in tmp_path.iterdir()] == ["trace.npz"]


def test_a_trace_without_operations_comes_back_too(tmp_path: Path) -> None:
    save_trace(make_trace([], names=()), tmp_path / "trace.npz")
    found = load_trace(tmp_path / "trace.npz")
    assert (found.names, len(found.starts_ns), found.iterations) == ((), 0, 1)


def test_a_very_long_name_is_cut_and_others_are_not(tmp_path: Path) -> None:
    save_trace(make_trace([(0, 1), (2, 3)], names=("x" * 1000, "größer<λ>")), tmp_path / "trace.npz")
    assert load_trace(tmp_path / "trace.npz").names == ("x" * MAX_NAME, "größer<λ>")


def refusal(path: Path) -> str:
    with pytest.raises(RecordError) as caught:
        load_trace(path)
    message = str(caught.value)
    assert message.startswith(f"{path} ")
    assert "\n" not in message
    return message


def test_a_missing_trace_is_a_record_error_in_one_line(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.npz").endswith("cannot be read: No such file or directory")


def test_a_trace_cut_anywhere_is_a_record_error(tmp_path: Path) -> None:
    path = tmp_path / "trace.npz"
    save_trace(replica_trace(0, operations=20), path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        assert "is not a whole trace: " in refusal(path)


def test_a_trace_with_flipped_bytes_is_read_or_is_a_record_error_but_nothing_else(tmp_path: Path) -> None:
    path, rng = tmp_path / "trace.npz", np.random.default_rng(0)
    save_trace(make_trace([(0, 1), (2, 3)]), path)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    refused = 0
    for _ in range(400):
        damaged = whole.copy()
        damaged[rng.integers(len(whole), size=3)] = rng.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes())
        try:
            load_trace(path)
        except RecordError:
            refused += 1
    assert refused > 200


@pytest.mark.parametrize("content", [b"", b"{}", b"PK\x05\x06" + bytes(18), b"\x93NUMPY\x01\x00"])
def test_a_file_that_is_no_archive_of_these_arrays_is_a_record_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "trace.npz"
    path.write_bytes(content)
    refusal(path)


def test_a_single_array_is_no_trace(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.zeros(3))
    refusal(tmp_path / "array.npy")


WRONG: dict[str, dict[str, Any]] = {
    "of unequal length": {"ends_ns": np.array([1], np.int64)},
    "of two dimensions": {"boundaries_ns": np.zeros((2, 2), np.int64)},
    "without a start": {"boundaries_ns": np.array([], np.int64)},
    "of another type": {"starts_ns": np.array([0.0, 1.0])},
    "with an unknown name": {"name_ids": np.array([0, 1], np.int64)},
    "with an unknown kind": {"kinds": np.array([0, 9], np.int8)},
    "with pickled objects": {"names": np.array([{}], object)},
    "without an identity": {"identity": np.array([1])},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_arrays_that_make_no_trace_are_a_record_error(change: dict[str, Any], tmp_path: Path) -> None:
    save_trace(make_trace([(0, 1), (2, 3)]), tmp_path / "good.npz")
    with np.load(tmp_path / "good.npz") as good:
        np.savez(tmp_path / "bad.npz", **{**good, **change})
    assert "is not a whole trace: " in refusal(tmp_path / "bad.npz")


def test_a_folder_that_cannot_be_written_is_a_record_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    nowhere = tmp_path / "file" / "trace.npz"
    with pytest.raises(RecordError, match="cannot be written: "):
        save_trace(make_trace([]), nowhere)
    with pytest.raises(RecordError, match="cannot be written: "):
        write_merged_trace([], nowhere, "")


def test_an_earlier_file_stays_whole_if_the_new_one_cannot_replace_it(tmp_path: Path) -> None:
    (tmp_path / "trace.npz").mkdir()
    with pytest.raises(RecordError):
        save_trace(make_trace([]), tmp_path / "trace.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["trace.npz"]


# ---- all workers' file


def test_each_worker_is_a_process_with_its_real_pid_in_order_of_rank(tmp_path: Path) -> None:
    found = merged(*(make_trace([(0, 9)], rank=rank) for rank in range(3)), folder=tmp_path)
    events = found["traceEvents"]
    assert [(e["pid"], e["args"]["name"]) for e in events if e["name"] == "process_name"] == [
        (100, "worker 0 (pid 100)"),
        (101, "worker 1 (pid 101)"),
        (102, "worker 2 (pid 102)"),
    ]
    order = [e["args"]["sort_index"] for e in events if e["name"] == "process_sort_index"]
    assert order == [0, 1, 2]


def test_threads_are_iterations_launches_and_streams(tmp_path: Path) -> None:
    trace = make_trace([(10, 20), (15, 30)], launches=[(1, 3), (4, 6)], streams=[7, 20])
    names = ["iterations", "launches", "stream 7", "stream 20"]
    assert list(threads(merged(trace, folder=tmp_path))) == [(100, name) for name in names]


def test_times_are_right_to_the_nanosecond_and_relative_to_the_earliest_pass(tmp_path: Path) -> None:
    first = make_trace([(NOW + 1_234_567, NOW + 1_234_568)], boundaries_ns=(NOW + 1_000, NOW + 9_000_001))
    later = NOW + 3_600 * 10**9 + 1
    second = make_trace([(later, later + 7)], rank=1, boundaries_ns=(NOW, NOW + 5_003, later + 9))
    found = merged(first, second, folder=tmp_path)
    assert int(found["otherData"]["base_time_ns"]) == NOW
    spans = {thread: [span_ns(e) for e in events] for thread, events in threads(found).items()}
    assert spans == {
        (100, "iterations"): [(1_000, 9_000_001)],
        (100, "stream 7"): [(1_234_567, 1_234_568)],
        (101, "iterations"): [(0, 5_003), (5_003, later + 9 - NOW)],
        (101, "stream 7"): [(later - NOW, later + 7 - NOW)],
    }


def test_operations_keep_name_and_kind_whatever_the_name(tmp_path: Path) -> None:
    names = ('gemm<"a\\b">\n', "größer λ", "x" * 1000)
    trace = make_trace([(0, 1), (2, 3), (4, 5)], names=names, kinds=[0, MEMCPY, 0])
    events = threads(merged(trace, folder=tmp_path))[100, "stream 7"]
    assert [(e["name"], e["cat"]) for e in events] == [
        (names[0], "kernel"),
        (names[1], "memcpy"),
        ("x" * MAX_NAME, "kernel"),
    ]


def test_operators_of_the_cpu_are_on_threads_of_that_name(tmp_path: Path) -> None:
    trace = make_trace([(0, 50), (10, 20)], kinds=[CPU_OPERATOR] * 2, streams=[0, 0])
    found = threads(merged(trace, folder=tmp_path))
    assert [name for _, name in found] == ["iterations", "operators", "operators (2)"]
    assert found[100, "operators"][0]["cat"] == "cpu operator"


def test_a_call_that_launches_many_operations_is_shown_once(tmp_path: Path) -> None:
    trace = make_trace([(10, 20), (20, 30), (30, 40)], launches=[(1, 5), (1, 5), (6, 8)])
    found = threads(merged(trace, folder=tmp_path))
    assert [span_ns(e) for e in found[100, "launches"]] == [(1, 5), (6, 8)]
    assert (100, "launches (2)") not in found


def test_what_began_before_every_pass_is_left_out(tmp_path: Path) -> None:
    trace = make_trace([(40, 60), (60, 70)], launches=[(30, 35), (55, 58)], boundaries_ns=(50, 100))
    found = threads(merged(trace, folder=tmp_path))
    assert [span_ns(e) for e in found[100, "stream 7"]] == [(10, 20)]
    assert [span_ns(e) for e in found[100, "launches"]] == [(5, 8)]


def test_operations_that_overlap_on_a_stream_go_to_a_second_thread(tmp_path: Path) -> None:
    found = threads(merged(make_trace([(0, 10), (9, 20), (10, 30), (21, 22)]), folder=tmp_path))
    assert [span_ns(e) for e in found[100, "stream 7"]] == [(0, 10), (10, 30)]
    assert [span_ns(e) for e in found[100, "stream 7 (2)"]] == [(9, 20), (21, 22)]


@pytest.mark.parametrize("seed", range(10))
def test_no_spans_overlap_on_a_thread_and_none_is_lost(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    starts = np.sort(rng.integers(0, 100, 40))
    crowded = make_trace([(int(s), int(s + rng.integers(0, 30))) for s in starts])
    tidy = random_trace(rng, rank=1)
    found = threads(merged(crowded, tidy, folder=tmp_path))
    for events in found.values():
        spans = [span_ns(event) for event in events]
        assert all(one[1] <= two[0] for one, two in itertools.pairwise(spans))
    shown = sorted(
        span_ns(e) for (pid, name), es in found.items() if pid == 100 and "stream" in name for e in es
    )
    base = min(0, int(tidy.boundaries_ns[0]))
    given = zip(crowded.starts_ns, crowded.ends_ns, strict=True)
    assert shown == sorted((int(start) - base, int(end) - base) for start, end in given)


def test_title_and_unit_are_in_the_file(tmp_path: Path) -> None:
    found = merged(make_trace([]), folder=tmp_path, title='mps=on "quoted"')
    assert found["otherData"]["title"] == 'mps=on "quoted"'
    assert found["displayTimeUnit"] == "ns"


def test_no_worker_gives_a_file_without_events(tmp_path: Path) -> None:
    assert merged(folder=tmp_path)["traceEvents"] == []
