"""Bytes of formats are those worked out by hand, and the array's own those of its encoder."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import formats
from benchmarks.consecutive import compressed_bytes
from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.cosim.layer import PassInput

OWN = next(iter(formats.FORMATS))
SHAPE = ConvShape(n=2, c=16, h=8, w=8, k=32, r=1, s=1)


def tensor(*places):
    """Return (1, 1, 16, 32) with nonzeros at positions and channels."""
    found = np.zeros((1, 1, 16, 32), np.int16)
    for position, channel in places:
        found[0, 0, position, channel] = 1
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # 32 vectors under 2 masks of 16; two vectors occupied; three numbers
        (OWN, 4 + 2 * 2 + 3 * 2),
        ("the same of 8 channels", 8 + 2 + 6),
        ("the same of 32 channels", 2 + 2 * 4 + 6),
        ("16 channels under one mask", 64 + 6),
        # channels 0 and 1 have one row of 16 positions each
        ("16 positions of a row under two masks", 4 + 2 * 2 + 6),
        # of 512 numbers, places 0, 1 and 48: one filler of 4 bits
        ("run lengths of 4 bits", (3 + 2) * 2.5),
        ("run lengths of 8 bits", 3 * 3),
        ("value and code, 4 bytes a nonzero", 12),
        ("dense", 1024),
    ],
)
def test_bytes_are_as_by_hand(name, expected):
    assert formats.FORMATS[name](tensor((0, 0), (0, 1), (3, 0))) == expected


def test_the_first_format_is_that_of_the_array():
    rng = np.random.default_rng(0)
    first, second = (
        (rng.random(size) < 0.3).astype(np.int16) for size in SHAPE.operand_shapes(Pass.FORWARD)
    )
    one = PassInput(layer="a", shape=SHAPE, which=Pass.FORWARD, first=first, second=second)
    rows = [row for row in formats.measure(one) if row["format"] == OWN]
    assert sum(row["bytes"] for row in rows) == compressed_bytes(one, array("tiny").format)


def test_no_operand_is_counted_twice():
    counts = {}
    for which in Pass:
        sizes = [np.zeros(size, np.int16) for size in SHAPE.operand_shapes(which)]
        one = PassInput(layer="a", shape=SHAPE, which=which, first=sizes[0], second=sizes[1])
        counts[which] = len(formats.operands(one))
    assert list(counts.values()) == [2, 2, 1]


def test_bytes_are_per_nonzero_and_by_density():
    rows = [
        {"format": name, "density": density, "bytes": size, "nonzeros": 10}
        for name in formats.FORMATS
        for density, size in (("0.05", 30.0), ("0.4", 50.0))
    ]
    lines = [line.strip("| ").split(" | ") for line in formats.render(rows).splitlines()]
    assert lines[0] == ["format", "up to 5 %", "up to 40 %", "all"]
    assert lines[2] == [OWN, "3.00", "5.00", "4.00"]
