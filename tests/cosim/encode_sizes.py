"""Encode passes of any size, with any bits that the checks let through, that end at once."""

from __future__ import annotations

import itertools

import numpy as np

from benchmarks.coverage_bits import possible_encode_bits
from gscn.array import ArrayConfig
from gscn.emulator.encode_checks import (
    STATE_BYTES,
    EncodeFields,
    check_encode,
    groups_and_positions,
    segment_loops,
    strips_of,
)
from gscn.encode import (
    CHANNEL_ROW,
    CHANNEL_SUMS,
    ENCODE_DESCRIPTOR,
    ENCODE_MODE,
    LOOPS,
    STREAMS,
    TENSORS,
    EncodeError,
    Masked,
    Reduce,
    Thresholds,
)
from gscn.passes import TABLE_ENTRY_BYTES, VECTOR
from gscn.port import ALIGNMENT_BYTES
from tests.cosim.wild_encode import (
    FIELDS,
    RESULTS,
    STEPS,
    any_number,
    meaningless,
    present,
    step_units,
)

ADDRESSES = [one.name for one in ENCODE_DESCRIPTOR.fields if one.width == 64]


def passes_of_any_size(rng, config: ArrayConfig, listed):
    """Return the fields of passes of up to 2^32 values whose first vector is out of its range.

    Each has bits that none before had, and together they have all that a pass can have. Their
    addresses are anywhere, so that memory must not be written, nor be there.

    Parameters
    ----------
    rng
        Draws them.
    config
        The array, of floating point.
    listed
        First byte of the list, and one past its last, from address 0 on.
    """
    unseen, found = possible_encode_bits(config), []
    for axis in "yx":
        # a vector that lies before the first row, or column, is not there
        unseen[f"{axis}_first"] &= ~(1 << 15)
    for name in ADDRESSES:
        unseen[name] = (1 << config.addr_width + name.endswith("_end")) - 1 & unseen[name]
    while any(unseen.values()):
        one = _any_size(rng, config, listed)
        if one is not None and any(one[name] & bits for name, bits in unseen.items()):
            found.append(one)
            unseen = {name: bits & ~one[name] for name, bits in unseen.items()}
    return found


def _any_size(rng, config, listed):
    """Return the fields of a pass; None if the checks refuse it."""
    found = _placed(rng, _walk(rng) | _kinds(rng), listed[1])
    if found is None:
        return None
    found |= {name: any_number(rng, FIELDS[name]) for name in meaningless(EncodeFields(**found))}
    error = check_encode(EncodeFields(**found), config, listed)
    return found if error == EncodeError.NONE else None


def _walk(rng):
    """Return fields of all loops, and of what is cut of them."""
    f = dict.fromkeys(FIELDS, 0) | {"mode": ENCODE_MODE, "vectors": rng.randint(0, 4)}
    counts, room = [1] * LOOPS, 1 << 28 - f["vectors"]
    for loop in rng.sample(range(LOOPS), 4):
        counts[loop] = min(room, rng.choice((0xFFFF, rng.randint(1, 0xFFFF), rng.randint(1, 99))))
        room //= counts[loop]
    positions = int(np.prod(counts[:5], dtype=object))
    inside = rng.randint(0, 5)
    period = int(np.prod([n for n in counts[:5] if rng.random() < 0.7], dtype=object))
    most = min(VECTOR << f["vectors"], max(1, 0xFFFF // counts[5]))
    channels = rng.choice((most, rng.randint(1, most)))
    f |= {f"count{loop}": count for loop, count in enumerate(counts)}
    f |= {
        "reduce": rng.choice((0, 0, *Reduce)),
        "segment": int(np.prod(counts[:inside], dtype=object)),
        "period": period,
        "a_positions": rng.randint(1, period),
        "b_positions": rng.randint(1, period),
        "group_channels": channels,
        "channels": rng.randint((counts[5] - 1) * channels + 1, counts[5] * channels),
    }
    if f["reduce"] == Reduce.NONE:
        f["segment"] = rng.choice((positions, rng.randint(1, positions)))
    for axis in "yx":
        limit = 1 + rng.getrandbits(16) % 0xFFFF
        f |= {f"{axis}_limit": limit, f"{axis}_first": rng.randrange(min(limit, 1 << 15))}
        f |= {f"{axis}_step{n}": any_number(rng, FIELDS[f"{axis}_step{n}"]) for n in range(LOOPS)}
    return f


def _kinds(rng):
    """Return fields that say what is done, and which tensors there are."""
    present = rng.choice(((0,), (0, 1), (0, 1, 2), (1,), (0, 2)))
    f = {f"t{n}_format": rng.randint(1, 2) for n in present}
    f |= {
        "out_format": rng.randint(1, 2),
        "transposed": int(present == (0,) and rng.random() < 0.5),
        "masked": rng.choice(list(Masked)),
        "thresholds": rng.choice(list(Thresholds)),
        "judged": rng.choice((0, *(n + 1 for n in present))),
        "dot": rng.choice((0, *(n + 1 for n in present))),
        "activation": rng.randint(0, 1 + (0 in present)),
        "adapt": rng.choice((0, 0, 2, 3)),
        "absolute": rng.getrandbits(3),
        **{name: rng.getrandbits(1) for name in ("strict", "magnitudes", "kept_sums")},
    }  # fmt: skip
    f |= {"bin_bits": rng.randint(1, 8), "bin_shift": rng.randint(0, 7)}
    f["t0_strips"] = int(f.get("t0_format") == 1 and not f["transposed"] and rng.random() < 0.2)
    if f["thresholds"] == Thresholds.STATE and f["adapt"] == 0:
        f["adapt"] = rng.randint(0, 1)
    if present == (0, 1, 2) and not f["absolute"] & 2:
        f["product"] = rng.getrandbits(1)
    return f


def _placed(rng, f, behind):
    """Return fields with all ranges anywhere, apart, behind a byte; None if there is no room."""
    d = EncodeFields(**f)
    wanted = [part for part in RESULTS if rng.random() < 0.5]
    if d.reduce or not d.t0_format:
        wanted = [part for part in wanted if part != "second"]
    empty = rng.choice([f"t{n}" for n in range(TENSORS) if present(d, f"t{n}")])
    least = _least(rng, d, wanted) | {f"{empty}_addr": 0}
    names = rng.sample([*least], len(least))
    left = (1 << 32) - behind - sum(least[name] + 2 * ALIGNMENT_BYTES for name in names)
    if left < 0:
        return None
    gaps = np.diff([0, *sorted(rng.randrange(left + 1) for _ in names)])
    at, found = behind, f | _nowhere(rng, d, wanted)
    for name, gap in zip(names, gaps, strict=True):
        at = -(-(at + int(gap)) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
        found[name] = at
        at += least[name]
        end = name.replace("_addr", "_end").replace("_data", "_end")
        if end in FIELDS and end != name:
            found[end] = at
            # now and then, the last one ends where addresses do
            if name == names[-1] and end != f"{empty}_end" and rng.random() < 0.5:
                found[end] = 1 << 32
    d = EncodeFields(**found)
    units = step_units(d)
    for stream, name in itertools.product(STREAMS, STEPS):
        field = f"{stream}_{name}"
        found[field] = any_number(rng, FIELDS[field], units[stream])
    if d.transposed:
        found["t0_lane"] = any_number(rng, FIELDS["t0_lane"], units["t0"])
    if present(d, "dense"):
        found |= _apart(rng, d, units["dense"])
    return found


def _least(rng, d, wanted):
    """Return the bytes that ranges must have, and any more, by the field of their first byte."""
    groups, positions = groups_and_positions(d)
    lanes = VECTOR << d.vectors
    sums = groups * -(-positions // d.segment) * lanes * CHANNEL_SUMS.width // 8
    room = {"bits": groups * positions * lanes // 8, "sums": sums}
    found = {
        RESULTS[part]: room.get(part, 0) + rng.getrandbits(rng.randint(1, 28)) for part in wanted
    }
    tables = {f"{part}_table": getattr(d, f"{part}_positions") for part in wanted if part in "ab"}
    tables |= {"t0_table": d.a_positions} if d.t0_strips else {}
    for name, cut in tables.items():
        found[name] = (strips_of(d, cut) + 1) * groups * TABLE_ENTRY_BYTES
    for stream in STREAMS[:-1]:
        if present(d, stream):
            found[f"{stream}_addr"] = rng.getrandbits(rng.randint(1, 30))
    rows = d.count5 * lanes * CHANNEL_ROW.width // 8
    return found | {"rows_addr": rows, "state_addr": STATE_BYTES}


def _nowhere(rng, d, wanted):
    """Return any addresses for what there is not."""
    found = {}
    for part, name in RESULTS.items():
        if part not in wanted:
            found[name] = found[f"{part}_end"] = rng.getrandbits(rng.choice((32, 64)))
            found |= {f"{part}_table": rng.getrandbits(64)} if part in "ab" else {}
    for stream in STREAMS[:-1]:
        if not present(d, stream):
            found |= {f"{stream}_{name}": rng.getrandbits(64) for name in ("addr", "end")}
    return found if d.t0_strips else found | {"t0_table": rng.getrandbits(64)}


def _apart(rng, d, unit):
    """Return steps of a dense result whose vectors are apart, in any order of loops."""
    inside = segment_loops(d) if d.reduce != Reduce.NONE else 0
    counts = {f"dense_step{loop}": getattr(d, f"count{loop}") for loop in range(inside, LOOPS)}
    counts["dense_vector"] = 1 << d.vectors
    names = [name for name, count in counts.items() if count > 1]
    found, extent = {}, unit
    for name in rng.sample(names, len(names)):
        step = extent + rng.choice((0, unit * rng.getrandbits(4)))
        found[name] = min(step, (1 << 31) - unit) * rng.choice((-1, 1))
        extent += (counts[name] - 1) * step
    return found
