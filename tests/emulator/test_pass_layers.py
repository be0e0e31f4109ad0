"""A layer's three passes, on strips that `gscn.strips` has packed, have torch's results."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gscn import strips
from gscn.array import ARRAYS
from gscn.emulator.passes import run_passes
from gscn.formats import INT16
from gscn.pass_errors import PassError
from gscn.passes import PASS_DESCRIPTOR, Mode

N, C, K, H, W = 3, 32, 48, 9, 7
BAND = 2
"""Rows of a strip."""
SMALL = ARRAYS["small"]


def sparse(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return small integers, most of them 0."""
    generator = np.random.default_rng(seed)
    return (generator.integers(-99, 100, shape) * (generator.random(shape) < 0.3)).astype(np.int16)


def groups_last(map_: np.ndarray) -> np.ndarray:
    """Return a map (n, channels, rows, cols) as (groups, n, rows, cols, 16)."""
    n, channels, rows, cols = map_.shape
    return map_.reshape(n, channels // 16, 16, rows, cols).transpose(1, 0, 3, 4, 2)


def weight_strips(weights: np.ndarray) -> strips.Strips:
    """Pack weights (results, contracted, rows, cols): tiles of 16 results, strips of 16."""
    results, contracted, rows, cols = weights.shape
    tiles = weights.reshape(results // 16, 16, contracted * rows * cols).transpose(0, 2, 1)
    return strips.encode(tiles, strips.weight_bounds(contracted, 16, rows * cols), INT16)


def results_of(
    stationary: strips.Strips, streamed: strips.Strips, shape: tuple[int, ...], **fields: int
) -> np.ndarray:
    """Run one pass; return its results (int32), of this shape."""
    parts = [stationary.data, stationary.table, streamed.data, streamed.table]
    addresses, end = [], 256
    for part in parts:
        addresses.append(end)
        end += -(-part.nbytes // 64) * 64
    image = np.zeros(end, np.uint8)
    for addr, part in zip(addresses, parts, strict=True):
        image[addr : addr + part.nbytes] = part.reshape(-1).view(np.uint8)
    fields |= dict(zip(("s_data", "s_table", "t_data", "t_table"), addresses, strict=True))
    size = 4 * int(np.prod(shape))
    image[:256] = PASS_DESCRIPTOR.pack(
        1,
        s_halfwords=stationary.halfwords,
        t_halfwords=streamed.halfwords,
        out_addr=end,
        out_end=end + size,
        out_format=1,
        samples=N,
        t_rows=BAND,
        t_rows_last=H % BAND,
        t_strips=-(-H // BAND),
        t_width=W,
        t_step=1,
        taps_y=3,
        taps_x=3,
        first_col=-1,
        rows=H,
        cols=W,
        **fields,
    ).view(np.uint8)
    result = run_passes(SMALL, image, 0, 1, -(-(end + size) // 1024) * 1024)
    assert result.error is PassError.NONE
    return result.memory[end : end + size].view("<i4").reshape(shape)


def kernel_pass(weights: np.ndarray, streamed: np.ndarray, tile_strips: int) -> np.ndarray:
    """Convolve (n, contracted, rows, cols), padded by one, with weights whose taps are turned."""
    results, contracted = weights.shape[:2]
    tile_rows, cols = BAND * tile_strips, 5
    found = results_of(
        weight_strips(weights),
        strips.encode_map(groups_last(streamed), BAND, INT16),
        (N, H, W, results),
        mode=Mode.KERNEL,
        team=1,
        s_tiles=results // 16,
        s_groups=results // 16,
        s_chunks=contracted // 16,
        s_outer=16,
        s_outer_last=16,
        s_mid=3,
        s_inner=3,
        s_keys=144,
        row_keys=3,
        lane_step=9,
        s_offset_mid=16 * cols,
        s_offset_inner=16,
        x_step=16,
        y_step=16 * cols,
        plane=16 * cols * tile_rows,
        run=16,
        t_tiles=1,
        t_groups=contracted // 16,
        first_row=-1 - BAND,
        tile_samples=1,
        tile_rows=tile_rows,
        tile_cols=cols,
        tile_strips=tile_strips,
        strips_before=1,
        strips_after=tile_strips + 1,
        s_tile_bytes=64,
        pixel_bytes=4 * results,
        row_bytes=4 * results * W,
        sample_bytes=4 * results * W * H,
    )
    return found.transpose(0, 3, 1, 2)


def torch_passes() -> tuple[np.ndarray, ...]:
    """Return input, weights, output gradient, and the results of the three passes by torch."""
    x, w, dy = sparse((N, C, H, W), 1), sparse((K, C, 3, 3), 2), sparse((N, K, H, W), 3)
    tensors = [torch.tensor(one, dtype=torch.float64, requires_grad=True) for one in (x, w)]
    y = torch.nn.functional.conv2d(*tensors, padding=1)
    y.backward(torch.tensor(dy, dtype=torch.float64))
    results = (y.detach(), tensors[0].grad, tensors[1].grad)
    return x, w, dy, *(one.numpy().astype(np.int32) for one in results)


@pytest.mark.parametrize("tile_strips", [1, 3])
def test_forward_pass_and_input_gradient_are_those_of_torch(tile_strips):
    x, w, dy, y, dx, _ = torch_passes()
    # A word reaches results behind it: taps of the forward pass are turned round.
    turned = w[:, :, ::-1, ::-1]
    assert np.array_equal(kernel_pass(turned, x, tile_strips), y)
    assert np.array_equal(kernel_pass(w.transpose(1, 0, 2, 3), dy, tile_strips), dx)


@pytest.mark.parametrize(("team", "tile_samples"), [(1, 3), (4, 1), (2, 2)])
def test_weight_gradient_is_that_of_torch(team, tile_samples):
    x, _, dy, _, _, dw = torch_passes()
    split = 1
    run = 16 // 2 * 9 * 16
    found = results_of(
        strips.encode_map(groups_last(x), BAND, INT16),
        strips.encode_map(groups_last(dy), BAND, INT16),
        (C // 16, K // 8, 8, 3, 3, 16),
        mode=Mode.CORRELATE,
        team=team,
        s_tiles=C // 16,
        s_groups=C // 16,
        s_chunks=-(-H // BAND),
        s_outer=BAND,
        s_outer_last=H % BAND,
        s_mid=1,
        s_inner=W,
        s_keys=BAND * W,
        row_keys=W,
        s_offset_inner=16,
        x_step=-16,
        row_step=48,
        lane_step=144,
        run=run,
        t_groups=K // 16,
        t_split=split,
        t_tiles=K // 8,
        first_row=-1,
        ahead=1,
        behind=1,
        tile_samples=tile_samples,
        s_tile_bytes=4 * run * (K // 8),
        t_tile_bytes=4 * run,
    )
    assert np.array_equal(found.transpose(1, 2, 0, 5, 3, 4).reshape(K, C, 3, 3), dw)
