"""The command as a user has it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mps_experiments.doctor.command import main
from mps_experiments.doctor.roots import Roots
from tests.conftest import SRC, Command, why_no_gpu
from tests.doctor.conftest import DriverProbe, opened, write

DOCTOR = "mps_experiments.doctor"


@pytest.fixture
def no_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch fails at once, so there is a FAIL."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    write(tmp_path / "packages/torch/__init__.py", "raise ImportError('not here')\n")


@pytest.mark.skipif(why_no_gpu() is None, reason="there is a GPU")
def test_without_a_gpu_every_line_is_there_and_nothing_is_changed(
    mps_experiments: Command, tmp_path: Path
) -> None:
    done = mps_experiments(module=DOCTOR)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr == ""
    assert re.search(
        r"^WARN  GPU +no NVIDIA (driver|GPU): runs on the CPU, nothing ", done.stdout, re.MULTILINE
    )
    assert re.search(r"^OK    torchvision ", done.stdout, re.MULTILINE)
    assert done.stdout.endswith(" 0 FAIL; exit code 1\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gpu
def test_on_a_machine_with_a_gpu_nothing_fails(mps_experiments: Command, tmp_path: Path) -> None:
    done = mps_experiments("--try-mps", "--json", module=DOCTOR)
    content = json.loads(done.stdout)
    assert [each for each in content["findings"] if each["level"] == "FAIL"] == []
    names = {each["name"] for each in content["findings"]}
    assert names >= {"driver", "GPU", "MIG", "compute mode", "control program", "MPS tried", "torch and CUDA"}
    assert done.returncode == content["exit_code"] < 2
    assert list(tmp_path.iterdir()) == []


def test_json_is_one_object_and_the_exit_code_is_in_it(
    no_torch: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--json", "--output-dir", str(tmp_path / "outputs"), "--tracking-uri", "none"]
    code = main(arguments, opened(DriverProbe()), Roots(locks=tmp_path))
    content = json.loads(capsys.readouterr().out)
    assert (code, content["exit_code"], content["worst"]) == (2, 2, "FAIL")
    found = {each["name"]: each["level"] for each in content["findings"]}
    assert (found["GPU"], found["torch"], found["tracking store"]) == ("OK", "FAIL", "OK")


def test_lines_end_with_the_count_and_every_one_that_is_not_ok_says_what_to_do(
    no_torch: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(
        ["--device", "cuda:7", "--output-dir", str(tmp_path)], opened(DriverProbe()), Roots(locks=tmp_path)
    )
    *lines, last = capsys.readouterr().out.splitlines()
    bad = [number for number, line in enumerate(lines) if line.startswith(("WARN", "FAIL"))]
    assert code == 2
    assert len(bad) >= 2
    assert all(lines[number + 1].startswith(" " * 24 + "-> ") for number in bad)
    assert last.endswith("exit code 2")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--torch-timeout-s", "0"], "above 0"),
        (["--torch-timeout-s", "x"], "--torch-timeout-s: x: must be a number of seconds above 0"),
        (["x"], "unrecognized"),
    ],
)
def test_a_mistake_on_the_command_line_is_said_with_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "exit code, by the worst line: 0 all OK; 1 a WARN; 2 a FAIL" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=["lines", "json"])
def test_a_reader_that_closes_the_pipe_sees_no_traceback(
    no_torch: None, tmp_path: Path, arguments: list[str]
) -> None:
    environment = os.environ | {"PYTHONPATH": f"{os.environ['PYTHONPATH']}:{SRC}"}
    with subprocess.Popen(
        [sys.executable, "-m", DOCTOR, *arguments],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(60) != 0
