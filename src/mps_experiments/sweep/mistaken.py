"""Say what was given for a run where no record of that name is: an archive, or records renamed."""

import shlex
import tarfile
import zipfile
from pathlib import Path

from mps_experiments.record.measurement import FILE_NAME
from mps_experiments.workloads.files import first_bytes

_HEAD_BYTES = 1024  # a record begins with its version and id


def archive_hint(path: Path) -> str:
    """Name the command that unpacks an archive; empty for any other file."""
    try:
        is_tar, is_zip = path.is_file() and tarfile.is_tarfile(path), zipfile.is_zipfile(path)
    except OSError:
        return ""
    if not is_tar and not is_zip:
        return ""
    name = path.name.partition(".")[0] or "records"
    folder = shlex.quote(f"{name}-unpacked" if Path(name).exists() else name)
    command = f"{'tar -xf' if is_tar else 'python -m zipfile -e'} {shlex.quote(str(path))}"
    typed = f"mkdir {folder} && {command} {'-C ' if is_tar else ''}{folder}"
    return f"is an archive; unpack it first, with: {typed}, and give {folder}"


def folder_hint(folder: Path) -> str:
    """Say what a folder without a measurement.json holds instead; empty if nothing of use."""
    for path in filter(Path.is_file, sorted(folder.rglob("*"))):
        if hint := archive_hint(path):
            return f"{path.name} {hint}"
        if path.suffix == ".json" and path.name != FILE_NAME and _begins_like_a_record(path):
            files = f"{shlex.quote(str(path.parent))}/*.json"
            return f"a record has another name ({path.name}): give such records as files, {files}"
    return ""


def _begins_like_a_record(path: Path) -> bool:
    head = first_bytes(path, _HEAD_BYTES)
    return b'"schema_version"' in head and b'"record_id"' in head
