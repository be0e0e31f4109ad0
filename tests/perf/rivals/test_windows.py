"""Windows of maps: those that torch unfolds, and no inserted zero in a strided input gradient."""

from __future__ import annotations

import numpy as np
import torch

from gscn.conv import ConvShape, Pass
from gscn.perf.rivals.windows import gathers, met_inputs

SHAPE = ConvShape(n=2, c=3, h=9, w=8, k=4, r=3, s=2, stride=(2, 1), padding=(1, 0), dilation=(1, 2))


def test_forward_windows_by_hand():
    ((taps, places),) = gathers(SHAPE, Pass.FORWARD, 0)
    assert taps.tolist() == [0, 1, 2]
    # The padding is the row of zeros behind the map.
    assert places.tolist() == [[9, 0, 1], [1, 2, 3], [3, 4, 5], [5, 6, 7], [7, 8, 9]]


def test_phases_of_an_input_gradient_by_hand():
    phases = [(t.tolist(), p.tolist()) for t, p in gathers(SHAPE, Pass.INPUT_GRAD, 0)]
    # Even rows of the input meet the middle row of the kernel alone, odd rows the two others.
    assert phases == [
        ([1], [[0], [1], [2], [3], [4]]),
        ([0, 2], [[1, 0], [2, 1], [3, 2], [4, 3]]),
    ]


def test_inputs_that_each_kernel_position_meets_are_those_that_torch_unfolds():
    inputs = np.arange(2 * 3 * 9 * 8, dtype=np.float64).reshape(2, 3, 9, 8)
    unfolded = torch.nn.functional.unfold(
        torch.from_numpy(inputs), (3, 2), dilation=(1, 2), padding=(1, 0), stride=(2, 1)
    )
    expected = unfolded.reshape(2, 3, 6, SHAPE.p, SHAPE.q).numpy()
    found = np.stack(list(met_inputs(SHAPE, inputs)), axis=2)
    assert np.array_equal(found, expected)
