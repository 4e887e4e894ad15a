"""What a plan refuses, and what it freezes."""

import dataclasses
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mps_experiments.config import ComputeMode, Config, CpuAffinity, WorkloadKind
from mps_experiments.errors import ConfigError
from mps_experiments.machine.gpus import FixedProbe, Gpu
from mps_experiments.plan import RunPlan, build_plan
from mps_experiments.workloads.inputs import sample_photo

GPU = Gpu(index=0, uuid="GPU-1", name="NVIDIA H100", memory_total_bytes=80 * 10**9)
ON_GPU, ON_CPU = FixedProbe((GPU,)), FixedProbe()
ROOT, SOMEBODY = 0, 1000


def config_with(**values: Any) -> Config:
    """A configuration with some fields set; a double underscore goes into a group."""
    config = Config()
    for name, value in values.items():
        group, _, field = name.rpartition("__")
        setattr(getattr(config, group) if group else config, field, value)
    return config


def planned(probe: FixedProbe = ON_CPU, user_id: int = SOMEBODY, **values: Any) -> RunPlan:
    return build_plan(config_with(**values), probe, Path("/run"), user_id)


def refused(probe: FixedProbe = ON_CPU, user_id: int = SOMEBODY, **values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        planned(probe, user_id, **values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [
        ("procs", 1, 1024),
        ("times", 1, 10_000_000),
        ("workers__warmup", 0, 10_000_000),
        ("workload__seed", 0, 2**63 - 1),
        ("min_free_disk_mb", 0, 2**40),
    ],
)
def test_a_count_is_taken_within_its_bounds_only(name: str, lowest: int, highest: int) -> None:
    option = name.replace("__", ".")
    assert planned(**{name: lowest})
    assert planned(**{name: highest})
    for wrong in (lowest - 1, -(10**30), highest + 1, 10**30):
        assert (
            refused(**{name: wrong}) == f"{option}={wrong}: must be a whole number from {lowest} to {highest}"
        )


TIMEOUTS = [
    "mps__start_timeout_s",
    "mps__command_timeout_s",
    "mps__quit_timeout_s",
    "workers__ready_timeout_s",
    "workers__stall_timeout_s",
    "workers__stop_timeout_s",
    "tracking__timeout_s",
]


@pytest.mark.parametrize("name", TIMEOUTS)
@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), float("-inf"), 1e300])
def test_a_deadline_is_a_number_of_seconds_that_the_kernel_can_wait(name: str, seconds: float) -> None:
    assert refused(**{name: seconds}).startswith(f"{name.replace('__', '.')}={seconds}: must be a number of")


def test_every_deadline_of_the_schema_is_tested_here() -> None:
    config = Config()
    found = [
        f"{group.name}__{field.name}"
        for group in dataclasses.fields(config)
        if dataclasses.is_dataclass(value := getattr(config, group.name))
        for field in dataclasses.fields(value)
        if field.name.endswith("timeout_s")
    ]
    assert sorted(found) == sorted(TIMEOUTS)


def test_exclusive_process_needs_root_on_a_gpu() -> None:
    mode = {"mps__compute_mode": ComputeMode.exclusive_process}
    assert refused(ON_GPU, SOMEBODY, **mode).startswith("mps.compute_mode=exclusive_process: ")
    assert planned(ON_GPU, ROOT, **mode).mps.exclusive_process
    assert planned(ON_CPU, SOMEBODY, **mode).mps.exclusive_process  # the cell is skipped, not refused


def test_a_plan_says_all_that_a_run_needs() -> None:
    plan = planned(ON_GPU, procs=3, times=7, workers__cpu_affinity=CpuAffinity.none)
    assert (plan.name, plan.worker_count, plan.iterations_per_worker) == ("mps=on procs=3 times=7", 3, 7)
    assert len(plan.workloads) == 3
    assert not plan.workers.pinned
    assert plan.device.gpu == GPU
    assert plan.paths.worker_log(2) == Path("/run/worker-2.log")
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.worker_count = 4  # type: ignore[misc]


def test_the_small_model_replaces_the_large_one_on_the_cpu_only() -> None:
    models = {"workload__model": "large", "workload__cpu_model": "small"}
    assert planned(ON_CPU, **models).workloads[0].model == "small"
    assert planned(ON_GPU, **models).workloads[0].model == "large"
    assert planned(ON_CPU, workload__model="large").workloads[0].model == "large"


def test_weights_are_an_absolute_path_or_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.pth").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert planned(workload__weights="w.pth").workloads[0].weights == str(tmp_path / "w.pth")
    assert planned(workload__weights="default").workloads[0].weights == "default"


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ("missing.pth", "No such file or directory"),
        (".", "Is a directory"),
        ("", "Is a directory"),
        ("x" * 300, "File name too long"),
        ("~nobody-has-this-name/w.pth", "home directory"),
        ("a\0b", "null"),
    ],
)
def test_weights_that_cannot_be_read_are_refused(weights: str, reason: str) -> None:
    line = refused(workload__weights=weights)
    assert line.startswith("workload.weights")
    assert reason in line
    assert line.endswith("give random, default or the path of a .pth state dict")


def broken(tmp_path: Path, kind: str) -> str:
    """A path that is not one image, by kind."""
    path = tmp_path / f"{kind} file.jpg"
    match kind:
        case "truncated":
            path.write_bytes(sample_photo().read_bytes()[:20_000])
        case "text":
            path.write_text("not an image")
        case "empty":
            path.touch()
        case "folder":
            path.mkdir()
        case "bomb":
            Image.new("1", (20_000, 20_000)).save(path, "png")
        case "long":
            path = tmp_path / ("x" * 300)
    return str(path)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "no such file"),
        ("folder", "a folder, not an image"),
        ("text", "not an image that Pillow can read"),
        ("empty", "not an image that Pillow can read"),
        ("truncated", "damaged or unreadable (image file is truncated"),
        ("bomb", "too many pixels to decode safely; give a smaller image"),
        ("long", "cannot be read ([Errno 36] File name too long"),
    ],
)
def test_an_image_that_is_none_is_refused(tmp_path: Path, kind: str, reason: str) -> None:
    name = broken(tmp_path, kind)
    assert refused(workload__input=name).startswith(f"workload.input={name}: {reason}")
    assert refused(workload__input=["sample", name]).startswith(f"workload.input={name}: {reason}")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "null"), (3, "3"), ([], "[]"), ([1], "[1]"), ({"a": 1}, "{'a': 1}"), ([""], "['']")],
)
def test_an_input_that_is_no_path_is_refused(value: object, shown: str) -> None:
    assert refused(workload__input=value) == (
        f"workload.input={shown}: give sample, the path of an image, or a list of paths [a.jpg,b.jpg]"
    )


def test_images_are_used_in_the_order_given(tmp_path: Path) -> None:
    shutil.copy(sample_photo(), tmp_path / "a b,c=d.jpg")
    inputs = planned(workload__input=[str(tmp_path / "a b,c=d.jpg"), "sample"]).workloads[0].inputs
    assert [image.name for image in inputs] == [str(tmp_path / "a b,c=d.jpg"), "sample"]
    assert inputs[0].sha256 == inputs[1].sha256


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Write modules into the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    return write


def custom(factory: str | None) -> dict[str, Any]:
    return {"workload__kind": WorkloadKind.custom, "workload__factory": factory}


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        (None, "workload.factory=null: not a factory"),
        ("mine", "workload.factory=mine: not a factory"),
        ("mine:", "workload.factory=mine:: not a factory"),
        ("a:b:c", "workload.factory=a:b:c: not a factory"),
        ("mine:nope", "workload.factory=mine:nope: "),
        ("absent:build", "workload.factory=absent:build: there is no module absent"),
        ("mine.sub:build", "workload.factory=mine.sub:build: there is no module mine.sub"),
        ("bad:build", "workload.factory=bad:build: "),
        ("space.deep:nope", "workload.factory=space.deep:nope: "),
    ],
)
def test_a_factory_that_is_not_there_is_refused(
    modules: Callable[[str, str], None], factory: str | None, reason: str
) -> None:
    modules("mine.py", "def build(device, options): ...\n")
    modules("bad.py", "def build(:\n")
    modules("space/deep.py", "def build(device, options): ...\n")
    assert refused(**custom(factory)).startswith(reason)


@pytest.mark.parametrize(
    "source", ["def build(d, o): ...", "build = print", "build: object = 1", "from x import *"]
)
@pytest.mark.parametrize("name", ["mine", "package.mine", "package.space.mine"])
def test_a_factory_is_found_without_running_a_line_of_it(
    modules: Callable[[str, str], None], tmp_path: Path, source: str, name: str
) -> None:
    mark = f"open({str(tmp_path / 'marker')!r}, 'w')\n"
    modules("package/__init__.py", mark + "import torch\n")
    modules(f"{name.replace('.', '/')}.py", mark + source)
    spec = planned(**custom(f"{name}:build")).workloads[0]
    assert (spec.factory, spec.import_path, spec.model) == (f"{name}:build", str(tmp_path), f"{name}:build")
    assert not (tmp_path / "marker").exists()
    assert name.partition(".")[0] not in sys.modules


def test_a_factory_without_the_custom_workload_is_refused() -> None:
    assert refused(workload__factory="mine:build") == "workload.factory=mine:build: needs workload=custom"
