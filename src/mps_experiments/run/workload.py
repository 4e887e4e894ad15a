"""Decide what each worker executes, from the options; what cannot be is refused here."""

import re
from dataclasses import replace
from pathlib import Path

from mps_experiments.config.places import exists
from mps_experiments.config.schema import AUTO, NormLayer, WorkloadConfig, WorkloadKind
from mps_experiments.errors import ConfigError
from mps_experiments.machine.device import Device
from mps_experiments.record.workload import WorkloadSpec, is_weights_file
from mps_experiments.workloads.factory import check_factory
from mps_experiments.workloads.inputs import resolve_inputs
from mps_experiments.workloads.sources import source_sha256

LARGE_MODEL = "maskrcnn_resnet50_fpn"
SMALL_MODEL = "ssdlite320_mobilenet_v3_large"
_WEIGHTS_OF_TORCHVISION = re.compile(r"(?:\w+\.)*[A-Z][A-Z0-9_]*", re.ASCII)  # ResNet50_Weights.IMAGENET1K_V2


def workload_of(workload: WorkloadConfig, device: Device) -> WorkloadSpec:
    """Return what each worker executes, with every path absolute and every file read once.

    Raises:
        ConfigError: If a value cannot work on this machine.
    """
    spec = WorkloadSpec(
        kind=workload.kind.value,
        model=workload.model,
        batch=workload.batch,
        seed=workload.seed,
        synchronize=workload.synchronize.value,
    )
    if workload.kind is WorkloadKind.custom:
        what = "is for torchvision's models; a factory builds its own"
        if workload.norm_layer is not NormLayer.auto:
            raise ConfigError("workload.norm_layer", workload.norm_layer.value, what)
        if workload.weights_key is not None:
            raise ConfigError("workload.weights_key", workload.weights_key, what)
        module_path = check_factory(workload.factory)
        return replace(
            spec,
            model=str(workload.factory),
            factory=workload.factory,
            import_path=str(module_path),
            options=dict(workload.options),
            source_sha256=source_sha256(str(workload.factory), module_path),
        )
    if workload.options:
        raise ConfigError("workload.options", dict(workload.options), "needs workload=custom")
    if workload.factory is not None:
        raise ConfigError("workload.factory", workload.factory, "needs workload=custom")
    weights = _weights(workload.weights)
    has_file = is_weights_file(weights)
    if workload.weights_key is not None and not has_file:
        what = "needs the path of a checkpoint as workload.weights"
        raise ConfigError("workload.weights_key", workload.weights_key, what)
    # Weights from a file are taken for those of the model for a GPU.
    unnamed = SMALL_MODEL if device.is_cpu and not has_file else LARGE_MODEL
    return replace(
        spec,
        model=unnamed if workload.model == AUTO else workload.model,
        weights=weights,
        inputs=resolve_inputs(workload.input),
        norm_layer=workload.norm_layer.value,
        weights_key=workload.weights_key,
    )


def _weights(given: str) -> str:
    """Return ``random``, ``default``, a name of torchvision's, or the absolute path of a readable file."""
    if given.lower() in ("random", "default"):
        return given.lower()
    if _WEIGHTS_OF_TORCHVISION.fullmatch(given) and not exists(given):
        return given  # whether the model has them is seen where torchvision is imported
    try:
        path = Path(given).expanduser().absolute()
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise ValueError("a pipe or a device, not a file")  # noqa: TRY301 - opening it might never end
        with path.open("rb") as file:
            file.read(1)
    except (OSError, RuntimeError, ValueError) as error:  # a ~user nobody has, a zero byte in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            "workload.weights",
            given,
            f"cannot be read ({reason}); give random, default, a name of torchvision's (IMAGENET1K_V1) "
            "or the path of a checkpoint",
        ) from error
    return str(path)
