"""What operands of training passes are rounded to, and the powers of two that scale tensors.

The array multiplies two operands of one format and knows no scale. Both are kept from it here: a
pass of two formats has the codes of one that holds every number of both, and a tensor multiplied by
2**k has the same significands as before, its results are divided by it when they come out.

Implements: Micikevicius et al., "FP8 formats for deep learning", 2022: weights and activations in
e4m3, output gradients in e5m2, each tensor scaled by a factor of its own.
Differs: factors are powers of two; they follow from the largest magnitude of the tensor itself,
rather than from those of earlier steps, so nothing saturates and nothing is kept between steps. It
is known before a pass, since the window's top follows from the whole operands as well.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from gscn.conv import Pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import BF16, FP8_E4M3, FP8_E5M2, FP16, FloatFormat
from gscn.golden.methods.options import TENSOR_SCALES, default_scales
from gscn.golden.oracle.floats import decode, encode, scale_exponent

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CodedOperands:
    """Both operands of a pass as the array gets them."""

    first: np.ndarray
    """Codes of `fmt`."""
    second: np.ndarray
    fmt: FloatFormat
    exponent: int
    """Results are 2**exponent times too large."""


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class OperandFormats:
    """What the operands of each pass are rounded to."""

    forward: FloatFormat = BF16
    """Of weights and activations in the forward pass."""
    backward: FloatFormat = BF16
    """Of weights and activations in the backward passes."""
    gradients: FloatFormat = BF16
    """Of output gradients."""
    scales: str = "none"
    """One of `golden.methods.options.TENSOR_SCALES`."""

    def __post_init__(self) -> None:
        """Raise `InputError` for scales that there are not, or that the formats do not take."""
        # Scaled numbers of bf16 would be as large as float32 has them, and products larger.
        known = ("none",) if BF16 in self.on_the_array else TENSOR_SCALES
        if self.scales not in known:
            raise InputError(f"scales must be {' or '.join(known)}, not {self.scales!r}")

    @takes_text
    def of(self, which: Pass) -> tuple[FloatFormat, FloatFormat]:
        """Return what the first and the second operand of a pass are rounded to."""
        return {
            Pass.FORWARD: (self.forward, self.forward),
            Pass.INPUT_GRAD: (self.backward, self.gradients),
            Pass.WEIGHT_GRAD: (self.gradients, self.backward),
        }[which]

    @takes_text
    def of_codes(self, which: Pass) -> FloatFormat:
        """Return the format in which the array gets both operands of a pass."""
        first, second = self.of(which)
        return first if first == second else FP16

    @property
    def on_the_array(self) -> tuple[FloatFormat, ...]:
        """Return the formats that the array must have for all passes."""
        return tuple(dict.fromkeys(self.of_codes(which) for which in Pass))

    @takes_text
    def coded(self, which: Pass, first: Tensor, second: Tensor) -> CodedOperands:
        """Return the operands of a pass, rounded and scaled.

        Parameters
        ----------
        which
            The pass.
        first, second
            float32 or float64, as in `gscn.conv.ConvShape.operand_shapes`. What is beyond a format
            becomes an infinity, or NaN; with scales that is only what was none before.
        """
        fmt = self.of_codes(which)
        codes, total = [], 0
        for operand, own in zip((first, second), self.of(which), strict=True):
            values = operand.detach().cpu().numpy()
            if self.scales == "amax":
                exponent = scale_exponent(values, own)
                # In double precision, which loses nothing of a float32 number.
                values, total = np.ldexp(values.astype(np.float64), exponent), total + exponent
            rounded = encode(values, own).codes
            codes.append(rounded if own == fmt else encode(decode(rounded, own), fmt).codes)
        return CodedOperands(first=codes[0], second=codes[1], fmt=fmt, exponent=total)


_E4M3, _E5M2 = FP8_E4M3, FP8_E5M2
FORMATS = MappingProxyType(
    {
        "bf16": OperandFormats(),
        "fp16": OperandFormats(forward=FP16, backward=FP16, gradients=FP16),
        "fp8": OperandFormats(forward=_E4M3, backward=_E4M3, gradients=_E5M2),
        "fp8_e4m3": OperandFormats(forward=_E4M3, backward=_E4M3, gradients=_E4M3),
        "fp8_e5m2": OperandFormats(forward=_E4M3, backward=_E5M2, gradients=_E5M2),
    }
)
"""By the names of `golden.methods.options.ARITHMETICS`, without scales. "fp8" is as published, and
its backward passes have fp16 codes; the other two of 8 bits have 8 bits in every pass."""


def formats_of(formats: OperandFormats | str, scales: str | None = None) -> OperandFormats:
    """Return formats, or those of `FORMATS` that are named.

    Parameters
    ----------
    formats
        Formats, or their name.
    scales
        One of `golden.methods.options.TENSOR_SCALES`; by default what belongs to the name
        (`golden.methods.options.default_scales`), or is the formats' own.

    Raises
    ------
    InputError
        There are no formats, or scales, of the name.
    """
    if not isinstance(formats, OperandFormats):
        if formats not in FORMATS:
            raise InputError(f"formats must be one of {', '.join(FORMATS)}, not {formats!r}")
        scales = scales or default_scales(formats)
        formats = FORMATS[formats]
    return formats if scales is None else dataclasses.replace(formats, scales=scales)
