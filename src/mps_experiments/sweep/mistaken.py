"""Say what was given for a run where no record of that name is: an archive, or records renamed."""

import shlex
from pathlib import Path

from mps_experiments.record.measurement import FILE_NAME
from mps_experiments.workloads.files import first_bytes

_HEAD_BYTES = 1024  # a record begins with its version and id
_TAR = "tar -xf {file} -C {folder}"
# What unpacks a file, then where which bytes must stand in it. GNU tar finds out the compression by itself.
_ARCHIVES = (
    ("python -m zipfile -e {file} {folder}", 0, b"PK\x03\x04"),
    ("7z x {file} -o{folder}", 0, b"7z\xbc\xaf\x27\x1c"),
    ("unrar x {file} {folder}/", 0, b"Rar!"),
    *((_TAR, 0, magic) for magic in (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")),
    (_TAR, 257, b"ustar"),
)


def archive_hint(path: Path) -> str:
    """Name the command that unpacks an archive; empty for any other file."""
    head = _head_of(path)
    for command, start, magic in _ARCHIVES:
        if head.startswith(magic, start):
            name = path.name.partition(".")[0] or "records"
            folder = shlex.quote(f"{name}-unpacked" if Path(name).exists() else name)
            typed = command.format(file=shlex.quote(str(path)), folder=folder)
            return f"is an archive; unpack it first, with: mkdir {folder} && {typed}, and give {folder}"
    return ""


def folder_hint(folder: Path) -> str:
    """Say what a folder without a measurement.json holds instead; empty if nothing of use."""
    for path in sorted(folder.rglob("*.json")):
        head = _head_of(path)
        if b'"schema_version"' in head and b'"record_id"' in head and path.name != FILE_NAME:
            files = f"{shlex.quote(str(path.parent))}/*.json"
            return f"a record has another name ({path.name}): give such records as files, {files}"
    hints = ((path, archive_hint(path)) for path in sorted(folder.rglob("*")))
    return next((f"{path.name} {hint}" for path, hint in hints if hint), "")


def _head_of(path: Path) -> bytes:
    try:
        return first_bytes(path, _HEAD_BYTES) if path.is_file() else b""
    except OSError:
        return b""
