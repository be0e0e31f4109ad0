"""How results are rounded, and the memory that they are read from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.enums import takes_text
from gscn.errors import InputError, raise_problems
from gscn.formats import BF16, FLOAT32, NUMBER_FORMATS, FloatFormat
from gscn.records import OUT_BF16, OUT_FLOAT32, OUT_INT16, OUT_INT32, OUT_OWN, OUT_WIDTHS
from gscn.window import MOST_TOP


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputFormat:
    """How results are rounded.

    Raises
    ------
    InputError
        Naming every field out of range.
    """

    width: int = 32
    """Bits of a result; 16 or 32."""
    shift: int = 0
    """Results are the exact sums divided by 2**shift; 0 to 47."""

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        problems = []
        if self.width not in (16, 32):
            problems.append(f"width must be 16 or 32, not {self.width!r}")
        if not 0 <= self.shift <= 47:
            problems.append(f"shift must be 0 to 47, not {self.shift!r}")
        raise_problems("output format", problems)

    @property
    def code(self) -> int:
        """The format's number in a descriptor of a pass."""
        return OUT_INT16 if self.width == 16 else OUT_INT32

    @property
    def job_fields(self) -> dict[str, int]:
        """What else a descriptor says of the numbers: nothing, they are integers."""
        return {}

    @property
    def dtype(self) -> np.dtype:
        """A result in memory."""
        return np.dtype(f"<i{self.width // 8}")


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class FloatOutput:
    """A pass in floating point: the format of the operands, and how results are rounded.

    Raises
    ------
    InputError
        Naming every field out of range.
    """

    operands: FloatFormat
    """One of `gscn.formats.FLOAT_OPERAND_FORMATS`."""
    result: FloatFormat = FLOAT32
    """float32, bf16 or the operands' own format; results are its codes."""
    top: int | None = None
    """`top` of the window of the sums; None: the smallest that is safe (`gscn.window`)."""

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        problems = []
        if self.operands not in NUMBER_FORMATS[1:]:
            problems.append(
                f"operands must be one of {', '.join(f.name for f in NUMBER_FORMATS[1:])}, "
                f"not {self.operands.name}"
            )
        if self.result not in (FLOAT32, BF16, self.operands):
            problems.append(
                f"result must be float32, bf16 or {self.operands.name}, not {self.result.name}"
            )
        if self.top is not None and not 0 <= self.top <= MOST_TOP:
            problems.append(f"top must be 0 to {MOST_TOP}, not {self.top!r}")
        raise_problems("output format", problems)

    @property
    def code(self) -> int:
        """The results' format in a descriptor of a pass."""
        if self.result == self.operands:
            return OUT_OWN
        return OUT_FLOAT32 if self.result == FLOAT32 else OUT_BF16

    @property
    def width(self) -> int:
        """Bits of a result in memory."""
        return OUT_WIDTHS[self.code]

    @property
    def shift(self) -> int:
        """Results are not shifted."""
        return 0

    @property
    def job_fields(self) -> dict[str, int]:
        """What else a descriptor says of the numbers; `top` must be known."""
        assert self.top is not None
        return {"number_format": NUMBER_FORMATS.index(self.operands), "window": self.top}

    @property
    def dtype(self) -> np.dtype:
        """A result in memory; bits above a code are zero."""
        return np.dtype(f"<u{self.width // 8}")


def memory_of(image: np.ndarray, memory_bytes: int) -> np.ndarray:
    """Return a memory (uint8) of so many bytes with an image at its start, and zeros behind."""
    memory = np.zeros(memory_bytes, dtype=np.uint8)
    memory[: image.size] = image
    return memory


def check_memory(memory: np.ndarray, memory_bytes: int) -> None:
    """Raise `InputError` unless `memory` is uint8 and has so many bytes."""
    if memory.dtype != np.uint8 or memory.ndim != 1 or memory.size < memory_bytes:
        raise InputError(
            f"memory must be a uint8 vector of at least {memory_bytes} bytes, not "
            f"{memory.dtype} of shape {memory.shape}"
        )
