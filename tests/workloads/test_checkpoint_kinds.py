"""A weights file that is no checkpoint is refused as what it is."""

import json
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mps_experiments.workloads.checkpoints import read_checkpoint

STATE = {"weight": torch.arange(10_000.0)}


def zipped(*names: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, b"x")

    return write


def cut(path: Path, legacy: bool) -> None:
    torch.save(STATE, path, _use_new_zipfile_serialization=not legacy)
    path.write_bytes(path.read_bytes()[:-1000])


def tar(path: Path) -> None:
    (path.parent / "inner").write_bytes(b"x")
    with tarfile.open(path, "w") as archive:
        archive.add(path.parent / "inner", "inner")


def torchscript(path: Path) -> None:
    zipped("w/code/__torch__.py", "w/constants.pkl", "w/data.pkl")(path)


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"")
        archive.writestr("archive/data/0", bytes(10_000_000))


def numpy_arrays(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, weight=np.zeros(3))


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 46830571\n"
INDEX = json.dumps({"metadata": {"total_size": 1}, "weight_map": {"a": "model-00001-of-00002.safetensors"}})
KINDS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "empty": ("w.pth", lambda path: path.touch(), "an empty file; copy or download it again"),
    "zeros": ("w.pth", lambda path: path.write_bytes(bytes(9000)), "zero bytes only, as an interrupted copy"),
    "LFS": (
        "w.pth",
        lambda path: path.write_bytes(LFS),
        "a Git LFS pointer, not the file itself; run git lfs",
    ),
    "LFS safetensors": ("w.safetensors", lambda path: path.write_bytes(LFS), "a Git LFS pointer"),
    "HTML": ("w.pth", lambda path: path.write_text("\ufeff\n<!DOCTYPE html><html>"), "an HTML or XML page"),
    "XML": ("w.pth", lambda path: path.write_text("<?xml version='1.0'?><Error>"), "an HTML or XML page"),
    "JSON": ("w.json", lambda path: path.write_text('{"a": 1}'), "a JSON text; save the weights alone"),
    "index": (
        "m.safetensors.index.json",
        lambda path: path.write_text(INDEX),
        "the index of a checkpoint",
    ),
    "shard": (
        "m-00001-of-00002.safetensors",
        lambda path: path.write_bytes(b"x"),
        "one shard of 2; shards",
    ),
    "cut": ("w.pth", lambda path: cut(path, legacy=False), "a checkpoint whose end is missing ("),
    "cut legacy": ("w.pth", lambda path: cut(path, legacy=True), "a checkpoint that is cut off or damaged ("),
    "zip": ("w.zip", zipped("readme.txt"), "a zip archive without a checkpoint"),
    "TorchScript": ("w.pt", torchscript, "a TorchScript archive, which is a program; save"),
    "torch.export": (
        "w.pt2",
        zipped("w/archive_format", "w/data.pkl"),
        "a torch.export archive",
    ),
    "Keras": ("w.keras", zipped("config.json", "model.weights.h5"), "a Keras file; save"),
    "npz": ("w.npz", numpy_arrays, "NumPy arrays (.npz); save"),
    "npy": ("w.npy", lambda path: np.save(path, np.zeros(3)), "a NumPy array (.npy); save"),
    "HDF5": (
        "w.h5",
        lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(9)),
        "an HDF5 file",
    ),
    "ONNX": ("w.bin", lambda path: path.write_bytes(b"\x08\x07\x12\x07pytorch"), "an ONNX model; save"),
    "TensorFlow": ("saved_model.pb", lambda path: path.write_bytes(b"\x08\x01"), "a TensorFlow graph; save"),
    "TFLite": ("w.tflite", lambda path: path.write_bytes(b"\x1c\0\0\0TFL3"), "a TensorFlow Lite model"),
    "GGUF": ("w.gguf", lambda path: path.write_bytes(b"GGUF\x03"), "a GGUF file"),
    "pickle": (
        "w.pkl",
        lambda path: path.write_bytes(pickle.dumps({"a": [1.0]})),
        "a pickle that",
    ),
    "gzip": ("w.pth.gz", lambda path: path.write_bytes(b"\x1f\x8b\x08"), "a gzip archive; unpack it"),
    "tar": ("w.pth.tar", tar, "a tar archive; unpack it and give the checkpoint in it"),
    "image": (
        "w.png",
        lambda path: Image.new("L", (2, 2)).save(path),
        "a PNG image; give it as",
    ),
    "text": ("w.txt", lambda path: path.write_text("weights\n" * 100), "not a checkpoint that torch.load("),
    "bomb": ("w.pth", bomb, "unpacks to 10000000 bytes, far more than it has"),
}


@pytest.mark.parametrize(("name", "write", "what"), KINDS.values(), ids=KINDS.keys())
def test_a_file_that_is_no_checkpoint_is_named(
    tmp_path: Path, name: str, write: Callable[[Path], object], what: str
) -> None:
    write(tmp_path / name)
    with pytest.raises(ValueError, match=r"\w") as caught:
        read_checkpoint(tmp_path / name)
    assert str(caught.value).startswith(what)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_real_torchscript_archive_is_one(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "w.pt")  # type: ignore[no-untyped-call]
    with pytest.raises(ValueError, match=r"^a TorchScript archive"):
        read_checkpoint(tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["w.pth", "model-00001-of-00001.bin", "w.safetensors", "w.onnx", "w.pb"])
@pytest.mark.parametrize("legacy", [True, False])
def test_a_checkpoint_is_one_whatever_its_name(tmp_path: Path, name: str, legacy: bool) -> None:
    torch.save(STATE, tmp_path / name, _use_new_zipfile_serialization=not legacy)
    assert torch.equal(read_checkpoint(tmp_path / name)["weight"], STATE["weight"])
