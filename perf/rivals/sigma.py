"""SIGMA: a matrix unit that holds the nonzeros of one operand and streams the other.

Implements: SIGMA (Qin et al., HPCA 2020), Sec. IV: the nonzeros of the stationary matrix fill the
multipliers, a distribution network brings each its value of the streamed vector, and a reduction
network adds up runs of any length; one streamed vector per cycle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.perf.rivals.model import Rival, Task
from gscn.perf.rivals.windows import gathers, met_inputs


@dataclass(frozen=True, kw_only=True, slots=True)
class Sigma(Rival):
    """The matrix unit with the stationary operand that takes less time."""

    name: str = "sigma"
    title: str = "SIGMA-style"
    source: str = "Qin et al., HPCA 2020"
    whole_rows: bool = False
    """Whether a row of the stationary matrix is cut only if it alone exceeds the multipliers."""
    either: bool = True
    """Whether the second operand may be stationary; otherwise the first is."""
    assumptions: tuple[str, ...] = (
        (
            "The nonzeros of one operand fill all multipliers, rows cut wherever the multipliers "
            "end; the operand that gives fewer cycles for the layer and pass is chosen."
        ),
        (
            "Every vector of the other operand, whose zeros are not skipped, takes one cycle per "
            "filling. Loading the next nonzeros takes no time."
        ),
        (
            "A pass is one matrix product, or one for each phase of a strided input gradient, "
            "without inserted zeros. The streamed vectors are formed on chip at no cost."
        ),
        "Both operands are compressed in memory: nonzeros and one bit for every element.",
        (
            "Groups of a convolution lie side by side: the multipliers hold rows of several, and a "
            "streamed vector has for each of them what it meets."
        ),
    )
    takes_groups: ClassVar[bool] = True

    def compute(self, task: Task) -> tuple[float, int]:
        """Return cycles and products, as `perf.rivals.model.Rival.compute` has it."""
        of_first, of_second = _matrices(task.shape, task.which, task.first, task.second)
        choices = []
        for matrices in (of_first, of_second) if self.either else (of_first,):
            cycles = products = 0
            for row_nonzeros, vectors in matrices:
                cycles += self._fillings(row_nonzeros, task.resources.multipliers) * vectors
                products += int(row_nonzeros.sum()) * vectors
            choices.append((cycles, products))
        return min(choices)

    def _fillings(self, row_nonzeros: np.ndarray, multipliers: int) -> int:
        """Return how often the multipliers are filled with rows of so many nonzeros each."""
        if not self.whole_rows:
            return -(-int(row_nonzeros.sum()) // multipliers)
        fillings, free = 0, 0
        for nonzeros in row_nonzeros[row_nonzeros > 0].tolist():
            if nonzeros > multipliers:
                # one multiplier of each further part carries the partial sum
                fillings += 1 + -(-(nonzeros - multipliers) // (multipliers - 1))
                free = 0
            elif nonzeros <= free:
                free -= nonzeros
            else:
                fillings, free = fillings + 1, multipliers - nonzeros
        return fillings


STONNE_SIGMA = Sigma(
    name="sigma (STONNE)",
    title="SIGMA as STONNE counts it",
    source="public simulator github.com/stonne-simulator/stonne, controller SIGMA_SPARSE_GEMM",
    whole_rows=True,
    either=False,
    assumptions=(
        "The first operand is stationary, as the measurements had it.",
        (
            "A row of the stationary matrix stays whole unless it alone exceeds the multipliers; "
            "then its parts take turns, and each but the first gives one multiplier to the "
            "partial sum."
        ),
        "Every streamed vector takes one cycle. The cycles of loading are left out.",
    ),
)


def _matrices(
    shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray
) -> tuple[list[tuple[np.ndarray, int]], list[tuple[np.ndarray, int]]]:
    """Return for either operand (nonzeros of each row, vectors of the other operand), by phase."""
    if which is Pass.WEIGHT_GRAD:
        inputs = np.concatenate(
            [np.count_nonzero(met, axis=(0, 2, 3)) for met in met_inputs(shape, second)]
        )
        return (
            [(np.count_nonzero(first, axis=(0, 2, 3)), shape.group.c * shape.r * shape.s)],
            [(inputs, shape.group.k)],
        )
    by_group = first.reshape(shape.groups, shape.group.k, *first.shape[1:])
    kernels = np.count_nonzero(by_group, axis=2 if which is Pass.FORWARD else 1)
    kernels = kernels.reshape(-1, shape.r, shape.s)
    # a row and a column of zeros for what lies on the padding
    maps = np.pad(np.count_nonzero(second, axis=1), ((0, 0), (0, 1), (0, 1)))
    of_kernels, of_maps = [], []
    for taps_y, rows in gathers(shape, which, 0):
        for taps_x, columns in gathers(shape, which, 1):
            held = kernels[:, taps_y][:, :, taps_x].sum((1, 2))
            windows = sum(
                maps[:, rows[:, y, None], columns[None, :, x]]
                for y in range(taps_y.size)
                for x in range(taps_x.size)
            ).ravel()
            of_kernels.append((held, windows.size))
            of_maps.append((windows, held.size // shape.groups))
    return of_kernels, of_maps
