"""How the accelerator calculates the passes of a layer in floating point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import BF16, FLOAT32, FloatFormat
from gscn.golden.methods.geometry import Arithmetic
from gscn.golden.methods.operand_formats import CodedOperands, OperandFormats, formats_of
from gscn.golden.methods.options import ARITHMETICS
from gscn.golden.oracle.float_conv import conv_windowed, round_sums
from gscn.golden.oracle.floats import decode


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class CodedArithmetic:
    """Operands rounded to narrow formats, passes of codes, results as numbers again."""

    formats: OperandFormats = field(default_factory=OperandFormats)
    """Of the operands."""
    result_format: FloatFormat = FLOAT32
    """Of the results: float32, bf16, or that of the operands."""

    def __post_init__(self) -> None:
        """Raise `InputError` if results of scaled operands may be beyond their format."""
        if self.formats.scales != "none" and self.result_format not in (FLOAT32, BF16):
            raise InputError(
                f"result_format must be float32 or bf16 with scales, not {self.result_format.name}"
            )

    @takes_text
    def convolve(self, which: Pass, shape: ConvShape, first: Tensor, second: Tensor) -> Tensor:
        """Return a pass; operands and results beyond the formats become infinities or NaN.

        Raises
        ------
        InputError, SimulationError
            As by `result_codes`.
        """
        operands = self.formats.coded(which, first, second)
        results = self.result_codes(which, shape, operands)
        if self.result_format == FLOAT32:
            values = results.view(np.float32)
        else:
            values = decode(results, self.result_format)
        if operands.exponent:
            # Exact but for what a float32 number, once it is one, cannot be.
            values = np.ldexp(values.astype(np.float64), -operands.exponent)
        return torch.from_numpy(values).to(first)

    @takes_text
    def result_codes(self, which: Pass, shape: ConvShape, operands: CodedOperands) -> np.ndarray:
        """Return the codes of a pass's results, in the storage type of their format."""
        raise NotImplementedError


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class WindowedArithmetic(CodedArithmetic):
    """The golden model: exact sums in a window, results rounded once.

    Golden: `golden.oracle.float_conv`.
    """

    acc_width: int = 48
    """Bits of an accumulator, 32 to 64."""

    @takes_text
    def result_codes(self, which: Pass, shape: ConvShape, operands: CodedOperands) -> np.ndarray:
        """Return the codes of a pass's results, in the storage type of their format."""
        sums = conv_windowed(
            shape, which, operands.first, operands.second, operands.fmt, acc_width=self.acc_width
        )
        return round_sums(sums, self.result_format)[0]

    def together(self, calls: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        """Return what calls of `convolve` return, called one after the other."""
        return [call() for call in calls]


def arithmetic_called(name: str, scales: str | None = None) -> Arithmetic | None:
    """Return one of `ARITHMETICS`, None for torch's own; `InputError` if unknown."""
    if name not in ARITHMETICS:
        raise InputError(f"arithmetic must be one of {', '.join(ARITHMETICS)}, not {name!r}")
    if name == "float32":
        return None
    return WindowedArithmetic(formats=formats_of(name, scales))
