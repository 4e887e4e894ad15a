"""Disks and stores that misbehave, as the kernel makes them: full, read-only, locked by another process."""

import atexit
import contextlib
import errno
import functools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest


@functools.cache
def template_store() -> Path:
    """Return a database with MLflow's schema, made once per session: migrating a fresh one takes seconds."""
    from mlflow import MlflowClient

    folder = tempfile.mkdtemp(prefix="mpsx-template-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


def new_store(path: Path) -> str:
    """Put a copy of the template at `path` and return its tracking address."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(template_store(), path)
    return f"sqlite:///{path}"


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own in memory; the test is skipped where mounting is not permitted."""
    folder.mkdir()
    _or_skip("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def read_only(folder: Path) -> None:
    """From now on nobody writes to this mounted disk, root neither."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


@contextlib.contextmanager
def immutable(*paths: Path) -> Iterator[None]:
    """Nobody, root neither, writes to these files or creates one in these folders, also who has them open."""
    _or_skip("chattr", "+i", *map(str, paths))
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *map(str, paths)], check=True)


def _or_skip(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"{command[0]} is not installed")
    if done.returncode != 0:
        pytest.skip(f"{' '.join(command)}: {done.stderr.strip()}")


def fill(folder: Path) -> Path:
    """Take all room on a disk; returns the file that takes it."""
    path = folder / "filling"
    size = 2**20
    with path.open("ab", buffering=0) as file:
        while size:
            try:
                size = file.write(b"0" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017 - what ends the loop, not what is tested
                size //= 2
    return path


@contextlib.contextmanager
def holding(
    code: str, *arguments: str, surroundings: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Another process runs code that holds something, from when it says HELD until its input is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=surroundings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"HELD\n"
            yield holder
        finally:
            holder.kill()


LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
sys.stdout.write("HELD\\n")
sys.stdout.flush()
sys.stdin.read()
"""


@contextlib.contextmanager
def locked(database: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process has locked a SQLite store until its input is closed."""
    with holding(LOCKER, str(database)) as locker:
        yield locker
