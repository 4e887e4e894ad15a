"""A workload as data: what crosses from the parent, which never imports torch, to a worker."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """One image.

    Attributes:
        name: ``sample``, or the absolute path of a file.
        sha256: Digest of the file's bytes when the run was planned.
        width: Of the upright image in pixels, as the model's preprocessing gets it; None in earlier records.
        height: The same, from top to bottom.
        read_as: What was done to its pixels beyond decoding them; empty if nothing, and in earlier records.
    """

    name: str
    sha256: str
    width: int | None = None
    height: int | None = None
    read_as: str = ""

    @property
    def identity(self) -> str:
        """Return what equal inputs agree in: the file, its content, and what was done to its pixels."""
        return " ".join(filter(None, (self.name, self.sha256[:16], self.read_as)))


@dataclass(frozen=True, kw_only=True)
class WorkloadSpec:
    """What one worker executes.

    Attributes:
        kind: ``torchvision`` or ``custom``.
        model: Name for people: the torchvision model, or the factory.
        weights: ``random``, ``default``, a name of torchvision's or the absolute path of a checkpoint.
        inputs: Images, used in turn.
        batch: Items in each iteration; of torchvision's models images.
        seed: Seed of random weights.
        synchronize: What ends an iteration: ``stream`` or ``device``.
        factory: ``module:function`` of a custom workload.
        import_path: The folder from which a custom workload's module is imported.
        options: Handed to the factory.
        source_sha256: Digest of a custom workload's source, see `sources.source_sha256`.
        norm_layer: ``auto``, or the batch normalisation that the model gets: ``batch`` or ``frozen``.
        weights_key: Where in the checkpoint the weights are; None for the one set that fits.
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
        """The path of the checkpoint; None for weights without a file."""
        return self.weights if is_weights_file(self.weights) else None


def is_weights_file(weights: str) -> bool:
    """Tell the absolute path of a checkpoint from a name such as ``random`` or ``IMAGENET1K_V1``."""
    return weights.startswith("/")
