"""Mask R-CNN R50-FPN in several precisions and input sizes, to see what brings N processes nearest to one.

python -m mps_experiments -m procs=1,2 times=30 workload=custom \
    workload.factory=examples.maskrcnn_variants:build +workload.options.variant=base,bfloat16,small,large
"""

from collections.abc import Callable
from typing import Any

import torch

SHORTEST_SIDE = {"small": 400, "large": 1200}  # pixels after the model's own resizing; its default is 800


def build(device: torch.device, options: dict[str, Any]) -> tuple[Callable[..., object], tuple[Any]]:
    """The variant that ``options["variant"]`` names, with the photo that scikit-learn ships."""
    from sklearn.datasets import load_sample_image
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    variant = options.get("variant", "base")
    torch.manual_seed(options.get("seed", 0))
    side = SHORTEST_SIDE.get(variant, 800)
    with device:
        model = maskrcnn_resnet50_fpn(
            weights=None, weights_backbone=None, box_score_thresh=0.0, min_size=side, max_size=2 * side
        )
    model.eval()
    photo = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1).to(device) / 255
    if variant != "bfloat16":
        return model, ([photo],)

    def in_bfloat16(images: list[torch.Tensor]) -> object:
        with torch.autocast("cuda", torch.bfloat16):
            return model(images)

    return in_bfloat16, ([photo],)
