# amaranth: UnusedElaboratable=no
"""Portions of strips against their vectors, taken apart in plain Python."""

from __future__ import annotations

import random

import pytest

from gscn.hw.cluster.portions import PortionReader
from gscn.hw.input_layouts import PortionKind
from tests.hw.cluster.test_vectors import TINY, full_strip, window
from tests.hw.streams import in_runs, never, randomly, simulate
from tests.hw.strips import VECTOR, halfwords, random_strip

END = {"kind": "END"}


def lanes_of(vector):
    return [lane for lane, value in enumerate(vector) if value]


def portions(vectors, most):
    """Return the portions of a strip."""
    out = []
    for first in range(0, len(vectors), VECTOR):
        block = vectors[first : first + VECTOR]
        there = [number for number, vector in enumerate(block) if any(vector)]
        first_one, *others = [*there, None]
        out.append({"kind": "BLOCK", "next": first_one})
        for number, following in zip(there, others, strict=True):
            lanes = lanes_of(block[number])
            out += [
                {
                    "kind": "VALUES",
                    "next": following,
                    "last": start + most >= len(lanes),
                    "lanes": lanes[start : start + most],
                    "values": [block[number][lane] for lane in lanes[start : start + most]],
                }
                for start in range(0, len(lanes), most)
            ]
    return out


def plain_portion(portion):
    """Return what is meant of a portion."""
    kind = PortionKind(portion["kind"]).name
    found = {"kind": kind}
    if kind in ("BLOCK", "VALUES"):
        found["next"] = None if portion["next"] >= VECTOR else int(portion["next"])
    if kind == "VALUES":
        count = portion["count"]
        found["last"] = bool(portion["last"])
        found["lanes"] = [int(portion.lanes[n]) for n in range(count)]
        found["values"] = [int(portion["values"][n]) for n in range(count)]
    return found


def read(pieces, *, most, narrow, count, source=never, sink=never):
    """Return the portions of some pieces, in which cycles they leave, and the pieces done with."""
    dut = PortionReader(config=TINY, most=most)
    received, cycles, done = [], [], []

    async def collector(ctx):
        ctx.set(dut.narrow, narrow)
        pauses, cycle = sink(), 0
        while len(received) < count:
            takes = not next(pauses)
            ctx.set(dut.o.ready, takes)
            _, _, valid, portion = await ctx.tick().sample(dut.o.valid, dut.o.p)
            if valid and takes:
                received.append(plain_portion(portion))
                cycles.append(cycle)
            cycle += 1

    simulate(
        dut,
        collector,
        background=[window(dut, pieces, source(), done)],
        cycles=500 + 20 * sum(len(piece) for piece in pieces),
    )
    return received, cycles, done


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("most", [1, 2, 3])
def test_portions_are_those_of_the_vectors(most, narrow):
    rng = random.Random(repr((most, narrow)))
    for source, sink in ((never, never), (lambda: in_runs(3), lambda: randomly(4))):
        strips = [
            random_strip(
                rng, outer=1, mid=1, inner=rng.randint(1, 40), vectors=0, density=density,
                narrow=narrow,
            )
            for density in (0.3, 0, 0.02, 0.6)
        ]  # fmt: skip
        first, second = strips[:2], strips[2:]
        right, pieces = [], []
        for piece in (first, second):
            for strip in piece:
                right += portions(strip.vectors(), most)
            right.append(END)
            pieces.append([w for strip in piece for w in halfwords(strip.vectors(), narrow=narrow)])
        found, _, done = read(
            pieces, most=most, narrow=narrow, count=len(right), source=source, sink=sink
        )
        assert found == right
        assert done == [len(piece) for piece in pieces]


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("most", [2, 3])
def test_a_portion_each_cycle_from_the_first_block_on(most, narrow):
    vectors = full_strip(1, 40).vectors()
    right = portions(vectors, most)
    found, cycles, _ = read(
        [halfwords(vectors, narrow=narrow)], most=most, narrow=narrow, count=len(right)
    )
    assert found == right
    assert cycles[-1] - cycles[0] == len(right) - 1


def test_two_portions_wait():
    dut = PortionReader(config=TINY, most=3)
    taken = []

    async def testbench(ctx):
        for _ in range(20):
            _, _, take = await ctx.tick().sample(dut.take)
            taken.append(take)

    piece = halfwords(full_strip(1, 16).vectors(), narrow=False)
    simulate(dut, testbench, background=[window(dut, [piece], never(), [])], cycles=100)
    # the block alone; it and the first mask; three values
    assert [take for take in taken if take] == [1, 1, 3]


@pytest.mark.parametrize(
    ("piece", "right"),
    [
        ([], [END]),
        ([0], [{"kind": "BLOCK", "next": None}, END]),
        ([1], [{"kind": "WRONG"}]),
        ([1, 3, 7], [{"kind": "BLOCK", "next": 0}, {"kind": "WRONG"}]),
        ([1, 0, 7], [{"kind": "BLOCK", "next": 0}, {"kind": "WRONG"}]),
        ([2, 0], [{"kind": "BLOCK", "next": 1}, {"kind": "WRONG"}]),
    ],
    ids=["nothing", "empty", "no mask", "no value", "empty mask", "empty last mask"],
)
def test_what_is_no_strip_is_wrong(piece, right):
    found, _, done = read([piece], most=3, narrow=False, count=len(right))
    assert found == right
    # what follows what is wrong means nothing
    assert done == [len(piece)] or right[-1] != END
