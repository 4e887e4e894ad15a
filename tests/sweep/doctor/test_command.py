"""The command as a user has it."""

import json
import re
from pathlib import Path

import pytest

from mps_experiments.sweep.doctor.command import main
from tests.conftest import Command, why_no_gpu
from tests.sweep.doctor.conftest import DriverProbe, opened

DOCTOR = "mps_experiments.doctor"


@pytest.mark.skipif(why_no_gpu() is None, reason="there is a GPU")
def test_without_a_gpu_nothing_fails_and_nothing_is_changed(mps_experiments: Command, tmp_path: Path) -> None:
    done = mps_experiments(module=DOCTOR)
    assert (done.returncode, done.stderr) == (1, ""), done.stdout
    assert re.search(r"^WARN  GPU +no NVIDIA GPU: ", done.stdout, re.MULTILINE)
    assert re.search(r"^OK    torch ", done.stdout, re.MULTILINE)
    assert done.stdout.endswith(" 0 FAIL; exit code 1\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gpu
def test_on_a_machine_with_a_gpu_nothing_fails(mps_experiments: Command, tmp_path: Path) -> None:
    done = mps_experiments("--try-mps", "--json", module=DOCTOR)
    content = json.loads(done.stdout)
    assert [each for each in content["findings"] if each["level"] == "FAIL"] == []
    names = {each["name"] for each in content["findings"]}
    assert names >= {"driver", "GPU", "GPU processes", "mps=on", "foreign daemons", "MPS tried", "torch"}
    assert done.returncode == content["exit_code"] < 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("as_json", [True, False])
def test_lines_or_one_object_end_in_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    arguments = ["--device", "cuda:7", "--output-dir", str(tmp_path), "--tracking-uri", "none"]
    code = main([*arguments, *["--json"] * as_json], opened(DriverProbe()), tmp_path)
    out = capsys.readouterr().out
    assert code == 2
    if as_json:
        content = json.loads(out)
        assert (content["exit_code"], content["worst"]) == (2, "FAIL")
        found = {each["name"]: each["level"] for each in content["findings"]}
        assert (found["GPU"], found["tracking store"]) == ("FAIL", "OK")
    else:
        assert re.search(r"^FAIL  GPU .*\n {24}-> device=cpu runs without one$", out, re.MULTILINE)
        assert out.endswith(" 1 FAIL; exit code 2\n")


def test_a_mistake_on_the_command_line_is_one_line_with_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["x"])
    assert ended.value.code == 2
    assert "unrecognized arguments: x" in capsys.readouterr().err


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "exit code, by the worst line: 0 all OK; 1 a WARN; 2 a FAIL" in capsys.readouterr().out
