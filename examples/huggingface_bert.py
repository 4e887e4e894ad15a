"""A Hugging Face transformers encoder as a workload; random weights, so nothing is downloaded.

python -m mps_experiments -m workload=custom workload.factory=examples.huggingface_bert:build procs=1,2
"""

from typing import Any

import torch


def build(
    device: torch.device, options: dict[str, Any], batch: int = 1
) -> tuple[Any, dict[str, torch.Tensor]]:
    """A BERT encoder and one batch of token ids.

    Args:
        device: Where the model and its input belong.
        options: ``tokens`` (default 128) and ``layers`` (12).
        batch: Sequences in each iteration.
    """
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(num_hidden_layers=options.get("layers", 12))
    with device:
        model = BertModel(config).eval()
        shape = (batch, options.get("tokens", 128))
        ids = torch.randint(config.vocab_size, shape)
    return model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
