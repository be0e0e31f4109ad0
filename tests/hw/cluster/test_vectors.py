# amaranth: UnusedElaboratable=no
"""The expander of strips against their nonzeros."""

from __future__ import annotations

import random

import pytest

from gscn.array import ARRAYS
from gscn.hw.cluster.vectors import VectorExpander
from tests.hw.streams import collect, drive, in_runs, never, randomly, reused, simulate
from tests.hw.strips import VECTOR, Nonzero, Strip, halfwords, nonzeros, random_strip

TINY = ARRAYS["tiny"]
ALL = {"lanes": 0xFFFF, "vector": 0, "care": 0}
"""All lanes are wanted."""


def window(dut, pieces, pauses, done):
    """Return a testbench that shows pieces as a reader does."""

    async def testbench(ctx):
        shown = 0
        for piece in pieces:
            at = 0
            while True:
                shown = max(shown, 0 if next(pauses) else 4)
                if next(pauses):
                    shown = min(4, shown + 1)
                available = min(shown, len(piece) - at)
                for n in range(4):
                    value = piece[at + n] if n < available else 0xDEAD
                    ctx.set(dut.window[n], value)
                ctx.set(dut.available, available)
                ctx.set(dut.ends, available == len(piece) - at)
                _, _, take, ended = await ctx.tick().sample(dut.take, dut.done)
                assert take <= available
                at += take
                shown = max(0, shown - take)
                if ended:
                    assert at == len(piece)
                    done.append(at)
                    break
            ctx.set(dut.available, 0)
            ctx.set(dut.ends, 0)

    return testbench


def settings(dut, vectors, mid, inner, narrow, wanted=ALL):
    async def testbench(ctx):
        ctx.set(dut.wanted, wanted)
        ctx.set(dut.vectors, vectors)
        ctx.set(dut.mid, mid)
        ctx.set(dut.inner, inner)
        ctx.set(dut.narrow, narrow)

    return testbench


def later(testbench):
    """Let a testbench begin when settings have been still for as long as they must."""

    async def delayed(ctx):
        await ctx.tick().repeat(2)
        await testbench(ctx)

    return delayed


def expand(
    strips, *, values, skip, narrow, per_piece, wanted=ALL, source=never, sink=never
):  # fmt: skip
    """Expand strips, some to a piece; return the items of each strip and the cycles of items."""
    mid, inner = strips[0].mid, len(strips[0].rows[0])
    vectors = len(strips[0].rows[0][0]).bit_length() - 1
    dut = reused(VectorExpander, config=TINY, values=values, skip=skip)
    coded = [halfwords(strip.vectors(), narrow=narrow) for strip in strips]
    pieces = [
        [word for one in coded[n : n + per_piece] for word in one]
        for n in range(0, len(strips), per_piece)
    ]
    requests = [
        {
            "rows": len(strip.rows) // mid,
            "ends_piece": int((n + 1) % per_piece == 0 or n + 1 == len(strips)),
        }
        for n, strip in enumerate(strips)
    ]
    received, cycles, done, errors = [], [], [], []

    async def watch(ctx):
        async for *_, error in ctx.tick().sample(dut.error):
            if error:
                errors.append(error)

    async def collector(ctx):
        pauses, cycle = sink(), 0
        while sum(item["ends_strip"] for item in received) < len(strips) or len(done) < len(pieces):
            takes = not next(pauses)
            ctx.set(dut.o.ready, takes)
            _, _, valid, item = await ctx.tick().sample(dut.o.valid, dut.o.p)
            if valid and takes:
                received.append(plain_item(item))
                cycles.append(cycle)
            cycle += 1

    simulate(
        dut,
        settings(dut, vectors, mid, inner, narrow, wanted),
        later(drive(dut.strips, requests)),
        collector,
        background=[window(dut, pieces, source(), done), watch],
        cycles=500 + 30 * sum(len(strip.vectors()) for strip in strips) * (VECTOR // values),
    )
    assert not errors
    found, own = [], []
    for item in received:
        own.append(item)
        if item["ends_strip"]:
            found.append(own)
            own = []
    assert not own
    return found, cycles


def plain_item(item):
    return {
        name: int(item[name])
        for name in ("step", "vector", "count", "ends_position", "ends_row", "ends_strip")
    } | {
        "lanes": [int(item.lanes[n]) for n in range(item.lanes.shape().length)],
        "values": [int(item["values"][n]) for n in range(item.lanes.shape().length)],
    }


def placed(items, *, skip):
    """Return the nonzeros of a strip's items, their places found as a consumer finds them."""
    row = x = 0
    out = []
    for item in items:
        x += item["step"] if skip else 0
        out += [
            Nonzero(
                row=row,
                position=x,
                channel=VECTOR * item["vector"] + item["lanes"][n],
                value=item["values"][n],
            )
            for n in range(item["count"])
        ]
        if item["ends_row"]:
            row, x = row + 1, 0
        elif item["ends_position"] and not skip:
            x += 1
    return out


SHAPES = [
    # vectors, outer, mid, inner
    (0, 3, 1, 5), (0, 2, 1, 40), (1, 4, 1, 7), (2, 2, 3, 3), (4, 2, 1, 3), (0, 16, 3, 3),
    (0, 5, 1, 1), (3, 1, 1, 1), (0, 2, 1, 16), (0, 1, 1, 33),
]  # fmt: skip


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize(
    ("shape", "values", "skip"),
    [(shape, *kind) for shape in SHAPES for kind in ((1, True), (2, False))]
    + [(SHAPES[0], 1, False), (SHAPES[2], 2, True), (SHAPES[3], 1, False)],
)
def test_nonzeros_and_their_places(shape, narrow, values, skip):
    vectors, outer, mid, inner = shape
    rng = random.Random(repr((shape, narrow, values)))
    strips = [
        random_strip(
            rng, outer=rng.randint(1, outer), mid=mid, inner=inner, vectors=vectors,
            density=density, narrow=narrow,
        )
        for density in (0.3, 0.02, 0)
    ]  # fmt: skip
    paces = ((never, never), (lambda: in_runs(3), lambda: randomly(4)))
    for source, sink in paces if vectors + inner < 10 and not narrow else paces[1:]:
        found, _ = expand(
            strips, values=values, skip=skip, narrow=narrow,
            per_piece=rng.randint(1, 5), source=source, sink=sink,
        )  # fmt: skip
        assert [placed(items, skip=skip) for items in found] == [nonzeros(s) for s in strips]
        for items, strip in zip(found, strips, strict=True):
            assert sum(item["ends_row"] for item in items) == len(strip.rows)
            if not skip:
                positions = sum(item["ends_position"] for item in items)
                assert positions == inner * len(strip.rows)


def is_wanted(nonzero, wanted):
    vector, lane = divmod(nonzero.channel, VECTOR)
    return (vector ^ wanted["vector"]) & wanted["care"] == 0 and wanted["lanes"] >> lane & 1


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_items_are_of_wanted_lanes_alone(shape, narrow):
    vectors, outer, mid, inner = shape
    rng = random.Random(repr((shape, narrow)))
    # each density with skips in one width of values and without in the other
    for density, skip in ((1, narrow), (0.4, not narrow), (0.1, narrow), (0, not narrow)):
        strips = [
            random_strip(
                rng, outer=rng.randint(1, outer), mid=mid, inner=inner, vectors=vectors,
                density=density, narrow=narrow,
            )
            for _ in range(2)
        ]  # fmt: skip
        lanes = rng.choice([0, 1 << 15, 0xF << 4 * rng.randrange(4), rng.randrange(1 << 16)])
        care = rng.choice([0, 15, 15 << rng.randrange(4) & 15])
        wanted = {"lanes": lanes, "vector": rng.randrange(1 << vectors), "care": care}
        found, _ = expand(
            strips, values=1, skip=skip, narrow=narrow, per_piece=rng.randint(1, 3),
            wanted=wanted, source=lambda: in_runs(3), sink=lambda: randomly(4),
        )  # fmt: skip
        right = [[n for n in nonzeros(s) if is_wanted(n, wanted)] for s in strips]
        assert [placed(items, skip=skip) for items in found] == right
        for items, strip in zip(found, strips, strict=True):
            assert sum(item["ends_row"] for item in items) == len(strip.rows)


def full_strip(outer, inner):
    return Strip(rows=[[[[1] * VECTOR] for _ in range(inner)] for _ in range(outer)])


@pytest.mark.parametrize(
    ("lanes", "cycles_of_a_vector"),
    [(0xFFFF, 16), (0x000F, 4 + 4), (0xF000, 4 + 4), (0x8001, 2 + 4), (0x1111, 4 + 2), (0, 6)],
)
@pytest.mark.parametrize("narrow", [False, True])
def test_unwanted_lanes_cost_a_cycle_for_three_or_none_beside_a_wanted_one(
    lanes, cycles_of_a_vector, narrow
):
    strip = full_strip(1, 3)
    found, cycles = expand(
        [strip, full_strip(1, 1)], values=1, skip=True, narrow=narrow, per_piece=2,
        wanted=ALL | {"lanes": lanes},
    )  # fmt: skip
    count = lanes.bit_count()
    assert [sum(item["count"] for item in items) for items in found] == [3 * count, count]
    last = [n for n, item in enumerate(found[0] + found[1]) if item["ends_strip"]]
    # from the first strip's end to the second's: a header, and a vector
    assert cycles[last[1]] - cycles[last[0]] == 1 + cycles_of_a_vector


def test_vectors_without_a_wanted_lane_make_no_item():
    rows = [[[[0] * VECTOR] for _ in range(16)]]
    for x in range(15):
        rows[0][x][0][x] = 1
    found, cycles = expand(
        [Strip(rows=rows)], values=1, skip=True, narrow=False, per_piece=1,
        wanted=ALL | {"lanes": 0x0110},
    )  # fmt: skip
    # a header, two items, and the row's end with the last vector, which is not wanted
    assert [item["count"] for item in found[0]] == [0, 1, 1, 0]
    assert cycles[-1] - cycles[0] == 15
    assert [nonzero.position for nonzero in placed(found[0], skip=True)] == [4, 8]


@pytest.mark.parametrize(("values", "narrow"), [(1, False), (1, True), (2, False), (2, True)])
def test_one_item_per_cycle_and_one_cycle_per_header(values, narrow):
    found, cycles = expand(
        [full_strip(3, 16)] * 2, values=values, skip=False, narrow=narrow,
        per_piece=2,
    )  # fmt: skip
    items = sum(len(one) for one in found)
    assert items == 2 * 3 * 16 * VECTOR // values
    # a block of each row has a header
    assert cycles[-1] - cycles[0] == items - 1 + 2 * 3 - 1


def test_empty_positions_cost_nothing():
    rows = [[[[0] * VECTOR] for _ in range(32)] for _ in range(4)]
    rows[1][9][0][3] = 5
    rows[2][31][0][7] = -6
    found, cycles = expand([Strip(rows=rows)], values=1, skip=True, narrow=False, per_piece=1)
    # two headers a row; an item for each value, of which one ends its row; three ends of rows
    assert len(found[0]) == 4 * 2 + 2 + 3
    assert cycles[-1] - cycles[0] == len(cycles) - 1


@pytest.mark.parametrize(
    ("piece", "wrong"),
    [
        ([0b1, 0b1, 7], False),
        ([0b1, 0b1], True),
        ([0b1, 0b1, 7, 9], True),
        ([], True),
        ([0b1, 0], True),
        ([0b101, 0b1, 7, 0b1, 8], True),
        ([0b10, 0b1000000000000001, 7, 8], False),
    ],
    ids=["good", "short", "long", "nothing", "empty mask", "beyond", "good too"],
)
def test_a_piece_that_is_no_strip_is_an_error(piece, wrong):
    dut, errors, done = reused(VectorExpander, config=TINY, values=1, skip=True), [], []

    async def watch(ctx):
        for _ in range(30):
            errors.append((await ctx.tick().sample(dut.error))[2])

    simulate(
        dut,
        settings(dut, 0, 1, 2, False),
        later(drive(dut.strips, [{"rows": 1, "ends_piece": 1}])),
        watch,
        background=[window(dut, [piece], never(), done), collect(dut.o, [], 99)],
        cycles=100,
    )
    assert any(errors) == wrong
    assert wrong or done == [len(piece)]
