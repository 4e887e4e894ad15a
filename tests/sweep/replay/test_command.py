"""``python -m mps_experiments.replay`` as a user calls it: real sweeps on the CPU, run again."""

import shlex
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.config.cells import parse
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.record.measurement import (
    Measurement,
    find_measurements,
    read_measurement,
    write_measurement,
)
from mps_experiments.sweep.comparison import CORES_TAKEN
from mps_experiments.sweep.replay.command import main
from tests.fakes.plans import wait_until
from tests.fakes.warm import Running, warm
from tests.records import make_measurement, read_json
from tests.sweep.test_sweep import MOODY, environment, sweep


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two cells, two repeats each, and the twin of the first."""
    folder = tmp_path_factory.mktemp("stored")
    cells = ("procs=1,2", "repeat=0,1", "times=30", "+workload.options.sleep_s=0.01")
    done = sweep(folder, "-m", *MOODY, *cells, "tracking=none")
    assert done.result.returncode == 0, done.result.stderr
    return folder / "outputs"


def records(folder: Path) -> list[Measurement]:
    return [read_measurement(path) for path in find_measurements(folder)]


def replay(folder: Path, *arguments: str) -> Running:
    words = (*arguments, "--allow-code", "tracking=none")
    return warm().start("mps_experiments.replay", words, folder, environment())


def test_a_sweep_is_run_again_and_both_results_are_compared(outputs: Path, tmp_path: Path) -> None:
    done = replay(tmp_path, str(outputs), "--repeats", "3").finish()
    assert done.returncode == 0, done.stderr
    now = records(tmp_path)
    assert sorted((m.cell.procs, m.cell.repeat, int(m.cell.is_twin)) for m in now) == [
        *((1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 2, 0)),
        *((2, 0, 0), (2, 1, 0), (2, 2, 0)),
    ]
    lines = done.stdout.splitlines()
    place = lines.index("STORED AGAINST NOW")
    assert lines[place - 1].startswith(("now is ", "now and stored: ", "cannot tell"))
    rows = [line.split("│")[1].strip() for line in lines[place:] if line.startswith("│")]
    assert rows[:2] == ["mps=off procs=1 times=30", "mps=off procs=2 times=30"]
    assert rows[2:] in ([], [CORES_TAKEN])  # this machine may be busy
    (folder,) = tmp_path.glob("outputs/*/*-replay-*")
    nothing = (
        "nothing else that is recorded differs: GPU, driver, versions, code, host, files, load of others"
    )
    assert any(line.startswith(nothing) for line in lines) == (not rows[2:])
    assert lines[-1] == f"report of both: python -m mps_experiments.report {outputs} {folder}"
    typed = shlex.split(read_json(folder / "sweep.json")["command"])
    assert [(cell.procs, cell.repeat) for cell in parse(typed[3:]).cells] == [
        *((1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)),
    ]


def test_cells_that_are_no_product_are_run_and_one_that_cannot_be_is_exit_code_1(
    outputs: Path, tmp_path: Path
) -> None:
    one = next(m for m in records(outputs) if m.cell.procs == 1)
    two = next(m for m in records(outputs) if m.cell.procs == 2)
    config = two.config | {"mps": {**two.config["mps"], "enabled": True}}
    write_measurement(one, tmp_path / "stored" / "1" / "measurement.json")
    write_measurement(replace(two, config=config), tmp_path / "stored" / "2" / "measurement.json")
    done = replay(tmp_path, "stored").finish()
    assert done.returncode == 1, done.stderr
    assert sorted(m.verdict.status.value for m in records(tmp_path / "outputs")) == ["SKIPPED", "VALID"]
    assert "1 cell cannot be compared" in done.stdout
    assert "not compared, now is SKIPPED: mps=on needs an NVIDIA GPU" in done.stdout


def test_a_damaged_record_beside_the_others_is_exit_code_1(outputs: Path, tmp_path: Path) -> None:
    one = next(m for m in records(outputs) if m.cell.procs == 1)
    write_measurement(one, tmp_path / "stored" / "1" / "measurement.json")
    (tmp_path / "stored" / "measurement.json").write_text("{")
    done = replay(tmp_path, "stored").finish()
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("mps_experiments: stored/measurement.json is not a record")
    assert [m.verdict.status.value for m in records(tmp_path / "outputs")] == ["VALID"]


def test_ctrl_c_ends_it_in_order_and_shows_what_there_is(outputs: Path, tmp_path: Path) -> None:
    one = records(outputs)[0]
    long = replace(one, config=one.config | {"times": 100_000})
    write_measurement(long, tmp_path / "stored" / "measurement.json")
    runner = replay(tmp_path, "stored")
    wait_until(lambda: any(tmp_path.glob("outputs/*/*-replay-*/*/worker-0.log")), "it runs", 60)
    runner.send_signal(signal.SIGINT)
    done = runner.finish()
    assert done.returncode == 130
    assert "not compared, now is INVALID: interrupted by SIGINT" in done.stdout
    assert "interrupted: 0 of 1 runs were finished\n" in done.stdout


def test_what_a_gpu_did_is_not_replayed_on_the_cpu(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (one, *_) = records(outputs)
    on_gpu = replace(one, machine=replace(one.machine, gpu=make_measurement("1").machine.gpu))
    write_measurement(on_gpu, tmp_path / "measurement.json")
    assert main([str(tmp_path / "measurement.json"), "--allow-code"], GpuProbe()) == 2
    assert "was measured on a GPU (NVIDIA H100), and there is none here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "run=nowhere: no such file or folder"),
        (["STORED"], "names code to run (tests.fakes.moody:build); if you trust it, add --allow-code"),
        (["STORED", "--allow-code", "--repeats", "0"], "--repeats=0: must be a whole number from 1 to 1000"),
        (
            ["STORED", "--allow-code", "procs=4"],
            "procs=4: would be another run; only these can be given anew",
        ),
        (
            ["STORED", "--allow-code", "device=cpu,auto"],
            "option=device=cpu,auto: give one value, of no option",
        ),
        (["STORED", "--allow-code", "--output-dir", "file"], "--output-dir=file: cannot be written"),
    ],
)
def test_a_mistake_is_one_line(
    outputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert main([str(outputs) if word == "STORED" else word for word in arguments]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1
    assert records(tmp_path) == []
