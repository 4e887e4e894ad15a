"""A workload as data: what crosses from the parent, which never imports torch, to a worker."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """One image.

    Attributes:
        name: ``sample``, or the absolute path of a file.
        sha256: Digest of the file's bytes when the run was planned.
    """

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class WorkloadSpec:
    """What one worker executes.

    Attributes:
        kind: ``torchvision`` or ``custom``.
        model: Name for people: the torchvision model, or the factory.
        weights: ``random``, ``default`` or the absolute path of a state dict.
        inputs: Images, used in turn, one per iteration.
        seed: Seed of random weights.
        synchronize: What ends an iteration: ``stream`` or ``device``.
        factory: ``module:function`` of a custom workload.
        import_path: The folder from which a custom workload's module is imported.
        options: Handed to the factory.
        source_sha256: Digest of a custom workload's source, see `sources.source_sha256`.
    """

    kind: str
    model: str
    weights: str = "random"
    inputs: tuple[ImageInput, ...] = ()
    seed: int = 0
    synchronize: str = "stream"
    factory: str | None = None
    import_path: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    source_sha256: str | None = None
