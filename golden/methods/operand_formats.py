"""What operands of training passes are rounded to, and the powers of two that scale tensors.

The array multiplies two operands of one format and knows no scale. Both are kept from it here: a
pass of two formats has the codes of one that holds every number of both, and a tensor multiplied by
2**k has the same significands as before, its results are divided by it when they come out. Blocks
that share a scale become codes of bf16, which has the exponents of the scales: products of two
blocks then have their places in the window as any others have.

Implements: Micikevicius et al., "FP8 formats for deep learning", 2022: weights and activations in
e4m3, output gradients in e5m2, each tensor scaled by a factor of its own.
Differs: factors are powers of two; they follow from the largest magnitude of the tensor itself,
rather than from those of earlier steps, so nothing saturates and nothing is kept between steps. It
is known before a pass, since the window's top follows from the whole operands as well. With blocks
("mx": `golden.oracle.microscaling`) scales are those of 32 channels that memory has side by side in
a position, whether a pass contracts them or not: there is one copy of each map for all passes.
They are chosen so that nothing is clamped.
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
from gscn.golden.methods.options import SCALES, default_scales
from gscn.golden.oracle.floats import decode, encode, scale_exponent
from gscn.golden.oracle.microscaling import to_blocks

if TYPE_CHECKING:
    from torch import Tensor


@takes_text
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
    """One of `golden.methods.options.SCALES`."""

    def __post_init__(self) -> None:
        """Raise `InputError` for scales that there are not, or that the formats do not take."""
        # Scaled numbers of bf16 would be as large as float32 has them, and products larger.
        wide = {self.forward, self.backward, self.gradients} & {BF16, FP16}
        known = SCALES if not wide else SCALES[:1] if BF16 in wide else SCALES[:2]
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
        if self.scales == "mx":
            return BF16
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
        # Lanes of stationary weights are the pass's output channels: (K, C, R, S) in the forward
        # pass; in all else, (C or K) of maps and C of weights, they are the second axis.
        axes = (0 if which is Pass.FORWARD else 1, 1)
        codes, exponents = zip(
            *(
                self._operand(operand.detach().cpu().numpy(), own, fmt, axis)
                for operand, own, axis in zip((first, second), self.of(which), axes, strict=True)
            ),
            strict=True,
        )
        return CodedOperands(first=codes[0], second=codes[1], fmt=fmt, exponent=sum(exponents))

    def _operand(
        self, values: np.ndarray, own: FloatFormat, fmt: FloatFormat, axis: int
    ) -> tuple[np.ndarray, int]:
        """Return the codes in `fmt` of an operand rounded to `own`, and what it is scaled by."""
        exponent = 0
        if self.scales == "mx":
            # Exact from 2**-126 on, and from 2**-133 on for what bf16 has left of a significand.
            blocks = to_blocks(values, own, axis, clamps=False)
            return encode(blocks.values(), fmt).codes, exponent
        if self.scales == "amax":
            exponent = scale_exponent(values, own)
            # In double precision, which loses nothing of a float32 number.
            values = np.ldexp(values.astype(np.float64), exponent)
        rounded = encode(values, own).codes
        return rounded if own == fmt else encode(decode(rounded, own), fmt).codes, exponent


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
its backward passes have fp16 codes; the other two of 8 bits have 8 bits in every pass. In blocks
all have codes of bf16."""


def formats_of(formats: OperandFormats | str, scales: str | None = None) -> OperandFormats:
    """Return formats, or those of `FORMATS` that are named.

    Parameters
    ----------
    formats
        Formats, or their name.
    scales
        One of `golden.methods.options.SCALES`; by default what belongs to the name
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
