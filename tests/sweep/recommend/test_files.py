"""What the answer leaves in a folder, and that a folder that takes nothing is only told."""

import shlex
from pathlib import Path

import pytest

from mps_experiments.config.cells import parse
from mps_experiments.sweep.recommend.aim import Aim
from mps_experiments.sweep.recommend.answer import Answer
from mps_experiments.sweep.recommend.files import write_answer
from tests.sweep.recommend.conftest import truth
from tests.sweep.recommend.stored_records import Cells


def test_the_answer_is_a_text_a_picture_and_an_experiment(cells: Cells, tmp_path: Path) -> None:
    study = cells.study(Aim(), truth)
    said = write_answer(Answer(study), tmp_path / "new", ["USE it"])
    assert [line.partition(": ")[0] for line in said] == ["picture", "YAML", "run it"]
    assert (tmp_path / "new" / "pareto.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "new" / "experiment" / "recommended.yaml").is_file()
    text = (tmp_path / "new" / "recommendation.txt").read_text()
    assert text.splitlines() == ["USE it", *said]


@pytest.mark.parametrize("name", ["back\\slash", "it's one", "tab\there", "${x}"])
def test_the_command_that_runs_it_is_one_that_works(cells: Cells, tmp_path: Path, name: str) -> None:
    said = write_answer(Answer(cells.study(Aim(), truth)), tmp_path / name, [])
    beginning, _, command = said[-1].partition("python -m mps_experiments ")
    words = shlex.split(command)
    if name in ("tab\there", "${x}"):
        assert beginning.startswith("to run it, copy experiment/ to a FOLDER whose path has no ${...}")
        (tmp_path / name).rename(tmp_path / "FOLDER")
        words[1] = str(tmp_path / words[1])
    (cell,) = parse(words).cells
    assert (cell.procs, cell.mps.enabled) == (4, True)


def test_without_an_answer_there_is_only_the_text(cells: Cells, tmp_path: Path) -> None:
    study = cells.study(Aim())
    assert write_answer(Answer(study), tmp_path, ["NO ANSWER"]) == []
    assert [path.name for path in tmp_path.iterdir()] == ["recommendation.txt"]


def test_a_folder_that_cannot_be_written_is_one_line(
    cells: Cells, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = cells.study(Aim())
    (tmp_path / "file").touch()
    assert write_answer(Answer(study), tmp_path / "file", []) == []
    error = capsys.readouterr().err
    assert error == f"mps_experiments: the answer cannot be written to {tmp_path / 'file'}: File exists\n"
