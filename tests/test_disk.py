"""Files that are replaced while they are read."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mps_experiments.disk import write_atomically
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
