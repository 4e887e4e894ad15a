"""Build a runnable workload from a `WorkloadSpec`. Runs in workers only, since it imports torch."""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from mps_experiments.record.workload import WorkloadSpec

_HASHERS = 4  # threads: one cannot hash half a gigabyte during the warm-up
_MAX_SHAPE = 200  # characters
_NORM = re.compile(r"Norm(\d[dD])?$")


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A workload that is built and runs.

    Attributes:
        forward: Launches one iteration on the next input and returns the output, perhaps before the device
            has finished.
        forward_first: The same on the first input.
        loaded: Description of how its weights file was read; empty without one.
    """

    model: object
    forward: Callable[[], object]
    forward_first: Callable[[], object]
    loaded: str = ""

    @staticmethod
    def shape_of(output: object) -> str:
        """Return the shape of the predicted boxes of the first image, or of the first tensor, as text."""
        return _shape(output)[:_MAX_SHAPE]


def load(spec: WorkloadSpec, device: torch.device) -> Workload:
    """Build the model and its inputs on the device. Call it under the worker's stream."""
    loaded = ""
    if spec.kind == "custom":
        from mps_experiments.workloads.custom import build

        model, inputs = build(spec, device)
    else:
        from mps_experiments.workloads.networks import build_network
        from mps_experiments.workloads.vision import build_inputs

        network = build_network(spec, device)
        model, loaded = network.model, network.loaded
        inputs = build_inputs(spec, device, network.weights)
    return replace(bind(model, inputs), loaded=loaded)


def bind(model: Callable[..., object], inputs: Sequence[object]) -> Workload:
    """Bind a model to its inputs, on which it is called in turn."""
    calls = [_call(model, value) for value in inputs]
    return Workload(model=model, forward=_in_turn(calls), forward_first=calls[0])


def _in_turn(calls: Sequence[Callable[[], object]]) -> Callable[[], object]:
    """Return a function that makes the next call each time, in a circle."""
    if len(calls) == 1:
        return calls[0]
    turns = itertools.cycle(calls)
    return lambda: next(turns)()


def _call(model: Callable[..., object], value: object) -> Callable[[], object]:
    """Return a call of the model on this input. Pass a mapping as keywords and a tuple as arguments."""
    if isinstance(value, Mapping):
        return partial(model, **value)
    if isinstance(value, tuple):
        return partial(model, *value)
    return partial(model, value)


def synchronizer(what: str, stream: torch.cuda.Stream | None) -> Callable[[], None]:
    """Return the function that waits for the end of an iteration; a no-op on the CPU."""
    if stream is None:
        return lambda: None
    return stream.synchronize if what == "stream" else partial(torch.cuda.synchronize, stream.device)


def hash_weights(workload: Workload) -> concurrent.futures.Future[str | None]:
    """Start hashing the loaded tensors during the warm-up; the result is None without a state dict."""
    executor = concurrent.futures.ThreadPoolExecutor(max_workers=1)
    future = executor.submit(_digest, workload.model)
    executor.shutdown(wait=False)
    return future


def _digest(model: object) -> str | None:
    """Return the SHA-256 over name, dtype, shape and bytes (as SHA-256) of every tensor in the state dict."""
    state_dict = getattr(model, "state_dict", None)
    if state_dict is None:
        return None
    tensors = {name: value for name, value in state_dict().items() if isinstance(value, torch.Tensor)}
    digest = hashlib.sha256()
    with concurrent.futures.ThreadPoolExecutor(_HASHERS) as hashers:  # hashing releases the GIL
        for (name, tensor), of_bytes in zip(
            tensors.items(), hashers.map(_bytes_digest, tensors.values()), strict=True
        ):
            digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode() + of_bytes)
    return digest.hexdigest()


@torch.inference_mode()
def _bytes_digest(tensor: torch.Tensor) -> bytes:
    return hashlib.sha256(
        tensor.detach().contiguous().flatten().view(torch.uint8).cpu().numpy().data
    ).digest()


def describe_model(workload: Workload) -> dict[str, str]:
    """Describe the weights file, normalisation layers and parameter types; the last two of modules only."""
    facts = {"weights_read": workload.loaded} if workload.loaded else {}
    if isinstance(workload.model, torch.nn.Module):
        with contextlib.suppress(Exception):  # a user's module may override these methods
            types = sorted({str(each.dtype).removeprefix("torch.") for each in workload.model.parameters()})
            facts |= {"norm_layer": _norm_layers(workload.model), "parameters": ", ".join(types) or "none"}
    return facts


def _norm_layers(model: torch.nn.Module) -> str:
    """Name the classes of the normalisation layers, each once; of a scripted module its original class."""
    names = {str(getattr(module, "original_name", type(module).__name__)) for module in model.modules()}
    return ", ".join(sorted(name for name in names if _NORM.search(name))) or "none"


def describe_torch(device: torch.device) -> dict[str, str]:
    """Describe versions and device as torch itself sees them."""
    facts = {
        "torch": torch.__version__,
        "device": str(device),
        "intra_op_threads": str(torch.get_num_threads()),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        facts |= {
            "cuda": str(torch.version.cuda),
            "cudnn": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
            "gpu": properties.name,
        }
        with contextlib.suppress(AttributeError):
            facts["gpu_uuid"] = f"GPU-{properties.uuid}"
    return facts


def _shape(output: object) -> str:
    match output:
        case torch.Tensor() if output.is_nested:
            return f"nested {' '.join(_shape(part) for part in output.unbind())}"
        case torch.Tensor():
            return str(tuple(output.shape))
        case {"boxes": torch.Tensor() as boxes}:
            return f"boxes {tuple(boxes.shape)}"
        case Mapping() if output:
            name, value = next(iter(output.items()))
            return f"{name} {_shape(value)}"
        case list() | tuple() if output:
            return _shape(output[0])
        case _ if dataclasses.is_dataclass(output) and not isinstance(output, type):
            return _shape({each.name: getattr(output, each.name) for each in dataclasses.fields(output)})
        case _:
            return str(getattr(output, "shape", type(output).__name__))
