"""A timm vision transformer as a workload; random weights, so nothing is downloaded.

python -m mps_experiments -m workload=custom workload.factory=examples.timm_vit:build procs=1,2 mps=off,on
"""

from typing import Any

import torch


def build(device: torch.device, options: dict[str, Any], batch: int = 1) -> tuple[Any, torch.Tensor]:
    """A timm model and one batch of noise.

    Args:
        device: Where the model and its input belong.
        options: ``model`` (default vit_small_patch16_224).
        batch: Images in each iteration.
    """
    import timm

    torch.manual_seed(0)
    model = timm.create_model(options.get("model", "vit_small_patch16_224"), pretrained=False)
    size = model.default_cfg["input_size"]
    return model.to(device).eval(), torch.rand(batch, *size, device=device)
