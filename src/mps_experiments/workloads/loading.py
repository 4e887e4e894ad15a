"""From a `WorkloadSpec` to something that runs; executed in workers only, since it imports torch."""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from mps_experiments.workloads.spec import WorkloadSpec

_HASHERS = 4  # threads: one does not hash half a gigabyte while the warm-up lasts
_MAX_SHAPE = 200  # characters


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a worker executes.

    Attributes:
        model: The model, or any callable.
        forward: Launches one iteration on the next input and returns the output; may return before the
            device has finished.
        forward_first: The same on the first input, whatever came before.
        loaded: What was done to read its weights file, for a person; empty if nothing.
    """

    model: object
    forward: Callable[[], object]
    forward_first: Callable[[], object]
    loaded: str = ""

    @staticmethod
    def shape_of(output: object) -> str:
        """The shape a person wants to see: predicted boxes of the first image, or the first tensor.

        Raises whatever an output of the user's raises.
        """
        return _shape(output)[:_MAX_SHAPE]


def load(spec: WorkloadSpec, device: torch.device) -> Workload:
    """Build the model and its inputs on the device. Must run under the worker's stream."""
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
    """A model that is called on its inputs in turn."""
    calls = [_call(model, value) for value in inputs]
    return Workload(model=model, forward=_in_turn(calls), forward_first=calls[0])


def _in_turn(calls: Sequence[Callable[[], object]]) -> Callable[[], object]:
    """One call after the other, over and over."""
    if len(calls) == 1:
        return calls[0]
    turns = itertools.cycle(calls)
    return lambda: next(turns)()


def _call(model: Callable[..., object], value: object) -> Callable[[], object]:
    """One call of the model on this input. A mapping is passed as keywords, a tuple as arguments."""
    if isinstance(value, Mapping):
        return partial(model, **value)
    if isinstance(value, tuple):
        return partial(model, *value)
    return partial(model, value)


def synchronizer(what: str, stream: torch.cuda.Stream | None) -> Callable[[], None]:
    """What ends an iteration; nothing to wait for on the CPU."""
    if stream is None:
        return lambda: None
    return stream.synchronize if what == "stream" else partial(torch.cuda.synchronize, stream.device)


def hash_weights(workload: Workload) -> concurrent.futures.Future[str | None]:
    """Start hashing the loaded tensors beside the warm-up; None where the workload has no state dict."""
    executor = concurrent.futures.ThreadPoolExecutor(max_workers=1)
    future = executor.submit(_digest, workload.model)
    executor.shutdown(wait=False)
    return future


def _digest(model: object) -> str | None:
    """SHA-256 over name, dtype, shape and SHA-256 of the bytes of every tensor of the state dict."""
    state_dict = getattr(model, "state_dict", None)
    if state_dict is None:
        return None
    tensors = {name: value for name, value in state_dict().items() if isinstance(value, torch.Tensor)}
    digest = hashlib.sha256()
    with concurrent.futures.ThreadPoolExecutor(_HASHERS) as hashers:  # hashing releases the interpreter lock
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
    """Tell what the module that runs is made of; nothing where the model is no module, or does not tell."""
    facts = {"weights_read": workload.loaded} if workload.loaded else {}
    if isinstance(workload.model, torch.nn.Module):
        from mps_experiments.workloads.norm_layers import norm_layers

        with contextlib.suppress(Exception):  # a user's module may have methods of its own for these
            types = sorted({str(each.dtype).removeprefix("torch.") for each in workload.model.parameters()})
            facts |= {"norm_layer": norm_layers(workload.model), "parameters": ", ".join(types) or "none"}
    return facts


def describe_torch(device: torch.device) -> dict[str, str]:
    """Versions and device as torch itself sees them."""
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
