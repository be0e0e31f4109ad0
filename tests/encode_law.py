"""The law of `docs/contract/encode.md` in memory, element by element, in plain Python.

Where values are is worked out here from the descriptor's fields alone; what is computed of them is
`gscn.golden.oracle.encode`. No function of the emulator is used.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from gscn.encode import CHANNEL_ROW, CHANNEL_SUMS, ENCODE_STATE, TENSOR_FORMATS
from gscn.formats import BF16, FLOAT32, FloatFormat
from gscn.golden.oracle import encode as oracle
from gscn.golden.oracle.floats import decode, encode
from gscn.strips import decode as decode_strips

ACC_WIDTH, WINDOW_WIDTH = 48, 32


class Element(NamedTuple):
    """A value of the walk."""

    group: int
    row: int
    """Which row of coefficients, but for the lane."""
    position: int
    lane: int
    loops: tuple[int, ...]
    """Counters, the innermost first."""


def elements(f):
    """Yield the elements of a walk that are there; `f` are a descriptor's fields by name."""
    sizes = [f[f"count{n}"] for n in range(8)]
    lanes = 16 << f["vectors"]
    for group, outer in enumerate(itertools.product(*(range(n) for n in sizes[:4:-1]))):
        for position, inner in enumerate(itertools.product(*(range(n) for n in sizes[4::-1]))):
            loops = (*inner[::-1], *outer[::-1])
            if not all(
                0 <= f[f"{c}_first"] + dot(f, f"{c}_step", loops) < f[f"{c}_limit"] for c in "yx"
            ):
                continue
            for lane in range(min(lanes, f["group_channels"])):
                if loops[5] * f["group_channels"] + lane < f["channels"]:
                    yield Element(group, loops[5] * lanes, position, lane, loops)


def dot(f, name, loops):
    """Return the sum of steps."""
    return sum(f[f"{name}{n}"] * count for n, count in enumerate(loops))


def place(f, stream, one, size):
    """Return the byte of an element in memory."""
    loops, lane = list(one.loops), one.lane
    at = f[f"{stream}_addr"] + f[f"{stream}_first"]
    at += lane // 16 * f[f"{stream}_vector"]
    if f["transposed"] and stream.startswith("t"):
        at += loops[2] % 16 * size + lane % 16 * f[f"{stream}_lane"]
        loops[2] //= 16
    else:
        at += lane % 16 * size
    return at + dot(f, f"{stream}_step", loops)


def number(memory, at, size):
    """Return a little-endian number."""
    return int.from_bytes(memory[at : at + size].tobytes(), "little")


class Expected(NamedTuple):
    """What a pass leaves."""

    first: np.ndarray
    last: np.ndarray
    there: np.ndarray
    kept: list[np.ndarray]
    flags: int
    values: list[np.ndarray]
    dense: np.ndarray
    """Dense results: those of segments where there are such, (groups, segments, lanes)."""
    chosen: np.ndarray
    """Which value is its segment's maximum."""


def shape_of(f):
    """Return groups, positions, lanes."""
    sizes = [f[f"count{n}"] for n in range(8)]
    return int(np.prod(sizes[5:])), int(np.prod(sizes[:5])), 16 << f["vectors"]


def lined_up(f, memory):
    """Return codes of the tensors, the mask, which are there, and the rows of each."""
    shape = shape_of(f)
    tensors = [np.zeros(shape, dtype=np.int64) for _ in range(3)]
    there, mask = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    rows = np.zeros((shape[0], shape[2]), dtype=CHANNEL_ROW.dtype)
    if f["t0_strips"]:
        bounds = np.unique([
            *(
                start
                for sample in range(0, shape[1], f["period"])
                for start in range(sample, sample + f["period"], f["a_positions"])
            ),
            shape[1],
        ])  # fmt: skip
        size = len(bounds) * shape[0] * 4
        table = memory[f["t0_table"] : f["t0_table"] + size].view("<u4").reshape(len(bounds), -1)
        data = memory[f["t0_addr"] : f["t0_end"]]
        stored = decode_strips(data, table, bounds, shape[2], TENSOR_FORMATS[f["t0_format"]])
    for one in elements(f):
        at = (one.group, one.position, one.lane)
        there[at] = True
        for tensor in range(3):
            fmt = TENSOR_FORMATS[f[f"t{tensor}_format"]]
            if fmt is None:
                continue
            size = fmt.width // 8
            if tensor == 0 and f["t0_strips"]:
                code = int(stored[at])
            else:
                code = number(memory, place(f, f"t{tensor}", one, size), size)
            if not isinstance(fmt, FloatFormat):
                code = oracle.wrapped(code, fmt.width)
            if f["absolute"] >> tensor & 1:
                code = code & ~(1 << (fmt.width - 1)) if isinstance(fmt, FloatFormat) else abs(code)
            tensors[tensor][at] = code
        mask[at] = True
        if f["masked"]:
            halfword = place(f, "mask", one._replace(lane=one.lane // 16 * 16), 2)
            mask[at] = number(memory, halfword, 2) >> one.lane % 16 & 1
        start = f["rows_addr"] + 32 * (one.row + one.lane)
        rows[one.group, one.lane] = memory[start : start + 32].view(CHANNEL_ROW.dtype)[0]
    return tensors, mask, there, rows


def value_of(codes, number_format):
    """Return values of codes, or integers."""
    fmt = TENSOR_FORMATS[number_format]
    if isinstance(fmt, FloatFormat):
        return decode(codes.astype(np.uint32), fmt)
    return codes


def expected(f, memory):
    """Return what a pass without errors computes."""
    tensors, mask, there, rows = lined_up(f, memory)
    out = TENSOR_FORMATS[f["out_format"]]
    values = [value_of(codes, f[f"t{n}_format"]) for n, codes in enumerate(tensors)]
    first = np.zeros(there.shape, dtype=np.int64)
    last, flags = first.copy(), 0
    for group in range(len(there)):
        own, here = rows[group], there[group]
        terms = [np.where(here, one[group], 0) for one in values]
        seen = list(terms)
        if f["masked"] == 2:
            seen[0] = np.where(mask[group], terms[0], 0)
        found = combined(f, seen, own, here)
        flags |= found.saturated | found.nonfinite << 1
        codes = found.codes
        if f["activation"] == 1:
            codes = oracle.rectified(codes, out)
        elif f["activation"] == 2:
            codes = oracle.sloped(codes, seen[0], out)
        cleared = ~mask[group] if f["masked"] == 1 else False
        first[group] = last[group] = np.where(here & ~np.asarray(cleared), codes, 0)
        if f["second_end"] != f["second_addr"]:
            exact = value_of(first[group], f["out_format"])
            found = oracle.combine_floats(
                [terms[0], exact], [np.ones(1), oracle.as_coefficients(own["second"])],
                out, WINDOW_WIDTH,
            )  # fmt: skip
            flags |= found.saturated | found.nonfinite << 1
            last[group] = np.where(here, found.codes, 0)
    kept = chosen(f, memory, tensors, last, rows)
    dense, picked, more = reduced(f, memory, first, there, kept[0])
    return Expected(first, last, there, kept, flags | more, values, dense, picked)


def combined(f, terms, rows, here):
    """Return the first combination of a group."""
    out = TENSOR_FORMATS[f["out_format"]]
    if isinstance(out, FloatFormat):
        bias = np.where(here, decode(rows["bias"], FLOAT32), 0.0)
        factors = [oracle.as_coefficients(rows[f"c{n}"]) for n in range(3)]
        if f["product"]:
            factors[2] = oracle.as_coefficients(encode(terms[1], FLOAT32).codes)
            terms, factors = [terms[0], terms[2]], [factors[0], factors[2]]
        return oracle.combine_floats([bias, *terms], [np.ones(1), *factors], out, WINDOW_WIDTH)
    factors = [np.vectorize(lambda c: oracle.wrapped(int(c), 16))(rows[f"c{n}"]) for n in range(3)]
    if f["product"]:
        terms, factors = [terms[0], terms[2]], [factors[0], terms[1]]
    bias = np.where(here, rows["bias"].astype(np.int32).astype(np.int64), 0)
    return oracle.combine_integers([bias, *terms], [np.ones(1, int), *factors], f["shift"], out)


def summed(f, codes, kept):
    """Return what sums are formed of."""
    fmt = TENSOR_FORMATS[f["out_format"]]
    if f["magnitudes"]:
        floating = isinstance(fmt, FloatFormat)
        codes = codes & ((1 << (fmt.width - 1)) - 1) if floating else np.abs(codes)
    return np.where(kept, codes, 0) if f["kept_sums"] else codes


def reduced(f, memory, first, there, kept):
    """Return dense results, which values are maxima, and flags."""
    if not f["reduce"]:
        return first, np.zeros(first.shape, dtype=bool), 0
    state = memory[f["state_addr"] : f["state_addr"] + 64].view(ENCODE_STATE.dtype)[0]
    fmt, segment = TENSOR_FORMATS[f["out_format"]], f["segment"]
    codes = summed(f, first, kept)
    if isinstance(fmt, FloatFormat):
        codes, first = (one.astype(f"u{fmt.width // 8}") for one in (codes, first))
    dense = np.zeros((len(first), first.shape[1] // segment, first.shape[2]), dtype=np.int64)
    picked, flags = np.zeros(first.shape, dtype=bool), 0
    for group, number in itertools.product(*(range(n) for n in dense.shape[:2])):
        part = slice(number * segment, (number + 1) * segment)
        if f["reduce"] == 1:
            found = oracle.sums_in_order(codes[group, part], int(state["sum_top"]), ACC_WIDTH, fmt)
            dense[group, number] = found.codes
            flags |= found.saturated | found.nonfinite << 1
            continue
        for lane in range(dense.shape[2]):
            places = number * segment + np.flatnonzero(there[group, part, lane])
            if places.size:
                best = places[oracle.first_maximum(first[group, places, lane], fmt)]
                dense[group, number, lane] = first[group, best, lane]
                picked[group, best, lane] = True
    return dense, picked, flags


def chosen(f, memory, tensors, last, rows):
    """Return what strips A and B have."""
    state = memory[f["state_addr"] : f["state_addr"] + 64].view(ENCODE_STATE.dtype)[0]
    kept = []
    for part in "ab":
        limit = {
            0: 0,
            1: int(state[f"threshold_{part}"]),
            2: rows[f"threshold_{part}"][:, None, :].astype(np.int64),
        }[f["thresholds"]]
        codes, fmt = last, TENSOR_FORMATS[f["out_format"]]
        if f["judged"]:
            codes = tensors[f["judged"] - 1]
            fmt = TENSOR_FORMATS[f[f"t{f['judged'] - 1}_format"]]
        limit = np.broadcast_to(np.asarray(limit, dtype=np.int64), codes.shape)
        typed = codes.astype(np.uint32) if isinstance(fmt, FloatFormat) else codes
        keep = oracle.is_kept(typed, limit, fmt, strict=bool(f["strict"]))
        kept.append(keep & (value_of(last, f["out_format"]) != 0))
    return kept


def sums_of(f, memory, found):
    """Return the records of sums, (groups, segments, lanes)."""
    state = memory[f["state_addr"] : f["state_addr"] + 64].view(ENCODE_STATE.dtype)[0]
    out = TENSOR_FORMATS[f["out_format"]]
    groups, positions, lanes = found.first.shape
    starts = range(0, positions, f["segment"])
    records = np.zeros((groups, len(starts), lanes), dtype=CHANNEL_SUMS.dtype)
    for group, (number, start) in itertools.product(range(groups), enumerate(starts)):
        part = (group, slice(start, start + f["segment"]))
        codes = summed(f, found.first[part], found.kept[0][part])
        results = value_of(codes, f["out_format"])
        others = found.values[f["dot"] - 1][part] if f["dot"] else np.zeros_like(results)
        record = records[group, number]
        record["nonzeros"] = (results != 0).sum(axis=0)
        record["kept_a"] = found.kept[0][part].sum(axis=0)
        if not isinstance(out, FloatFormat):
            for name, terms in (("sum", results), ("dot", results.astype(object) * others)):
                record[name] = [
                    oracle.wrapped(int(sum(column)), ACC_WIDTH) % (1 << 64) for column in terms.T
                ]
            continue
        finite = np.isfinite(results) & (results != 0)
        sizes = np.maximum(np.frexp(np.where(finite, results, 1))[1] + 126, 1)
        record["largest"] = np.where(finite, sizes, 0).max(axis=0)
        cut = oracle.as_coefficients(encode(results, FLOAT32).codes)
        for name, one, other, top in (
            ("sum", results, 1.0, state["sum_top"]), ("dot", others, cut, state["dot_top"]),
        ):  # fmt: skip
            sums, plus, minus = oracle.window_sum(one, other, int(top), ACC_WIDTH)
            record[name] = [
                total % (1 << 62) | int(p) << 62 | int(m) << 63
                for total, p, m in zip(sums, plus, minus, strict=True)
            ]
    return records


def strip_codes(f, found, part):
    """Return the codes that strips have, zeros where nothing is kept."""
    codes = np.where(found.kept["ab".index(part)], found.last, 0)
    fmt = TENSOR_FORMATS[f["out_format"]]
    if not isinstance(fmt, FloatFormat):
        return codes & ((1 << fmt.width) - 1)
    return encode(value_of(codes, f["out_format"]), BF16).codes.astype(np.int64)
