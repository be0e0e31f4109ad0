# amaranth: UnusedElaboratable=no
"""Vectors packed into strips, against the encoder of strips: data, tables, ends, pauses."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscn.errors import InputError
from gscn.formats import INT16
from gscn.hw.encode.strip_packer import BEAT_HALFWORDS, StripPacker
from gscn.passes import VECTOR
from gscn.strips import encode
from tests.hw.streams import collect, drive, in_runs, never, randomly, reused, simulate, with_pauses

FULL = (1 << VECTOR) - 1


def words(strips, source):
    """Return the packer's vectors of strips that are given as lists of masks."""
    found = []
    for strip in strips:
        for number, kept in enumerate(strip):
            codes = [source.randrange(1, 1 << 16) for _ in range(VECTOR)]
            ends_strip = number == len(strip) - 1
            found.append({"codes": codes, "kept": kept, "ends_strip": ends_strip, "ends": 0})
    found[-1]["ends"] = 1
    return found


def expected(vectors):
    """Return the halfwords of the strips, and where each ends."""
    codes = np.array(
        [[c if v["kept"] >> n & 1 else 0 for n, c in enumerate(v["codes"])] for v in vectors],
        dtype=np.uint16,
    )
    ends = [n + 1 for n, v in enumerate(vectors) if v["ends_strip"]]
    strips = encode(codes[None], np.array([0, *ends]), INT16)
    return strips.data.view("<u2")[: strips.halfwords].tolist(), strips.table[1:, 0].tolist()


def run(tensors, source_pauses, sink_pauses, *, depth=4):
    """Return halfwords and ends of strips of each tensor, and the cycles of all."""
    wanted = [expected(vectors) for vectors in tensors]
    beats = sum(-(-len(halfwords) // BEAT_HALFWORDS) for halfwords, _ in wanted)
    dut = reused(StripPacker, depth=depth)
    received, ends, cycles = [], [], []
    simulate(
        dut,
        drive(dut.i, itertools.chain(*tensors), source_pauses()),
        collect(dut.o, received, beats, sink_pauses(), cycles=cycles),
        collect(dut.o_strip, ends, sum(len(found) for _, found in wanted), sink_pauses()),
        cycles=500 + 40 * sum(map(len, tensors)),
    )
    found, rest = [], list(ends)
    for _, wanted_ends in wanted:
        halfwords = []
        while True:
            beat = received.pop(0)
            assert beat["count"] == BEAT_HALFWORDS or beat["last"]
            halfwords += beat["halfwords"][: beat["count"]]
            if beat["last"]:
                break
        found.append((halfwords, rest[: len(wanted_ends)]))
        del rest[: len(wanted_ends)]
    assert not received
    return found, cycles


def check(tensors, source_pauses=never, sink_pauses=never):
    found, cycles = run(tensors, source_pauses, sink_pauses)
    assert found == [expected(vectors) for vectors in tensors]
    return cycles


def masks(source, count, density):
    return [
        sum((source.random() < density) << lane for lane in range(VECTOR)) for _ in range(count)
    ]


@with_pauses
@pytest.mark.parametrize("density", [0, 0.05, 0.5, 0.9, 1])
def test_strips_are_those_of_the_encoder(density, source_pauses, sink_pauses):
    source = random.Random(density)
    tensors = [
        words([masks(source, source.randint(1, 30), density) for _ in range(strips)], source)
        for strips in (1, 5, 3)
    ]
    check(tensors, source_pauses, sink_pauses)


@settings(max_examples=8, deadline=None)
@given(
    st.lists(
        st.lists(
            st.lists(
                st.sampled_from((0, 1, FULL, FULL - 1, FULL >> 1, 0x8001)) | st.integers(0, FULL),
                min_size=1, max_size=20,
            ),
            min_size=1, max_size=4,
        ),
        min_size=1, max_size=3,
    ),
    st.integers(0, 1000),
)  # fmt: skip
def test_any_strips_under_any_pauses(tensors, seed):
    source = random.Random(seed)
    vectors = [words(strips, source) for strips in tensors]
    check(vectors, lambda: in_runs(seed), lambda: randomly(seed))


def test_strips_that_fill_their_last_beat_end_there():
    # A block's halfword, a mask and 14 codes; then a mask and 15 codes: 32 in all.
    source = random.Random(1)
    check([words([[FULL >> 2, FULL >> 1]], source), words([[1]], source)])
    check([words([[FULL >> 2, FULL >> 1]], source)] * 9, never, lambda: randomly(3, 0.9))


@pytest.mark.parametrize(("kept", "cycles"), [(0, 0), (1, 1), (FULL >> 1, 1), (FULL, 2)])
def test_a_vector_takes_a_cycle_and_two_if_all_of_it_is_kept(kept, cycles):
    source = random.Random(2)
    short, long = (check([words([[kept] * n], source)])[-1] for n in (32, 128))
    # A block's halfword takes a place beside 15 codes.
    extra = 96 // VECTOR if kept == FULL >> 1 else 0
    assert long - short == 96 * max(cycles, 1) + extra


def test_the_queue_must_hold_some_beats():
    with pytest.raises(InputError, match="depth must be a whole number of at least 4, not 3"):
        StripPacker(depth=3)
