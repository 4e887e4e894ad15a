"""A weights file that is no checkpoint is refused as what it is."""

import pickle
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
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


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 46830571\n"
INDEX = b'{"metadata": {"total_size": 1}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}'
HTML = "\ufeff\n<!DOCTYPE html><html>".encode()
Content = bytes | Callable[[Path], object]
# Name of the file, its bytes or what writes it, and how the refusal begins.
KINDS: list[tuple[str, Content, str]] = [
    ("w.pth", b"", "an empty file; copy or download it again"),
    ("w.pth", bytes(9000), "zero bytes only, as an interrupted copy"),
    ("w.pth", LFS, "a Git LFS pointer, not the file itself; run git lfs"),
    ("w.safetensors", LFS, "a Git LFS pointer"),
    ("w.pth", HTML, "an HTML or XML page"),
    ("w.pth", b"<?xml version='1.0'?><Error>", "an HTML or XML page"),
    ("w.json", b'{"a": 1}', "a JSON text; save the weights alone"),
    ("m.safetensors.index.json", INDEX, "the index of a checkpoint"),
    ("m-00001-of-00002.safetensors", b"x", "one shard of 2; shards"),
    ("w.pth", partial(cut, legacy=False), "a checkpoint whose end is missing ("),
    ("w.pth", partial(cut, legacy=True), "a checkpoint that is cut off or damaged ("),
    ("w.zip", zipped("readme.txt"), "a zip archive without a checkpoint"),
    ("w.pt", torchscript, "a TorchScript archive, which is a program; save"),
    ("w.pt2", zipped("w/archive_format", "w/data.pkl"), "a torch.export archive"),
    ("w.keras", zipped("config.json", "model.weights.h5"), "a Keras file; save"),
    ("w.npz", lambda path: np.savez(path, weight=np.zeros(3)), "NumPy arrays (.npz); save"),
    ("w.npy", lambda path: np.save(path, np.zeros(3)), "a NumPy array (.npy); save"),
    ("w.h5", b"\x89HDF\r\n\x1a\n" + bytes(9), "an HDF5 file"),
    ("w.bin", b"\x08\x07\x12\x07pytorch", "an ONNX model; save"),
    ("saved_model.pb", b"\x08\x01", "a TensorFlow graph; save"),
    ("w.tflite", b"\x1c\0\0\0TFL3", "a TensorFlow Lite model"),
    ("w.gguf", b"GGUF\x03", "a GGUF file"),
    ("w.pkl", pickle.dumps({"a": [1.0]}), "a pickle that"),
    ("w.pth.gz", b"\x1f\x8b\x08", "a gzip archive; unpack it"),
    ("w.pth.tar", tar, "a tar archive; unpack it and give the checkpoint in it"),
    ("w.png", lambda path: Image.new("L", (2, 2)).save(path), "a PNG image; give it as"),
    ("w.txt", b"weights\n" * 100, "not a checkpoint that torch.load("),
    ("w.pth", bomb, "unpacks to 10000000 bytes, far more than it has"),
]


@pytest.mark.parametrize(("name", "content", "what"), KINDS, ids=[what[:30] for _, _, what in KINDS])
def test_a_file_that_is_no_checkpoint_is_named(
    tmp_path: Path, name: str, content: Content, what: str
) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        content(tmp_path / name)
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
