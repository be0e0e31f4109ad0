"""SWAT and ReSprop in one layer: both operands are sparse in both backward passes.

Forward `Y = conv(X, topk(W))`; backward, with S and g as in `golden.resprop`,

    dX_n = convT(topk(W), S_n) + convT(topk(W), g)
    dW   = sum_n topk(X)_n * S_n + (sum_n topk(X)_n) * g
"""

from __future__ import annotations

from typing import Any

import torch

from golden.layer import TrainingConv2d
from golden.resprop import GradientReuse
from golden.swat import TopK


class SWATReSpropConv2d(TrainingConv2d):
    """Convolution trained by SWAT and ReSprop together.

    Parameters
    ----------
    *args, **kwargs
        As of `TrainingConv2d`.
    sparsity, refresh_period
        As of `golden.swat.TopK`; the sparsity holds for the output gradients as well.
    generator
        As of `golden.resprop.GradientReuse`.
    """

    def __init__(
        self,
        *args: Any,
        sparsity: float,
        generator: torch.Generator,
        refresh_period: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            operand_sparsifier=TopK(sparsity, refresh_period),
            gradient_sparsifier=GradientReuse(sparsity, generator),
            **kwargs,
        )
