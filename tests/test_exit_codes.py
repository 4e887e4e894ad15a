"""What is given as RUN decides the exit code, for every tool as docs/reproducing.md has it."""

import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.config.schema import Config
from mps_experiments.errors import ConfigError
from mps_experiments.record.measurement import FILE_NAME, write_measurement
from mps_experiments.sweep.compare import main as compare
from mps_experiments.sweep.doctor.command import main as doctor
from mps_experiments.sweep.export.command import main as export
from mps_experiments.sweep.preflight import check_output_dir
from mps_experiments.sweep.recommend.command import main as recommend
from mps_experiments.sweep.replay.command import main as replay
from mps_experiments.sweep.report_command import main as report
from mps_experiments.sweep.sync import main as sync
from tests.fakes.stores import new_store
from tests.report_panels import full_sweep

# What comes before RUN and after it; {good} is a folder of other runs, {store} an MLflow store.
TOOLS: Mapping[str, tuple[Callable[[list[str]], int], list[str], list[str]]] = {
    "report": (report, [], ["--out", "report"]),
    "compare": (compare, ["{good}"], []),
    "recommend": (recommend, ["--stored"], []),
    "replay": (replay, [], []),
    "export": (export, [], ["-o", "experiment/mine.yaml"]),
    "sync": (sync, [], ["--tracking-uri", "{store}"]),
}
LONG = f"workload.input=[{','.join(f'photo{number:03d}.jpg' for number in range(25))}]"  # no file can have it
MISTAKES = {
    "nothing": "no such file or folder",
    LONG: "no such file or folder",
    "empty": f"no {FILE_NAME} below it",
    "cut.json": "is not a record: it is not valid JSON, or was cut off",
    "other.json": "is not a record of version 5: schema_version: Field required",
    "text.txt": "is not a record: it is not valid JSON, or was cut off",
    "archive.tar.gz": "is an archive; unpack it into a folder and give that",
    "damaged": f"no record of it can be read: such as damaged/1/{FILE_NAME} is not a record",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that may be given as RUN."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for measurement in full_sweep():
        write_measurement(measurement, Path("some", measurement.record_id, FILE_NAME))
        if measurement.cell.mps == "on":
            other = replace(measurement, record_id=f"good-{measurement.record_id}")
            write_measurement(other, Path("good", other.record_id, FILE_NAME))
    for path, text in (
        ("cut.json", "{"),
        ("other.json", '{"a": 1}'),
        ("text.txt", "hello"),
        (f"damaged/1/{FILE_NAME}", "{"),
        (f"damaged/2/{FILE_NAME}", "{}"),
        (f"some/cut/{FILE_NAME}", "{"),
    ):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    Path("empty").mkdir()
    with tarfile.open("archive.tar.gz", "w:gz") as archive:
        archive.add("good")
    new_store(tmp_path / "store.db")
    return tmp_path


def run(tool: str, word: str) -> int:
    command, before, after = TOOLS[tool]
    words = [*before, word, *after]
    return command([each.format(good="good", store="sqlite:///store.db") for each in words])


@pytest.mark.parametrize("tool", TOOLS)
def test_a_run_that_is_a_mistake_is_one_line_and_nothing_is_written(
    place: Path, capsys: pytest.CaptureFixture[str], tool: str
) -> None:
    before = sorted(place.rglob("*"))
    for word, expected in MISTAKES.items():
        assert run(tool, word) == 2, word
        said = capsys.readouterr()
        name = {"recommend": "--stored", "sync": "FOLDER"}.get(tool, "run")
        is_file = tool == "sync" and Path(word).suffix in (".json", ".txt")
        why = "is a file; give the folder that holds it" if is_file else expected
        assert said.err.startswith(f"mps_experiments: {name}={word}: {why}")
        assert (said.out, said.err.count("\n")) == ("", 1)
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("tool", sorted(TOOLS.keys() - {"replay"}))
def test_of_a_folder_with_some_damaged_records_the_rest_is_used(
    place: Path, capsys: pytest.CaptureFixture[str], tool: str
) -> None:
    assert run(tool, "some") == 1
    said = capsys.readouterr()
    line = f"some/cut/{FILE_NAME} is not a record: it is not valid JSON, or was cut off\n"
    assert said.err.count(line) == 1
    assert said.out != ""


@pytest.mark.parametrize("name", ["~nobody-has-this-name", "n" * 300])
@pytest.mark.parametrize("tool", TOOLS)
def test_an_output_folder_that_cannot_be_is_the_line_of_a_sweep(
    place: Path, capsys: pytest.CaptureFixture[str], tool: str, name: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        check_output_dir(Config(output_dir=name))
    command, before, after = TOOLS[tool]
    words = [each.format(good="good", store="sqlite:///store.db") for each in [*before, "good", *after]]
    assert command([*words, f"output_dir={name}"]) == 2
    assert capsys.readouterr() == ("", f"mps_experiments: {refused.value}\n")


def test_a_word_longer_than_a_file_name_is_no_run_to_choose_among(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recommend([LONG]) == 2
    assert recommend(["--stored", "good", LONG]) == 2
    assert recommend(["--config-dir", LONG]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 3)


@pytest.mark.parametrize("word", ["outputs", LONG])
def test_the_doctor_takes_no_run(capsys: pytest.CaptureFixture[str], word: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        doctor([word])
    assert capsys.readouterr().err.count("\n") == 1
