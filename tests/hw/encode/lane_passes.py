"""Passes of the encode unit's lanes at random, and what the emulator makes of them."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np

from gscn.array import ArrayConfig
from gscn.emulator.encode import _Kept, _Pass
from gscn.emulator.encode_arithmetic import Numbers, Rows
from gscn.emulator.encode_checks import EncodeFields, encode_fields, field_of, has, value_bytes
from gscn.encode import (
    CHANNEL_SUMS,
    ENCODE_DESCRIPTOR,
    ENCODE_STATE,
    TENSORS,
    Activation,
    Adapt,
    Masked,
    Reduce,
    Thresholds,
)
from gscn.hw.encode.unit_layouts import settings_layout
from gscn.passes import VECTOR
from tests.hw.encode import values

CODES = 0xFFFFFFFF
VECTOR_BYTES = 64
NOTHING = 0x7FC12345
"""A code, NaN, where there is none."""
"""From one dense vector to the next, in the order of the walk."""


class LanePass(_Pass):
    """A pass whose tensors are at hand, without a memory; results are kept as they are made."""

    def __init__(self, d: EncodeFields, config: ArrayConfig, state, groups) -> None:
        self.d, self.config, self.state = d, config, state
        self.floating, self.width = d.out_format <= 2, 8 * value_bytes(d.out_format)
        self.numbers = Numbers(
            self.floating, self.width, d.shift, config.acc_width, d.activation, d.masked,
            d.product == 1, has(d, "second"),
        )  # fmt: skip
        self.groups, self.kept = groups, _Kept()
        positions, lanes = groups[0]["there"].shape
        self.walk = SimpleNamespace(
            groups=len(groups), positions=positions, lanes=lanes, vectors=lanes // VECTOR,
            there=lambda group: groups[group]["there"],
            values=lambda n, group, _: groups[group]["codes"][n],
            mask=lambda group, _: groups[group]["kept"],
            outer=np.arange(len(groups))[None, :],
        )  # fmt: skip
        self.dense = {"dense": [], "second": []}
        self.lasts, self.shorts = [], []
        for group in range(len(groups)):
            self._group(group)

    def _rows(self, number):
        rows = self.groups[number]["rows"]
        lanes = np.zeros(self.walk.lanes, dtype=np.int64)
        found = {
            Thresholds.NONE: {"threshold_a": 0, "threshold_b": 0},
            Thresholds.STATE: self.state,
            Thresholds.ROWS: rows,
        }[Thresholds(self.d.thresholds)]
        return (
            Rows(np.stack([rows[f"c{n}"] for n in range(TENSORS)]), rows["bias"], rows["second"]),
            [lanes + found[f"threshold_{part}"] for part in "ab"],
        )

    def _strip_codes(self, results):
        self.lasts.append(results)
        found = super()._strip_codes(results)
        self.shorts.append(found[0])
        return found

    def _write_dense(self, part, results, group, there, segment=1):
        if has(self.d, part):
            self.dense[part].append((results, there, segment))


def chosen(source: random.Random, **fixed: int) -> dict[str, int]:
    """Return fields of a descriptor that lanes can have."""
    found = {
        **{f"t{n}_format": source.choice((0, 1, 1, 2)) for n in range(TENSORS)},
        "out_format": source.choice((1, 2)),
        "activation": source.choice(list(Activation)),
        "masked": source.choice(list(Masked)),
        "thresholds": source.choice(list(Thresholds)),
        "strict": source.getrandbits(1),
        "judged": source.choice((0, 0, 1, 2, 3)),
        "dot": source.randrange(4),
        "magnitudes": source.getrandbits(1),
        "kept_sums": source.getrandbits(1),
        "adapt": source.choice(list(Adapt)),
        "reduce": source.choice((0, 0, Reduce.SUM, Reduce.MAXIMUM)),
        "product": source.random() < 0.3,
        "vectors": source.choice((0, 0, 1, 2)),
        "segment": source.choice((1, 2, 3, 4, 9, 16)),
        "dense_addr": 1 << 12,
        "second_addr": 1 << 16,
    }
    for part, share in (("dense", 0.7), ("second", 0.4), ("bits", 0.5), ("sums", 0.5)):
        first = found.get(f"{part}_addr", 0)
        found[f"{part}_addr"] = first
        found[f"{part}_end"] = first + 64 * (source.random() < share)
    for part in "ab":
        found[f"{part}_end"] = 64 * (source.random() < 0.5)
    found |= fixed
    if found["reduce"]:
        found["second_end"] = found["second_addr"]
    if not any(found[f"t{n}_format"] for n in range(TENSORS)):
        found["t0_format"] = 1
    if found["second_end"] != found["second_addr"] or found["activation"] == Activation.SLOPE:
        found["t0_format"] = found["t0_format"] or 2
    if found["product"]:
        found["t1_format"], found["t2_format"] = (
            found[name] or 1 for name in ("t1_format", "t2_format")
        )
    return found


def tensors(
    source: random.Random, fields, positions: int, shifted: tuple[bool, ...] | None
) -> dict[str, object]:
    """Return what a group has: codes, rows, mask and what is there.

    `shifted`: of which tensors coefficients are powers of two; `None`: at random.
    """
    lanes = VECTOR << fields["vectors"]
    tame = source.random() < 0.5

    def code(*, bf16):
        if not tame:
            return values.code(source, bf16=bf16)
        short = source.getrandbits(1) << 31 | source.choice((0, 0x3F800000, 0x3E000000, 0x3EC00000))
        return short | (source.getrandbits(3) << 16 if short & 0x7FFFFFFF else 0)

    def all_of(number):
        if number == 0:
            return np.zeros((positions, lanes), dtype=np.int64)
        return np.array(
            [[code(bf16=number == 1) for _ in range(lanes)] for _ in range(positions)]
        )  # fmt: skip

    share = source.choice((0.0, 0.1, 0.7))
    there = np.array([[source.random() >= share] * lanes for _ in range(positions)])
    there[:, source.choice((lanes, lanes, lanes - 3, 1)) :] = False
    codes = [
        np.where(there, all_of(fields[f"t{n}_format"]), 0).astype(np.int64) for n in range(TENSORS)
    ]
    kept = np.array(
        [[not fields["masked"] or source.random() < 0.6 for _ in range(lanes)]
         for _ in range(positions)]
    )  # fmt: skip
    ones = tame and shifted is None
    if shifted is None:
        shifted = tuple(source.random() < share for share in (0.3, 0.3, 0.5))
    seen = [int(one) & 0x7FFFFFFF for one in codes[fields["judged"] - 1].flat] or [0]

    def threshold():
        near = source.choice(seen)
        return source.choice((near, near >> 16, near >> 16, 0, 0xFFFFFFFF, 0x3F80))

    def row():
        scales = [values.ONE if ones else values.code(source) for _ in range(TENSORS)]
        scales = [
            values.power(source) if one else scale
            for one, scale in zip(shifted, scales, strict=True)
        ]
        return {
            **{f"c{n}": scale for n, scale in enumerate(scales)},
            "bias": 0 if source.random() < 0.5 else values.code(source),
            "second": values.code(source),
            "threshold_a": threshold(),
            "threshold_b": threshold(),
        }

    rows = [row() for _ in range(lanes)]
    return {
        "there": there,
        "kept": kept,
        "codes": codes,
        "rows": {name: np.array([one[name] for one in rows], dtype=np.int64) for name in rows[0]},
    }


def bits_of(lanes) -> int:
    """Return bits of lanes, lane 0 lowest."""
    return sum(bool(one) << n for n, one in enumerate(lanes))


class Case:
    """A pass: what lanes are told, and given, and what they must make."""

    chosen, tensors = staticmethod(chosen), staticmethod(tensors)

    def __init__(
        self,
        source: random.Random,
        config: ArrayConfig,
        *,
        most: int = 24,
        positions: int | None = None,
        groups: int | None = None,
        shifted: tuple[bool, ...] | None = None,
        **fixed: int,
    ):
        fields = self.chosen(source, **fixed)
        self.groups = groups or source.choice((1, 1, 2))
        room = max(most // (self.groups << fields["vectors"]), 1)
        fields["segment"] = min(fields["segment"], room)
        self.positions = positions or source.randint(fields["segment"], room)
        if fields["reduce"]:
            self.positions -= self.positions % fields["segment"]
        record = np.zeros(1, dtype=ENCODE_DESCRIPTOR.dtype)[0]
        for name, number in fields.items():
            record[name] = number
        self.d = encode_fields(record)
        self.settings = {name: int(fields.get(name, 0)) for name, _ in settings_layout(config)}
        contents = [
            self.tensors(source, fields, self.positions, shifted) for _ in range(self.groups)
        ]
        self.state = np.zeros(1, dtype=ENCODE_STATE.dtype)[0]
        tops = (260, 254, 251, 300, 190, 100, 508, 2000)
        self.state["sum_top"], self.state["dot_top"] = source.choice(tops), source.choice(tops)
        for part in "ab":
            self.state[f"threshold_{part}"] = source.choice(
                (0, 0x3F80, 0x3F800000, source.getrandbits(32))
            )
        self.given = LanePass(self.d, config, self.state, contents)
        self.vectors = self._vectors(contents)

    def _vectors(self, groups):
        """Return vectors as the inputs give them."""
        found = []
        count, d = 1 << self.d.vectors, self.d
        for group, content in enumerate(groups):
            for position in range(self.positions):
                within = position % d.segment
                last = position == self.positions - 1
                for vector in range(count):
                    lanes = slice(VECTOR * vector, VECTOR * (vector + 1))
                    rows = {name: part[lanes] for name, part in content["rows"].items()}
                    bits = {
                        name: sum(
                            int(one) << n for n, one in enumerate(content[name][position, lanes])
                        )
                        for name in ("there", "kept")
                    }
                    odd = 0
                    for lane in range(VECTOR):
                        odd |= self._row(rows, lane)["odd"]
                    there = content["there"][position, lanes]
                    shown = [there & bool(field_of(d, "t", n, "_format")) for n in range(TENSORS)]
                    ends = last and group == len(groups) - 1 and vector == count - 1
                    found.append(
                        {
                            "codes": [
                                [
                                    int(one) & CODES
                                    for one in np.where(own, codes[position, lanes], NOTHING)
                                ]
                                for own, codes in zip(shown, content["codes"], strict=True)
                            ],
                            "rows": [self._row(rows, lane) for lane in range(VECTOR)],
                            "odd": odd,
                            **bits,
                            "vector": vector,
                            "dense_addr": d.dense_addr + VECTOR_BYTES * len(found),
                            "marks": {
                                "begins_segment": within == 0,
                                "ends_segment": within == d.segment - 1 or last,
                                "ends_group": last,
                                "ends": ends,
                            },
                        }
                    )
        return found

    def _row(self, rows, lane):
        one = {name: int(part[lane]) for name, part in rows.items()}
        factors = [values.factor(one[f"c{n}"]) for n in range(TENSORS)]
        return {
            "factors": factors,
            "odd": values.odd(factors),
            "bias": one["bias"],
            "second": values.factor(one["second"]),
            "threshold_a": one["threshold_a"],
            "threshold_b": one["threshold_b"],
        }

    # -- what must come out

    def dense(self, part: str) -> list[dict[str, object]]:
        """Return vectors of a dense result."""
        found, number, count = [], 0, 1 << self.d.vectors
        if not has(self.d, part):
            return found
        for results, there, segment in self.given.dense[part]:
            for row, some in zip(results, there, strict=True):
                for vector in range(count):
                    lanes = slice(VECTOR * vector, VECTOR * (vector + 1))
                    place = number + vector
                    found.append(
                        {
                            "addr": field_of(self.d, part, "_addr") + VECTOR_BYTES * place,
                            "codes": [int(one) & CODES for one in row[lanes]],
                            "wanted": int(some[lanes].any()),
                            "ends": 0,
                        }
                    )
                number += count * segment
        found[-1]["ends"] = 1
        return found

    def bits(self) -> list[dict[str, int]]:
        """Return bits."""
        if not has(self.d, "bits"):
            return []
        found = np.concatenate(self.given.kept.bits).view("<u2")
        return [{"bits": int(one), "ends": int(n == len(found) - 1)} for n, one in enumerate(found)]

    def sums(self) -> list[dict[str, object]]:
        """Return sums."""
        if not has(self.d, "sums"):
            return []
        records = np.concatenate(self.given.kept.sums).view(CHANNEL_SUMS.dtype)
        return [
            {"sums": {name: int(one[name]) for name in one.dtype.names},
             "ends": int(n == len(records) - 1)}
            for n, one in enumerate(records)
        ]  # fmt: skip

    def selected(self) -> list[dict[str, object]]:
        """Return what a selection counts."""
        if self.d.adapt < Adapt.SELECT_FIRST:
            return []
        lasts = np.concatenate(self.given.lasts).reshape(-1, VECTOR) & 0x7FFFFFFF
        return [
            {"magnitudes": [int(one) for one in row], "there": vector["there"]}
            for row, vector in zip(lasts, self.vectors, strict=True)
        ]

    def verdicts(self) -> list[dict[str, object]]:
        """Return what strips get, `None` for strips that there are not."""
        if not (has(self.d, "a") or has(self.d, "b")):
            return []
        codes = np.concatenate(self.given.shorts).reshape(-1, VECTOR)
        packed = {"packed_a": None, "packed_b": None}
        for part, found in (("a", self.given.kept.a), ("b", self.given.kept.b)):
            if has(self.d, part):
                codes_of = np.concatenate(found).reshape(-1, VECTOR).astype(np.int64)
                packed[f"packed_{part}"] = codes_of & 0x7FFF
        last = (1 << self.d.vectors) - 1
        return [
            {
                "codes": [int(one) for one in row],
                **{
                    name: None if part is None
                    else bits_of(part[number])
                    for name, part in packed.items()
                },
                "ends": int(number == len(codes) - 1),
                "last_vector": int(self.vectors[number]["vector"] == last),
            }
            for number, row in enumerate(codes)
        ]  # fmt: skip

    def tally(self) -> dict[str, int]:
        """Return what is counted."""
        kept = self.given.kept
        return {
            "kept_a": kept.kept[0], "kept_b": kept.kept[1], "nonzeros": kept.nonzeros,
            "elements": kept.elements, "largest": kept.largest, "flags": kept.flags,
        }  # fmt: skip
