"""What each worker executes: the model, its weights, inputs and factory, or why it is refused."""

from pathlib import Path
from typing import Any

import pytest

from mps_experiments.config.schema import NormLayer, WorkloadKind
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.run.workload import LARGE_MODEL, SMALL_MODEL
from tests.planned import ON_CPU, ON_GPU, one, planned, refused


@pytest.mark.parametrize(
    ("probe", "values", "model"),
    [
        (ON_CPU, {}, SMALL_MODEL),
        (ON_GPU, {}, LARGE_MODEL),
        (ON_CPU, {"workload__model": "resnet50"}, "resnet50"),
        (ON_CPU, {"workload__model": LARGE_MODEL}, LARGE_MODEL),
        (ON_CPU, {"workload__weights": "default"}, SMALL_MODEL),
        (ON_CPU, {"workload__weights": "w.pth"}, LARGE_MODEL),
    ],
)
def test_where_no_model_is_named_the_cpu_gets_a_small_one_unless_weights_come_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probe: FixedProbe, values: dict[str, Any], model: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pth").write_bytes(b"x")
    spec = planned(probe, **values).workloads[0]
    assert spec.model == model
    if values.get("workload__weights") == "w.pth":
        assert spec.weights == spec.weights_file == str(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("DEFAULT", "default"),
        ("Random", "random"),
        ("IMAGENET1K_V1", "IMAGENET1K_V1"),
        ("ResNet50_Weights.IMAGENET1K_V2", "ResNet50_Weights.IMAGENET1K_V2"),
        ("torchvision.models.ResNet50_Weights.DEFAULT", "torchvision.models.ResNet50_Weights.DEFAULT"),
        ("X" * 300, "X" * 300),
    ],
)
def test_weights_of_torchvision_are_known_by_name(typed: str, meant: str) -> None:
    spec = planned(ON_CPU, workload__weights=typed).workloads[0]
    assert (spec.weights, spec.weights_file, spec.model) == (meant, None, SMALL_MODEL)


def test_a_file_with_such_a_name_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "WEIGHTS").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert planned(workload__weights="WEIGHTS").workloads[0].weights_file == str(tmp_path / "WEIGHTS")


def test_network_options_reach_the_workload(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"x")
    values: dict[str, Any] = {"workload__weights": str(tmp_path / "w.pth"), "workload__weights_key": "ema"}
    spec = planned(workload__norm_layer=NormLayer.batch, **values).workloads[0]
    assert (spec.norm_layer, spec.weights_key) == ("batch", "ema")


def test_network_options_are_refused_where_they_mean_nothing() -> None:
    custom: dict[str, Any] = {
        "workload__kind": WorkloadKind.custom,
        "workload__factory": "tests.fakes.moody:build",
    }
    what = "is for torchvision's models; a factory builds its own"
    assert refused(workload__norm_layer=NormLayer.batch, **custom) == f"workload.norm_layer=batch: {what}"
    assert refused(workload__weights_key="ema", **custom) == f"workload.weights_key=ema: {what}"
    assert refused(workload__weights_key="ema") == (
        "workload.weights_key=ema: needs the path of a checkpoint as workload.weights"
    )


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ("missing.pth", "No such file or directory"),
        (".", "Is a directory"),
        ("", "Is a directory"),
        ("x" * 300, "File name too long"),
        ("~nobody-has-this-name/w.pth", "home directory"),
        ("a\0b", "null"),
        ("/dev/zero", "a pipe or a device, not a file"),
    ],
)
def test_weights_that_cannot_be_read_are_refused(weights: str, reason: str) -> None:
    line = refused(workload__weights=weights)
    assert line.startswith("workload.weights")
    assert reason in line
    assert line.endswith(
        "give random, default, a name of torchvision's (IMAGENET1K_V1) or the path of a checkpoint"
    )


def test_a_missing_image_is_refused() -> None:
    assert refused(workload__input="nope.jpg").startswith(
        "workload.input=nope.jpg: no such file; give sample"
    )


def test_a_custom_workload_is_planned_with_the_folder_it_was_found_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def build(device, options): ...")
    values = one("workload__kind", WorkloadKind.custom) | one("workload__options", {"size": 3})
    spec = planned(**values, workload__factory="mine:build").workloads[0]
    assert (spec.factory, spec.import_path, spec.model) == ("mine:build", str(tmp_path), "mine:build")
    assert spec.options == {"size": 3}
    assert refused(**values, workload__factory="mine").startswith("workload.factory=mine: not a factory; ")


def test_a_factory_without_the_custom_workload_is_refused() -> None:
    assert refused(workload__factory="mine:build") == "workload.factory=mine:build: needs workload=custom"
    assert refused(workload__options={"a": 1}) == "workload.options={'a': 1}: needs workload=custom"
