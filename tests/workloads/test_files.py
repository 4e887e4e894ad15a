"""First bytes and digests of files."""

from pathlib import Path

from mps_experiments.workloads.files import COMPRESSED, POINTERS, file_sha256, first_bytes


def test_the_head_and_the_digest_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    assert first_bytes(file, 2) == b"ab"
    assert first_bytes(file, 9) == b"abc"
    assert file_sha256(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_no_kind_begins_like_another() -> None:
    magics = [*COMPRESSED, *POINTERS]
    assert [(a, b) for a in magics for b in magics if a != b and a.startswith(b)] == []
