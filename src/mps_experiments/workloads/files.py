"""Read the user's files: their digest, their first bytes, and the kinds that these bytes name."""

import hashlib
from pathlib import Path

ZIP, NUMPY, HDF5, PDF = b"PK\x03\x04", b"\x93NUMPY", b"\x89HDF\r\n\x1a\n", b"%PDF"
TAR, TAR_AT = b"ustar", 257
# Text files that stand for a file in a repository: first bytes -> kind, and the command that fetches it.
POINTERS = {
    b"version https://git-lfs": ("a Git LFS pointer, not the file itself", "run git lfs pull"),
    b"/annex/objects/": ("a git-annex pointer, not the file itself", "run git annex get"),
}
# First bytes -> kind, and the command that unpacks it.
COMPRESSED = {
    b"\x1f\x8b": ("a gzip archive", "gzip -dk"),
    b"BZh": ("a bzip2 archive", "bzip2 -dk"),
    b"\xfd7zXZ\0": ("an xz archive", "xz -dk"),
    b"\x28\xb5\x2f\xfd": ("a Zstandard archive", "zstd -d"),
    b"7z\xbc\xaf\x27\x1c": ("a 7-Zip archive", "7z x"),
    b"Rar!": ("a RAR archive", "unrar x"),
}


def first_bytes(path: Path, count: int) -> bytes:
    """Return the first bytes of a file; raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return file.read(count)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 digest of a file in hexadecimal; raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
