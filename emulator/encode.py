"""The functional model of the encode unit: runs one encode pass on memory, without time.

It follows `docs/contract/encode.md`, which says what is computed in which order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gscn.array import ArrayConfig
from gscn.emulator.encode_arithmetic import (
    MANTISSA,
    OVERFLOW,
    SATURATED,
    Numbers,
    Rows,
    add_up,
    combine,
    narrowed,
)
from gscn.emulator.encode_checks import (
    ROW_BYTES,
    STATE_BYTES,
    EncodeFields,
    check_encode,
    encode_fields,
    field_of,
    format_of,
    has,
    rows_end,
    strip_format,
    value_bytes,
)
from gscn.emulator.encode_reductions import maxima, rounded_sums
from gscn.emulator.encode_walk import Walk, WalkError
from gscn.encode import (
    CHANNEL_ROW,
    CHANNEL_SUMS,
    ENCODE_DESCRIPTOR,
    ENCODE_STATE,
    TENSORS,
    Adapt,
    EncodeError,
    Reduce,
    Thresholds,
)
from gscn.enums import takes_text
from gscn.formats import FloatFormat
from gscn.passes import HALFWORD_BYTES, VECTOR
from gscn.records import PLUS_BIT
from gscn.strips import encode, map_bounds

STATE_WORD = (1 << 32) - 1
"""What a field of the state holds: prefixes that no selection has found may be any."""


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class EncodeResult:
    """Memory after a pass, and flags; after an error memory is as it was before."""

    memory: np.ndarray
    """uint8."""
    flags: int
    """Bit 0: a result saturated, 1: one is not finite, 2: a window or a sum was left."""
    error: EncodeError


@dataclass(slots=True)
class _Kept:
    """What a pass keeps from group to group."""

    bits: list[np.ndarray] = field(default_factory=list)
    sums: list[np.ndarray] = field(default_factory=list)
    a: list[np.ndarray] = field(default_factory=list)
    b: list[np.ndarray] = field(default_factory=list)
    bins: np.ndarray = field(default_factory=lambda: np.zeros(256, dtype=np.int64))
    kept: list[int] = field(default_factory=lambda: [0, 0])
    nonzeros: int = 0
    elements: int = 0
    largest: int = 0
    flags: int = 0


class _Pass:
    """One pass whose descriptor has no error."""

    def __init__(self, d: EncodeFields, config: ArrayConfig, memory: np.ndarray) -> None:
        self.d, self.config, self.memory = d, config, memory
        self.after = memory.copy()
        self.floating = isinstance(format_of(d.out_format), FloatFormat)
        self.width = 8 * value_bytes(d.out_format)
        self.numbers = Numbers(
            self.floating, self.width, d.shift, config.acc_width,
            d.activation, d.masked, d.product == 1, has(d, "second"),
        )  # fmt: skip
        for end in (d.state_addr + STATE_BYTES, rows_end(d)):
            if end > memory.size:
                raise WalkError(EncodeError.BUS_READ)
        content = memory[d.state_addr : d.state_addr + STATE_BYTES]
        self.state = ENCODE_STATE.unpack(content)[0].copy()
        self.walk = Walk(d, memory)
        self.kept = _Kept()

    def run(self) -> int:
        """Run all groups; results are in `after`. Return flags."""
        for group in range(self.walk.groups):
            self._group(group)
        self._write_strips("a", self.kept.a)
        self._write_strips("b", self.kept.b)
        if has(self.d, "bits"):
            self._put(self.d.bits_addr, np.concatenate(self.kept.bits))
        if has(self.d, "sums"):
            self._put(self.d.sums_addr, np.concatenate(self.kept.sums))
        self._write_state()
        return self.kept.flags

    def _group(self, group: int) -> None:
        walk, kept = self.walk, self.kept
        there = walk.there(group)
        values = np.stack([walk.values(n, group, there) for n in range(TENSORS)])
        rows, thresholds = self._rows(int(walk.outer[0, group]))
        first, last, flags = combine(
            values, there, walk.mask(group, there) & there, rows, self.numbers
        )
        kept.flags |= flags
        magnitudes = self._magnitudes(last)
        present = magnitudes != 0
        judged = self._judged(last, values)
        chosen = [self._above(judged, one) & present for one in thresholds]
        summed = self._summed(first, chosen[0])
        bits = present
        if self.d.reduce == Reduce.NONE:
            self._write_dense("dense", first, group, there)
            self._write_dense("second", last, group, there)
        else:
            bits = self._reduce(first, summed, group, there, present)
        kept.bits.append(
            np.packbits(bits.reshape(-1, VECTOR), axis=-1, bitorder="little").reshape(-1)
        )
        codes, stored = self._strip_codes(last)
        for part, choice, found, number in zip(
            ("a", "b"), chosen, (kept.a, kept.b), range(2), strict=True
        ):
            if has(self.d, part):
                found.append(np.where(choice, codes, 0).astype(stored))
            kept.kept[number] += int(np.count_nonzero(choice))
        kept.nonzeros += int(np.count_nonzero(present))
        kept.elements += int(np.count_nonzero(there))
        kept.largest = max(kept.largest, int(self._largest(last).max(initial=0)))
        self._count_bins(magnitudes[there])
        if has(self.d, "sums"):
            self._sum(summed, values, there, chosen[0])

    def _rows(self, number: int) -> tuple[Rows, list[np.ndarray]]:
        """Return the rows of a group's channels, and both thresholds of each lane."""
        d = self.d
        start = d.rows_addr + number * self.walk.lanes * ROW_BYTES
        content = self.memory[start : start + self.walk.lanes * ROW_BYTES]
        found = CHANNEL_ROW.unpack(content)
        names = [*(f"c{n}" for n in range(TENSORS)), "bias", "second"]
        numbers = {name: found[name].astype(np.int64) for name in names}
        if not self.floating:
            numbers["bias"] = (numbers["bias"] ^ 1 << 31) - (1 << 31)
            for name in names[:TENSORS]:
                numbers[name] = ((numbers[name] & 0xFFFF) ^ 1 << 15) - (1 << 15)
        rows = Rows(
            np.stack([numbers[name] for name in names[:TENSORS]]), numbers["bias"],
            numbers["second"],
        )  # fmt: skip
        source = {
            Thresholds.NONE: np.zeros(1, dtype=ENCODE_STATE.dtype)[0],
            Thresholds.STATE: self.state,
            Thresholds.ROWS: found,
        }[Thresholds(d.thresholds)]
        lanes = np.zeros(self.walk.lanes, dtype=np.int64)
        return rows, [lanes + source[f"threshold_{part}"] for part in "ab"]

    def _magnitudes(self, results: np.ndarray) -> np.ndarray:
        """Return the magnitudes of results: codes without signs, as wide as results are."""
        if self.floating:
            return (results & 0x7FFFFFFF) >> (32 - self.width)
        return np.abs(results)

    def _judged(self, results: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the magnitudes that are compared with thresholds."""
        if self.d.judged == 0:
            return self._magnitudes(results)
        values = values[self.d.judged - 1]
        if not self.floating:
            return np.abs(values)
        width = 8 * value_bytes(field_of(self.d, "t", self.d.judged - 1, "_format"))
        return (values & 0x7FFFFFFF) >> (32 - width)

    def _above(self, magnitudes: np.ndarray, threshold: np.ndarray) -> np.ndarray:
        return magnitudes > threshold if self.d.strict else magnitudes >= threshold

    def _largest(self, results: np.ndarray) -> np.ndarray:
        """Return exponent fields of finite nonzero results, 1 at least, and 0 for others."""
        if not self.floating:
            return np.zeros_like(results)
        magnitudes = results & 0x7FFFFFFF
        exponents = np.maximum(magnitudes >> MANTISSA, 1)
        return np.where((magnitudes == 0) | (exponents == 255), 0, exponents)

    def _strip_codes(self, results: np.ndarray) -> tuple[np.ndarray, np.dtype]:
        """Return codes as strips hold them, and their type."""
        if self.floating:
            codes, flags = narrowed_all(results)
            if has(self.d, "a") or has(self.d, "b"):
                self.kept.flags |= flags
            return codes, np.dtype("<u2")
        width = self.width
        return results & ((1 << width) - 1), np.dtype(f"<u{max(1, min(width, 32) // 8)}")

    def _count_bins(self, magnitudes: np.ndarray) -> None:
        d = self.d
        if d.adapt < Adapt.SELECT_FIRST:
            return
        prefix = 0 if d.adapt == Adapt.SELECT_FIRST else int(self.state["prefix"])
        alike = magnitudes[magnitudes >> (d.bin_shift + d.bin_bits) == prefix]
        bins = alike >> d.bin_shift & ((1 << d.bin_bits) - 1)
        self.kept.bins += np.bincount(bins, minlength=256)

    def _summed(self, results: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Return what sums are formed of."""
        if self.d.magnitudes:
            results = results & 0x7FFFFFFF if self.floating else np.abs(results)
        return np.where(chosen, results, 0) if self.d.kept_sums else results

    def _reduce(
        self,
        results: np.ndarray,
        summed: np.ndarray,
        group: int,
        there: np.ndarray,
        present: np.ndarray,
    ) -> np.ndarray:
        """Write one dense result for each segment; return the group's bits."""
        d = self.d
        bits = present
        if d.reduce == Reduce.MAXIMUM:
            codes, bits = maxima(results, there, d.segment, self.floating)
        else:
            top = int(self.state["sum_top"])
            codes, flags = rounded_sums(summed, there, d.segment, top, self.numbers)
            self.kept.flags |= flags
        some = there.reshape(-1, d.segment, there.shape[1]).any(axis=1)
        self._write_dense("dense", codes, group, some, d.segment)
        return bits

    def _sum(
        self, results: np.ndarray, values: np.ndarray, there: np.ndarray, chosen: np.ndarray
    ) -> None:
        """Sum up a group's values, segment by segment."""
        d, state = self.d, self.state
        factors = values[d.dot - 1] if d.dot else np.zeros_like(results)
        for start in range(0, self.walk.positions, d.segment):
            part = slice(start, start + d.segment)
            sums, specials, flags = add_up(
                results[part], factors[part], there[part],
                np.array([state["sum_top"], state["dot_top"]], dtype=np.int64), self.numbers,
            )  # fmt: skip
            self.kept.flags |= flags
            record = np.zeros(self.walk.lanes, dtype=CHANNEL_SUMS.dtype)
            for name, number, bits in zip(("sum", "dot"), sums, specials, strict=True):
                raw = number.astype(np.uint64)
                if self.floating:
                    raw &= np.uint64((1 << PLUS_BIT) - 1)
                    raw |= bits.astype(np.uint64) << np.uint64(PLUS_BIT)
                record[name] = raw
            record["nonzeros"] = np.count_nonzero(self._magnitudes(results[part]), axis=0)
            record["kept_a"] = np.count_nonzero(chosen[part], axis=0)
            record["largest"] = self._largest(results[part]).max(axis=0)
            self.kept.sums.append(record.view(np.uint8))

    # -- results

    def _put(self, addr: int, content: np.ndarray) -> None:
        content = content.reshape(-1).view(np.uint8)
        if addr + content.size > self.memory.size:
            raise WalkError(EncodeError.BUS_WRITE)
        self.after[addr : addr + content.size] = content

    def _write_dense(
        self, part: str, results: np.ndarray, group: int, there: np.ndarray, segment: int = 1
    ) -> None:
        """Write the vectors of which some lane is there, whole; segments' at their first."""
        d = self.d
        if not has(d, part):
            return
        size = value_bytes(d.out_format)
        first, end = field_of(d, part, "_addr"), field_of(d, part, "_end")
        used = there.reshape(-1, self.walk.vectors, VECTOR).any(axis=-1)
        places = first + self.walk.vectors_of("dense", group)[::segment][used]
        if places.size == 0:
            return
        if places.min() < first or places.max() + VECTOR * size > end:
            raise WalkError(EncodeError.RANGE)
        if places.max() + VECTOR * size > self.memory.size:
            raise WalkError(EncodeError.BUS_WRITE)
        codes = results >> (32 - self.width) if self.floating else results
        codes = codes.reshape(-1, self.walk.vectors, VECTOR)[used]
        for n in range(size):
            self.after[places[:, None] + np.arange(VECTOR) * size + n] = codes >> 8 * n & 0xFF

    def _write_strips(self, part: str, groups: list[np.ndarray]) -> None:
        d = self.d
        if not has(d, part):
            return
        positions = field_of(d, part, "_positions")
        bounds = map_bounds(self.walk.positions // d.period, d.period, 1, positions)
        strips = encode(np.stack(groups), bounds, format_of(strip_format(d)))
        data, end = field_of(d, part, "_data"), field_of(d, part, "_end")
        size = strips.halfwords * HALFWORD_BYTES
        if size > end - data:
            raise WalkError(EncodeError.CAPACITY)
        self._put(data, strips.data[:size])
        self._put(field_of(d, part, "_table"), strips.table.astype("<u4"))
        self.state[f"{part}_halfwords"] = strips.halfwords

    def _write_state(self) -> None:
        """Adapt the thresholds, and write what was counted."""
        d, kept, state = self.d, self.kept, self.state
        if d.adapt == Adapt.STEP:
            state["threshold_a"] = self._stepped(int(state["threshold_a"]), kept.kept[0])
        elif d.adapt >= Adapt.SELECT_FIRST:
            first = d.adapt == Adapt.SELECT_FIRST
            rank = int(state["keep"] if first else state["rank"])
            prefix = 0 if first else int(state["prefix"])
            found = (1 << d.bin_bits) - 1
            while found > 0 and kept.bins[found] < rank:
                rank -= int(kept.bins[found])
                found -= 1
            state["rank"] = rank
            state["prefix"] = (prefix << d.bin_bits | found) & STATE_WORD
            state["threshold_a"] = int(state["prefix"]) << d.bin_shift & STATE_WORD
        state["kept_a"], state["kept_b"] = kept.kept
        state["nonzeros"], state["elements"] = kept.nonzeros, kept.elements
        state["largest"], state["flags"] = kept.largest, kept.flags
        self._put(d.state_addr, np.array([state]))

    def _stepped(self, threshold: int, count: int) -> int:
        """Return the threshold for the next pass."""
        state, fmt = self.state, format_of(self.d.out_format)
        if isinstance(fmt, FloatFormat):
            least, most = 1 << fmt.mantissa_width, fmt.infinity - 1
        else:
            least, most = 1, fmt.maximum
        if count < state["low"]:
            return max(threshold - int(state["step"]), least)
        if count > state["high"]:
            return min(threshold + int(state["step"]), most)
        return threshold


def narrowed_all(codes: np.ndarray) -> tuple[np.ndarray, int]:
    """Return float32 codes rounded to bf16, and flags."""
    found = [narrowed(int(code)) for code in np.unique(codes)]
    places = np.searchsorted(np.unique(codes), codes)
    short = np.array([code for code, _ in found], dtype=np.int64)[places]
    return short, SATURATED if any(flag for _, flag in found) else 0


def run_encode(
    config: ArrayConfig, memory: np.ndarray, descriptor_addr: int, listed: tuple[int, int]
) -> EncodeResult:
    """Run one encode pass on memory, as the hardware must.

    Parameters
    ----------
    config
        The array beside which the unit is.
    memory
        uint8: all of it; what is beyond answers with errors.
    descriptor_addr
        Byte address of the record.
    listed
        First byte of the list of passes, and one past its last.
    """
    content = memory[descriptor_addr : descriptor_addr + ENCODE_DESCRIPTOR.width // 8]
    if content.size < ENCODE_DESCRIPTOR.width // 8:
        return EncodeResult(memory=memory, flags=0, error=EncodeError.BUS_READ)
    d = encode_fields(ENCODE_DESCRIPTOR.unpack(content)[0])
    error = check_encode(d, config, listed)
    if error != EncodeError.NONE:
        return EncodeResult(memory=memory, flags=0, error=error)
    try:
        work = _Pass(d, config, memory)
        flags = work.run()
    except WalkError as met:
        return EncodeResult(memory=memory, flags=0, error=met.error)
    return EncodeResult(memory=work.after, flags=flags, error=EncodeError.NONE)


assert OVERFLOW == 4
