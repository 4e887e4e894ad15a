"""``python -m mps_experiments.recommend`` as a user calls it; `test_task` has real runs."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from mps_experiments.config.cells import parse
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.record.measurement import find_measurements
from mps_experiments.sweep.recommend import command
from tests.fakes.stores import new_store
from tests.fakes.warm import warm
from tests.sweep.recommend.conftest import CUSTOM, GRID, ON_GPU, truth
from tests.sweep.recommend.stored_records import Cells
from tests.sweep.test_sweep import MOODY, environment


def one(lines: list[str], beginning: str) -> str:
    (found,) = [line for line in lines if line.startswith(beginning)]
    return found


def test_stored_records_are_enough_for_the_whole_answer(
    cells: Cells, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = cells.store(tmp_path / "outputs" / "earlier", truth)
    typed = [*CUSTOM, *GRID, "--memory-gib", "20", f"output_dir={tmp_path / 'outputs'}", "tracking=none"]
    assert command.main(typed, ON_GPU, tmp_path) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    used = one(lines, "USE procs=4 mps=on")
    assert f"runs: 0 measured, {count} stored" in out
    assert err == ""
    assert len(find_measurements(tmp_path)) == count
    (folder,) = (tmp_path / "outputs" / "recommended").iterdir()
    assert {path.name for path in folder.iterdir()} == {"experiment", "pareto.png", "recommendation.txt"}
    (cell,) = parse(["--config-dir", str(folder), "experiment=recommended", CUSTOM[1]]).cells
    assert (cell.procs, cell.mps.enabled, cell.times, cell.window_s) == (4, True, "auto", 5.0)
    assert used in (folder / "recommendation.txt").read_text()


def test_records_of_other_conditions_are_not_read_and_no_run_is_begun_without_time(
    cells: Cells, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells.store(tmp_path / "outputs", truth, blocks=1)
    typed = [*CUSTOM, "procs=1,4", "mps=off", "times=auto", "window_s=6", "--budget-min", "0.01"]
    assert (
        command.main([*typed, f"output_dir={tmp_path / 'outputs'}", "tracking=none"], ON_GPU, tmp_path) == 1
    )
    out = capsys.readouterr().out
    assert "runs: 0 measured, 0 stored" in out
    assert out.startswith(
        "6 stored runs are not used: 3 differ in mps (on against off); "
        "2 differ in window_s (5.0 against 6.0); 1 differs in procs (8 against 1, 4)\n"
    )
    why = "no run would be done within the budget; --budget-min 2 should do for the first 4 runs"
    assert out.count(f"not measured: {why}") == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--goal", "foo"], "--goal=foo: must be one of throughput, latency, energy, cost"),
        (["--p99-ms", "0"], "--p99-ms=0: must be a number above 0"),
        (["--p99-ms", "x"], "--p99-ms=x: must be a number above 0"),
        (["--memory-gib", "nan"], "--memory-gib=nan: must be a number above 0"),
        (["--budget-min", "0"], "--budget-min=0: must be a number above 0"),
        (["--goal", "cost", "--gpu-hour", "2", "--kwh", "-1"], "--kwh=-1: must be a number from 0 on"),
        (["--goal", "cost", "--gpu-hour", ""], "--gpu-hour: must be a number above 0"),
        (["--goal", "cost"], "--goal=cost: needs --gpu-hour, the price of an hour of the GPU"),
        (["--goal", "cost", "--kwh", "0.3"], "--goal=cost: needs --gpu-hour"),
        (["--gpu-hour", "2.5"], "--gpu-hour=2.5: has no effect without --goal cost"),
        (["--kwh", "0.3", "--goal", "energy"], "--kwh=0.3: has no effect without --goal cost"),
        (["procs="], "procs: must be a whole number from 1 to 1024"),
        (["procs=1,0"], "procs=0: must be a whole number from 1 to 1024"),
        (["repeat=0,1"], "repeat=0,1: the search adds blocks"),
        (["budget_min=0"], "--budget-min=0: must be a number above 0"),
        (["--tracking-uri", "x"], "--tracking-uri=x: is where the runs of --stored are; tracking.uri=..."),
        (["fault.kind=kill"], "fault.kind=kill: a search compares ordinary runs"),
        (["procs=1", "device=cpu", "--goal", "energy"], "--goal=energy: needs figures of a GPU"),
        (["procs=1", "device=cpu", "--memory-gib", "3"], "--memory-gib=3: needs figures of a GPU"),
        (["procs=100", "mps=on"], "procs: an MPS server takes 48 clients here"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    typed = [*arguments, f"output_dir={tmp_path / 'outputs'}", "tracking=none"]
    assert command.main(typed, ON_GPU, tmp_path) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"mps_experiments: {expected}")
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("flag", ["--p99-ms", "--nothing"])
def test_a_flag_that_is_not_understood_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main([flag])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_cells_that_cannot_run_here_are_skipped_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        command.main([*CUSTOM, "mps=on", "procs=1,2", f"output_dir={tmp_path}"], FixedProbe(), tmp_path) == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert one(lines, "NO ANSWER: no cell has a VALID run")
    for procs in (1, 2):
        assert "SKIPPED: mps=on needs an NVIDIA GPU" in one(lines, f"excluded: procs={procs}")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"procs"}, "give a larger --budget-min"),
        ({"procs", "window_s"}, "leave window_s out"),
        ({"times", "window_s"}, "leave times and window_s out"),
        ({"experiment", "window_s"}, "give a longer window_s"),
    ],
)
def test_what_gives_p99_more_iterations_depends_on_what_was_typed(given: set[str], expected: str) -> None:
    assert command._longer_window(given) == expected


@pytest.fixture
def logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """MLflow's run ids of a small CPU sweep that was really run, by name; the parent run is "sweep"."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    new_store(tmp_path / "outputs" / "mlflow.db")
    options = ("procs=1,2", "repeat=0,1", "times=30", "trace.iterations=0", "report=false")
    done = warm().start("mps_experiments", ["-m", *MOODY, *options], tmp_path, environment()).finish()
    assert done.returncode == 0, done.stdout + done.stderr
    client = MlflowClient("sqlite:///outputs/mlflow.db")
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
    names = {run.info.run_id: str(run.info.run_name) for run in runs}
    return {name if name.startswith("mps=") else "sweep": run_id for run_id, name in names.items()}


def test_an_mlflow_run_id_stands_for_its_sweep_or_its_run(
    logged: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one_run = next(run_id for name, run_id in logged.items() if "procs=2" in name)
    assert command.main(["--stored", logged["sweep"]]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "(2 blocks)" in one(lines, "USE procs=")
    assert one(lines, "runs: ").startswith("runs: 0 measured, 4 stored")
    assert (tmp_path / "outputs" / "recommended").is_dir()

    assert command.main(["--stored", one_run]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert one(lines, "USE ").startswith("USE procs=2 mps=off: ")
    assert one(lines, "runs: ").startswith("runs: 0 measured, 1 stored")

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store = f"sqlite:///{tmp_path}/outputs/mlflow.db"
    for place in (["--tracking-uri", store], [f"tracking.uri={store}"], ["output_dir=../outputs"]):
        assert command.main(["--stored", logged["sweep"], "--stored", one_run, *place]) == 0
        assert "4 stored" in capsys.readouterr().out

    assert command.main(["--stored", one_run]) == 2
    expected = f"--stored={one_run}: no such file or folder, and no MLflow store at {Path.cwd()}/outputs"
    assert expected in capsys.readouterr().err
    assert command.main(["--stored", "0" * 32, "--tracking-uri", store]) == 2
    assert "there is no such run; --tracking-uri names another store" in capsys.readouterr().err
