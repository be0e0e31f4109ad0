"""A transformer block whose projections are ordinary linear layers.

Implements: Vaswani et al., "Attention Is All You Need", NeurIPS 2017, with the normalisation before
each part, as in GPT-2 and ViT.
Differs: torch's own attention computes with its weights directly, past any conversion of layers;
here every product with weights is a call of an `nn.Linear`.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from gscn.errors import InputError


class TransformerBlock(nn.Module):
    """Self-attention and a hidden layer, each behind a normalisation and beside a shortcut.

    Parameters
    ----------
    width
        Features of a token, a multiple of `heads`.
    heads
        Attention heads, at least 1.
    hidden
        Features of the hidden layer; by default four times the width.
    causal
        Whether tokens see only themselves and those before.

    Raises
    ------
    InputError
        The width is no multiple of the heads.
    """

    def __init__(
        self, width: int, heads: int, *, hidden: int | None = None, causal: bool = False
    ) -> None:
        if heads < 1 or width < 1 or width % heads:
            raise InputError(f"width must be a multiple of heads, not {width} of {heads}")
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.norm1 = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.projection = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden or 4 * width)
        self.contract = nn.Linear(hidden or 4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (N, T, width) for tokens (N, T, width)."""
        inputs = self.norm1(tokens)
        heads = (
            part(inputs).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        attended = functional.scaled_dot_product_attention(*heads, is_causal=self.causal)
        tokens = tokens + self.projection(attended.transpose(1, 2).flatten(2))
        return tokens + self.contract(functional.gelu(self.expand(self.norm2(tokens))))
