"""Files that are replaced while they are read."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mps_experiments.errors import RecordError
from mps_experiments.record.disk import (
    alone_in,
    digest_of_files,
    is_written,
    locked,
    write_atomically,
    writing_in,
)
from tests.conftest import SRC
from tests.fakes.stores import fill, holding, mounted
from tests.records import read_json


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


@pytest.mark.parametrize("has_links", [True, False])
def test_what_is_kept_aside_replaces_no_file_that_another_process_has_put_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    """As if the other one had been quicker: its files are there, but were not when this one looked."""
    path = tmp_path / "data.json"
    path.write_text("earlier")
    for number in (1, 2):
        (tmp_path / f"data.{number}.json").write_text(f"theirs {number}")
    if not has_links:
        monkeypatch.setattr(Path, "hardlink_to", _refused)
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda each: each == path and exists(each))
    write_atomically(path, b"new", keep_earlier=True)
    contents = {each.name: each.read_text() for each in tmp_path.iterdir()}
    assert contents == {
        "data.json": "new",
        "data.1.json": "theirs 1",
        "data.2.json": "theirs 2",
        "data.3.json": "earlier",
    }


def _refused(*_: object) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")


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


def test_a_disk_that_is_full_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "4m") as disk:
        path = disk / "data"
        write_atomically(path, b"earlier")
        fill(disk)
        with pytest.raises(OSError, match="No space left"):
            write_atomically(path, b"x" * 300_000)
        assert path.read_bytes() == b"earlier"
        assert {each.name for each in disk.iterdir()} == {"data", "filling"}


HOLDS = """
import sys
from pathlib import Path
from mps_experiments.record import disk
with getattr(disk, sys.argv[1])(Path(sys.argv[2]), *map(float, sys.argv[3:])):
    sys.stdout.write("HELD\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


@contextmanager
def held(block: str, path: Path, *timeout_s: float) -> Iterator[subprocess.Popen[bytes]]:
    """Another process is in one of the blocks, until its input is closed."""
    surroundings = os.environ | {"PYTHONPATH": str(SRC)}
    with holding(HOLDS, block, str(path), *map(str, timeout_s), surroundings=surroundings) as holder:
        yield holder


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_one_process_at_a_time_is_in_the_block(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "lock" if kind == "file" else tmp_path
    entered = threading.Event()

    def enter() -> None:
        with locked(path) if kind == "file" else alone_in(path, 20.0):
            entered.set()

    waiting = threading.Thread(target=enter)
    with held("locked", path) if kind == "file" else held("alone_in", path, 0.0):
        waiting.start()
        assert not entered.wait(0.2)
    waiting.join(20)
    assert entered.is_set()
    assert [each.name for each in tmp_path.iterdir()] == (["lock"] if kind == "file" else [])


def test_a_folder_is_not_waited_for_longer_than_the_deadline(tmp_path: Path) -> None:
    with held("alone_in", tmp_path, 0.0) as holder:
        holder.send_signal(signal.SIGSTOP)
        with pytest.raises(RecordError) as caught, alone_in(tmp_path, 0.1):
            pytest.fail("two are in the block")
    assert str(caught.value) == f"{tmp_path} has been in use by another process for 0.1 s"


def test_where_nothing_can_be_written_and_where_nothing_is_nobody_is_kept_out(tmp_path: Path) -> None:
    with locked(tmp_path / "no folder" / "lock"), alone_in(tmp_path / "no folder", 0.0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_has_one_writer_until_that_is_left_or_killed(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "one"
    assert not is_written(folder)
    with held("writing_in", folder) as holder:
        assert is_written(folder)
        with writing_in(folder) as is_alone:
            assert not is_alone
        holder.kill()
        holder.wait()
        assert not is_written(folder)
    with writing_in(folder) as is_alone:
        assert is_alone
        assert is_written(folder)
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        assert not is_written(folder), "a child has it"
    finally:
        child.kill()
        child.wait()
    assert [path.name for path in folder.iterdir()] == [".sweep.lock"]


def test_a_reader_that_looks_at_this_moment_is_no_other_writer(tmp_path: Path) -> None:
    (tmp_path / ".sweep.lock").touch()
    with (tmp_path / ".sweep.lock").open() as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        leaving = threading.Timer(0.1, reader.close)
        leaving.start()
        with writing_in(tmp_path) as is_alone:
            assert is_alone
        leaving.join()


def test_where_no_lock_can_be_made_nobody_is_kept_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with writing_in(tmp_path / "file" / "folder") as is_alone:
        assert is_alone


def test_a_digest_changes_with_any_content_and_any_name(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    one, other = tmp_path / "a.py", tmp_path / "deep" / "c.py"
    one.write_text("x = 1")
    other.write_text("x = 1")
    found = [digest_of_files(tmp_path, [other, one]), digest_of_files(tmp_path, [one])]
    assert found[0] == digest_of_files(tmp_path, [one, other])
    one.write_text("x = 2")
    found.append(digest_of_files(tmp_path, [one, other]))
    found.append(digest_of_files(tmp_path, [one.rename(tmp_path / "b.py"), other]))
    assert len(set(found)) == 4
