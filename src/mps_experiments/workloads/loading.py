"""From a `WorkloadSpec` to something that runs; executed in workers only, since it imports torch."""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from mps_experiments.workloads.spec import WorkloadSpec

_MAX_SHAPE = 200  # characters


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a worker executes.

    Attributes:
        model: The model, or any callable.
        forward: Launches one iteration on the next input and returns the output; may return before the
            device has finished.
        forward_first: The same on the first input, whatever came before.
    """

    model: object
    forward: Callable[[], object]
    forward_first: Callable[[], object]

    @staticmethod
    def shape_of(output: object) -> str:
        """The shape a person wants to see: predicted boxes of the first image, or the first tensor.

        Raises whatever an output of the user's raises.
        """
        return _shape(output)[:_MAX_SHAPE]


def load(spec: WorkloadSpec, device: torch.device) -> Workload:
    """Build the model and its inputs on the device. Must run under the worker's stream."""
    if spec.kind == "custom":
        from mps_experiments.workloads.custom import build

        model, inputs = build(spec, device)
    else:
        from mps_experiments.workloads.vision import build_inputs, build_model

        model = build_model(spec, device)
        inputs = build_inputs(spec, device)
    return bind(model, inputs)


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
    """SHA-256 over name, dtype, shape and bytes of every tensor of the state dict, in its order."""
    state_dict = getattr(model, "state_dict", None)
    if state_dict is None:
        return None
    digest = hashlib.sha256()
    with torch.inference_mode():
        for name, tensor in state_dict().items():
            if not isinstance(tensor, torch.Tensor):
                continue
            digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).cpu().numpy().data)
    return digest.hexdigest()


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
