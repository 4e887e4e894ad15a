"""Name a weights file that holds no checkpoint, by its first bytes or its zip directory."""

import re
import zipfile
from pathlib import Path

from mps_experiments.workloads.files import (
    COMPRESSED,
    HDF5,
    NUMPY,
    PDF,
    POINTERS,
    TAR,
    TAR_AT,
    ZIP,
    first_bytes,
)

_HEAD_BYTES = 4096
_SLACK_BYTES = 2**20
_SAVE = "save the weights alone with torch.save(model.state_dict(), path)"
_AGAIN = "copy or download it again"
_ONE_FILE = "shards are not joined: save all weights as one file"
_LEGACY = b"l\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save before 1.6 begins with this number, pickled
_MAX_SAFETENSORS_HEADER = 100_000_000  # bytes, the library's own limit
_PICKLE = re.compile(r"(^|/)data\.pkl$")
_SHARD = re.compile(r"-(\d+)-of-(\d+)\.\w+$")

# What the file is, what to do about it, and which bytes stand where.
_SIGNATURES: tuple[tuple[str, str, int, bytes], ...] = (
    *((what, remedy, 0, expected) for expected, (what, remedy) in POINTERS.items()),
    ("an HDF5 file, as Keras writes it", _SAVE, 0, HDF5),
    ("a TensorFlow Lite model", _SAVE, 4, b"TFL3"),
    ("a GGUF file", _SAVE, 0, b"GGUF"),
    ("a TensorRT engine", _SAVE, 0, b"ftrt"),
    ("a NumPy array (.npy)", _SAVE, 0, NUMPY),
    *((what, "unpack it", 0, expected) for expected, (what, _) in COMPRESSED.items()),
    ("a tar archive", "unpack it and give the checkpoint in it", TAR_AT, TAR),
    ("a PNG image", "give it as workload.input", 0, b"\x89PNG"),
    ("a JPEG image", "give it as workload.input", 0, b"\xff\xd8\xff"),
    ("a PDF document", _SAVE, 0, PDF),
)
# The same for zip archives: a file of this name is in it.
_ARCHIVES = (
    ("a TorchScript archive, which is a program", _SAVE, re.compile(r"(^|/)(constants\.pkl|code/.*)$")),
    (
        "a torch.export archive, which is a program",
        _SAVE,
        re.compile(r"(^|/)(archive_format|serialized_exported_program\.json)$"),
    ),
    ("a Keras file", _SAVE, re.compile(r"(^|/)model\.weights\.h5$")),
    ("NumPy arrays (.npz)", _SAVE, re.compile(r"\.npy$")),
)


def refuse_foreign(path: Path) -> None:
    """Refuse a file that is certainly no checkpoint. Nothing is unpacked.

    Raises:
        ValueError: Names the kind of the file and what to do.
    """
    size = path.stat().st_size
    head = first_bytes(path, _HEAD_BYTES)
    shard = _SHARD.search(path.name)
    if shard and int(shard[2]) > 1:
        raise ValueError(f"one shard of {int(shard[2])}; {_ONE_FILE}")
    if head.startswith(ZIP):
        _refuse_archive(path, size)
        return
    kind = None if is_safetensors(path) else _kind(head, path.suffix)
    if kind is not None:
        raise ValueError(kind)


def is_safetensors(path: Path) -> bool:
    """Tell by its first bytes whether it is a safetensors file: the length of a header of JSON, then that."""
    head = first_bytes(path, 9)
    return head[8:] == b"{" and int.from_bytes(head[:8], "little") <= _MAX_SAFETENSORS_HEADER


def unreadable(path: Path, error: Exception) -> str:
    """Explain why ``torch.load(weights_only=True)`` refused a file that looked like a checkpoint.

    Args:
        path: The file.
        error: The exception from torch, which names the class that it refused.
    """
    refused = re.search(r"GLOBAL ([\w.<>]+)|but got <class '([\w.]+)'>", str(error))
    if refused:
        return (
            f"holds {refused[1] or refused[2]}, which torch.load(weights_only=True) refuses, since a pickled "
            f"class can run code; {_SAVE}"
        )
    head = first_bytes(path, _HEAD_BYTES)
    is_ours = _LEGACY in head[:40] or head.startswith(b"PK")
    if is_ours and _pickle_protocol(path, head) > 3:
        return f"pickled with a protocol other than torch.save's own (pickle_protocol=2); {_SAVE}"
    if head.startswith(b"\x80") and _LEGACY in head[:40]:
        return f"a checkpoint that is cut off or damaged ({type(error).__name__}); {_AGAIN}"
    if head.startswith(b"\x80"):
        return f"a pickle that torch.save did not write; {_SAVE}"
    if head.startswith(b"PK"):
        return f"a damaged checkpoint ({type(error).__name__}); {_AGAIN}"
    return f"not a checkpoint that torch.load(weights_only=True) reads ({type(error).__name__}); {_SAVE}"


def _pickle_protocol(path: Path, head: bytes) -> int:
    """Return the pickle protocol of a checkpoint; 0 if it does not tell."""
    if head.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            name = next(each for each in archive.namelist() if _PICKLE.search(each))
            with archive.open(name) as file:
                head = file.read(2)
    return head[1] if head[:1] == b"\x80" and len(head) > 1 else 0


def _kind(head: bytes, suffix: str) -> str | None:
    if not head:
        return f"an empty file; {_AGAIN}"
    if not head.strip(b"\0"):
        return f"zero bytes only, as an interrupted copy leaves them; {_AGAIN}"
    for what, remedy, start, expected in _SIGNATURES:
        if head.startswith(expected, start):
            return f"{what}; {remedy}"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<error")):
        return "an HTML or XML page, as a failed download leaves it; download the file itself"
    if text.startswith(b"{"):
        index = b"weight_map" in text or b'"metadata"' in text
        return f"the index of a checkpoint in shards; {_ONE_FILE}" if index else f"a JSON text; {_SAVE}"
    if head[0] == 0x80:  # a pickle, whatever its name
        return None
    # Protocol buffers have no signature. ONNX begins with its version, then text fields in order.
    if suffix == ".onnx" or (head[0] == 0x08 and head[2:3] in (b"\x12", b"\x1a", b"\x3a")):
        return f"an ONNX model; {_SAVE}"
    if suffix == ".pb":
        return f"a TensorFlow graph; {_SAVE}"
    return None


def _refuse_archive(path: Path, size: int) -> None:
    """Refuse an archive that torch.save did not write, that is cut off, or that unpacks to far more bytes."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"a checkpoint whose end is missing ({size} bytes are there); {_AGAIN}") from error
    for what, remedy, name in _ARCHIVES:
        if any(name.search(entry.filename) for entry in entries):
            raise ValueError(f"{what}; {remedy}")
    if not any(_PICKLE.search(entry.filename) for entry in entries):
        raise ValueError(f"a zip archive without a checkpoint; {_SAVE}")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > 2 * size + _SLACK_BYTES:  # torch.save does not compress
        raise ValueError(f"unpacks to {unpacked} bytes, far more than it has; save it with torch.save")
