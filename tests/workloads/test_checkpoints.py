"""The weights of a model are found in whatever training programs wrap them, without running code."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from mps_experiments.errors import ConfigError
from mps_experiments.workloads.checkpoints import find_weights, read_checkpoint


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Conv2d(4, 2, 1)))


STATE = dict(network().state_dict())
COUNTER = "1.num_batches_tracked"
EMA = {name: each + 1 for name, each in STATE.items()}


def under(prefix: str, state: Mapping[str, torch.Tensor] = STATE) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": each for name, each in state.items()}


def found(loaded: Mapping[str, Any], key: str | None = None) -> tuple[str, Mapping[str, torch.Tensor]]:
    weights = find_weights(loaded, STATE, {COUNTER}, key)
    return weights.found, weights.tensors


def same(one: Mapping[str, torch.Tensor], two: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in two)


WRAPPED: dict[str, tuple[dict[str, Any], str]] = {
    "plain": (STATE, ""),
    "a key": ({"state_dict": STATE}, "took the weights under state_dict"),
    "beside an optimizer": (
        {"model": STATE, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}, "epoch": 3},
        "took the weights under model, left out optimizer, epoch",
    ),
    "beside figures": (
        {"model_state_dict": STATE, "loss": torch.tensor(0.5), "epoch": 3},
        "took the weights under model_state_dict, left out loss, epoch",
    ),
    "any name of a key": ({"my_net": STATE, "acc": 95.0}, "took the weights under my_net, left out acc"),
    "DataParallel": (under("module."), "without module. in their names"),
    "a compiled model": (under("_orig_mod."), "without _orig_mod. in their names"),
    "a compiled model in DataParallel": (
        under("module._orig_mod."),
        "without module. and _orig_mod. in their names",
    ),
    "a compiled part": (
        {name.replace("2.", "2._orig_mod."): each for name, each in STATE.items()},
        "without _orig_mod. in their names",
    ),
    "Lightning": (
        {
            "state_dict": under("model.") | {"criterion.weight": torch.ones(2)},
            "hyper_parameters": {"lr": 0.1},
            "callbacks": {},
            "epoch": 1,
        },
        "took the weights under state_dict.model, left out hyper_parameters, callbacks, epoch",
    ),
    "Lightning, compiled": (
        {"state_dict": under("net._orig_mod.")},
        "took the weights under state_dict.net, without _orig_mod. in their names",
    ),
    "DeepSpeed": ({"module": STATE, "epoch": 1}, "without module. in their names, left out epoch"),
    "an average only": ({"ema_state_dict": EMA}, "took the weights under ema_state_dict"),
    "a key in a key": ({"ema": {"shadow": EMA, "decay": 0.9}}, "took the weights under ema.shadow"),
}


@pytest.mark.parametrize(("loaded", "line"), WRAPPED.values(), ids=WRAPPED.keys())
def test_what_is_unambiguous_is_unwrapped_and_told(loaded: dict[str, Any], line: str) -> None:
    told, tensors = found(loaded)
    assert told == line
    assert same(tensors, EMA if "ema" in line else STATE)


def test_an_averaged_model_has_a_number_beside_its_weights() -> None:
    told, tensors = found(AveragedModel(network()).state_dict())
    assert told == "without module. in their names, left out n_averaged"
    assert same(tensors, STATE)


@pytest.mark.parametrize("averaged", ["model_ema", "ema", "state_dict_ema", "ema_state_dict", "swa_model"])
def test_of_plain_and_averaged_weights_the_plain_are_taken_and_the_others_named(averaged: str) -> None:
    loaded = {averaged: under("module.", EMA) | {"n_averaged": torch.tensor(1)}, "model": STATE}
    told, tensors = found(loaded)
    choose = f"not those under {averaged} (workload.weights_key={averaged} takes them)"
    assert told == f"took the weights under model, {choose}"
    assert same(tensors, STATE)
    told, tensors = found(loaded, averaged)
    assert told == f"took the weights under {averaged}, without module. in their names, left out model"
    assert same(tensors, EMA)


def test_several_sets_that_fit_are_named_and_not_guessed() -> None:
    loaded = {"student": STATE, "teacher": EMA}
    with pytest.raises(ConfigError) as caught:
        found(loaded)
    assert str(caught.value) == (
        "workload.weights_key: several sets of weights fit; name one, for example student, "
        "of: student, teacher"
    )
    assert same(found(loaded, "teacher")[1], EMA)


@pytest.mark.parametrize(
    ("loaded", "known"),
    [({"student": STATE, "teacher": EMA}, "student, teacher"), (STATE, "one set only")],
    ids=["two", "plain"],
)
def test_a_key_that_is_not_there_is_refused_with_those_that_are(loaded: dict[str, Any], known: str) -> None:
    with pytest.raises(ConfigError, match=f"^workload.weights_key=ema: not in the file; it has {known}$"):
        found(loaded, "ema")


def test_the_same_weights_under_two_keys_are_one_set() -> None:
    assert same(found({"model": STATE, "state_dict": STATE})[1], STATE)


@pytest.mark.parametrize(
    ("loaded", "what"),
    [
        ({}, "nothing"),
        ({"epoch": 3, "lists": [[1], [2]]}, "epoch, lists"),
        ({"state_dict": [torch.zeros(1)]}, "state_dict"),
        ({"\x1b[2J": 1}, r"\x1b[2J"),
        ({0: {"a": 1}}, "0"),
    ],
)
def test_a_dict_without_tensors_is_no_state_dict(loaded: dict[Any, Any], what: str) -> None:
    with pytest.raises(ValueError, match="not a state dict") as caught:
        found(loaded)
    assert str(caught.value) == f"not a state dict: it holds no tensors by name ({what})"


def test_a_dict_that_holds_itself_ends() -> None:
    loop: dict[str, Any] = {"model": STATE}
    loop["self"] = loop
    assert same(found(loop)[1], STATE)


@pytest.mark.parametrize(
    ("tensor", "what"),
    [
        (torch.quantize_per_tensor(torch.zeros(4), 0.1, 0, torch.qint8), "quantized (torch.qint8)"),
        (torch.zeros(4, device="meta"), "without data (on the meta device)"),
        (torch.zeros(4, dtype=torch.complex64), "complex (torch.complex64)"),
        (torch.zeros(4).to_sparse(), "not dense (torch.sparse_coo)"),
    ],
    ids=["quantized", "meta", "complex", "sparse"],
)
def test_tensors_that_a_module_cannot_take_are_refused(tensor: torch.Tensor, what: str) -> None:
    with pytest.raises(ValueError, match="save the weights as plain tensors") as caught:
        found(STATE | {"0.bias": tensor})
    assert str(caught.value) == f"0.bias is {what}; save the weights as plain tensors"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["model.safetensors", "model.bin"])
def test_safetensors_are_read_by_what_they_are(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    state = {key: each.to(dtype) for key, each in STATE.items()}
    save_file(state, tmp_path / name, metadata={"format": "pt"})
    assert same(dict(read_checkpoint(tmp_path / name)), state)


def test_cut_safetensors_are_refused(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "w.safetensors")
    whole = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(whole[:-8])
    with pytest.raises(ValueError, match=r"^a damaged safetensors file .*; copy or download it again$"):
        read_checkpoint(tmp_path / "w.safetensors")


@pytest.mark.parametrize("zipped", [True, False])
def test_parameters_are_tensors(tmp_path: Path, zipped: bool) -> None:
    state = {name: nn.Parameter(each) for name, each in STATE.items() if each.is_floating_point()}
    torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    assert same(dict(read_checkpoint(tmp_path / "w.pth")), state)


@pytest.mark.parametrize(
    ("held", "name"),
    [
        (network(), "torch.nn.modules.container.Sequential"),
        ({"model": STATE, "args": argparse.Namespace(lr=0.1)}, "argparse.Namespace"),
        ({"model": STATE, "best": np.float64(0.9)}, "numpy.*scalar"),
        ({"model": STATE, "folder": Path("runs")}, "pathlib.*PosixPath"),
    ],
    ids=["module", "Namespace", "numpy", "path"],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_what_only_code_could_load_is_refused_by_its_name(
    tmp_path: Path, held: object, name: str, zipped: bool
) -> None:
    torch.save(held, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    what = (
        rf"^holds {name}, which torch.load\(weights_only=True\) refuses, since a pickled class can run code"
    )
    with pytest.raises(ValueError, match=what):
        read_checkpoint(tmp_path / "w.pth")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("zipped", [True, False])
def test_a_protocol_that_torch_does_not_read_is_told(tmp_path: Path, zipped: bool) -> None:
    torch.save(STATE, tmp_path / "w.pth", pickle_protocol=4, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        ValueError, match=r"pickled with a protocol other than torch.save's own \(pickle_protocol=2\)"
    ):
        read_checkpoint(tmp_path / "w.pth")


@pytest.mark.parametrize("held", [torch.zeros(2), [STATE], "text"], ids=["tensor", "list", "text"])
def test_what_is_no_dict_is_refused(tmp_path: Path, held: object) -> None:
    torch.save(held, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=f"not a state dict: it holds a {type(held).__name__}, not tensors"):
        read_checkpoint(tmp_path / "w.pth")
