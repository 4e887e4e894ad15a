"""Findings about folders: TMPDIR with its sockets, the output folder, room on disk."""

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mps_experiments.config import Config
from mps_experiments.doctor.finding import Finding, fail, ok, warn
from mps_experiments.mps.control import MAX_SOCKET_PATH_BYTES
from mps_experiments.mps.folders import parent_folder

_PRIVATE_SOCKET = "mpsx-0123456789ab/pipe/control_privileged"
_WORKERS_SOCKET = "pymp-01234567/listener-01234567"  # the fork server's, by multiprocessing
_MAX_UNIX_PATH_BYTES = 107  # the kernel's 108 with a zero at the end
_LOW_DISK_BYTES = 2 * 10**9
_LOW_TEMPORARY_BYTES = 100 * 10**6
_KNOWS_NO_UNNAMED_FILES = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS)


def temporary_findings() -> Iterator[Finding]:
    """The folder for private folders and sockets."""
    try:
        used = Path(tempfile.gettempdir())
    except OSError as error:
        yield fail("TMPDIR", str(error.strerror), "set TMPDIR to a folder that you may write, or free space")
        return
    yield asked_for_finding(dict(os.environ), used)
    yield from temporary_folder_findings(parent_folder(), os.geteuid())
    yield socket_path_finding(used)


def asked_for_finding(environment: dict[str, str], used: Path) -> Finding:
    """Python silently takes another folder where TMPDIR cannot be used."""
    name = next((each for each in ("TMPDIR", "TEMP", "TMP") if environment.get(each)), None)
    if name is None or Path(environment[name]).absolute() == used:
        return ok("TMPDIR", str(used))
    todo = "set it to a folder that is there and that you may write, or unset it"
    return warn("TMPDIR", f"{name}={environment[name]} cannot be used: {used} is taken", todo)


def temporary_folder_findings(folder: Path, user_id: int) -> Iterator[Finding]:
    """Whether the folder for private folders can be written and is safe from other users."""
    name = "temporary folder"
    if problem := why_not_writable(folder):
        yield fail(name, f"{folder} cannot be written ({problem})", "set TMPDIR to a folder of yours")
        return
    found = folder.stat()
    others_may_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
    if found.st_uid not in (0, user_id) or others_may_write:
        what = "lets other users remove what is in it" if others_may_write else "belongs to another user"
        todo = "set TMPDIR to a folder of yours, mode 0700"
        yield warn(name, f"{folder} {what}", todo)
    elif os.statvfs(folder).f_flag & os.ST_NOEXEC:
        todo = "set TMPDIR to a folder on a disk without noexec"
        yield warn(name, f"{folder} is mounted noexec: models that torch compiles cannot be loaded", todo)
    elif (free := shutil.disk_usage(folder).free) < _LOW_TEMPORARY_BYTES:
        todo = "free some, or set TMPDIR to a folder on another disk"
        yield warn(name, f"{free / 10**6:.0f} MB free in {folder}", todo)
    else:
        yield ok(name, f"{folder} can be written")


def socket_path_finding(temporary: Path) -> Finding:
    """Sockets below TMPDIR must have short paths: the MPS daemon's, and that of the workers' fork server."""
    size, private = len(os.fsencode(temporary)), parent_folder()
    socket = len(os.fsencode(private / _PRIVATE_SOCKET))
    found = f"{socket} of {MAX_SOCKET_PATH_BYTES} bytes for MPS's socket in {private}"
    todo = "set TMPDIR to a folder with a short name, such as /tmp"
    if len(os.fsencode(temporary / _WORKERS_SOCKET)) > _MAX_UNIX_PATH_BYTES:
        return fail("pipe path", f"TMPDIR has {size} bytes: no worker can have a socket in it", todo)
    if socket > MAX_SOCKET_PATH_BYTES:
        return fail("pipe path", found, todo)
    if private != temporary:
        return warn("pipe path", f"TMPDIR has {size} bytes, too long for MPS: {private} is taken", todo)
    return ok("pipe path", found)


def output_findings(output_dir: str) -> Iterator[Finding]:
    """Where records go, and the room there."""
    try:
        folder = Path(output_dir).expanduser().absolute()
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        problem = why_not_writable(existing)
    except (OSError, RuntimeError) as error:  # RuntimeError: a ~user that nobody is
        existing, problem = None, str(error)
    if existing is None or problem:
        found = f"{output_dir} cannot be written ({problem})"
        yield fail("output folder", found, "name a folder of yours with output_dir=")
        return
    yield ok("output folder", f"{folder}" if existing == folder else f"{folder}, which will be made")
    yield disk_finding(shutil.disk_usage(existing).free)


def disk_finding(free_bytes: int) -> Finding:
    """Room for records; a sweep is refused below min_free_disk_mb."""
    least_mb = Config().min_free_disk_mb
    found = f"{free_bytes / 10**9:.1f} GB free for records"
    todo = "free some, or name a folder on another disk with output_dir="
    if free_bytes < least_mb * 10**6:
        return fail("disk", f"{found}, less than min_free_disk_mb={least_mb}", todo)
    return warn("disk", found, todo) if free_bytes < _LOW_DISK_BYTES else ok("disk", found)


def why_not_writable(folder: Path) -> str:
    """Why no file can be made there; tried with a file that never has a name, so that nothing changes."""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        if error.errno not in _KNOWS_NO_UNNAMED_FILES or not folder.is_dir():
            return error.strerror or str(error)
        return "" if os.access(folder, os.W_OK | os.X_OK) else os.strerror(errno.EACCES)
    return ""
