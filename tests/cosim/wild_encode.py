"""Encode passes with any bits where they mean nothing, on any strips, and a long one."""

from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings

from benchmarks.coverage_machine import POSITION_BITS
from gscn.emulator.encode_checks import (
    STATE_BYTES,
    EncodeFields,
    groups_and_positions,
    has,
    rows_end,
    segment_loops,
    strips_of,
    value_bytes,
)
from gscn.encode import (
    CHANNEL_ROW,
    CHANNEL_SUMS,
    ENCODE_DESCRIPTOR,
    ENCODE_MODE,
    ENCODE_STATE,
    LOOPS,
    STREAMS,
    TENSORS,
    Adapt,
    Reduce,
    Thresholds,
)
from gscn.passes import VECTOR
from tests.encode_passes import Places, encode_passes, float_codes

FIELDS = {one.name: one for one in ENCODE_DESCRIPTOR.fields}
RESERVED = [name for name in FIELDS if name.startswith("reserved")]
RESULTS = {part: f"{part}_data" if part in "ab" else f"{part}_addr"
           for part in ("dense", "second", "bits", "sums", "a", "b")}  # fmt: skip
"""Fields of the first bytes of results."""
MEMORY = 1 << 24
"""Above every memory here."""
ONE = 0x3F80
"""The code of 1 in bf16."""
LONG = 90
"""Steps of each of two loops."""
STEPS = ("first", "vector", *(f"step{loop}" for loop in range(LOOPS)))


def any_number(rng, field, unit=1):
    """Return a number that fits a field, a multiple of some unit."""
    low = -(1 << field.width - 1) if field.signed else 0
    return (low + rng.getrandbits(field.width)) // unit * unit


def present(d, stream):
    """Return whether a pass reads or writes a stream."""
    if stream == "dense":
        return has(d, "dense") or has(d, "second")
    return (d.masked if stream == "mask" else getattr(d, f"{stream}_format")) != 0


def step_units(d):
    """Return by stream what its steps are multiples of, 1 if nothing is said of them."""
    units = {f"t{n}": value_bytes(getattr(d, f"t{n}_format")) for n in range(TENSORS)}
    units["dense"] = value_bytes(d.out_format)
    found = {stream: VECTOR * max(unit, 1) for stream, unit in units.items()} | {"mask": 2}
    if d.t0_strips:
        found["t0"] = 1
    return {stream: found[stream] if present(d, stream) else 1 for stream in STREAMS}


def free_steps(d):
    """Return names of the fields of steps that are never taken."""
    never = {loop for loop in range(LOOPS) if getattr(d, f"count{loop}") == 1}
    found = [f"{axis}_step{loop}" for axis in "yx" for loop in never]
    for stream in STREAMS:
        loops = set(never)
        if stream == "dense" and d.reduce != Reduce.NONE:
            loops |= set(range(segment_loops(d)))
        names = [f"step{loop}" for loop in loops] + ["vector"] * (d.vectors == 0)
        if not present(d, stream) or (stream == "t0" and d.t0_strips):
            names = STEPS
        found += [f"{stream}_{name}" for name in names]
    return found


def meaningless(d):
    """Return names of other fields that a pass does not look at, but for addresses."""
    found = [f"t{n}_lane" for n in range(TENSORS) if not (d.transposed and present(d, f"t{n}"))]
    if d.adapt < Adapt.SELECT_FIRST:
        found += ["bin_shift", "bin_bits"]
    return [*found, *RESERVED]


def random_passes(count, most):
    """Return (fields, memory) of passes of floating point, of at most so many vectors."""
    passes = (_random_pass(number) for number in itertools.count())
    small = (one for one in passes if _vectors(one[0]) <= most)
    return [*itertools.islice(small, count)]


def _vectors(f):
    """Return the vectors of a walk."""
    return math.prod(f[f"count{loop}"] for loop in range(LOOPS)) << f["vectors"]


def _random_pass(number):
    """Return a pass: the first one of a seed is the simplest, and later ones are much alike."""
    found = []

    @seed(number)
    @settings(
        database=None, deadline=None, max_examples=3, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(encode_passes(True))
    def draw(drawn):
        found.append(drawn)

    draw()
    return found[-1]


def long_pass():
    """Return a pass that counts far: of many positions, the same vectors again and again."""
    places, sizes = Places(), (LONG, LONG + 1)
    positions = math.prod(sizes)
    assert positions.bit_length() == POSITION_BITS
    generator = np.random.default_rng(1)
    codes = float_codes(generator, (LONG, VECTOR), wide=False, special=False) >> 16
    codes = np.where(generator.random(codes.shape) < 0.05, 0, codes | 1).astype("<u2")
    rows, state = CHANNEL_ROW.pack(VECTOR, c0=ONE << 16), ENCODE_STATE.pack(sum_top=300, keep=1)
    tensor = places.put(codes)
    f = dict.fromkeys(FIELDS, 0) | {f"count{loop}": 1 for loop in range(LOOPS)}
    f |= {
        "mode": ENCODE_MODE, "count0": sizes[0], "count1": sizes[1], "t0_format": 1,
        "out_format": 1, "t0_addr": tensor, "t0_end": tensor + codes.nbytes,
        "t0_step0": 2 * VECTOR, "channels": VECTOR, "group_channels": VECTOR, "y_limit": 1,
        "x_limit": 1, "rows_addr": places.put(rows), "state_addr": places.put(state),
        "adapt": Adapt.SELECT_FIRST, "bin_bits": 8, "period": positions, "segment": positions,
        "a_positions": 3 * LONG, "b_positions": 4 * LONG,
    }  # fmt: skip
    room = {"sums": VECTOR * CHANNEL_SUMS.width // 8, "bits": 2 * positions}
    room |= dict.fromkeys("ab", 2 * (VECTOR + 2) * positions)
    for part, size in room.items():
        f[RESULTS[part]] = places.put(size)
        f[f"{part}_end"] = f[RESULTS[part]] + size
    f |= {f"{part}_table": places.put(4 * LONG) for part in "ab"}
    return f, places.memory(f)


def by_variety(drawn):
    """Return passes, first those that have the most pairs of choices that none before has."""
    left = [(_choices(EncodeFields(**dict.fromkeys(FIELDS, 0) | one[0])), one) for one in drawn]
    found, seen = [], set()
    while left:
        pairs, one = best = max(left, key=lambda candidate: len(candidate[0] - seen))
        left.remove(best)
        seen |= pairs
        found.append(one)
    return found


def _choices(d):
    """Return all pairs of what a pass does: values of fields of a few bits, results that it has."""
    few = [(name, getattr(d, name)) for name, field in FIELDS.items()
           if field.width == 8 and name not in RESERVED and "step" not in name
           and name not in ("bin_shift", "bin_bits")]  # fmt: skip
    return {*itertools.combinations([*few, *((part, has(d, part)) for part in RESULTS)], 2)}


def with_any_bits(rng, drawn):
    """Return a pass with any bits where they mean nothing, any state, and mostly all channels.

    Parameters
    ----------
    rng
        Draws them.
    drawn
        The pass, (fields, memory) as `tests.encode_passes` makes them.
    """
    fields, memory = drawn
    f = dict.fromkeys(FIELDS, 0) | fields
    d, units = EncodeFields(**f), step_units(EncodeFields(**f))
    free = [*free_steps(d), *meaningless(d)]
    f |= {name: any_number(rng, FIELDS[name], units.get(name.partition("_")[0], 1))
          for name in free}  # fmt: skip
    if rng.random() < 0.7:
        f["group_channels"] = VECTOR << d.vectors
        f["channels"] = f["group_channels"] * d.count5
    # a place is moved with its pass, and so is none
    for part, name in RESULTS.items():
        if not has(d, part):
            f[name] = f[f"{part}_end"] = rng.randrange(1, rng.choice((memory.size, 1 << 63)))
            f |= {f"{part}_table": rng.randrange(1, memory.size)} if part in "ab" else {}
    for stream in STREAMS[:-1]:
        if not present(d, stream):
            f |= {f"{stream}_{name}": rng.randrange(1, memory.size) for name in ("addr", "end")}
    if not d.t0_strips:
        f["t0_table"] = rng.randrange(1, memory.size)
    after = memory.copy()
    after[: ENCODE_DESCRIPTOR.width // 8] = ENCODE_DESCRIPTOR.pack(**f).view(np.uint8)
    _fill_state(rng, d, after[d.state_addr : d.state_addr + STATE_BYTES])
    _fill_rows(rng, d, after[d.rows_addr : rows_end(d)])
    return f, after


def _fill_state(rng, d, content):
    """Put any numbers into a state, but for most of the fields that a pass looks at."""
    state = ENCODE_STATE.unpack(content)
    kept = set()
    if d.thresholds == Thresholds.STATE:
        kept |= {"threshold_a", "threshold_b"}
    if d.adapt != Adapt.NONE and rng.random() < 0.6:
        kept |= {"low", "high", "step", "keep", "rank", "prefix"}
    if has(d, "sums") or d.reduce == Reduce.SUM:
        kept |= {"sum_top", "dot_top"}
    for field in ENCODE_STATE.fields:
        if field.name not in kept:
            state[field.name] = rng.getrandbits(field.width)
    content[:] = state.view(np.uint8)


def _fill_rows(rng, d, content):
    """Put any numbers into fields of rows that a pass does not look at."""
    rows = CHANNEL_ROW.unpack(content).copy()
    used = {f"c{n}": present(d, f"t{n}") and not (d.product and n) for n in range(TENSORS)}
    used |= {
        "bias": True,
        "second": has(d, "second"),
        "threshold_a": d.thresholds == Thresholds.ROWS,
        "threshold_b": d.thresholds == Thresholds.ROWS,
    }
    for field in CHANNEL_ROW.fields:
        if not used.get(field.name, False):
            numbers = [rng.getrandbits(field.width) for _ in rows]
            rows[field.name] = numbers
    content[:] = rows.view(np.uint8)


def with_any_strips(rng, drawn):
    """Return a pass on strips that are anywhere, of any lengths: its table is wrong, or they are.

    Parameters
    ----------
    rng
        Draws where they are, and their lengths.
    drawn
        The pass, (fields, memory).
    """
    fields, memory = drawn
    begin, end = sorted(rng.randrange(MEMORY, (1 << 32) + 1) for _ in range(2))
    f = fields | {"t0_addr": begin & -64, "t0_end": end}
    d = EncodeFields(**dict.fromkeys(FIELDS, 0) | f)
    groups, _ = groups_and_positions(d)
    rows = strips_of(d, d.a_positions) + 1
    # the numbers of a group, which rise, are a column
    halfwords = (end - d.t0_addr) // 2
    numbers = [sorted(rng.randint(0, halfwords) for _ in range(rows)) for _ in range(groups)]
    table = np.array(numbers, dtype="<u4").T.reshape(-1)
    if rng.random() < 0.5:
        # wrong for the first strip, at which errors end a pass
        table[rng.choice((0, groups))] = rng.randint(halfwords + 1, (1 << 32) - 1)
    after = memory.copy()
    after[d.t0_table : d.t0_table + 4 * table.size] = table.view(np.uint8)
    return f, after
