"""How the accelerator calculates the passes of a layer in floating point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import BF16, FLOAT32, FloatFormat
from gscn.golden.methods.geometry import Arithmetic
from gscn.golden.methods.options import ARITHMETICS
from gscn.golden.oracle.float_conv import conv_windowed, round_sums
from gscn.golden.oracle.floats import decode, encode


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class WindowedArithmetic:
    """Operands rounded to a narrow format, exact sums in a window, results rounded once.

    Golden: `golden.oracle.float_conv`.
    """

    fmt: FloatFormat = BF16
    """Of the operands."""
    result_format: FloatFormat = FLOAT32
    """Of the results: float32, bf16, or that of the operands."""
    acc_width: int = 48
    """Bits of an accumulator, 32 to 64."""

    @takes_text
    def convolve(self, which: Pass, shape: ConvShape, first: Tensor, second: Tensor) -> Tensor:
        """Return a pass; operands and results beyond the formats become infinities or NaN."""
        codes = (encode(o.detach().cpu().numpy(), self.fmt).codes for o in (first, second))
        sums = conv_windowed(shape, which, *codes, self.fmt, acc_width=self.acc_width)
        results, _, _ = round_sums(sums, self.result_format)
        if self.result_format == FLOAT32:
            values = results.view(np.float32)
        else:
            values = decode(results, self.result_format)
        return torch.from_numpy(values).to(first)

    def together(self, calls: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        """Return what calls of `convolve` return, called one after the other."""
        return [call() for call in calls]


def arithmetic_called(name: str) -> Arithmetic | None:
    """Return one of `ARITHMETICS`, None for torch's own; `InputError` if unknown."""
    if name not in ARITHMETICS:
        raise InputError(f"arithmetic must be one of {', '.join(ARITHMETICS)}, not {name!r}")
    return {"float32": None, "bf16": WindowedArithmetic()}[name]
