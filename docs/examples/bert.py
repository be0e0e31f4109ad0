"""BERT-base as a plain encoder of torch, as a network of a user's own."""

import torch
from torch import Tensor, nn

TOKENS, BATCH = 128, 32


def bert_base() -> tuple[nn.Module, tuple[Tensor, ...]]:
    """Return 12 layers of 768 channels and 12 heads, and embeddings of 32 texts of 128 tokens.

    The embedding itself, a look-up, and heads for a task stay outside.
    """
    layer = nn.TransformerEncoderLayer(768, 12, 3072, activation="gelu", batch_first=True)
    model = nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)
    return model, (torch.zeros(BATCH, TOKENS, 768),)
