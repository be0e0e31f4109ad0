"""Which bits of a descriptor can be 1 in a pass that runs: of the array, of the encode unit.

Those that the checks never let through need not be covered where a pass is held.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable

from gscn.array import ArrayConfig
from gscn.emulator.encode_checks import MOST_POSITIONS
from gscn.emulator.encode_checks import MOST_VECTORS as MOST_POSITION_VECTORS
from gscn.emulator.pass_checks import MOST_TAPS, MOST_VECTORS
from gscn.encode import (
    ENCODE_DESCRIPTOR,
    ENCODE_MODE,
    TENSOR_FORMATS,
    TENSORS,
    Activation,
    Adapt,
    Masked,
    Reduce,
    Thresholds,
)
from gscn.formats import NUMBER_FORMATS, FloatFormat
from gscn.passes import PASS_DESCRIPTOR, VECTOR, Mode
from gscn.port import ALIGNMENT_BYTES
from gscn.records import MOST_SHIFT, OUT_WIDTHS
from gscn.window import MOST_TOP

ADDRESSES = ("s_data", "s_table", "t_data", "t_table", "out_addr")


def _up_to(most: int) -> int:
    """Return the bits that numbers from 0 to `most` have."""
    return (1 << most.bit_length()) - 1


def _any_of(numbers: Iterable[int]) -> int:
    return functools.reduce(operator.or_, numbers)


def possible_bits(config: ArrayConfig) -> dict[str, int]:
    """Return by field the bits that a pass without an error can have set.

    They follow from `emulator.pass_checks`. `tests/benchmarks/test_coverage_bits.py` holds that no
    pass has another; `tests/cosim/test_wild_passes.py` runs passes that have all of these.

    Parameters
    ----------
    config
        The array.
    """
    beyond = 1 << config.addr_width
    formats = (NUMBER_FORMATS.index(one) for one in (None, *config.floats))
    gangs = (n for n in range(1, config.clusters + 1) if config.clusters % n == 0)
    steps = VECTOR * min(OUT_WIDTHS.values()) // 8
    vectors = min(MOST_VECTORS, (config.acc_depth // VECTOR).bit_length() - 1)
    limits = {
        **dict.fromkeys(ADDRESSES, beyond - ALIGNMENT_BYTES),
        "out_end": _up_to(beyond),
        # as results have a byte elsewhere
        **dict.fromkeys(("s_halfwords", "t_halfwords"), _up_to(beyond // 2 - 1)),
        "s_tile_bytes": _up_to(beyond - 1) & -steps,
        "mode": _up_to(max(Mode)),
        "number_format": _any_of(formats),
        "out_format": _any_of(OUT_WIDTHS if config.floats else {0, 1, 2}),
        "shift": _up_to(MOST_SHIFT),
        "window": _up_to(MOST_TOP),
        "team": _any_of(gangs),
        "chained": 1,
        "s_vectors": _up_to(vectors),
        "t_vectors": _up_to(MOST_VECTORS),
        "t_split": _up_to(MOST_VECTORS + VECTOR.bit_length() - 1),
        **dict.fromkeys(("s_mid", "taps_y", "taps_x"), _up_to(MOST_TAPS)),
        **dict.fromkeys(
            ("s_outer", "s_outer_last", "s_inner", "s_keys", "row_keys"),
            _up_to(config.directory_depth - 1),
        ),
        "run": _up_to(config.acc_depth) & -VECTOR,
    }
    return {one.name: limits.get(one.name, (1 << one.width) - 1) for one in PASS_DESCRIPTOR.fields}


def possible_encode_bits(config: ArrayConfig) -> dict[str, int]:
    """Return by field the bits that an encode pass without an error can have set.

    They follow from `emulator.encode_checks`. `tests/benchmarks/test_coverage_bits.py` holds that
    no pass has another; `tests/cosim/test_wild_lists.py` runs passes that have all of these.

    Parameters
    ----------
    config
        The array beside which the unit is.
    """
    floating = bool(config.floats)
    formats = _any_of(
        number
        for number, one in enumerate(TENSOR_FORMATS)
        if one is not None and isinstance(one, FloatFormat) == floating
    )
    names = ("transposed", "t0_strips", "strict", "magnitudes", "kept_sums", "product")
    words = {
        "activation": Activation, "masked": Masked, "thresholds": Thresholds, "adapt": Adapt,
        "reduce": Reduce,
    }  # fmt: skip
    limits = {
        "mode": ENCODE_MODE,
        **dict.fromkeys((*(f"t{n}_format" for n in range(TENSORS)), "out_format"), formats),
        **dict.fromkeys(names, 1),
        **{name: _up_to(max(kinds)) for name, kinds in words.items()},
        **dict.fromkeys(("judged", "dot"), _up_to(TENSORS)),
        "absolute": (1 << TENSORS) - 1,
        "shift": 0 if floating else _up_to(MOST_SHIFT),
        "vectors": _up_to(MOST_POSITION_VECTORS),
        "group_channels": _up_to(VECTOR << MOST_POSITION_VECTORS),
        # as a position has 16 values at least
        **dict.fromkeys(
            ("period", "segment", "a_positions", "b_positions"),
            _up_to((1 << MOST_POSITIONS) // VECTOR - 1),
        ),
        # what is not there may be anywhere, at any byte
        **dict.fromkeys(
            ("rows_addr", "state_addr"), (1 << config.addr_width) - ALIGNMENT_BYTES
        ),
    }  # fmt: skip
    return {
        one.name: limits.get(one.name, (1 << one.width) - 1) for one in ENCODE_DESCRIPTOR.fields
    }
