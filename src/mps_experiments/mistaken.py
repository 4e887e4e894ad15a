"""What is meant where a file or folder holds no record under its own name: an archive, records renamed."""

import shlex
import tarfile
import zipfile
import zlib
from pathlib import Path

from mps_experiments.record import FILE_NAME
from mps_experiments.workloads.files import COMPRESSED, first_bytes

_HEAD = 1024  # bytes; a record begins with its version and id


def archive_hint(path: Path) -> str:
    """Say how to unpack an archive; empty for any other file."""
    try:
        head = _head_of(path)
        folder = path.name.partition(".")[0] or "records"
        folder = f"{folder}-unpacked" if Path(folder).exists() else folder
        if tarfile.is_tarfile(path):
            return _unpack("tar", ["tar", "-xf", str(path), "-C", folder], folder)
        if zipfile.is_zipfile(path):
            return _unpack("zip", ["python", "-m", "zipfile", "-e", str(path), folder], folder)
    except (OSError, EOFError, zlib.error):  # cut off, or not to be read
        return ""
    command = next((each for magic, (_, each) in COMPRESSED.items() if head.startswith(magic)), None)
    if command is None:
        return ""
    typed = f"{command} {shlex.quote(str(path))}"
    return f"is compressed; unpack it first, with: {typed}, and give what comes out"


def folder_hint(folder: Path) -> str:
    """Say what a folder without a measurement.json holds instead; empty if nothing of use."""
    renamed = [path for path in sorted(folder.rglob("*.json")) if is_record(path)]
    if renamed:
        pattern = f"{shlex.quote(str(renamed[0].parent))}/*.json"
        one = len(renamed) == 1
        count = "a record has another name" if one else f"{len(renamed)} records have other names"
        return f"{count}, such as {renamed[0].name}: give them as files, {pattern}"
    for path in sorted(folder.rglob("*")):
        if path.is_file() and (hint := archive_hint(path)):
            return f"{path.name} {hint}"
    return ""


def is_record(path: Path) -> bool:
    """Whether a file begins as a record does, whatever its name."""
    try:
        head = _head_of(path)
    except OSError:
        return False
    return b'"schema_version"' in head and b'"record_id"' in head and path.name != FILE_NAME


def _head_of(path: Path) -> bytes:
    return first_bytes(path, _HEAD) if path.is_file() else b""


def _unpack(kind: str, command: list[str], folder: str) -> str:
    typed = f"mkdir {shlex.quote(folder)} && {shlex.join(command)}"
    return f"is a {kind} archive; unpack it first, with: {typed}, and give {shlex.quote(folder)}"
