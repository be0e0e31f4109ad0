"""Passes of a unit of integers at random, and what the emulator makes of them."""

from __future__ import annotations

import random

import numpy as np

from gscn.emulator.encode_checks import has
from gscn.encode import TENSOR_FORMATS, TENSORS, Activation, Adapt
from gscn.passes import VECTOR
from tests.hw.encode.lane_passes import Case, bits_of, chosen

EDGES = (0, 1, -1, 127, -128, 32767, -32768, 2**31 - 1, -(2**31))


def chosen_integers(source: random.Random, **fixed: int) -> dict[str, int]:
    """Return fields of a descriptor that lanes of integers can have."""
    formats = {f"t{n}_format": source.choice((0, 3, 4, 5)) for n in range(TENSORS)}
    formats |= {
        "out_format": source.choice((3, 4, 5)),
        "activation": source.choice((Activation.NONE, Activation.RELU)),
        "absolute": source.choice((0, 0, source.randrange(8))),
        "shift": source.choice((0, 1, source.randrange(20), 47)),
    }
    found = chosen(source, **formats | fixed)
    for name in (f"t{n}_format" for n in range(TENSORS)):
        # those that were filled up
        found[name] = 4 if found[name] in (1, 2) else found[name]
    found["second_end"] = found["second_addr"]
    if found["product"]:
        found["absolute"] &= 5
        found["t1_format"] = min(found["t1_format"], 4)
    if found["out_format"] == 5:
        found |= {"a_end": 0, "b_end": 0}
    return found


def integers(source: random.Random, fields, positions: int, _shifted) -> dict[str, object]:
    """Return what a group has: codes, rows, mask and what is there."""
    lanes = VECTOR << fields["vectors"]
    small = source.random() < 0.6

    def number(width):
        low, high = -(1 << width - 1), (1 << width - 1) - 1
        if small and source.random() < 0.9:
            return source.randint(max(low, -200), min(high, 200))
        return min(max(source.choice((source.randint(low, high), *EDGES)), low), high)

    def all_of(tensor):
        fmt = TENSOR_FORMATS[fields[f"t{tensor}_format"]]
        if fmt is None:
            return np.zeros((positions, lanes), dtype=np.int64)
        found = np.array([[number(fmt.width) for _ in range(lanes)] for _ in range(positions)])
        return np.abs(found) if fields["absolute"] >> tensor & 1 else found

    share = source.choice((0.0, 0.1, 0.7))
    there = np.array([[source.random() >= share] * lanes for _ in range(positions)])
    there[:, source.choice((lanes, lanes, lanes - 3, 1)) :] = False
    codes = [np.where(there, all_of(n), 0).astype(np.int64) for n in range(TENSORS)]
    kept = np.array(
        [[not fields["masked"] or source.random() < 0.6 for _ in range(lanes)]
         for _ in range(positions)]
    )  # fmt: skip

    def row():
        return {
            **{f"c{n}": number(16) for n in range(TENSORS)},
            "bias": number(32),
            "second": 0,
            "threshold_a": source.choice((0, 1, 50, 200, 1 << 31, 0xFFFFFFFF)),
            "threshold_b": source.choice((0, 1, 50, 200, 1 << 31, 0xFFFFFFFF)),
        }

    rows = [row() for _ in range(lanes)]
    return {
        "there": there,
        "kept": kept,
        "codes": codes,
        "rows": {name: np.array([one[name] for one in rows], dtype=np.int64) for name in rows[0]},
    }


class IntegerCase(Case):
    """A pass of integers: what lanes are told, and given, and what they must make."""

    chosen, tensors = staticmethod(chosen_integers), staticmethod(integers)

    def _row(self, rows, lane):
        one = {name: int(part[lane]) for name, part in rows.items()}
        nothing = {"exponent": 0, "negative": 0, "infinite": 0, "nan": 0}
        return {
            "factors": [{"significand": one[f"c{n}"] & 0xFFFF, **nothing} for n in range(TENSORS)],
            "odd": 0,
            "bias": one["bias"] & 0xFFFFFFFF,
            "second": {"significand": 0, **nothing},
            "threshold_a": one["threshold_a"],
            "threshold_b": one["threshold_b"],
        }

    def selected(self):
        """Return what a selection counts."""
        if self.d.adapt < Adapt.SELECT_FIRST:
            return []
        lasts = np.abs(np.concatenate(self.given.lasts).reshape(-1, VECTOR))
        return [
            {"magnitudes": [int(one) for one in row], "there": vector["there"]}
            for row, vector in zip(lasts, self.vectors, strict=True)
        ]

    def verdicts(self):
        """Return what strips get; codes are the lower halves of results."""
        found = super().verdicts()
        lasts = np.concatenate(self.given.lasts).reshape(-1, VECTOR) & 0xFFFF
        for number, one in enumerate(found):
            one["codes"] = [int(code) for code in lasts[number]]
            for part, groups in (("a", self.given.kept.a), ("b", self.given.kept.b)):
                if has(self.d, part):
                    rows = np.concatenate(groups).reshape(-1, VECTOR)
                    one[f"packed_{part}"] = bits_of(rows[number])
        return found
