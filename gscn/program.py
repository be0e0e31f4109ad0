"""What lowering returns: a memory image, its launch, and how to read the results back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.errors import InputError, raise_problems
from gscn.formats import BF16, FLOAT32, NUMBER_FORMATS, FloatFormat
from gscn.records import IN_TURN, OUT_BF16, OUT_FLOAT32, OUT_INT16, OUT_INT32, OUT_OWN, OUT_WIDTHS
from gscn.window import MOST_TOP

ABSENT = -(1 << 62)
"""Index of a cell that pads a block and is no element of the result."""


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
        """The format's number in a job descriptor."""
        return OUT_INT16 if self.width == 16 else OUT_INT32

    @property
    def job_fields(self) -> dict[str, int]:
        """What else a job descriptor says of the numbers: nothing, they are integers."""
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
        """The results' format in a job descriptor."""
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
        """What else a job descriptor says of the numbers; `top` must be known."""
        assert self.top is not None
        return {"number_format": NUMBER_FORMATS.index(self.operands), "window": self.top}

    @property
    def dtype(self) -> np.dtype:
        """A result in memory; bits above a code are zero."""
        return np.dtype(f"<u{self.width // 8}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """One phase of a launch: an array of job descriptors, and what it may write."""

    queue_addr: int
    """Byte address of the first descriptor."""
    job_count: int
    out_addr: int
    """First byte address that the phase may write, a multiple of 64."""
    out_end: int
    """One past the last, a multiple of 64."""
    in_turn: bool = False
    """Whether job j goes to cluster j mod clusters, or else to the first free one. Changes time
    only."""

    @property
    def job_word(self) -> int:
        """What the hardware takes as its `job_count`: the jobs, and in bit 31 `in_turn`."""
        return self.job_count | (IN_TURN if self.in_turn else 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputBlock:
    """Where in memory a tile of the result lies, and which elements it holds.

    The block holds `planes x rows x cols x PEs` results. The flat index of a result is the sum of
    the three tables' entries; it pads the block if any of them is `ABSENT`.
    """

    addr: int
    plane_index: np.ndarray
    """int64 (pes, planes)."""
    row_index: np.ndarray
    """int64 (pes, rows)."""
    col_index: np.ndarray
    """int64 (pes, cols)."""

    @property
    def count(self) -> int:
        """Results in the block, padding included."""
        pes, planes = self.plane_index.shape
        return pes * planes * self.row_index.shape[1] * self.col_index.shape[1]

    def indices(self) -> np.ndarray:
        """Flat indices (planes, rows, cols, pes) into the result, negative for padding."""
        plane = self.plane_index.T[:, None, None, :]
        row = self.row_index.T[None, :, None, :]
        col = self.col_index.T[None, None, :, :]
        return np.where((plane < 0) | (row < 0) | (col < 0), -1, plane + row + col)


@dataclass(frozen=True, kw_only=True, slots=True)
class JobSummary:
    """Exact work of one job, for reports and the cost model."""

    phase: int
    products: tuple[int, ...]
    """Products per PE, those in guard cells included."""
    lookups: tuple[int, ...]
    """Look-ups per segment, the same for every PE."""
    segment_products: tuple[tuple[int, ...], ...]
    """Products per segment and PE."""
    load_chunks: tuple[int, ...]
    """64-bit chunks in each segment's load block."""
    load_addrs: tuple[int, ...]
    """Byte address of each segment's load block."""
    stream_counts: tuple[int, ...]
    """Streamed items (or partial sums) per segment."""
    stream_chunks: tuple[int, ...]
    """64-bit chunks in each segment's stream."""
    walk_count: int
    """Accumulators drained."""
    out_bytes: int


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


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """A lowered pass: initial memory, launch, and how to read the result."""

    config: AcceleratorConfig
    shape: ConvShape
    which: Pass
    out: OutputFormat | FloatOutput
    image: np.ndarray = field(repr=False)
    """uint8: initial memory from address 0."""
    memory_bytes: int
    """Bytes of memory that the launch needs, outputs included."""
    phases: tuple[Phase, ...]
    phases_addr: int
    """Byte address of the phases' descriptors in the image, for a start of them as a list."""
    output_ranges: tuple[tuple[int, int], ...] = field(repr=False)
    """Byte ranges (start, end) that may be written, in all phases."""
    blocks: tuple[OutputBlock, ...] = field(repr=False)
    useful_products: int
    """Nonzero products that belong to an element of the result."""
    jobs: tuple[JobSummary, ...] = field(repr=False)
    """All jobs in queue order, phase by phase."""
    stationary: str
    """`first` or `second`."""
    plan: str
    """The tiling in words, for reports."""
    estimated_cycles: int
    """Cycles by the cost model of `lowering.balance`, from the exact work of the jobs."""
    tiling: object = field(default=None, repr=False)
    """What the plan says in full: a `lowering.Plan`."""

    @property
    def estimated_utilisation(self) -> float:
        """Useful products per multiplier and estimated cycle."""
        return self.useful_products / (self.estimated_cycles * self.config.multipliers)

    @property
    def segment_count(self) -> int:
        """Segments in all jobs."""
        return sum(len(job.load_chunks) for job in self.jobs)

    def initial_memory(self) -> np.ndarray:
        """Return a fresh memory (uint8) of `memory_bytes` with the image at its start."""
        return memory_of(self.image, self.memory_bytes)

    def result(self, memory: np.ndarray) -> np.ndarray:
        """Read the result out of memory.

        Parameters
        ----------
        memory
            Uint8, at least `memory_bytes` long, after the launch.

        Returns
        -------
        numpy.ndarray
            int64 array in `shape.result_shape(which)`; in floating point, of codes.

        Raises
        ------
        InputError
            `memory` is not uint8 or too short.
        """
        check_memory(memory, self.memory_bytes)
        shape = self.shape.result_shape(self.which)
        flat = np.zeros(int(np.prod(shape)), dtype=np.int64)
        dtype = self.out.dtype
        for block in self.blocks:
            size = block.count * dtype.itemsize
            values = np.ascontiguousarray(memory[block.addr : block.addr + size]).view(dtype)
            indices = block.indices().ravel()
            real = indices >= 0
            flat[indices[real]] = values[real]
        return flat.reshape(shape)
