"""The modules of a torchvision model are those of the pretrained one, whatever its weights are."""

import re
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import WeightsEnum, get_model, get_model_weights

from mps_experiments.errors import ConfigError
from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.workloads.networks import Network, build_network, kind_of, named_weights
from mps_experiments.workloads.vision import supported_models

CPU, META = torch.device("cpu"), torch.device("meta")
FAMILIES = sorted(name for name in supported_models() if kind_of(name) in ("detection", "segmentation"))
OTHERS = [
    *("googlenet", "inception_v3", "vit_b_16", "vit_h_14", "vgg11_bn", "densenet121", "mnasnet0_5"),
    *("regnet_y_400mf", "efficientnet_b0", "mobilenet_v3_small", "resnet18", "convnext_tiny", "swin_t"),
]
SMALL = "resnet18"


def built(model: str, device: torch.device = META, **values: Any) -> Network:
    return build_network(WorkloadSpec(kind="torchvision", model=model, **values), device)


def modules(model: nn.Module) -> list[tuple[object, ...]]:
    """List name, class and work-defining attributes of each module."""
    said = ("eps", "transform_input", "aux_logits", "image_size", "num_classes", "score_thresh")
    return [
        (name, type(module).__name__, *(getattr(module, each, None) for each in said[:5]))
        for name, module in model.named_modules()
    ]


@pytest.fixture
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test if any address is opened."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a download")

    monkeypatch.setattr(urllib.request, "urlopen", refused)


@pytest.mark.parametrize("name", [*FAMILIES, *OTHERS])
@pytest.mark.usefixtures("no_download")
def test_random_weights_are_in_the_modules_of_the_pretrained_model(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = modules(built(name).model)
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_, **__: {})
    monkeypatch.setattr(nn.Module, "load_state_dict", lambda *_, **__: None)
    assert random == modules(built(name, weights="default").model)


@pytest.mark.parametrize(
    ("name", "wanted", "norm_layer"),
    [
        ("maskrcnn_resnet50_fpn", "auto", "FrozenBatchNorm2d"),
        ("maskrcnn_resnet50_fpn_v2", "auto", "BatchNorm2d"),
        ("resnet18", "auto", "BatchNorm2d"),
        ("maskrcnn_resnet50_fpn", "batch", "BatchNorm2d"),
        ("resnet18", "frozen", "FrozenBatchNorm2d"),
    ],
)
def test_the_norm_layer_is_that_of_the_deployed_model_or_the_one_asked_for(
    name: str, wanted: str, norm_layer: str
) -> None:
    model = built(name, norm_layer=wanted).model
    assert {type(each).__name__ for each in model.modules()} & {"BatchNorm2d", "FrozenBatchNorm2d"} == {
        norm_layer
    }
    assert not model.training


@pytest.mark.parametrize("name", ["alexnet", "vit_b_32"])
def test_a_norm_layer_for_a_model_without_one_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"workload\.norm_layer=batch: {name} has no batch normalisation"):
        built(name, norm_layer="batch")


def test_both_norm_layers_compute_the_same() -> None:
    """Load in inference mode, as workers do: its tensors differ from others."""
    outputs = []
    for wanted in ("batch", "frozen"):
        with torch.inference_mode():
            model = built(SMALL, CPU, norm_layer=wanted).model
            outputs.append(model(torch.linspace(0, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)))
    torch.testing.assert_close(*outputs)


def test_weights_by_name_are_those_of_torchvision_and_the_default_is_the_newest() -> None:
    entries = get_model_weights("resnet50")
    for spelling in ("IMAGENET1K_V1", "ResNet50_Weights.IMAGENET1K_V1", "imagenet1k_v1"):
        assert named_weights("resnet50", spelling) is entries.IMAGENET1K_V1
    for spelling in ("default", "DEFAULT", "ResNet50_Weights.DEFAULT"):
        assert named_weights("resnet50", spelling) is entries.IMAGENET1K_V2


@pytest.mark.parametrize("spelling", ["COCO_V1", "ResNet18_Weights.IMAGENET1K_V1"])
def test_weights_of_another_model_are_refused_with_its_own(spelling: str) -> None:
    line = r"resnet50 has no such weights; it has DEFAULT, IMAGENET1K_V1, IMAGENET1K_V2$"
    with pytest.raises(ValueError, match=line):
        named_weights("resnet50", spelling)


def saved(state: Mapping[str, Any], folder: Path, name: str = "w.pth") -> str:
    torch.save(state, folder / name)
    return str(folder / name)


def state_of(name: str, **arguments: Any) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return dict(get_model(name, weights=None, **arguments).state_dict())


@pytest.mark.parametrize("device", [CPU, META], ids=str)
def test_a_file_of_a_detector_is_in_the_modules_of_the_pretrained_one(
    tmp_path: Path, device: torch.device
) -> None:
    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    path = saved(state_of(name, weights_backbone=None), tmp_path)
    assert modules(built(name, device, weights=path).model) == modules(built(name).model)


def test_a_segmentation_file_without_auxiliary_head_is_of_a_model_without_one(tmp_path: Path) -> None:
    arguments = {"weights_backbone": None, "num_classes": 21}
    name = "deeplabv3_mobilenet_v3_large"
    with_head = built(name, weights=saved(state_of(name, aux_loss=True, **arguments), tmp_path))
    assert isinstance(with_head.model.aux_classifier, nn.Module)
    assert with_head.loaded == ""
    without = built(name, weights=saved(state_of(name, aux_loss=False, **arguments), tmp_path))
    assert "aux_classifier" not in {name for name, _ in without.model.named_modules()}
    assert without.loaded == "built without aux_classifier, which the file lacks"


@pytest.mark.parametrize("aux_logits", [True, False])
@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_a_file_loads_with_and_without_the_heads_for_training(
    name: str, aux_logits: bool, tmp_path: Path
) -> None:
    state = state_of(name, aux_logits=aux_logits, init_weights=False)
    network = built(name, CPU, weights=saved(state, tmp_path))
    assert network.loaded == ""
    assert network.model.__dict__["transform_input"] is True
    # As with weights=default.
    assert network.model.__dict__["aux_logits"] is (aux_logits and name == "inception_v3")
    own = network.model.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in own.items())


def test_torchvisions_old_names_are_understood(tmp_path: Path) -> None:
    """Load a densenet file of 2017, with norm.1 where the module has norm1."""
    state = state_of("densenet121")
    old = {re.sub(r"(norm|conv)([12])\.", r"\1.\2.", name): each for name, each in state.items()}
    assert old.keys() != state.keys()
    own = built("densenet121", CPU, weights=saved(old, tmp_path)).model.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in state.items())


def test_the_image_size_is_that_of_the_file(tmp_path: Path) -> None:
    path = saved(state_of("vit_b_16", image_size=384), tmp_path)
    network = built("vit_b_16", weights=path)
    assert network.weights.name == "IMAGENET1K_SWAG_E2E_V1"
    assert network.weights.transforms().crop_size == [384]
    assert network.loaded == "read as ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1"


def test_a_file_with_torchvisions_name_is_what_the_name_says(tmp_path: Path) -> None:
    weights = get_model_weights("mobilenet_v2").IMAGENET1K_V1
    path = saved(state_of("mobilenet_v2"), tmp_path, Path(weights.url).name)
    assert built("mobilenet_v2", weights=path).weights is weights


def test_a_file_without_counters_loads(tmp_path: Path) -> None:
    state = {name: each for name, each in state_of(SMALL).items() if not name.endswith("num_batches_tracked")}
    assert built(SMALL, CPU, weights=saved(state, tmp_path)).loaded == ""


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_another_type_than_the_modules_is_told(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {n: each.to(dtype) if each.is_floating_point() else each for n, each in state_of(SMALL).items()}
    network = built(SMALL, CPU, weights=saved(state, tmp_path))
    assert network.loaded == f"holds {str(dtype).removeprefix('torch.')}, runs as float32"
    assert {each.dtype for each in network.model.parameters()} == {torch.float32}
    assert torch.equal(network.model.state_dict()["fc.bias"], state["fc.bias"].float())


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"fc.weight": torch.zeros(10, 512), "fc.bias": torch.zeros(10)},
            "fc.bias is [10] in the file, [1000] in the model, and 1 more differ; a factory can",
        ),
        ({"fc.weight": None, "fc.bias": None}, "missing names: 2 of 122 (fc.weight, fc.bias)"),
        ({"fc.extra": torch.zeros(1)}, "unknown names: 1 (fc.extra)"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_what_does_not(
    tmp_path: Path, change: dict[str, Any], line: str
) -> None:
    state = {name: each for name, each in (state_of(SMALL) | change).items() if each is not None}
    with pytest.raises(ValueError, match=f"^does not fit resnet18: {re.escape(line)}"):
        built(SMALL, weights=saved(state, tmp_path))


def test_builders_are_as_they_were_afterwards(tmp_path: Path) -> None:
    before = WeightsEnum.get_state_dict, nn.Module.load_state_dict
    with pytest.raises(ValueError, match="does not fit"):
        built(SMALL, weights=saved({"a": torch.zeros(1)}, tmp_path))
    assert (WeightsEnum.get_state_dict, nn.Module.load_state_dict) == before
