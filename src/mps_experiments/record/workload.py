"""A workload as data, which the parent sends to workers: it never imports torch itself."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """One image.

    Attributes:
        name: ``sample``, or the absolute path of a file.
        sha256: Digest of the file when the run was planned.
        width: Width of the upright image in pixels, before preprocessing; None in early records.
        height: Height of the upright image in pixels, before preprocessing; None in early records.
        read_as: Description of changes to the decoded pixels; empty for none, and in early records.
    """

    name: str
    sha256: str
    width: int | None = None
    height: int | None = None
    read_as: str = ""

    @property
    def identity(self) -> str:
        """Return the file, its content and the changes to its pixels: equal for equal inputs."""
        return " ".join(filter(None, (self.name, self.sha256[:16], self.read_as)))


@dataclass(frozen=True, kw_only=True)
class WorkloadSpec:
    """The work of one worker.

    Attributes:
        kind: ``torchvision`` or ``custom``.
        model: Name of the torchvision model, or the factory.
        weights: ``random``, ``default``, a name of torchvision's or the absolute path of a checkpoint.
        batch: Items in each iteration; of torchvision's models images.
        synchronize: ``stream`` or ``device``: an iteration ends when this is synchronised.
        factory: ``module:function`` of a custom workload.
        import_path: Folder from which a custom workload's module is imported.
        source_sha256: Digest of a custom workload's source, see `sources.source_sha256`.
        norm_layer: ``auto``, or the batch normalisation that the model gets: ``batch`` or ``frozen``.
        weights_key: Place of the weights in the checkpoint; None for the only set that fits.
    """

    kind: str
    model: str
    weights: str = "random"
    inputs: tuple[ImageInput, ...] = ()
    batch: int = 1
    seed: int = 0
    synchronize: str = "stream"
    factory: str | None = None
    import_path: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    source_sha256: str | None = None
    norm_layer: str = "auto"
    weights_key: str | None = None

    @property
    def weights_file(self) -> str | None:
        """Return the path of the checkpoint; None for weights without a file."""
        return self.weights if is_weights_file(self.weights) else None


def is_weights_file(weights: str) -> bool:
    """Return whether weights are given as an absolute path, not as a name such as ``random``."""
    return weights.startswith("/")
