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
SAMPLE = ImageInput(name="sample", sha256="c" * 64)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the run was typed; the current one is another."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(PHOTO)
    (folder / "w.pth").write_bytes(OTHER)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return folder


def recorded(project: Path, typed: str | list[str] = "photo.jpg", weights: str = "w.pth") -> StoredRun:
    """The run as its record tells of it."""
    images = tuple(
        SAMPLE if name == "sample" else ImageInput(name=str(project / name), sha256=sha256(PHOTO))
        for name in (typed if isinstance(typed, list) else [typed])
    )
    measurement = make_measurement(inputs=images, weights=str(project / weights) if weights else "random")
    return stored_run(
        replace(
            measurement,
            config={"procs": 2, "workload": {"input": typed, "weights": weights or "random", "seed": 3}},
            weights_file_sha256=sha256(OTHER) if weights else None,
        )
    )


def files_of(run: StoredRun, *given: str) -> tuple[object, object]:
    (found,) = with_files_of_now([run], given)
    return found.values["workload.input"], found.values["workload.weights"]


def test_the_recorded_path_counts_and_a_list_stays_a_list(project: Path) -> None:
    assert files_of(recorded(project)) == (str(project / "photo.jpg"), str(project / "w.pth"))
    run = recorded(project, ["sample", "photo.jpg"], weights="")
    assert files_of(run)[0] == ["sample", str(project / "photo.jpg")]
    assert files_of(recorded(project, "sample", weights=""))[0] == "sample"


def test_a_moved_file_is_found_in_the_current_folder(project: Path) -> None:
    shutil.move(project / "photo.jpg", "photo.jpg")
    assert files_of(recorded(project, weights=""))[0] == str(Path.cwd() / "photo.jpg")


def test_a_file_of_the_same_name_and_other_content_is_passed_over(project: Path) -> None:
    run = recorded(project, weights="")
    (project / "photo.jpg").write_bytes(OTHER)
    with pytest.raises(ConfigError, match=f"has sha256 {sha256(OTHER)}, the record {sha256(PHOTO)}; give"):
        with_files_of_now([run], [])
    Path("photo.jpg").write_bytes(PHOTO)
    assert files_of(run)[0] == str(Path.cwd() / "photo.jpg")


def test_a_file_that_is_gone_is_named_unless_the_user_names_it_anew(project: Path) -> None:
    run = recorded(project)
    (project / "w.pth").unlink()
    with pytest.raises(
        ConfigError, match=rf"weights=w\.pth: is neither at {project}/w\.pth nor in the current"
    ):
        with_files_of_now([run], [])
    assert files_of(run, "workload.input", "workload.weights") == ("photo.jpg", "w.pth")


def test_a_factory_is_run_in_the_folder_where_it_is_as_it_was_but_no_other_code(project: Path) -> None:
    code = project / "users_code.py"
    code.write_text("def build(device, options):\n    return print, 1\n")
    spec = WorkloadSpec(
        kind="custom",
        model="users_code:build",
        factory="users_code:build",
        import_path=str(project),
        source_sha256=source_sha256("users_code:build", project),
    )
    measurement = make_measurement()
    workers = tuple(replace(worker, workload=spec) for worker in measurement.workers)
    run = stored_run(replace(measurement, workers=workers))
    assert folder_of_code([run]) == project
    shutil.copy(code, "users_code.py")
    assert folder_of_code([run]) == Path.cwd()
    Path("users_code.py").unlink()
    code.write_text("evil = 1\n")
    assert folder_of_code([run]) == Path.cwd()
