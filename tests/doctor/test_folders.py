"""Folders that cannot be used, are not safe, or have names that are too long."""

import os
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from mps_experiments.doctor.finding import Level
from mps_experiments.doctor.folders import (
    asked_for_finding,
    disk_finding,
    output_findings,
    socket_path_finding,
    temporary_findings,
    temporary_folder_findings,
    why_not_writable,
)
from tests.doctor.conftest import by_name, the_only
from tests.fakes.stores import fill, immutable, mounted, read_only

USER = os.geteuid()


def named(folder: Path, size: int) -> Path:
    """A path of this many bytes below a folder."""
    missing = size - len(os.fsencode(folder)) - 1
    assert missing > 0
    return folder / ("x" * missing)


def test_a_tmpdir_that_is_taken_is_ok(tmp_path: Path) -> None:
    assert asked_for_finding({}, Path("/tmp")).level is Level.OK
    assert asked_for_finding({"TMPDIR": str(tmp_path)}, tmp_path).level is Level.OK


@pytest.mark.parametrize("name", ["TMPDIR", "TEMP"])
def test_a_tmpdir_that_python_silently_passes_over_warns(name: str) -> None:
    finding = asked_for_finding({name: "/nowhere"}, Path("/tmp"))
    assert finding.level is Level.WARN
    assert finding.found == f"{name}=/nowhere cannot be used: /tmp is taken"


def test_an_ordinary_temporary_folder_is_ok_in_every_line(temporary: Path) -> None:
    found = by_name(temporary_findings())
    assert list(found) == ["TMPDIR", "temporary folder", "pipe path"]
    assert {each.level for each in found.values()} == {Level.OK}, found


def test_no_temporary_folder_at_all_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    assert "No usable" in the_only(temporary_findings(), Level.FAIL).found


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    with immutable(tmp_path):
        finding = the_only(temporary_folder_findings(tmp_path, USER), Level.FAIL)
    assert "cannot be written (Operation not permitted)" in finding.found


def test_a_folder_of_another_user_warns(tmp_path: Path) -> None:
    finding = the_only(temporary_folder_findings(tmp_path, USER), Level.OK)
    os.chown(tmp_path, 65534, -1) if USER == 0 else pytest.skip("only root can give a folder away")
    finding = the_only(temporary_folder_findings(tmp_path, 1000), Level.WARN)
    assert "belongs to another user" in finding.found


@pytest.mark.parametrize(("mode", "level"), [(0o777, Level.WARN), (0o1777, Level.OK), (0o755, Level.OK)])
def test_a_folder_in_which_others_can_remove_things_warns(tmp_path: Path, mode: int, level: Level) -> None:
    tmp_path.chmod(mode)
    the_only(temporary_folder_findings(tmp_path, USER), level)


def test_a_folder_on_a_noexec_disk_warns(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "200m") as disk:
        disk.chmod(0o700)
        the_only(temporary_folder_findings(disk, USER), Level.OK)
        subprocess.run(["mount", "-o", "remount,noexec", disk], check=True)
        assert "noexec" in the_only(temporary_folder_findings(disk, USER), Level.WARN).found


def test_a_folder_on_an_almost_full_disk_warns(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "10m") as disk:
        disk.chmod(0o700)
        assert "MB free" in the_only(temporary_folder_findings(disk, USER), Level.WARN).found


@pytest.mark.parametrize(
    ("size", "level"), [(60, Level.OK), (61, Level.WARN), (75, Level.WARN), (76, Level.FAIL)]
)
def test_a_long_tmpdir_costs_first_mps_then_the_workers(
    monkeypatch: pytest.MonkeyPatch, size: int, level: Level
) -> None:
    folder = named(Path("/tmp"), size)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    finding = socket_path_finding(folder)
    assert finding.level is level, finding
    if level is not Level.OK:
        assert f"TMPDIR has {size} bytes" in finding.found


@pytest.mark.parametrize(("size", "fits"), [(75, True), (76, False)])
def test_the_limit_of_the_workers_is_the_kernels(size: int, fits: bool) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short, socket.socket(socket.AF_UNIX) as listener:
        folder = named(Path(short), size)
        path = folder / "pymp-01234567" / "listener-01234567"
        path.parent.mkdir(parents=True)
        if fits:
            listener.bind(str(path))
        else:
            with pytest.raises(OSError, match="too long"):
                listener.bind(str(path))


def test_an_output_folder_that_is_there_or_will_be_made_is_ok_and_not_made(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "a" / "b"):
        found = by_name(output_findings(str(folder)))
        assert found["output folder"].level is Level.OK
        assert str(folder) in found["output folder"].found
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/below", "~nobody-has-this-name/out"])
def test_an_output_folder_that_cannot_be_made_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    the_only(output_findings(name), Level.FAIL)


def test_a_disk_that_is_read_only_or_full_is_said_as_the_kernel_says_it(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "10m") as disk:
        assert why_not_writable(disk) == ""
        fill(disk)
        assert the_only(iter([by_name(output_findings(str(disk)))["disk"]]), Level.FAIL)
        read_only(disk)
        assert why_not_writable(disk) == "Read-only file system"


@pytest.mark.parametrize(
    ("free", "level"), [(10 * 10**9, Level.OK), (10**9, Level.WARN), (199 * 10**6, Level.FAIL)]
)
def test_little_room_warns_and_less_than_a_sweep_wants_fails(free: int, level: Level) -> None:
    assert disk_finding(free).level is level
