"""Vectors of walks as the emulator has them: what the inputs of lanes are told, and must give."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from amaranth.lib import data

from gscn.emulator.encode_checks import encode_fields, field_of, groups_and_positions
from gscn.emulator.encode_walk import Walk
from gscn.encode import CHANNEL_ROW, COEFFICIENT_BITS, ENCODE_DESCRIPTOR, STREAMS, TENSORS
from gscn.hw.encode.layouts import factor_fields
from gscn.hw.encode.unit_layouts import (
    INTEGER,
    MARKS,
    ROW,
    input_layout,
    place_layout,
    settings_layout,
)
from gscn.passes import VECTOR
from tests.hw.encode import values


def packed(layout, values):
    """Return the bits of a word of a layout, of whose fields the integers are given."""
    found = 0
    for name, value in values.items():
        field = layout[name]
        width = data.Field(field.shape, 0).width
        assert 0 <= value < 1 << width, f"{name} is {value}"
        found |= value << field.offset
    return found


def rows_of(words):
    """Return values of `width` bits each, one behind the other."""
    return lambda width: sum(word << n * width for n, word in enumerate(words))


def parts_of(layout, word):
    """Return the fields of a word, as integers: for messages."""
    return {
        name: word >> field.offset & (1 << data.Field(field.shape, 0).width) - 1
        for name, field in layout
    }


def raw(port):
    """Return a stream whose payload is one number."""
    return SimpleNamespace(valid=port.valid, ready=port.ready, p=port.p.as_value())


def fields_of(memory):
    """Return the fields of the pass whose record is at the start of memory."""
    size = ENCODE_DESCRIPTOR.width // 8
    return encode_fields(ENCODE_DESCRIPTOR.unpack(memory[:size])[0])


def settings_of(config, d):
    """Return the settings of a pass."""
    return {name: int(getattr(d, name)) for name in settings_layout(config).members}


class Walked:
    """The vectors of a pass, in order: places, and inputs of lanes.

    Parameters
    ----------
    config
        The array.
    memory
        With the record at its start.
    """

    def __init__(self, config, memory):
        self.config, self.memory = config, memory
        self.d = d = fields_of(memory)
        self.integers = d.out_format >= INTEGER
        self.walk = Walk(d, memory)
        self.groups, self.positions = groups_and_positions(d)
        self.places, self.inputs = [], []
        for group in range(self.groups):
            self._group(group)

    def _group(self, group):
        walk = self.walk
        there = walk.there(group)
        tensors = [walk.values(n, group, there) for n in range(TENSORS)]
        kept = walk.mask(group, there)
        addrs = [self._addrs(stream, group) for stream in STREAMS]
        column = int(walk.outer[0, group])
        rows = [self._rows(column, u) for u in range(walk.vectors)]
        size = 1 << self.config.addr_width
        for position in range(self.positions):
            for u in range(walk.vectors):
                lanes = slice(VECTOR * u, VECTOR * (u + 1))
                own = there[position, lanes]
                marks = packed(MARKS, self._marks(group, position, u))
                bits = sum(int(one) << n for n, one in enumerate(own))
                at = [int(stream[position, u]) % size for stream in addrs]
                place = {
                    "addrs": rows_of(at)(self.config.addr_width),
                    "there": bits, "vector": u, "column": column, "marks": marks,
                }  # fmt: skip
                self.places.append(packed(place_layout(self.config), place))
                coded, each = rows[u]
                odd = 0
                for lane, one in zip(each, own, strict=True):
                    odd |= lane if one else 0
                numbers = [v[position, lanes] & 0xFFFFFFFF for v in tensors]
                codes = [rows_of(map(int, one))(32) for one in numbers]
                word = {
                    "codes": rows_of(codes)(32 * VECTOR), "rows": coded, "odd": odd,
                    "kept": sum(int(one) << n for n, one in enumerate(kept[position, lanes])),
                    "there": bits, "vector": u, "dense_addr": at[-1], "marks": marks,
                }  # fmt: skip
                self.inputs.append(packed(input_layout(self.config), word))

    def _addrs(self, stream, group):
        """Return addresses of a stream, as the walk has them: (positions, vectors)."""
        d = self.d
        found = field_of(d, stream, "_addr") + self.walk.vectors_of(stream, group)
        if d.transposed and stream.startswith("t"):
            i2, step = self.walk.inner[2], field_of(d, stream, "_step2")
            size = 4 if field_of(d, stream, "_format") == 2 else 2
            found += (i2 // VECTOR * step + i2 % VECTOR * size - i2 * step)[:, None]
        return found

    def _rows(self, column, u):
        """Return a vector's rows, and which of their coefficients are no powers of two."""
        size = CHANNEL_ROW.width // 8
        first = self.d.rows_addr + size * (column * self.walk.lanes + VECTOR * u)
        found = CHANNEL_ROW.unpack(self.memory[first : first + VECTOR * size])
        words, numbers = [], []
        for row in found:
            factors = [self._factor(int(row[f"c{n}"])) for n in range(TENSORS)]
            odd = 0 if self.integers else values.odd(factors)
            numbers.append(odd)
            words.append(
                ROW.const(
                    {
                        "factors": factors, "odd": odd, "bias": int(row["bias"]),
                        "second": self._factor(0 if self.integers else int(row["second"])),
                        "threshold_a": int(row["threshold_a"]),
                        "threshold_b": int(row["threshold_b"]),
                    }
                ).as_value().value
            )  # fmt: skip
        return rows_of(words)(ROW.size), numbers

    def _factor(self, code):
        """Return a coefficient taken apart; one of integers is in a significand's place."""
        if self.integers:
            fields = dict.fromkeys(factor_fields(0, COEFFICIENT_BITS), 0)
            return fields | {"significand": code & (1 << COEFFICIENT_BITS) - 1}
        return factor_fields(code, COEFFICIENT_BITS)

    def _marks(self, group, position, u):
        d = self.d
        at = position % d.period
        last = position == self.positions - 1
        return {
            "begins_rows": int(position == 0),
            "begins_segment": int(position % d.segment == 0),
            "ends_segment": int(last or (position + 1) % d.segment == 0),
            "ends_strip_a": int(at == d.period - 1 or (at + 1) % d.a_positions == 0),
            "ends_strip_b": int(at == d.period - 1 or (at + 1) % d.b_positions == 0),
            "ends_group": int(last),
            "ends": int(last and u == self.walk.vectors - 1 and group == self.groups - 1),
        }


def seen(config, d, word):
    """Return an input of lanes with zeros for all codes that mean nothing."""
    there = word >> input_layout(config)["there"].offset
    for tensor in range(TENSORS):
        for lane in range(VECTOR):
            if not (field_of(d, "t", tensor, "_format") and there >> lane & 1):
                word &= ~(0xFFFFFFFF << 32 * (VECTOR * tensor + lane))
    return word


def memory_of(memory, content):
    """Put an array of bytes into a memory of `tests.hw.memory`."""
    memory.data += bytes(np.asarray(content, dtype=np.uint8))
    memory.data += bytes(-len(memory.data) % 64)
