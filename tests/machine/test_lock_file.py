"""One file, one holder: whoever made it, whatever it says, and whatever else has its name."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mps_experiments.machine.lock_file import holder_of, told_holder, try_to_lock
from tests.fakes.plans import short_folder

COMMAND = "python -m mps_experiments times=9"
NOBODY = 65534


def locked(path: Path) -> int:
    descriptor = try_to_lock(path, COMMAND)
    assert descriptor is not None
    return descriptor


def test_a_file_is_locked_once_and_names_its_holder_until_that_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert holder_of(path) is None
    assert not path.exists()
    descriptor = locked(path)
    assert try_to_lock(path, "another") is None
    assert holder_of(path) == f"another sweep, pid {os.getpid()} ({COMMAND})"
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    assert holder_of(path) is None
    os.close(locked(path))
    assert path.exists()


def test_the_file_is_open_to_every_user_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        os.close(locked(tmp_path / "lock"))
    finally:
        os.umask(before)
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o666


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_locks_the_file_that_this_one_has_made() -> None:
    with short_folder() as folder:
        folder.chmod(0o1777)  # as /tmp, where the kernel may refuse O_CREAT for the file of another user
        path = folder / "lock"
        os.close(locked(path))
        assert as_nobody(lambda: try_to_lock(path, "nobody") is not None)
        descriptor = locked(path)
        assert as_nobody(lambda: try_to_lock(path, "nobody") is None)
        assert as_nobody(
            lambda: str(holder_of(path)).startswith(f"another sweep, pid {os.getppid()} (python")
        )
        os.close(descriptor)
        assert holder_of(path) is None


def as_nobody(question: Callable[[], bool]) -> bool:
    """The answer of a child process with another user; its interpreter may not be there for a new one."""
    child = os.fork()
    if child == 0:
        code = 2
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            code = 0 if question() else 1
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder"])
def test_what_is_no_lock_file_is_refused_and_not_touched(tmp_path: Path, kind: str) -> None:
    target, lock = tmp_path / "target", tmp_path / "lock"
    target.write_text("precious")
    if kind == "folder":
        lock.mkdir()
    else:
        lock.symlink_to(target if kind == "link" else tmp_path / "nothing")
    before = lock.lstat()
    with pytest.raises(OSError, match="lock"):
        try_to_lock(lock, COMMAND)
    if kind != "folder":
        with pytest.raises(OSError, match="lock"):
            holder_of(lock)
    assert target.read_text() == "precious"
    assert {path.name for path in tmp_path.iterdir()} == {"target", lock.name}
    assert (before.st_size, before.st_mode) == (lock.lstat().st_size, lock.lstat().st_mode)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "another sweep (owner unknown; see {path})"),
        ("٤٧٢\nx\n".encode(), "another sweep (owner unknown; see {path})"),
        (b"1\n", "another sweep, pid 1 (no command told)"),
        (b"1\nred \x1b[31m\nnext\xff\x07", "another sweep, pid 1 (red [31m next\ufffd)"),
        ("1\nleft \u202e right".encode(), "another sweep, pid 1 (left right)"),
        (b"1\n" + b"x" * 4000, f"another sweep, pid 1 ({'x' * 300})"),
    ],
)
def test_what_the_file_says_is_made_harmless(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "lock"
    path.write_bytes(content)
    assert told_holder(path) == told.format(path=path)


def test_a_file_that_is_removed_at_the_moment_of_locking_is_not_what_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, path = fcntl.flock, tmp_path / "lock"
    removed: list[int] = []

    def remove_first(descriptor: int, operation: int) -> None:
        if not removed:
            removed.append(path.stat().st_ino)
            path.unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    descriptor = locked(path)
    assert removed
    assert os.fstat(descriptor).st_nlink == 1
    assert try_to_lock(path, "another") is None
    os.close(descriptor)
