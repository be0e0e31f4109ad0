"""Time that `hw.core.pass_checker` takes for a descriptor: one product after the other."""

from __future__ import annotations

from collections.abc import Mapping

from gscn.passes import VECTOR, Mode
from gscn.records import OUT_WIDTHS

_BITS = 4
"""Of the smaller factor, that are taken in a cycle."""
_MASK = (1 << 16) - 1


def _extent_factors(d: Mapping[str, int], *, correlate: bool) -> list[int]:
    """Return the factors of the bytes that results span, loops in the order of their steps."""
    loops = (
        [(d["t_tiles"], d["t_tile_bytes"]), (1, d["row_bytes"]), (1, d["sample_bytes"])]
        if correlate
        else [
            (d["cols"], d["pixel_bytes"]),
            (d["rows"], d["row_bytes"]),
            (d["samples"], d["sample_bytes"]),
        ]
    )
    factors = [count - 1 for count, _ in loops]
    place = next(
        (n for n, (count, step) in enumerate(loops) if count != 1 and step >= d["s_tile_bytes"]),
        len(loops),
    )
    return [*factors[:place], d["s_tiles"] - 1, *factors[place:], 0]


def check_cycles(d: Mapping[str, int]) -> int:
    """Return the cycles from the last beat of a descriptor without errors to its verdict.

    Parameters
    ----------
    d
        Its fields.
    """
    assert d["out_format"] in OUT_WIDTHS
    correlate = d["mode"] == Mode.CORRELATE
    lanes = (VECTOR << d["t_vectors"]) >> d["t_split"]
    counts = ("taps_x", "taps_y") if correlate else ("tile_cols", "tile_rows")
    factors = [
        d["samples"] if correlate else 1, d["s_groups"], d["samples"], d["t_groups"],
        d["s_mid"], d["s_inner"], d["s_mid"], d["t_rows"],
        d["s_chunks"] - 1, d["t_step"], d["behind"], d["ahead"],
        d[counts[0]] - 1, d[counts[1]] - 1, (lanes if correlate else d["tile_samples"]) - 1,
        *_extent_factors(d, correlate=correlate),
    ]  # fmt: skip
    return 3 + sum(max(1, -(-(factor & _MASK).bit_length() // _BITS)) for factor in factors)
