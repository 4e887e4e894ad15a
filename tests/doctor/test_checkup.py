"""All checks in a row: on a machine with a GPU that is not there, and on broken ones."""

import os
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mps_experiments.doctor.checkup import Request, examine
from mps_experiments.doctor.finding import Finding, Level
from mps_experiments.doctor.roots import Roots
from mps_experiments.machine.gpus import FixedProbe, GpuProbe
from tests.doctor.conftest import H100, DriverProbe, by_name, opened, put_program_on_path, write
from tests.fakes.plans import use_fakes

OF_THE_GPU = {"permissions", "MIG", "compute mode", "GPU memory", "GPU processes", "other sweeps"}
ALWAYS = {"Python", "cores", "memory", "GPU", "control program", "foreign daemons", "disk", "tracking store"}


@pytest.fixture(autouse=True)
def light_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that says at once that there is no torch: that it is asked is shown in its own tests."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    write(tmp_path / "packages/torch/__init__.py", "raise ImportError('not here')\n")


def examined(
    tmp_path: Path, probe: GpuProbe, *, try_mps: bool = False, roots: Roots | None = None
) -> dict[str, Finding]:
    request = Request(output_dir=str(tmp_path / "outputs"), tracking_uri="none", try_mps=try_mps)
    return by_name(tuple(examine(request, opened(probe), roots or Roots(locks=tmp_path))))


def test_with_a_gpu_every_check_has_its_line_and_mps_is_not_tried(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_fakes(monkeypatch, "exit=1")
    found = examined(tmp_path, DriverProbe())
    assert set(found) >= ALWAYS | OF_THE_GPU | {"driver"}
    assert "MPS tried" not in found
    assert found["control program"].level is Level.OK
    assert found["torch"].found == "ImportError: not here"
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(("misbehaviour", "level"), [("", Level.OK), ("exit=1", Level.FAIL)])
def test_mps_is_tried_when_asked_for(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, misbehaviour: str, level: Level
) -> None:
    use_fakes(monkeypatch, misbehaviour)
    assert examined(tmp_path, DriverProbe(), try_mps=True)["MPS tried"].level is level


def test_without_a_gpu_its_checks_are_left_out(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    found = examined(tmp_path, FixedProbe(), try_mps=True)
    assert set(found) >= ALWAYS
    assert not set(found) & (OF_THE_GPU | {"MPS tried"})
    assert found["control program"].level is Level.WARN


def test_a_gpu_without_the_control_program_fails(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    assert examined(tmp_path, DriverProbe())["control program"].level is Level.FAIL


def test_a_list_of_processes_that_cannot_be_read_costs_one_line(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, roots: Roots
) -> None:
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(roots.proc))
    finding = examined(tmp_path, DriverProbe(), roots=roots)["foreign daemons"]
    assert finding.level is Level.WARN
    assert "cannot be looked at" in finding.found


def test_a_temporary_folder_that_is_gone_costs_only_what_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    monkeypatch.setattr("mps_experiments.doctor.checkup.parent_folder", lambda: tmp_path / "gone")
    put_program_on_path(monkeypatch, tmp_path / "bin", "#!/bin/sh\n")
    found = examined(tmp_path, DriverProbe())
    assert set(found) >= ALWAYS
    assert "cannot be looked at" in found["control program"].found


def test_mig_and_compute_mode_come_from_the_gpu_that_is_meant(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_fakes(monkeypatch)
    split = replace(H100, mig_enabled=True, compute_mode="Prohibited")
    found = examined(tmp_path, DriverProbe((split,)))
    assert (found["MIG"].level, found["compute mode"].level) == (Level.FAIL, Level.FAIL)
