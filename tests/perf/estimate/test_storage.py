"""Memories of an array, against those of its netlist."""

from __future__ import annotations

import dataclasses
import re

import pytest

from gscn.array import ARRAYS
from gscn.perf.estimate import storage
from gscn.perf.estimate.storage import memory_bits

TINY = ARRAYS["tiny"]
OF_A_PE = (
    *(storage.ACCUMULATORS, storage.ENTRIES, storage.DIRECTORIES),
    *(storage.WORDS, storage.FIBERS),
)


@pytest.mark.parametrize("changed", [{}, {"float_formats": "bf16"}, {"operand_format": "int8"}])
def test_memories_of_a_pe_are_those_of_the_netlist(changed):
    from amaranth.back import rtlil

    from gscn.hw.pe.worker import Worker

    config = dataclasses.replace(TINY, **changed)
    text = rtlil.convert(Worker(config=config), emit_src=False)
    found = re.findall(r"memory width (\d+) size (\d+)", text)
    expected = storage.storage(config)
    wanted = []
    for name in OF_A_PE:
        one = expected[name]
        wanted += [(one.width, one.depth)] * (one.count // config.multipliers)
    assert sorted((int(width), int(size)) for width, size in found) == sorted(wanted)


def test_bits_are_those_of_all_copies():
    config = dataclasses.replace(ARRAYS["large"], stationary_depth=2048, directory_depth=2048)
    bits = memory_bits(config)
    # 64 PEs: 2 banks of 2304 accumulators of 48 bits; 2 x 2048 directory rows of 11 bits
    assert bits[storage.ACCUMULATORS] == 64 * 2 * 2304 * 48
    assert bits[storage.DIRECTORIES] == 64 * 2 * 2048 * 11
    assert bits[storage.ENTRIES] == 64 * 2048 * (16 + 12)
    twice = memory_bits(dataclasses.replace(config, clusters=32))
    assert all(twice[name] == 2 * count for name, count in bits.items())
