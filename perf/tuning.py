"""Lowering whose tiling the cycle model chooses."""

from __future__ import annotations

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.port import READ_LATENCY
from lowering import FloatOutput, LoweringOptions, OutputFormat, Program, lower
from perf.cycles import simulate


@takes_text
def lower_tuned(
    config: AcceleratorConfig,
    shape: ConvShape,
    which: Pass,
    first: np.ndarray,
    second: np.ndarray,
    out: OutputFormat | FloatOutput,
    options: LoweringOptions | None = None,
    *,
    latency: int = READ_LATENCY,
) -> Program:
    """Lower one pass of a convolution to the tiling that takes the fewest cycles.

    The best tilings by the lowering's own estimate are built and run through the cycle model.

    Parameters
    ----------
    config, shape, which, first, second, out, options
        As in `lowering.lower`.
    latency
        As in `perf.cycles.simulate`.

    Raises
    ------
    InputError
        As `lowering.lower`.
    """
    return lower(
        config,
        shape,
        which,
        first,
        second,
        out,
        options,
        cost=lambda program: float(simulate(program, latency=latency).cycles),
    )
