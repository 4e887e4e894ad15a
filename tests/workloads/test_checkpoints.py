"""The weights of a model are found in whatever training programs wrap them, without running code."""

import argparse
import pickle
import re
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
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
    tensors, told = find_weights(loaded, STATE, {COUNTER}, key)
    return told, tensors


def same(one: Mapping[str, torch.Tensor], two: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in two)


WRAPPED: dict[str, tuple[dict[str, Any], str]] = {
    "plain": (STATE, ""),
    "a key": ({"state_dict": STATE}, "state_dict"),
    "beside an optimizer": (
        {"model": STATE, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}, "epoch": 3},
        "model",
    ),
    "beside figures": ({"my_net": STATE, "loss": torch.tensor(0.5), "epoch": 3}, "my_net"),
    "DataParallel": (under("module."), ""),
    "a compiled model in DataParallel": (under("module._orig_mod."), ""),
    "a compiled part": ({name.replace("2.", "2._orig_mod."): each for name, each in STATE.items()}, ""),
    "Lightning": (
        {"state_dict": under("model.") | {"criterion.weight": torch.ones(2)}, "callbacks": {}, "epoch": 1},
        "state_dict.model",
    ),
    "Lightning, compiled": ({"state_dict": under("net._orig_mod.")}, "state_dict.net"),
    "DeepSpeed": ({"module": STATE, "epoch": 1}, ""),
    "AveragedModel": (dict(AveragedModel(network()).state_dict()), ""),
    "an average only": ({"ema_state_dict": EMA}, "ema_state_dict"),
    "a key in a key": ({"ema": {"shadow": EMA, "decay": 0.9}}, "ema.shadow"),
}


@pytest.mark.parametrize(("loaded", "place"), WRAPPED.values(), ids=WRAPPED.keys())
def test_what_is_unambiguous_is_unwrapped_and_told(loaded: dict[str, Any], place: str) -> None:
    told, tensors = found(loaded)
    assert told == (f"took the weights under {place}" if place else "")
    assert same(tensors, EMA if "ema" in place else STATE)


@pytest.mark.parametrize("averaged", ["model_ema", "ema", "state_dict_ema", "swa_model"])
def test_of_plain_and_averaged_weights_the_plain_are_taken_and_the_others_named(averaged: str) -> None:
    loaded = {averaged: under("module.", EMA) | {"n_averaged": torch.tensor(1)}, "model": STATE}
    told, tensors = found(loaded)
    choose = f"not those under {averaged} (workload.weights_key={averaged} takes them)"
    assert told == f"took the weights under model, {choose}"
    assert same(tensors, STATE)
    told, tensors = found(loaded, averaged)
    assert told == f"took the weights under {averaged}"
    assert same(tensors, EMA)


def test_several_sets_that_fit_are_named_and_not_guessed() -> None:
    loaded = {"student": STATE, "teacher": EMA}
    with pytest.raises(ConfigError, match=r"^workload\.weights_key: .* student, teacher$"):
        found(loaded)
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
        (torch.quantize_per_tensor(torch.zeros(4), 0.1, 0, torch.qint8), "qint8, strided on cpu"),
        (torch.zeros(4, device="meta"), "float32, strided on meta"),
        (torch.zeros(4, dtype=torch.complex64), "complex64, strided on cpu"),
        (torch.zeros(4).to_sparse(), "float32, sparse_coo on cpu"),
    ],
    ids=["quantized", "meta", "complex", "sparse"],
)
def test_tensors_that_a_module_cannot_take_are_refused(tensor: torch.Tensor, what: str) -> None:
    with pytest.raises(ValueError, match=f"^0.bias is {what}; save the weights as plain tensors$"):
        found(STATE | {"0.bias": tensor})


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


@pytest.mark.parametrize("held", [torch.zeros(2), [STATE], "text"], ids=["tensor", "list", "text"])
def test_what_is_no_dict_is_refused(tmp_path: Path, held: object) -> None:
    torch.save(held, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=f"not a state dict: it holds a {type(held).__name__}, not tensors"):
        read_checkpoint(tmp_path / "w.pth")


def zipped(*names: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, b"x")

    return write


def cut(path: Path, legacy: bool) -> None:
    torch.save({"weight": torch.zeros(10_000)}, path, _use_new_zipfile_serialization=not legacy)
    path.write_bytes(path.read_bytes()[:-1000])


def tar(path: Path) -> None:
    (path.parent / "inner").write_bytes(b"x")
    with tarfile.open(path, "w") as archive:
        archive.add(path.parent / "inner", "inner")


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"")
        archive.writestr("archive/data/0", bytes(10_000_000))


def torchscript(path: Path) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(path)  # type: ignore[no-untyped-call]


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 46830571\n"
INDEX = b'{"metadata": {"total_size": 1}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}'
Content = bytes | Callable[[Path], object]
# Name of the file, its bytes or what writes it, and how the refusal begins.
KINDS: list[tuple[str, Content, str]] = [
    ("w.pth", b"", "an empty file; copy or download it again"),
    ("w.pth", bytes(9000), "nothing but zero bytes"),
    ("w.safetensors", LFS, "a Git LFS pointer, not the file itself; run git lfs"),
    ("w.pth", "\ufeff\n<!DOCTYPE html><html>".encode(), "an HTML or XML page"),
    ("m.safetensors.index.json", INDEX, "a JSON text, perhaps the index of shards"),
    ("m-00001-of-00012.safetensors", b"x", "one shard of 12; shards"),
    ("w.pth", partial(cut, legacy=False), "a checkpoint whose end is missing ("),
    ("w.pth", partial(cut, legacy=True), "a checkpoint that is damaged or cut off ("),
    ("w.zip", zipped("readme.txt"), "a zip archive without a checkpoint"),
    ("w.pt", torchscript, "a TorchScript or torch.export archive, which is a program; save"),
    ("w.pt2", zipped("w/archive_format", "w/data.pkl"), "a TorchScript or torch.export archive"),
    ("w.keras", zipped("config.json", "model.weights.h5"), "a Keras file; save"),
    ("w.npy", lambda path: np.save(path, np.zeros(3)), "a NumPy array (.npy); save"),
    ("w.h5", b"\x89HDF\r\n\x1a\n" + bytes(9), "an HDF5 file"),
    ("w.onnx", b"\x08\x07\x12\x07pytorch", "not a checkpoint that torch.load("),
    ("w.pkl", pickle.dumps({"a": [1.0]}), "not a checkpoint that torch.load("),
    ("w.pth.gz", b"\x1f\x8b\x08", "a compressed file; unpack it"),
    ("w.pth.tar", tar, "a tar archive; unpack it"),
    ("w.png", b"\x89PNG", "an image; give it as"),
    ("w.txt", b"weights\n" * 100, "not a checkpoint that torch.load("),
    ("w.pth", bomb, "unpacks to 10000000 bytes, far more than it has"),
]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(("name", "content", "what"), KINDS, ids=[what[:30] for _, _, what in KINDS])
def test_a_file_that_is_no_checkpoint_is_named(
    tmp_path: Path, name: str, content: Content, what: str
) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        content(tmp_path / name)
    with pytest.raises(ValueError, match=f"^{re.escape(what)}.*$"):
        read_checkpoint(tmp_path / name)


@pytest.mark.parametrize("name", ["w.pth", "model-00001-of-00001.bin", "w.safetensors", "w.onnx"])
@pytest.mark.parametrize("legacy", [True, False])
def test_a_checkpoint_is_one_whatever_its_name(tmp_path: Path, name: str, legacy: bool) -> None:
    torch.save(STATE, tmp_path / name, _use_new_zipfile_serialization=not legacy)
    assert same(dict(read_checkpoint(tmp_path / name)), STATE)
