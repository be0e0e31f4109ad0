"""Energies of memories follow from CACTI's points by lines, subarrays and wires."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from gscn.errors import InputError
from gscn.perf.estimate import memory_energies as energies
from gscn.perf.estimate.memory_energies import Access, MemoryEnergies, Point, memory_energies
from gscn.rtl_gen import rams


def made():
    """Return energies that can be reckoned in the head."""
    return MemoryEnergies(
        source="made up",
        small=tuple(
            Point(rows=rows, bits=bits, read=bits / 16, write=rows * bits / 512, area=rows / 6400)
            for rows in (32, 64)
            for bits in (16, 64)
        ),
        large=tuple(
            Point(rows=rows, bits=64, read=2 * pj, write=4 * pj, area=1.0)
            for rows, pj in ((1 << 10, 1.0), (1 << 12, 3.0))
        ),
    )


def test_points_are_as_tabulated_and_between_them_are_lines():
    assert made().access(64, 64) == Access(read=4.0, write=8.0)
    assert made().access(32, 16) == Access(read=1.0, write=1.0)
    assert made().access(48, 40) == Access(read=2.5, write=48 * 40 / 512)


def test_fewer_rows_and_bits_than_tabulated_are_counted_as_those():
    assert made().access(4, 8) == made().access(32, 16)


def test_more_rows_are_subarrays_and_wires_of_their_square():
    # four of a hundredth of a square millimetre: wires of 0.2 mm
    wires = energies.WIRE_PJ * 0.2 * 16
    assert made().access(193, 16).read == pytest.approx(1 + wires)
    assert made().access(256, 16).write == pytest.approx(2 + wires)


def test_wider_rows_lie_side_by_side():
    assert made().access(64, 512) == Access(read=8 * 4.0, write=8 * 8.0)
    assert made().access(64, 80) == Access(read=2 * 2.5, write=2 * 5.0)


def test_a_buffer_is_between_its_points_and_grows_as_its_sides_beyond_them():
    assert made().buffer_pj(8 << 10, 64) == pytest.approx(3)
    assert made().buffer_pj(20 << 10, 8) == pytest.approx(6 / 8)
    assert made().buffer_pj(4 * (32 << 10), 64) == pytest.approx(2 * 9)
    assert made().buffer_pj(2 << 10, 64) == pytest.approx(3 / 2)


def test_what_has_no_size_is_refused():
    with pytest.raises(InputError, match="rows and bits must be positive, not 0 and 8"):
        made().access(0, 8)
    with pytest.raises(InputError, match="bytes must be positive, not -1"):
        made().buffer_pj(-1, 8)


def test_the_table_is_a_grid_that_grows_with_rows_and_bits():
    found = memory_energies()
    sizes = {(point.rows, point.bits): point for point in found.small}
    rows, widths = (sorted({size[n] for size in sizes}) for n in range(2))
    assert len(sizes) == len(rows) * len(widths) == len(found.small)
    assert rows[-1] == energies.SUBARRAY_ROWS == rams.SUBARRAY_ROWS
    assert widths[-1] == energies.MOST_BITS
    for name in ("read", "write", "area"):
        for low, high in itertools.pairwise(rows):
            for width in widths:
                assert getattr(sizes[low, width], name) < getattr(sizes[high, width], name)
    assert "CACTI" in found.source
    assert [p.rows for p in found.large] == sorted(p.rows for p in found.large)


def test_energies_are_near_those_of_another_publication():
    # 64 bits of a memory of 8 KiB take 10 pJ by Horowitz, who has caches with all around them.
    assert 2 < memory_energies().access(1024, 64).read < 10


def test_the_file_says_what_its_columns_are():
    file = Path(energies.__file__).with_name("memory_energies.json")
    table = json.loads(file.read_text())
    assert table["columns"] == ["rows", "bits", "read", "write", "area"]
