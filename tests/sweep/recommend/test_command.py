"""``python -m mps_experiments.recommend`` as a user calls it: from stored records, and with runs on the CPU."""

import signal
from pathlib import Path

import pytest

from mps_experiments.config.cells import parse
from mps_experiments.config.schema import Config
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.record.measurement import Measurement, find_measurements, read_measurement
from mps_experiments.record.verdict import Status
from mps_experiments.sweep.recommend import command
from tests.fakes.plans import FAKE_GPU, use_fakes, wait_until
from tests.fakes.warm import Running, warm
from tests.records import read_json
from tests.sweep.recommend.stored_records import Truth, store
from tests.sweep.test_sweep import MOODY, environment

ON_GPU = FixedProbe((FAKE_GPU,))
CELLS = ("procs=1,2,4,8", "mps=off,on", "times=auto", "window_s=5")
CUSTOM = ("workload=custom", "workload.factory=tests.fakes.moody:build")
SHARED_MS = {1: 4.0, 2: 4.1, 4: 4.4, 8: 8.7}  # under MPS; eight do no more than four


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells of eight processes are possible here; the stand-ins for NVIDIA's programs are on PATH."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)))
    use_fakes(monkeypatch)


def truth(config: Config) -> Truth:
    """Time-sliced, all take turns; under MPS four run at once."""
    shared = config.mps.enabled
    latency_ms = SHARED_MS[config.procs] if shared else 4.0 * config.procs * 0.9 ** (config.procs > 1)
    return Truth(latency_ms / config.workload.batch**0.1, memory_gib=3.0 * config.procs)


def said(tmp_path: Path, capsys: pytest.CaptureFixture[str], *arguments: str, expected: int = 0) -> list[str]:
    """What the command prints about the records in `outputs`."""
    capsys.readouterr()
    typed = [*CUSTOM, *arguments, f"output_dir={tmp_path / 'outputs'}", "tracking=none"]
    code = command.main(typed, ON_GPU, tmp_path)
    out, err = capsys.readouterr()
    assert (code, err) == (expected, "")
    return out.splitlines()


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    store(tmp_path / "outputs", [*CUSTOM, *CELLS], ON_GPU, truth)
    return tmp_path


def one(lines: list[str], beginning: str) -> str:
    (found,) = [line for line in lines if line.startswith(beginning)]
    return found


def test_stored_records_are_enough_for_the_whole_answer(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = said(stored, capsys, *CELLS)
    used = one(lines, "USE ")
    assert used.startswith("USE procs=4 mps=on: 909.")
    assert "p50 4.4" in used
    assert "12 GiB" in used
    assert "J per item" in used
    assert used.endswith("(4 blocks)")
    assert one(lines, "3.6").endswith("] times the throughput of procs=1 mps=off")
    assert one(lines, "tied: procs=8 mps=on")
    assert len([line for line in lines if line.startswith("worse: ")]) == 6
    assert "0 runs were made, 32 stored ones read" in one(lines, "0 runs")
    assert "procs=1 mps=o" in one(lines, "throughput over p99")
    assert len(find_measurements(stored)) == 32
    (folder,) = (stored / "outputs" / "recommended").iterdir()
    assert {path.name for path in folder.iterdir()} == {"experiment", "pareto.png", "recommendation.txt"}
    (cell,) = parse(["--config-dir", str(folder), "experiment=recommended", CUSTOM[1]]).cells
    assert (cell.procs, cell.mps.enabled, cell.times, cell.window_s) == (4, True, "auto", 5.0)
    assert (folder / "recommendation.txt").read_text().splitlines()[0] == used


@pytest.mark.parametrize(
    ("limits", "expected", "excluded"),
    [
        (["--p99-ms", "4.3"], "USE procs=2 mps=on", ["excluded: procs=4 mps=on: latency p99 4.5"]),
        (["--p50-ms", "4.25"], "USE procs=2 mps=on", ["excluded: procs=8 mps=off: median latency 28.8 ms"]),
        (["--memory-gib", "7"], "USE procs=2 mps=on", ["excluded: procs=4 mps=on: memory 12 GiB"]),
        (["--joules-per-item", "0.2"], "USE procs=4 mps=on", ["excluded: procs=1 mps=off: Energy of one item 0.4 J"]),
        (["--goal", "latency"], "USE procs=1 mps=off", ["worse: procs=8 mps=on: 2.1"]),
        (["--goal", "energy"], "USE procs=4 mps=on", ["worse: procs=1 mps=off: 3.6"]),
        (["--goal", "cost", "--gpu-hour", "2.5", "--kwh", "0.3"], "USE procs=4 mps=on", ["worse: procs=1 mps=off: 3.6"]),
        (["--p99-ms", "3"], "NO ANSWER: no cell keeps the limits", ["nearest: procs=1 mps=o"]),
    ],
)  # fmt: skip
def test_limits_and_goals_change_the_answer(
    stored: Path, capsys: pytest.CaptureFixture[str], limits: list[str], expected: str, excluded: list[str]
) -> None:
    lines = said(stored, capsys, *limits, *CELLS, expected=int(expected.startswith("NO")))
    assert one(lines, expected)
    for beginning in excluded:
        assert one(lines, beginning)


def test_one_batched_process_that_beats_packing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = ("procs=1,2", "mps=off", "workload.batch=1,8", "times=auto", "window_s=5")

    def slow_pack(config: Config) -> Truth:
        return Truth(4.0 * config.procs**0.95 * (1.5 if config.workload.batch > 1 else 1))

    store(tmp_path / "outputs", [*CUSTOM, *cells], ON_GPU, slow_pack)
    lines = said(tmp_path, capsys, *cells)
    assert one(lines, "USE procs=1 workload.batch=8")
    assert "procs=2 workload.batch=8" in one(lines, "one process ")


def test_records_of_other_conditions_are_not_read(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [text for text in CELLS if not text.startswith("window_s")]
    options = ("window_s=6", "--budget-min", "0.01")
    lines = said(stored, capsys, *cells, *options, expected=1)
    assert "0 runs were made, 0 stored ones read" in one(lines, "0 runs")
    assert len([line for line in lines if "not measured: the budget is used up" in line]) == 8


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--goal", "foo"], "--goal=foo: must be one of throughput, latency, energy, cost"),
        (["--p99-ms", "0"], "--p99-ms=0: must be a number above 0"),
        (["--p99-ms", "x"], "--p99-ms=x: must be a number above 0"),
        (["--memory-gib", "nan"], "--memory-gib=nan: must be a number above 0"),
        (["--budget-min", "0"], "--budget-min=0: must be a number above 0"),
        (["--kwh", "-1"], "--kwh=-1: must be a number from 0 on"),
        (["procs="], "procs: must be a whole number from 1 to 1024"),
        (["procs=1,0"], "procs=0: must be a whole number from 1 to 1024"),
        (["repeat=0,1"], "repeat=0,1: the search adds blocks"),
        (["budget_min=3"], "budget_min=3: it is --budget-min here"),
        (["fault.kind=kill"], "fault.kind=kill: a search compares ordinary runs"),
        (["device=cpu", "--goal", "energy"], "--goal=energy: needs figures of a GPU"),
        (["device=cpu", "--memory-gib", "3"], "--memory-gib=3: needs figures of a GPU"),
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
        assert "SKIPPED: MPS needs an NVIDIA GPU" in one(lines, f"excluded: procs={procs}")


def recommend(folder: Path, *arguments: str) -> Running:
    typed = (*MOODY, *arguments, "tracking=none", "trace.iterations=0")
    return warm().start("mps_experiments.recommend", typed, folder, environment())


def records(folder: Path) -> list[Measurement]:
    return [read_measurement(path) for path in find_measurements(folder)]


def test_what_is_lacking_is_measured_and_kept_as_a_sweep(tmp_path: Path) -> None:
    cells = ("procs=1,2", "window_s=0.3", "+workload.options.sleep_s=0.01")
    done = recommend(tmp_path, *cells).finish()
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert one(lines, "noise: equal runs differ by ")
    assert one(lines, "USE procs=2: ")
    runs = records(tmp_path)
    assert {m.verdict.status for m in runs} == {Status.VALID}
    assert sorted((m.cell.procs, m.cell.repeat) for m in runs)[:4] == [(1, 0), (1, 1), (1, 2), (2, 0)]
    (summary,) = tmp_path.glob("outputs/*/*/sweep.json")
    assert read_json(summary)["command"].startswith("python -m mps_experiments.recommend workload=custom")
    assert read_json(summary)["status"] == "FINISHED"
    assert {"report.html", "pareto.png", "recommendation.txt"} <= {p.name for p in summary.parent.iterdir()}

    again = recommend(
        tmp_path, *cells
    ).finish()  # two processes do so much more that nothing is left to measure
    assert f"0 runs were made, {len(runs)} stored ones read" in again.stdout
    assert len(records(tmp_path)) == len(runs)

    more = recommend(tmp_path, *cells, "procs=1,2,3").finish()
    assert len(records(tmp_path)) > len(runs)
    assert f"{len(runs)} stored ones read" in more.stdout
    newest = max(tmp_path.glob("outputs/*/*/sweep.json"), key=lambda path: path.stat().st_mtime)
    taken = [cell for cell in read_json(newest)["cells"] if "resumed_from" in cell]
    assert len(taken) == len(runs)


def test_a_limit_on_p99_makes_the_window_long_enough(tmp_path: Path) -> None:
    options = (
        "procs=1",
        "mps=off",
        "+workload.options.sleep_s=0.0055",
        "--p99-ms",
        "50",
        "--budget-min",
        "3",
    )
    done = recommend(tmp_path, *options).finish()
    assert "window_s=10 from here on" in done.stdout, done.stdout + done.stderr
    assert {m.cell.window_s for m in records(tmp_path)} == {5.0, 10.0}


def test_an_interrupted_search_says_what_it_knows_and_keeps_its_records(tmp_path: Path) -> None:
    running = recommend(tmp_path, "procs=1,2", "window_s=0.3", "+workload.options.sleep_s=0.01")
    wait_until(lambda: find_measurements(tmp_path), "a record is written", 60.0)
    running.send_signal(signal.SIGINT)
    done = running.finish()
    assert done.returncode == 128 + signal.SIGINT
    assert "the same command goes on from what is stored" in done.stdout
    assert [m for m in records(tmp_path) if m.verdict.status is Status.VALID]
