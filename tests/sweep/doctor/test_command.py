"""The doctor's command: every check in its order, those that hang or break, lines and JSON, exit codes."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from io import StringIO
from pathlib import Path

import pynvml
import pytest
from rich.console import Console

from mps_experiments.config.schema import Config, TrackingConfig
from mps_experiments.errors import ConfigError
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.sweep.doctor.command import OpenGpus, examine, findings_of, main, show
from mps_experiments.sweep.doctor.findings import Finding, Level
from tests.conftest import Command, why_no_gpu
from tests.fakes.plans import use_fakes
from tests.sweep.doctor.conftest import DriverProbe, opened

DOCTOR = "mps_experiments.doctor"
ALWAYS = ["Python", "cores", "memory", "environment", "GPU"]
OF_THE_GPU = ["GPU memory", "GPU processes", "other sweeps", "mps=off", "mps=on"]
REST = ["torch", "output folder", "tracking store"]


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
    arguments = ["device=cuda:7", f"output_dir={tmp_path}", "tracking=none"]
    code = main([*arguments, *["--json"] * as_json], opened(DriverProbe()), tmp_path)
    out = capsys.readouterr().out
    assert code == 2
    if as_json:
        content = json.loads(out)
        assert (content["exit_code"], content["worst"]) == (2, "FAIL")
        found = {each["name"]: each["level"] for each in content["findings"]}
        assert (found["GPU"], found["tracking store"]) == ("FAIL", "OK")
        assert set(content["findings"][0]) == {"name", "level", "found", "todo"}
    else:
        assert re.search(r"^FAIL  GPU .*\n {24}-> device=cpu runs without one$", out, re.MULTILINE)
        assert out.endswith(" 1 FAIL; exit code 2\n")


def test_a_mistake_on_the_command_line_is_one_line_with_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["x"])
    assert ended.value.code == 2
    assert "unrecognized arguments: x" in capsys.readouterr().err


def test_lines_are_aligned_plain_and_whole_with_what_to_do_below() -> None:
    file = StringIO()
    console = Console(file=file, soft_wrap=True, highlight=False)
    show(console, Finding(name="x", level=Level.OK, found="word " * 60))
    odd = "odd\n\x1b[31m http://me:geheim@host"
    show(console, Finding(name="MIG", level=Level.WARN, found=odd, todo="mend it"))
    assert file.getvalue() == (
        f"OK    {'x':<18}{('word ' * 60).strip()}\n"
        f"WARN  {'MIG':<18}odd ?[31m http://***@host\n{' ' * 24}-> mend it\n"
    )


def test_on_a_terminal_words_are_wrapped_beside_the_name() -> None:
    file = StringIO()
    console = Console(file=file, soft_wrap=True, width=44, force_terminal=True, color_system=None)
    show(console, Finding(name="GPU", level=Level.WARN, found="word " * 6, todo="mend it"))
    assert file.getvalue().splitlines() == [
        *(f"WARN  {'GPU':<18}word word word word", f"{' ' * 24}word word", f"{' ' * 24}-> mend it")
    ]


def examined(folder: Path, open_gpus: OpenGpus, device: str = "auto") -> dict[str, Finding]:
    config = Config(output_dir=str(folder / "outputs"), device=device, tracking=TrackingConfig(enabled=False))
    findings = list(examine(config, True, open_gpus, folder))
    assert list(folder.iterdir()) == []
    return {finding.name: finding for finding in findings}


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    use_fakes(monkeypatch)


@pytest.mark.usefixtures("fakes")
def test_with_a_gpu_every_check_has_its_line_in_order(tmp_path: Path) -> None:
    names = [each for each in examined(tmp_path, opened(DriverProbe())) if each != "foreign daemons"]
    assert names == ["driver", *ALWAYS, *OF_THE_GPU, "MPS tried", *REST]


@pytest.mark.usefixtures("fakes")
def test_what_a_sweep_would_refuse_costs_only_what_needs_it(tmp_path: Path) -> None:
    found = examined(tmp_path, opened(DriverProbe()), device="cuda:7")
    assert list(found) == ["driver", *ALWAYS, *REST[1:]]
    assert (found["GPU"].level, found["GPU"].todo) == (Level.FAIL, "device=cpu runs without one")


@pytest.mark.usefixtures("fakes")
def test_an_nvml_that_breaks_is_one_line_with_its_reason(tmp_path: Path) -> None:
    def lost() -> AbstractContextManager[GpuProbe]:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)

    driver = examined(tmp_path, lost, device="cuda")["driver"]
    assert driver.level is Level.FAIL
    assert driver.found.startswith("cannot be checked (NVMLError")


def test_a_check_that_hangs_is_left_behind_and_what_it_found_is_kept() -> None:
    release = threading.Event()

    def hang() -> Iterator[Finding]:
        yield Finding(name="disk", level=Level.OK, found="one")
        release.wait(60)

    first, second = findings_of("disk", hang, 0.2)
    release.set()
    assert (first.found, second.level, second.found) == ("one", Level.FAIL, "no answer within 0.2 s")


def test_a_refusal_without_advice_points_to_the_help() -> None:
    def refuse() -> Iterator[Finding]:
        raise ConfigError("device", "x", "no device")

    (found,) = findings_of("GPU", refuse)
    assert (found.level, found.found) == (Level.FAIL, "device=x: no device")
    assert "--help" in found.todo
