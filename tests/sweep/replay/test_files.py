"""A stored run's files are found by path and digest, from whichever folder it is replayed."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.errors import ConfigError
from mps_experiments.record.workload import ImageInput, WorkloadSpec
from mps_experiments.sweep.export.values import StoredRun, stored_run
from mps_experiments.sweep.replay.files import folder_of_code, with_files_of_now
from mps_experiments.workloads.sources import source_sha256
from tests.records import make_measurement

PHOTO, OTHER = b"the photo", b"another photo"
FACTORY = "def build(device, options):\n    return print, 1\n"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder in which the run was typed, with the photo beside outputs/."""
    folder = tmp_path / "project"
    (folder / "outputs" / "day" / "time" / "run").mkdir(parents=True)
    (folder / "photo.jpg").write_bytes(PHOTO)
    (folder / "w.pth").write_bytes(OTHER)
    return folder


def recorded(project: Path, typed: str | list[str] = "photo.jpg", weights: str = "w.pth") -> StoredRun:
    """The run as its record tells of it, in the project's own folder."""
    names = typed if isinstance(typed, list) else [typed]
    images = tuple(
        ImageInput(name=str(project / name), sha256=sha256(PHOTO)) if name != "sample" else SAMPLE
        for name in names
    )
    measurement = make_measurement(inputs=images, weights=str(project / weights) if weights else "random")
    measurement = replace(
        measurement,
        config={"procs": 2, "workload": {"input": typed, "weights": weights or "random", "seed": 3}},
        weights_file_sha256=sha256(OTHER) if weights else None,
    )
    return stored_run(measurement, project / "outputs" / "day" / "time" / "run")


SAMPLE = ImageInput(name="sample", sha256="c" * 64)


def workload_of(run: StoredRun, *given: str) -> dict[str, object]:
    (found,) = with_files_of_now([run], given)
    return {name: found.values[f"workload.{name}"] for name in ("input", "weights", "seed")}


def test_from_another_folder_the_recorded_path_counts(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert workload_of(recorded(project)) == {
        "input": str(project / "photo.jpg"),
        "weights": str(project / "w.pth"),
        "seed": 3,
    }


def test_a_list_stays_a_list_and_the_sample_the_sample(project: Path) -> None:
    run = recorded(project, ["sample", "photo.jpg"], weights="")
    assert workload_of(run)["input"] == ["sample", str(project / "photo.jpg")]
    assert workload_of(recorded(project, "sample", weights=""))["input"] == "sample"


@pytest.mark.parametrize("place", ["moved/outputs/day/time/run", "moved/outputs", "moved", "here"])
def test_a_moved_file_is_found_near_the_record_and_in_the_current_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    run = recorded(project, weights="")
    shutil.move(project, tmp_path / "moved")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    if place != "moved":
        shutil.move(tmp_path / "moved" / "photo.jpg", tmp_path / place / "photo.jpg")
    moved = replace(run, folder=tmp_path / "moved" / "outputs" / "day" / "time" / "run")
    assert workload_of(moved)["input"] == str(tmp_path / place / "photo.jpg")


def test_a_file_of_the_same_name_and_other_content_is_passed_over(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recorded(project, weights="")
    (project / "photo.jpg").write_bytes(OTHER)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        with_files_of_now([run], [])
    assert str(refused.value) == (
        f"workload.input=photo.jpg: is not the file that was measured: {project / 'photo.jpg'} has sha256 "
        f"{sha256(OTHER)}, the record {sha256(PHOTO)}; give its path with workload.input="
    )
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    assert workload_of(run)["input"] == str(tmp_path / "photo.jpg")


def test_a_file_that_is_gone_is_named_with_its_digest(project: Path) -> None:
    run = recorded(project)
    (project / "w.pth").unlink()
    with pytest.raises(ConfigError) as refused:
        with_files_of_now([run], [])
    assert str(refused.value) == (
        f"workload.weights=w.pth: is neither at {project / 'w.pth'} nor next to the record or in the current "
        f"folder (sha256 {sha256(OTHER)}); give its path with workload.weights="
    )


def test_what_the_user_names_anew_is_not_looked_for(project: Path) -> None:
    run = recorded(project)
    (project / "photo.jpg").unlink()
    (project / "w.pth").unlink()
    found = workload_of(run, "workload.input", "workload.weights")
    assert (found["input"], found["weights"]) == ("photo.jpg", "w.pth")


def of_factory(folder: Path, run_folder: Path, digest: str | None = None) -> StoredRun:
    spec = WorkloadSpec(
        kind="custom",
        model="users_code:build",
        factory="users_code:build",
        import_path=str(folder),
        source_sha256=digest or source_sha256("users_code:build", folder),
    )
    measurement = make_measurement()
    workers = tuple(replace(worker, workload=spec) for worker in measurement.workers)
    return stored_run(replace(measurement, workers=workers), run_folder)


def test_a_factory_is_run_in_the_folder_where_it_is_as_it_was(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "users_code.py").write_text(FACTORY)
    run = of_factory(project, project / "outputs")
    monkeypatch.chdir(tmp_path)
    assert folder_of_code([run]) == project
    monkeypatch.chdir(project)
    assert folder_of_code([run]) == Path.cwd()


def test_a_factory_next_to_its_record_is_found_but_no_other_code(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "users_code.py").write_text(FACTORY)
    run = of_factory(project, tmp_path / "copy" / "run")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "copy" / "run").mkdir(parents=True)
    shutil.move(project / "users_code.py", tmp_path / "copy" / "users_code.py")
    assert folder_of_code([run]) == tmp_path / "copy"
    (tmp_path / "copy" / "users_code.py").write_text("evil = 1\n")
    assert folder_of_code([run]) == Path.cwd()
