"""A machine of files and a driver that says what a test wants."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.doctor.finding import Finding, Level
from mps_experiments.doctor.roots import Roots
from mps_experiments.machine.gpus import FixedProbe, Gpu, GpuProbe, GpuProcess
from mps_experiments.mps.control import CONTROL_PROGRAM, SERVER_PROGRAM
from tests.fakes.plans import FAKE_GPU, short_folder

DRIVER, CUDA = "580.159.04", "13.0"
H100 = replace(FAKE_GPU, name="Stand-in H100", compute_capability="9.0")


class DriverProbe(FixedProbe):
    """NVML of a driver of a given version, with its memory in use."""

    def __init__(
        self,
        gpus: tuple[Gpu, ...] = (H100,),
        processes: tuple[GpuProcess, ...] = (),
        used_bytes: int | None = 10**9,
        cuda: str = CUDA,
    ) -> None:
        super().__init__(gpus, processes)
        self._used_bytes, self._cuda = used_bytes, cuda

    def driver_version(self) -> str | None:
        return DRIVER

    def cuda_driver_version(self) -> str | None:
        return self._cuda

    def memory_used_bytes(self, uuid: str) -> int | None:  # noqa: ARG002
        return self._used_bytes


def opened(probe: GpuProbe) -> Callable[[], AbstractContextManager[GpuProbe]]:
    """What opens NVML, with this probe for NVML."""
    return lambda: contextlib.nullcontext(probe)


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """A machine with nothing in it."""
    folders = {name: tmp_path / "machine" / name for name in ("proc", "sys", "dev", "locks")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    return Roots(**folders)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """TMPDIR of a test; empty again at the end."""
    with short_folder() as folder:
        monkeypatch.setenv("TMPDIR", str(folder))
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        yield folder
        assert list(folder.iterdir()) == []


def write(path: Path, text: str) -> None:
    """A file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def put_program_on_path(patch: pytest.MonkeyPatch, folder: Path, script: str) -> Path:
    """A control program that is this script, first on PATH, with a server beside it."""
    folder.mkdir()
    for name in (CONTROL_PROGRAM, SERVER_PROGRAM):
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    patch.setenv("PATH", os.pathsep.join([str(folder), os.environ["PATH"]]))
    return folder / CONTROL_PROGRAM


def by_name(findings: Iterator[Finding] | tuple[Finding, ...]) -> dict[str, Finding]:
    """Findings by what was looked at; each once."""
    listed = list(findings)
    named = {finding.name: finding for finding in listed}
    assert len(named) == len(listed)
    return named


def the_only(findings: Iterator[Finding] | tuple[Finding, ...], level: Level) -> Finding:
    """The finding, which has this level."""
    (finding,) = findings
    assert finding.level is level, finding
    return finding
