"""Operands and results of a grouped convolution, group by group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text

_CHANNELS = {
    Pass.FORWARD: (0, 1, 1),
    Pass.INPUT_GRAD: (0, 1, 1),
    Pass.WEIGHT_GRAD: (1, 1, 0),
}
"""Axes along which groups lie in the first operand, the second one and the result."""


@takes_text
def group_operands(
    shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the operands of each group's convolution, `shape.group`, as views.

    Parameters
    ----------
    shape, which
        The convolution and the pass.
    first, second
        Of the shapes `shape.operand_shapes(which)`.
    """
    axes = _CHANNELS[which][:2]
    yield from zip(
        *(
            np.split(one, shape.groups, axis)
            for one, axis in zip((first, second), axes, strict=True)
        ),
        strict=True,
    )


@takes_text
def join_groups(which: Pass, results: Sequence[np.ndarray]) -> np.ndarray:
    """Return the result of a pass from those of its groups, in their order."""
    if len(results) == 1:
        return results[0]
    return np.concatenate(results, axis=_CHANNELS[which][2])
