"""Encode passes on random tensors: descriptors and memories that suit each other."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from gscn.encode import (
    CHANNEL_ROW,
    CHANNEL_SUMS,
    ENCODE_DESCRIPTOR,
    ENCODE_DESCRIPTOR_BYTES,
    ENCODE_MODE,
    ENCODE_STATE,
    MOST_MAXIMUM,
    TENSOR_FORMATS,
)
from gscn.formats import FloatFormat
from gscn.passes import VECTOR
from gscn.strips import encode, map_bounds

SPECIAL = (0, 0x8000, 0x7F80, 0xFF80, 0x7FC0, 0x0001, 0x807F, 0x7F7F, 0x3F80)
"""Upper halves of codes: zeros, infinities, NaN, subnormals, the largest, one."""


class Places:
    """A memory that grows as things are put into it; the record is at its start."""

    def __init__(self):
        self.content = np.zeros(ENCODE_DESCRIPTOR_BYTES, dtype=np.uint8)

    def put(self, content):
        """Return where some bytes, or so many zeros, are."""
        if isinstance(content, int):
            content = np.zeros(content, dtype=np.uint8)
        data = np.ascontiguousarray(content).reshape(-1).view(np.uint8)
        start = self.content.size
        fill = np.zeros(-data.size % 64, dtype=np.uint8)
        self.content = np.concatenate([self.content, data, fill])
        return start

    def memory(self, fields):
        """Return memory with the record of these fields."""
        found = self.content.copy()
        found[:ENCODE_DESCRIPTOR_BYTES] = ENCODE_DESCRIPTOR.pack(**fields).view(np.uint8)
        return found


def float_codes(generator, shape, *, wide, special):
    """Return float32 codes: normal numbers, some of them zero or special."""
    values = generator.standard_normal(shape) * 2.0 ** generator.integers(-8, 8, shape)
    values[generator.random(shape) < 0.3] = 0
    codes = values.astype(np.float32).view(np.uint32)
    if special:
        odd = generator.random(shape) < 0.1
        codes[odd] = generator.choice(np.array(SPECIAL, dtype=np.uint32), odd.sum()) << 16
    return codes if wide else codes >> 16 << 16


def tensor(generator, shape, number, *, special):
    """Return a tensor as it is in memory."""
    fmt = TENSOR_FORMATS[number]
    if isinstance(fmt, FloatFormat):
        codes = float_codes(generator, shape, wide=fmt.width == 32, special=special)
        return codes if fmt.width == 32 else (codes >> 16).astype("<u2")
    low, high = (fmt.minimum, fmt.maximum) if special else (-100, 100)
    return generator.integers(low, high + 1, shape).astype(f"<i{fmt.width // 8}")


def powers(generator, count):
    """Return float32 codes of powers of two, among them subnormal ones, and of zeros."""
    fields = generator.integers(118, 134, count) << 23
    least = 1 << generator.integers(0, 23, count)
    kinds = generator.choice(3, count, p=(0.9, 0.05, 0.05))
    found = np.choose(kinds, (fields, least, np.zeros(count, dtype=np.int64)))
    return (found | generator.integers(0, 2, count) << 31).astype(np.uint32)


def row_table(generator, count, *, floating, special):
    """Return rows of channels."""
    rows = np.zeros(count, dtype=CHANNEL_ROW.dtype)
    for name in ("c0", "c1", "c2", "bias", "second"):
        if floating and generator.random() < 0.3:
            rows[name] = powers(generator, count)
        elif floating:
            rows[name] = float_codes(generator, count, wide=True, special=special)
        else:
            rows[name] = generator.integers(-1000, 1000, count).astype(np.int32).view(np.uint32)
    for part in ("threshold_a", "threshold_b"):
        if floating:
            rows[part] = generator.integers(0x3C00, 0x4100, count)
        else:
            rows[part] = generator.integers(0, 200, count)
    return rows


def state_record(draw, floating, out_bits):
    """Return a state."""
    state = np.zeros(1, dtype=ENCODE_STATE.dtype)
    edge = [0, 1, 0x3F80 << (out_bits - 16), 0xFFFFFFFF] if floating else [0, 1, 50, 0xFFFFFFFF]
    state["threshold_a"] = draw(st.sampled_from(edge))
    state["threshold_b"] = draw(st.sampled_from(edge))
    state["keep"] = draw(st.integers(1, 40))
    state["low"], state["high"] = sorted([draw(st.integers(0, 50)), draw(st.integers(0, 50))])
    state["step"] = draw(st.sampled_from([1, 1 << 7, 1 << 23]))
    state["sum_top"] = draw(st.integers(250, 300))
    state["dot_top"] = draw(st.integers(250, 300))
    state["prefix"], state["rank"] = draw(st.integers(0, 3)), draw(st.integers(1, 20))
    return state


def dense_steps(sizes, vectors, value_size, order):
    """Return steps of the loops and of vectors, nested in an order of loops, and bytes in all."""
    steps, extent = [0] * 8, VECTOR * value_size
    vector = extent
    extent *= vectors
    for loop in order:
        steps[loop] = extent
        extent *= sizes[loop]
    return steps, vector, extent


def dense_sizes(fields):
    """Return the steps of the loops of dense results: those within a segment are one."""
    sizes = [fields[f"count{n}"] for n in range(8)]
    inside, loop = 1, 0
    while fields.get("reduce") and inside < fields["segment"]:
        inside, sizes[loop], loop = inside * sizes[loop], 1, loop + 1
    return sizes


def add_stream(fields, stream, steps, vector, first=0):
    """Set the fields of a stream's steps."""
    fields |= {f"{stream}_step{n}": step for n, step in enumerate(steps)}
    fields |= {f"{stream}_vector": vector, f"{stream}_first": first}


@st.composite
def walks(draw):
    """Return counts, vectors, channels and coordinates of a walk."""
    fields = {f"count{n}": draw(st.integers(1, 3)) for n in range(8)}
    if draw(st.booleans()):
        fields |= {"count4": 1, "count7": 1}
    fields["vectors"] = draw(st.integers(0, 1))
    lanes = VECTOR << fields["vectors"]
    fields["group_channels"] = draw(st.integers(1, lanes))
    groups = fields["count5"] * fields["group_channels"]
    fields["channels"] = draw(st.integers(groups - fields["group_channels"] + 1, groups))
    for axis in "yx":
        loop = draw(st.integers(0, 7))
        fields[f"{axis}_step{loop}"] = draw(st.integers(-2, 2))
        fields[f"{axis}_first"] = draw(st.integers(-1, 3))
        fields[f"{axis}_limit"] = draw(st.integers(3, 6))
    return fields


@st.composite
def encode_passes(draw, kind=None):
    """Return fields of a descriptor, and memory; `kind`: floating point (True), integers."""
    # Long: every part of a descriptor is drawn once.
    floating = draw(st.booleans()) if kind is None else kind
    formats = [1, 2] if floating else [3, 4, 5]
    fields = draw(walks()) | {"mode": ENCODE_MODE}
    places, generator = Places(), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    special = draw(st.booleans())
    transposed = floating and draw(st.integers(0, 4)) == 0
    if transposed:
        fields |= {"count2": 16, "count4": 1, "count3": 1, "count7": 1}
    sizes = [fields[f"count{n}"] for n in range(8)]
    vectors = 1 << fields["vectors"]
    positions, groups = int(np.prod(sizes[:5])), int(np.prod(sizes[5:]))
    lanes = VECTOR * vectors
    divisors = [n for n in range(1, positions + 1) if positions % n == 0]
    period = draw(st.sampled_from(divisors))
    fields |= {
        "transposed": int(transposed),
        "period": period,
        "a_positions": draw(st.integers(1, period)),
        "b_positions": draw(st.integers(1, period)),
        "segment": draw(st.integers(1, positions)),
        "out_format": draw(st.sampled_from(formats)),
        "absolute": draw(st.integers(0, 7)),
        "kept_sums": draw(st.integers(0, 1)),
        "strict": draw(st.integers(0, 1)),
        "thresholds": draw(st.integers(0, 2)),
        "magnitudes": draw(st.integers(0, 1)),
        "shift": 0 if floating else draw(st.integers(0, 12)),
        "masked": draw(st.integers(0, 2)),
    }
    out_bits = TENSOR_FORMATS[fields["out_format"]].width
    sets = [(0,), (0, 1), (0, 1, 2), (1,), (0, 2)]
    present = draw(st.sampled_from(sets[:1] if transposed else sets))
    fields["activation"] = draw(st.integers(0, 2 if floating and 0 in present else 1))
    if present == (0, 1, 2) and draw(st.booleans()):
        fields |= {"product": 1, "absolute": fields["absolute"] & 5}
    strips = 0 in present and not transposed and draw(st.integers(0, 3)) == 0
    for n in present:
        narrow = strips and n == 0
        factor = n == 1 and fields.get("product")
        narrow_formats = [f for f in formats if f != 5 and (f != 2 or (factor and not narrow))]
        number = draw(st.sampled_from(narrow_formats if narrow or factor else formats))
        fields[f"t{n}_format"] = number
        size = TENSOR_FORMATS[number].width // 8
        if narrow:
            codes = tensor(generator, (groups, positions, lanes), number, special=special)
            bounds = map_bounds(positions // period, period, 1, fields["a_positions"])
            found = encode(codes, bounds, TENSOR_FORMATS[number])
            start = places.put(found.data)
            fields |= {
                "t0_strips": 1, "t0_addr": start, "t0_end": start + 2 * found.halfwords,
                "t0_table": places.put(found.table.astype("<u4")),
            }  # fmt: skip
            continue
        order = draw(st.permutations(range(8)))
        steps, vector, extent = dense_steps(sizes, vectors, size, order)
        if transposed:
            # Loop 2 lies within vectors; lanes are as far apart as all of the rest together.
            steps, vector, extent = dense_steps([*sizes[:2], 1, *sizes[3:]], vectors, size, order)
            fields[f"t{n}_lane"] = extent
            steps[2], vector, extent = 0, 16 * extent, 16 * vectors * extent
        elif draw(st.integers(0, 2)) == 0:
            steps[draw(st.integers(0, 7))] = 0  # broadcast
        first = 0
        if draw(st.booleans()):
            first = steps[1] * (sizes[1] - 1)
            steps[1] = -steps[1]
        add_stream(fields, f"t{n}", steps, vector, first)
        content = tensor(generator, (extent // size,), number, special=special)
        fields[f"t{n}_addr"] = places.put(content)
        fields[f"t{n}_end"] = fields[f"t{n}_addr"] + extent
    if fields["masked"]:
        steps, vector, extent = dense_steps(sizes, vectors, 1, range(8))
        add_stream(fields, "mask", [step // 8 for step in steps], 2)
        bits = generator.integers(0, 256, extent // 8).astype(np.uint8)
        fields["mask_addr"] = places.put(bits)
        fields["mask_end"] = fields["mask_addr"] + bits.size
    rows = row_table(generator, sizes[5] * lanes, floating=floating, special=special)
    state = state_record(draw, floating, out_bits)
    fields |= {"rows_addr": places.put(rows), "state_addr": places.put(state)}
    fields["dot"] = draw(st.sampled_from([0, *(n + 1 for n in present)]))
    fields["judged"] = draw(st.sampled_from([0, *(n + 1 for n in present)]))
    fields["adapt"] = draw(st.integers(0, 3)) if draw(st.booleans()) else 0
    if fields["adapt"] == 1 and fields["thresholds"] != 1:
        fields["adapt"] = 0
    fields["bin_bits"] = draw(st.integers(1, 8))
    fields["bin_shift"] = (
        draw(st.integers(0, out_bits - 1 - fields["bin_bits"])) if out_bits > 8 else 0
    )
    if out_bits == 8:
        fields["bin_bits"] = 8
    wanted = draw(st.sets(st.sampled_from(["dense", "second", "bits", "sums", "a", "b"])))
    if not floating or 0 not in present:
        wanted -= {"second"}
    if fields["out_format"] == 5:
        wanted -= {"a", "b"}
    if draw(st.booleans()):
        inside = draw(st.integers(0, 5))
        fields |= {"reduce": draw(st.integers(1, 2)), "segment": int(np.prod(sizes[:inside]))}
        wanted -= {"second"}
        if fields["reduce"] == 2 and fields["segment"] > MOST_MAXIMUM:
            fields["reduce"] = 1
    _add_outputs(fields, places, wanted, (groups, positions, lanes))
    return fields, places.memory(fields)


def _add_outputs(fields, places, wanted, shape):
    """Give results their places; those that are not wanted have none."""
    groups, positions, lanes = shape
    size = TENSOR_FORMATS[fields["out_format"]].width // 8
    steps, vector, extent = dense_steps(dense_sizes(fields), lanes // 16, size, range(8))
    add_stream(fields, "dense", steps, vector)
    segments = -(-positions // fields["segment"])
    room = {
        "dense": extent, "second": extent, "bits": groups * positions * lanes // 8,
        "sums": groups * segments * lanes * CHANNEL_SUMS.width // 8,
    }  # fmt: skip
    for part, length in room.items():
        used = length if part in wanted else 0
        fields[f"{part}_addr"] = places.put(max(used, 64))
        fields[f"{part}_end"] = fields[f"{part}_addr"] + used
    for part in "ab":
        strips = positions // fields["period"] * -(-fields["period"] // fields[f"{part}_positions"])
        vectors = positions * lanes // 16
        most = groups * (vectors * 18 + vectors + strips) * 2 if part in wanted else 0
        fields[f"{part}_data"] = places.put(max(most, 64))
        fields[f"{part}_end"] = fields[f"{part}_data"] + most
        fields[f"{part}_table"] = places.put((strips + 1) * groups * 4)
