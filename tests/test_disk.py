"""Files that are replaced while they are read."""

import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mps_experiments.disk import Reservation, alone_in, locked, write_atomically
from tests.conftest import SRC
from tests.fakes.stores import fill, mounted
from tests.records import read_json


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "4m") as folder:
        yield folder


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    contents = [json.dumps([number] * 20_000).encode() for number in range(2)]
    with _written_in_turn(path, contents, keep_earlier=False):
        seen = {tuple(set(read_json(path))) for _ in range(200)}
    assert seen <= {(0,), (1,)}


def test_keeping_the_earlier_file_leaves_no_moment_without_one(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    with _written_in_turn(path, [b"0", b"1"], keep_earlier=True):
        while len(list(tmp_path.iterdir())) < 20:
            assert path.read_bytes() in (b"0", b"1")


@contextmanager
def _written_in_turn(path: Path, contents: list[bytes], *, keep_earlier: bool) -> Iterator[None]:
    """`path` is there, and replaced again and again while the block runs."""
    stop = threading.Event()
    write_atomically(path, contents[0])

    def write() -> None:
        while not stop.is_set():
            for content in contents:
                write_atomically(path, content, keep_earlier=keep_earlier)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def test_reserved_room_becomes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    with Reservation(tmp_path, 100_000) as room:
        assert list(tmp_path.iterdir()) == []
        write_atomically(path, b"content", room=room)
        assert path.read_bytes() == b"content"
    assert path.read_bytes() == b"content"
    assert path.stat().st_blocks * 512 <= 8192, "what was not needed is given back"
    assert [each.name for each in tmp_path.iterdir()] == ["data.json"]


def test_reserved_room_is_there_when_the_disk_has_been_filled(tiny_disk: Path) -> None:
    content = b"x" * 300_000
    with Reservation(tiny_disk, len(content)) as room:
        fill(tiny_disk)
        with pytest.raises(OSError, match="No space left"):
            write_atomically(tiny_disk / "other", content)
        write_atomically(tiny_disk / "data", content, room=room)
    assert (tiny_disk / "data").read_bytes() == content


def test_room_that_is_not_there_cannot_be_reserved(tiny_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        Reservation(tiny_disk, 10**9)


def test_room_is_given_back_unused(tiny_disk: Path) -> None:
    for _ in range(3):  # each takes most of the disk
        with Reservation(tiny_disk, 3 * 2**20):
            pass


def test_a_file_larger_than_its_room_is_refused_whole_on_a_full_disk(tiny_disk: Path) -> None:
    path = tiny_disk / "data"
    write_atomically(path, b"earlier")
    with Reservation(tiny_disk, 4096) as room:
        fill(tiny_disk)
        with pytest.raises(OSError, match="No space left"):
            write_atomically(path, b"x" * 300_000, room=room)
    assert path.read_bytes() == b"earlier"
    assert {each.name for each in tiny_disk.iterdir()} == {"data", "filling"}


def test_room_is_only_looked_for_where_a_file_needs_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on NFS."""
    opened = os.open

    def without_unnamed_files(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", without_unnamed_files)
    with Reservation(tmp_path, 1000) as room:
        write_atomically(tmp_path / "data", b"content", room=room)
    assert (tmp_path / "data").read_bytes() == b"content"
    with pytest.raises(OSError, match="No space left"):
        Reservation(tmp_path, 2**60)


HOLDS = """
import sys
from pathlib import Path
from mps_experiments.disk import alone_in, locked
with (locked if sys.argv[1] == "file" else alone_in)(Path(sys.argv[2])):
    sys.stdout.write("IN\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_one_process_at_a_time_is_in_the_block(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "lock" if kind == "file" else tmp_path
    entered = threading.Event()

    def enter() -> None:
        with locked(path) if kind == "file" else alone_in(path):
            entered.set()

    waiting = threading.Thread(target=enter)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, kind, str(path)],
        env=os.environ | {"PYTHONPATH": str(SRC)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"IN\n"
        waiting.start()
        assert not entered.wait(0.2)
        holder.stdin.close()
    waiting.join(20)
    assert entered.is_set()
    assert [each.name for each in tmp_path.iterdir()] == (["lock"] if kind == "file" else [])


def test_where_nothing_can_be_written_and_where_nothing_is_nobody_is_kept_out(tmp_path: Path) -> None:
    with locked(tmp_path / "no folder" / "lock"), alone_in(tmp_path / "no folder"):
        pass
    assert list(tmp_path.iterdir()) == []
