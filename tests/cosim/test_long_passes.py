"""Passes of thousands of tiles, samples, rows or columns: those at their ends are right, too."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.cosim import Conditions, run
from gscn.pass_errors import PassError
from gscn.passes import VECTOR
from tests.cosim.lists import modelled
from tests.cosim.test_launch import INTEGERS
from tests.pass_memory import RandomPass, correlate_pass, kernel_pass, program_of
from tests.pass_programs import TINY

pytestmark = pytest.mark.cosim
MOST = INTEGERS.acc_depth // VECTOR
"""Results of a tile, in vectors."""
TILES, GROUPS, RESULTS = (1 << 12) + 5, (1 << 11) + 3, (1 << 14) + 7
"""Stationary tiles; groups of the stream; samples, rows and columns of results."""


def strips(count, seed, channels=VECTOR):
    """Return strips of a vector each, of which one in fifty, and the last ones, have nonzeros."""
    rng = np.random.default_rng(seed)
    keep = (rng.random(count) < 0.02) | (np.arange(count) > count - 4)
    codes = rng.integers(1, 1 << 14, (count, 1, 1, VECTOR))
    codes[..., channels:] = 0
    return [*np.where(keep[:, None, None, None], codes, 0)]


WEIGHTS = np.arange(1, VECTOR + 1).reshape(1, 1, 1, VECTOR)
"""Of one tap and one channel."""
PIXEL = np.eye(1, VECTOR, dtype=np.int64)[None]
"""One, of that channel."""
MAP = WEIGHTS[0]


def stationary_tiles():
    base = kernel_pass(WEIGHTS, PIXEL, s_tiles=TILES, s_groups=TILES, s_tile_bytes=64)
    held = [[codes[None]] for codes in strips(TILES, 1)]
    return RandomPass(fields=base.fields, stationary=held, streamed=base.streamed)


def groups():
    base = correlate_pass([MAP], [MAP], (1, 1), t_tiles=GROUPS, t_groups=GROUPS, t_tile_bytes=1024)
    streamed = [[codes] for codes in strips(GROUPS, 2)]
    return RandomPass(fields=base.fields, stationary=base.stationary, streamed=streamed)


def lanes():
    """Tiles of one channel each, of groups with all channels that there can be."""
    count = VECTOR << 4
    return correlate_pass(
        [MAP], [np.concatenate(strips(count // VECTOR, 3), axis=-1)], (1, 1),
        t_vectors=4, t_split=8, t_tiles=count, t_tile_bytes=64, run=VECTOR,
    )  # fmt: skip


def samples():
    base = kernel_pass(WEIGHTS, PIXEL, samples=RESULTS, tile_samples=MOST, sample_bytes=64)
    return RandomPass(
        fields=base.fields, stationary=base.stationary, streamed=[strips(RESULTS, 4, 1)]
    )


def rows():
    """Tiles of rows, a strip of the stream for each row."""
    base = kernel_pass(
        WEIGHTS, PIXEL, rows=RESULTS, row_bytes=64, tile_rows=MOST, tile_strips=MOST,
        t_strips=RESULTS, strips_after=MOST, y_step=VECTOR,
    )  # fmt: skip
    return RandomPass(
        fields=base.fields, stationary=base.stationary, streamed=[strips(RESULTS, 5, 1)]
    )


def columns():
    """Tiles of columns, of which one meets the stream."""
    return kernel_pass(
        WEIGHTS, PIXEL, cols=RESULTS, pixel_bytes=64, tile_cols=MOST,
        first_col=RESULTS - 3,
    )  # fmt: skip


@pytest.mark.parametrize("config", [INTEGERS, TINY], ids=["integers behind AXI", "floats"])
def test_the_last_of_thousands_of_tiles_are_right(config):
    made = (stationary_tiles, groups, lanes, samples, rows, columns)
    programs = [program_of(config, [make()]) for make in made]
    conditions = Conditions(axi=config == INTEGERS, latency=2, timeout_cycles=2_000_000)
    for make, program, done in zip(made, programs, run(config, programs, conditions), strict=True):
        expected = modelled(program)
        assert expected.error == done.error_code == PassError.NONE, make
        assert any(one.products for one in expected.counts), make
        wrong = np.flatnonzero(done.memory != expected.memory)
        assert wrong.size == 0, f"{make}: {wrong.size} bytes from {wrong[:4]} on"
