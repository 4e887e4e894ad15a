"""A choice among the cells of stored runs, without a measurement."""

from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.errors import ConfigError
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status, Verdict
from mps_experiments.sweep.recommend import command
from mps_experiments.sweep.recommend.aim import LIMITS, Aim
from mps_experiments.sweep.recommend.answer import Answer
from mps_experiments.sweep.recommend.given import cells_of
from tests.sweep.recommend.conftest import truth
from tests.sweep.recommend.stored_records import Cells, Truth


def records(cells: Cells, blocks: int = 4) -> list[Measurement]:
    return [cells.run(arm, truth, block) for arm in range(len(cells.plans)) for block in range(blocks)]


def test_the_answer_is_that_of_a_search_which_knows_the_same_runs(cells: Cells) -> None:
    aim = Aim(limits=tuple(replace(each, most=20.0) for each in LIMITS if each.flag == "--memory-gib"))
    given = cells_of(aim, records(cells))
    assert sorted(given.names) == sorted(cells.study(aim).names)
    lines = list(Answer(given).lines())
    searched = list(Answer(cells.study(aim, truth)).lines())
    assert lines[0] == searched[0]
    assert lines[0].startswith("USE procs=4 mps=on: 90")
    assert {*lines[:-1]} ^ {*searched[:-1]} == set()
    assert lines[-1].startswith("runs: 0 measured, 24 stored; ")
    assert lines[-1].endswith("; stored runs only")


def test_the_name_of_a_cell_is_its_whole_configuration(cells: Cells) -> None:
    given = cells_of(Aim(), [cells.run(0, truth)])
    assert given.names == ["procs=1 mps=off"]
    larger = [replace(run, cell=run.cell.moved(batch=8)) for run in records(cells) if run.cell.mps == "off"]
    assert cells_of(Aim(), larger).names == [f"procs={n} mps=off workload.batch=8" for n in (1, 4, 8)]


def test_runs_of_several_settings_are_refused_and_told_apart(cells: Cells) -> None:
    runs = records(cells, blocks=1)
    elsewhere = replace(runs[0], record_id="other", machine=replace(runs[0].machine, hostname="big"))
    with pytest.raises(ConfigError) as refused:
        cells_of(Aim(), [*runs, elsewhere])
    host = runs[0].machine.hostname
    assert str(refused.value) == (
        f"--stored: the runs are of 2 settings: beside 6 alike, 1 differs in host (big against {host}); "
        "give runs of one"
    )


def test_the_choice_is_restricted_to_the_cells_that_are_named(cells: Cells) -> None:
    given = cells_of(Aim(), records(cells), {"mps": ["off"]})
    assert given.names == ["procs=1 mps=off", "procs=4 mps=off", "procs=8 mps=off"]
    assert next(Answer(given).lines()).startswith("USE procs=")
    with pytest.raises(ConfigError, match=r"procs=3,5: no stored run has it; there is procs=1,4,8"):
        cells_of(Aim(), records(cells), {"procs": ["3", "5"]})
    with pytest.raises(ConfigError, match=r"procs=3: no stored run has it"):
        cells_of(Aim(), records(cells), {"procs": ["1", "3"]})


def with_window(run: Measurement, window_s: float) -> Measurement:
    cell = replace(run.cell, axes=run.cell.axes | {"window_s": window_s})
    return replace(run, record_id=f"{run.record_id}-{window_s}", cell=cell)


def test_a_few_runs_with_another_window_are_left_out_and_told(cells: Cells) -> None:
    runs = records(cells, blocks=1)
    given = cells_of(Aim(), [*runs, with_window(runs[0], 7.0)])
    assert given.taken == 6
    assert given.unused == "1 stored run is not used: it differs in window_s (7.0 against 5.0)"


def with_times(run: Measurement, times: int) -> Measurement:
    moved = run.cell.moved(times=times, window_s=None)
    return replace(run, record_id=f"{run.record_id}-{times}", cell=moved)


def test_how_many_iterations_are_measured_is_no_choice(cells: Cells) -> None:
    runs = [with_times(run, times) for run in records(cells) for times in (200, 50, 400, 100)]
    given = cells_of(Aim(), runs)
    assert sorted(given.names) == sorted(cells.study(Aim()).names)
    assert {run.cell.times for own in given.runs for run in own} == {400}
    assert given.taken == 24
    assert given.unused == "72 stored runs are not used: they differ in times (50, 100, 200 against 400)"
    restricted = cells_of(Aim(), runs, {"times": ["50", "100"]})
    assert {run.cell.times for own in restricted.runs for run in own} == {100}
    assert restricted.unused == "24 stored runs are not used: they differ in times (50 against 100)"


def test_the_window_is_the_longest_that_all_configurations_have(cells: Cells) -> None:
    runs = records(cells, blocks=1)
    shared = [with_times(run, times) for run in runs for times in (50, 100)]
    given = cells_of(Aim(), [*shared, with_times(runs[0], 400), with_window(runs[1], 7.0)])
    assert {run.cell.times for own in given.runs for run in own} == {100}
    assert given.unused == "8 stored runs are not used: they differ in times (50, 400, auto against 100)"


def test_a_window_with_more_repeats_goes_before_a_longer_one(cells: Cells) -> None:
    repeated, single = records(cells), records(cells, blocks=1)
    runs = [*(with_times(run, 100) for run in repeated), *(with_times(run, 400) for run in single)]
    given = cells_of(Aim(), runs)
    assert {run.cell.times for own in given.runs for run in own} == {100}
    assert given.unused == "6 stored runs are not used: they differ in times (400 against 100)"


def test_a_common_window_of_single_runs_is_not_taken_where_others_are_repeated(cells: Cells) -> None:
    once = [with_times(run, 20) for run in records(cells, blocks=1)]
    given = cells_of(Aim(), [*once, *records(cells)[:-4]])
    used = [(own[0].cell.times, len(own)) for own in given.runs]
    assert sorted(used, key=str) == [("auto", 4)] * 5 + [(20, 1)]
    assert given.unused == "5 stored runs are not used: they differ in times (20 against auto)"


def test_a_window_of_seconds_can_be_chosen(cells: Cells) -> None:
    runs = [*records(cells), *(with_window(run, 10.0) for run in records(cells, blocks=1))]
    assert {run.cell.window_s for own in cells_of(Aim(), runs).runs for run in own} == {5.0}
    chosen = cells_of(Aim(), runs, {"window_s": ["10"]})
    assert {run.cell.window_s for own in chosen.runs for run in own} == {10.0}


def test_without_a_common_window_partners_share_theirs(cells: Cells) -> None:
    runs = records(cells, blocks=1)
    larger = [replace(run, cell=run.cell.moved(batch=8)) for run in runs]
    given = cells_of(Aim(), [*(with_times(run, n) for run in runs for n in (400, 200)), *larger])
    one_process = [name for name in given.names if name.startswith("procs=1 mps=off ")]
    assert one_process == [
        "procs=1 mps=off times=400 workload.batch=1",
        "procs=1 mps=off times=auto workload.batch=8 window_s=5.0",
    ]
    assert given.unused == "6 stored runs are not used: they differ in times (200 against 400)"


def test_where_no_window_is_shared_each_configuration_has_its_longest(cells: Cells) -> None:
    runs = records(cells, blocks=1)
    given = cells_of(
        Aim(), [*runs[:3], with_window(runs[0], 6.0), *(with_window(run, 7.0) for run in runs[3:])]
    )
    windows = sorted(name.partition(" window_s=")[2] for name in given.names)
    assert windows == ["5.0", "5.0", "6.0", "7.0", "7.0", "7.0"]
    assert given.unused == "1 stored run is not used: it differs in window_s (5.0 against 6.0)"


def test_a_slowed_one_process_run_shows_beside_runs_of_other_blocks(cells: Cells) -> None:
    slowed = cells.run(0, lambda _: Truth(30.0), block=1)
    lines = list(Answer(cells_of(Aim(), [slowed, cells.run(3, truth, block=0)])).lines())
    assert [line for line in lines if line.startswith("no gain over procs=1 mps=off is told: ")]


def test_runs_that_are_not_valid_do_not_count(cells: Cells) -> None:
    failed = replace(cells.run(0, truth), verdict=Verdict(status=Status.INVALID, reason="out of memory"))
    with pytest.raises(ConfigError, match="no VALID ordinary run among 1 records"):
        cells_of(Aim(), [failed])
    assert cells_of(Aim(), [failed, cells.run(1, truth)]).taken == 1


def test_the_command_measures_nothing(
    cells: Cells, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cells.store(tmp_path / "runs", truth)
    assert command.main(["--stored", "runs/0", "--stored", "runs/3", "--p50-ms", "20"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("USE procs=4 mps=on: 90")
    assert "runs: 0 measured, 8 stored" in out
    assert "stored runs only" in out
    assert err == ""
    (folder,) = (tmp_path / "outputs" / "recommended").iterdir()
    assert (folder / "experiment" / "recommended.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["seed=2"], "seed=2: has no effect with --stored, which measures nothing; leave it out"),
        (["window_s=2"], "window_s=2: no stored run has it; there is window_s=5"),
        (["runs"], "runs: is read as an option; write --stored before each RUN"),
        (["--budget-min", "3"], "--budget-min=3: has no effect with --stored"),
        (["--config-dir", "x"], "--config-dir=x: has no effect with --stored"),
        (["output_dir=a", "output_dir=b"], "output_dir=b: was given before as a; give one value"),
        (["procs=1", "procs=4"], "procs=4: was given before as 1; give one value"),
        (["output_dir"], "output_dir: has no value; write for example output_dir=outputs"),
        (["output_dir="], "output_dir='': must name a folder"),
        (["procs"], "procs: has no value; write for example procs=1"),
        (["mps"], "mps: has no value; write mps=NAME; --help lists the names"),
        (["--stored", "nowhere"], "--stored=nowhere: no such file or folder"),
    ],
)
def test_what_goes_with_a_measurement_only_is_one_line_and_exit_code_2(
    cells: Cells,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    expected: str,
) -> None:
    cells.store(tmp_path, truth, blocks=1)
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert command.main(["--stored", str(tmp_path), *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"mps_experiments: {expected}")
