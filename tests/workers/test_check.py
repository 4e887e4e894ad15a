"""A workload is checked in a child before any GPU work."""

import hashlib
import os
import pickle
import sys
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from mps_experiments.errors import ConfigError, RunError
from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.workers import errand
from mps_experiments.workers.check import check_workload
from mps_experiments.workers.messages import Checked
from mps_experiments.workloads.networks import build_network
from tests.conftest import command_of

Context = ForkServerContext | SpawnContext
SMALL = "mobilenet_v3_small"
TIMEOUT_S = 60.0


class Attack:
    """A pickle that runs a command when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def checked(
    context: Context,
    model: str = SMALL,
    weights: str = "random",
    timeout_s: float = TIMEOUT_S,
    norm_layer: str = "auto",
) -> Checked:
    spec = WorkloadSpec(kind="torchvision", model=model, weights=weights, norm_layer=norm_layer)
    return check_workload(context, spec, False, timeout_s)


def refused(context: Context, model: str = SMALL, weights: str = "random", norm_layer: str = "auto") -> str:
    with pytest.raises(ConfigError) as caught:
        checked(context, model, weights, norm_layer=norm_layer)
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
    assert checked(forkserver, weights=str(path)).remark == (
        f"workload.weights={path}: took the weights under model; holds float16, runs as float32"
    )


@pytest.mark.parametrize(
    ("weights", "has"),
    [
        ("COCO_V1", "mobilenet_v3_small has no such weights; it has DEFAULT, IMAGENET1K_V1"),
        ("ResNet50_Weights.DEFAULT", "mobilenet_v3_small has no such weights; it has DEFAULT, IMAGENET1K_V1"),
    ],
)
def test_weights_that_the_model_has_not_are_refused_with_its_own(
    forkserver: Context, weights: str, has: str
) -> None:
    assert refused(forkserver, weights=weights) == f"workload.weights={weights}: {has}; random always works"


def test_a_norm_layer_that_the_model_cannot_have_is_refused(forkserver: Context) -> None:
    assert refused(forkserver, model="alexnet", norm_layer="batch") == (
        "workload.norm_layer=batch: alexnet has no batch normalisation; auto works"
    )


def test_random_weights_have_no_file(forkserver: Context) -> None:
    assert checked(forkserver) == Checked()


@pytest.mark.parametrize(
    ("model", "proposal"),
    [
        ("resnet999", "resnet"),
        ("maskrcnn_resnet50", "maskrcnn_resnet50_fpn"),
        ("quantized_resnet50", "resnet50"),
        ("r3d_18", "try "),
        ("raft_large", "try "),
        ("zzz", "try maskrcnn_resnet50_fpn, resnet50"),
    ],
)
def test_a_model_that_one_photo_cannot_feed_is_refused_with_a_proposal(
    forkserver: Context, model: str, proposal: str
) -> None:
    line = refused(forkserver, model)
    assert line.startswith(
        f"workload.model={model}: not a torchvision detection, classification or segmentation"
    )
    assert proposal in line


def broken(kind: str, path: Path, state_dict: dict[str, torch.Tensor]) -> None:
    """Write a weights file that does not fit, by kind."""
    match kind:
        case "empty":
            path.touch()
        case "text":
            path.write_text("weights\n" * 100)
        case "truncated":
            torch.save(state_dict, path)
            os.truncate(path, path.stat().st_size // 2)
        case "no state dict":
            torch.save({"epoch": 3}, path)
        case "a list":
            torch.save([torch.zeros(1)], path)
        case "other shapes":
            torch.save({name: torch.zeros(1, 1) for name in state_dict}, path)
        case "other model":
            torch.save({f"{name}.other": value for name, value in state_dict.items()}, path)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", "an empty file; copy or download it again"),
        ("text", "not a checkpoint that torch.load(weights_only=True) reads"),
        ("truncated", "a checkpoint whose end is missing"),
        ("no state dict", "not a state dict: it holds no tensors by name (epoch)"),
        ("a list", "not a state dict: it holds a list, not tensors by name"),
        ("other shapes", f"does not fit {SMALL}: "),
        ("other model", f"does not fit {SMALL}: "),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    forkserver: Context, state_dict: dict[str, torch.Tensor], tmp_path: Path, kind: str, reason: str
) -> None:
    path = tmp_path / "w.pth"
    broken(kind, path, state_dict)
    line = refused(forkserver, weights=str(path))
    assert line.startswith(f"workload.weights={path}: {reason}")
    assert ("missing names: " in line) == (kind == "other model")
    assert line.endswith("; random always works")


@pytest.mark.parametrize("with_torch", [True, False], ids=["torch", "pickle"])
def test_a_weights_file_cannot_run_code(forkserver: Context, tmp_path: Path, with_torch: bool) -> None:
    path, marker = tmp_path / "w.pth", tmp_path / "marker"
    if with_torch:
        torch.save({"w": Attack(marker)}, path)
    else:
        path.write_bytes(pickle.dumps({"w": Attack(marker)}))
    line = refused(forkserver, weights=str(path))
    named = (
        "holds posix.system, which torch.load(weights_only=True) refuses, since a pickled class can run code"
    )
    assert (named if with_torch else "not a checkpoint that torch.load(weights_only=True) reads") in line
    assert not marker.exists()
    pickle.loads(pickle.dumps(Attack(marker)))  # noqa: S301 - or the marker would prove nothing
    assert marker.exists()


def test_a_check_that_breaks_off_is_a_refusal_too(
    forkserver: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_off(_: object) -> None:
        raise RunError("a worker sent only part of a message")

    monkeypatch.setattr(errand, "receive_from_worker", broken_off)
    with pytest.raises(ConfigError, match=rf"workload.model={SMALL}: the check failed: a worker sent"):
        checked(forkserver)


def test_a_check_that_takes_too_long_is_given_up(forkserver: Context) -> None:
    with pytest.raises(ConfigError, match=rf"workload.model={SMALL}: could not be checked in 1e-06 s"):
        checked(forkserver, timeout_s=1e-6)


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


MODULE = """\
import os, subprocess, sys, time
print("a line on the terminal")
os.system("echo another")
def build(device, options): return len, ""
"""


def check_factory(context: Context, folder: Path, factory: str, **values: Any) -> Checked:
    spec = WorkloadSpec(kind="custom", model=factory, factory=factory, import_path=str(folder))
    return check_workload(context, spec, False, TIMEOUT_S, **values)


def test_a_factory_is_found_by_its_import_in_the_child_which_keeps_quiet(
    forkserver: Context, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "users_check.py").write_text(MODULE)
    assert check_factory(forkserver, tmp_path, "users_check:build") == Checked()
    assert "users_check" not in sys.modules
    assert capfd.readouterr() == ("", "")


def test_a_factory_s_module_sees_the_gpu_that_the_workers_will_see(
    forkserver: Context, tmp_path: Path
) -> None:
    (tmp_path / "sees.py").write_text(
        "import os\nassert os.environ['CUDA_VISIBLE_DEVICES'] == 'GPU-1'\ndef build(d, o): ...\n"
    )
    assert (
        check_factory(forkserver, tmp_path, "sees:build", environment={"CUDA_VISIBLE_DEVICES": "GPU-1"})
        == Checked()
    )
    with pytest.raises(
        ConfigError, match=r"workload\.factory=sees:build: importing sees raises AssertionError"
    ):
        check_factory(forkserver, tmp_path, "sees:build")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("raise SystemExit('usage: me')", "importing broken raises SystemExit: usage: me"),
        ("raise RuntimeError('x' * 100_000)", f"importing broken raises RuntimeError: {'x' * 500}..."),
        ("os._exit(7)", "the process that checks it ended: exit code 7"),
        ("os.kill(os.getpid(), 9)", "the process that checks it ended: exit code -9"),
        (
            "import nothing_at_all",
            "importing broken raises ModuleNotFoundError: No module named 'nothing_at_all'",
        ),
        ("def build(device): ...", "takes (device), but is called as build(device, options)"),
        ("biuld = 1", "module broken ({0}/broken.py) has no build; did you mean biuld?"),
    ],
)
def test_a_factory_that_cannot_be_imported_is_refused_with_the_reason(
    forkserver: Context, tmp_path: Path, line: str, reason: str
) -> None:
    (tmp_path / "broken.py").write_text(f"import os\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        check_factory(forkserver, tmp_path, "broken:build")
    assert str(caught.value) == f"workload.factory=broken:build: {reason.format(tmp_path)}"


def test_a_module_that_never_ends_is_given_up_and_what_it_started_is_gone(
    forkserver: Context, tmp_path: Path
) -> None:
    (tmp_path / "endless.py").write_text(
        "import subprocess, pathlib, threading\n"
        "sleeping = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(sleeping.pid))\n"
        "threading.Event().wait()\n"
    )
    spec = WorkloadSpec(
        kind="custom", model="endless:build", factory="endless:build", import_path=str(tmp_path)
    )
    with pytest.raises(ConfigError, match=r"workload\.factory=endless:build: could not be checked in 1 s"):
        check_workload(forkserver, spec, False, 1.0)
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
