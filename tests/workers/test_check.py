"""A workload is checked in a child before any GPU work."""

import hashlib
import os
import pickle
import re
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from mps_experiments.errors import ConfigError, RunError
from mps_experiments.mps.processes import is_running
from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.workers import context as context_module
from mps_experiments.workers.check import check_workload
from mps_experiments.workers.messages import Checked
from mps_experiments.workloads.networks import build_network
from tests.conftest import command_of
from tests.fakes.plans import wait_until
from tests.workers.conftest import Context

SMALL = "mobilenet_v3_small"
TIMEOUT_S = 60.0


class Attack:
    """A pickle that runs a command when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def checked(context: Context, timeout_s: float = TIMEOUT_S, model: str = SMALL, **values: Any) -> Checked:
    spec = WorkloadSpec(kind="torchvision", model=model, **values)
    return check_workload(context, spec, False, timeout_s)


def refused(context: Context, **values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        checked(context, **values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def state_dict() -> dict[str, torch.Tensor]:
    """Return weights that fit the small model."""
    spec = WorkloadSpec(kind="torchvision", model=SMALL)
    return dict(build_network(spec, torch.device("cpu")).model.state_dict())


def test_a_state_dict_that_fits_is_known_by_the_digest_of_its_file(
    forkserver: Context, state_dict: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save(state_dict, tmp_path / "w.pth")
    digest = hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    assert checked(forkserver, weights=str(tmp_path / "w.pth")) == Checked(weights_file_sha256=digest)


def test_what_was_done_to_read_a_file_is_one_line(
    forkserver: Context, state_dict: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "w.pth"
    halves = {name: each.half() if each.is_floating_point() else each for name, each in state_dict.items()}
    torch.save({"model": halves, "epoch": 3}, path)
    remark = checked(forkserver, weights=str(path)).remark
    assert remark.startswith(f"workload.weights={path}: took the weights under model")
    assert "float16" in remark


def test_random_weights_have_no_file(forkserver: Context) -> None:
    assert checked(forkserver) == Checked()


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            {"weights": "COCO_V1"},
            "workload.weights=COCO_V1: mobilenet_v3_small has no such weights; it has DEFAULT, IMAGENET1K_V1",
        ),
        (
            {"model": "alexnet", "norm_layer": "batch"},
            "workload.norm_layer=batch: alexnet has no batch normalisation",
        ),
        ({"model": "resnet999"}, "workload.model=resnet999: not a torchvision .*; try .*resnet"),
        ({"model": "r3d_18"}, "workload.model=r3d_18: not a torchvision"),
        ({"model": "zzz"}, "try maskrcnn_resnet50_fpn, resnet50"),
    ],
)
def test_what_torchvision_has_not_is_refused_with_what_would_work(
    forkserver: Context, values: dict[str, str], line: str
) -> None:
    assert re.search(line, refused(forkserver, **values))


@pytest.mark.parametrize("kind", ["empty", "other model"])
def test_weights_that_do_not_fit_are_refused(
    forkserver: Context, state_dict: dict[str, torch.Tensor], tmp_path: Path, kind: str
) -> None:
    """The reasons are told apart in `workloads/test_checkpoints` and `test_networks`."""
    path = tmp_path / "w.pth"
    if kind == "empty":
        path.touch()
    else:
        torch.save({f"{name}.other": value for name, value in state_dict.items()}, path)
    line = refused(forkserver, weights=str(path))
    reason = "an empty file" if kind == "empty" else f"does not fit {SMALL}: missing names: "
    assert line.startswith(f"workload.weights={path}: {reason}")
    assert line.endswith("; random always works")


def test_a_weights_file_cannot_run_code(forkserver: Context, tmp_path: Path) -> None:
    path, marker = tmp_path / "w.pth", tmp_path / "marker"
    torch.save({"w": Attack(marker)}, path)
    assert "holds posix.system, which" in refused(forkserver, weights=str(path))
    assert not marker.exists()
    pickle.loads(pickle.dumps(Attack(marker)))  # noqa: S301 - or the marker would prove nothing
    assert marker.exists()


def test_a_check_that_breaks_off_is_a_refusal_too(
    forkserver: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_off(_: object) -> None:
        raise RunError("a worker sent only part of a message")

    monkeypatch.setattr(context_module, "receive_from_worker", broken_off)
    with pytest.raises(ConfigError, match=rf"workload.model={SMALL}: the check failed: a worker sent"):
        checked(forkserver)


def test_a_fork_server_that_does_not_answer_is_given_up(forkserver: Context) -> None:
    assert checked(forkserver) == Checked()
    (server,) = (
        child for child in psutil.Process().children() if "multiprocessing.forkserver" in command_of(child)
    )
    server.suspend()
    try:
        with pytest.raises(ConfigError, match=rf"workload.model={SMALL}: could not be checked in 0.2 s"):
            checked(forkserver, timeout_s=0.2)
    finally:
        server.resume()
    assert checked(forkserver) == Checked()


def test_a_gpu_that_torch_does_not_find_is_refused(forkserver: Context) -> None:
    spec = WorkloadSpec(kind="torchvision", model=SMALL)
    nowhere = {"CUDA_VISIBLE_DEVICES": ""}
    built = "finds no GPU" if torch.version.cuda else "this torch is built without CUDA"
    with pytest.raises(ConfigError, match=rf"^device=cuda: .*{built}.*; device=cpu works$"):
        check_workload(forkserver, spec, True, TIMEOUT_S, nowhere)


@pytest.mark.gpu
def test_torch_finds_a_real_gpu(forkserver: Context) -> None:
    spec = WorkloadSpec(kind="torchvision", model=SMALL)
    assert check_workload(forkserver, spec, True, TIMEOUT_S, {"CUDA_VISIBLE_DEVICES": "0"}) == Checked()


def check_factory(
    context: Context, folder: Path, factory: str, timeout_s: float = TIMEOUT_S, **values: Any
) -> Checked:
    spec = WorkloadSpec(kind="custom", model=factory, factory=factory, import_path=str(folder))
    return check_workload(context, spec, False, timeout_s, **values)


def test_a_factory_is_found_by_its_import_in_the_child_which_keeps_quiet(
    forkserver: Context, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = ["import os", "print('a line')", "os.system('echo another')", "def build(d, o): ..."]
    (tmp_path / "users_check.py").write_text("\n".join(lines))
    assert check_factory(forkserver, tmp_path, "users_check:build") == Checked()
    assert "users_check" not in sys.modules
    assert capfd.readouterr() == ("", "")


def test_a_factory_s_module_sees_the_gpu_that_the_workers_will_see(
    forkserver: Context, tmp_path: Path
) -> None:
    (tmp_path / "sees.py").write_text(
        "import os\nassert os.environ['CUDA_VISIBLE_DEVICES'] == 'GPU-1'\ndef build(d, o): ...\n"
    )
    environment = {"CUDA_VISIBLE_DEVICES": "GPU-1"}
    assert check_factory(forkserver, tmp_path, "sees:build", environment=environment) == Checked()
    with pytest.raises(ConfigError, match="importing sees raises AssertionError"):
        check_factory(forkserver, tmp_path, "sees:build")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("raise RuntimeError('x' * 100_000)", f"importing broken raises RuntimeError: {'x' * 500}..."),
        ("os._exit(7)", "the process that checks it ended: exit code 7"),
        ("os.kill(os.getpid(), 9)", "the process that checks it ended: exit code -9"),
        ("def build(device): ...", "takes (device), but is called as build(device, options)"),
    ],
)
def test_a_factory_that_cannot_be_imported_is_refused_with_the_reason(
    forkserver: Context, tmp_path: Path, line: str, reason: str
) -> None:
    (tmp_path / "broken.py").write_text(f"import os\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        check_factory(forkserver, tmp_path, "broken:build")
    assert str(caught.value) == f"workload.factory=broken:build: {reason}"


def test_a_module_that_never_ends_is_given_up_and_what_it_started_is_gone(
    forkserver: Context, tmp_path: Path
) -> None:
    (tmp_path / "endless.py").write_text(
        "import subprocess, pathlib, threading\n"
        "sleeping = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"pathlib.Path({str(tmp_path / 'new')!r}).write_text(str(sleeping.pid))\n"
        f"pathlib.Path({str(tmp_path / 'new')!r}).rename({str(tmp_path / 'pid')!r})\n"
        "threading.Event().wait()\n"
    )
    assert checked(forkserver) == Checked()  # the fork server is up, so each child is started in time
    pid = tmp_path / "pid"
    for timeout_s in (1, 4, 16):  # a busy machine may take longer before the module has started anything
        said = rf"workload\.factory=endless:build: could not be checked in {timeout_s} s"
        with pytest.raises(ConfigError, match=said):
            check_factory(forkserver, tmp_path, "endless:build", timeout_s=timeout_s)
        if pid.exists():
            break
    sleeping = int(pid.read_text())
    wait_until(lambda: not is_running(sleeping), "what the module started is gone")
