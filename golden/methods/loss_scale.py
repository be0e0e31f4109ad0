"""What methods make of gradients whose loss was multiplied by a scale.

With a scale, all gradients are so much larger, and those of narrow formats do not underflow.
`torch.amp.GradScaler` divides the gradients of parameters by it before the optimiser's step, leaves
the step out if one of them is not finite, and tries a smaller scale. Methods remember gradients and
thresholds from iteration to iteration, so they work on gradients divided by the scale of theirs.
Scales are powers of two, as the scaler's are unless it is told otherwise: then nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Split = tuple[Tensor, Tensor | None]


def is_finite(grad: Tensor) -> bool:
    """Return whether no number of a gradient is infinite or NaN."""
    # The sum of finite numbers may overflow: the exact test decides.
    return bool(grad.sum(dtype=torch.float32).isfinite() or grad.isfinite().all())


def split_unscaled(
    sparsifier: Callable[[Tensor, int], Split], grad: Tensor, call: int, scale: float
) -> Split:
    """Return the parts of a scaled gradient as a sparsifier splits it without the scale.

    Parameters
    ----------
    sparsifier
        As `golden.methods.attached.GradientSparsifier`.
    grad
        Output gradient of any floating-point type, times `scale`.
    call
        Index of the call in its iteration.
    scale
        Positive.
    """
    if scale == 1:
        return sparsifier(grad, call)
    # A type of 16 bits needs the scale.
    wide = torch.promote_types(grad.dtype, torch.float32)
    sparse, shared = sparsifier(grad.to(wide) / scale, call)
    return (sparse * scale).to(grad.dtype), None if shared is None else (shared * scale).to(
        grad.dtype
    )
