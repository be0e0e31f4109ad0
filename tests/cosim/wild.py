"""Descriptors of passes of any size that the checks take, so that every bit that may be is set."""

from __future__ import annotations

import numpy as np

from benchmarks.coverage_bits import possible_bits
from gscn.emulator.pass_checks import PassFields, check_descriptor, pass_fields, results_extent
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR, VECTOR, Mode
from gscn.records import OUT_WIDTHS
from tests.pass_memory import correlate_pass, kernel_pass, program_of

FIELDS = {
    name: kind
    for name, (kind, _) in PASS_DESCRIPTOR.dtype.fields.items()
    if not name.startswith("reserved")
}
RESERVED = [name for name in PASS_DESCRIPTOR.dtype.names if name not in FIELDS]
LIMITS = {name: (np.iinfo(kind).min, np.iinfo(kind).max) for name, kind in FIELDS.items()}
ADDRESSES = ("s_data", "s_table", "t_data", "t_table", "out_addr")
DRAWN = [name for name in FIELDS if name not in (*ADDRESSES, "mode", "number_format", "out_end")]
"""Fields that are drawn by themselves."""
TRIES = 250
"""Changes of a descriptor that are tried, and more until the checks take one."""
MEMORY = 1 << 24
"""Above every memory here."""


def any_number(rng, kind):
    """Draw a value of a field: any number of bits is as likely."""
    bits = 8 * kind.itemsize - (kind.kind == "i")
    number = rng.getrandbits(rng.randint(1, bits))
    return -number if kind.kind == "i" and rng.random() < 0.5 else number


def fields_of(program):
    """Return the fields of a list's first descriptor."""
    first = program.descriptors_addr
    content = program.image[first : first + DESCRIPTOR_BYTES]
    return pass_fields(PASS_DESCRIPTOR.unpack(content)[0])._asdict()


def roomy_fields(config, mode):
    """Return the fields of a pass of one product, which most fields do not bind."""
    one = np.ones((1, 1, 1, VECTOR), dtype=np.int64)
    if mode == Mode.KERNEL:
        least = kernel_pass(one, one[0])
    else:
        least = correlate_pass([one[0]], [one[0]], (1, 1), t_split=4, run=VECTOR)
    return fields_of(program_of(config, [least]))


def _repaired(rng, fields):
    """Return fields with those that follow from others as the checks want them."""
    f = dict(fields)
    f["s_groups"] = max(f["s_groups"], f["s_tiles"])
    f["out_format"] %= len(OUT_WIDTHS)
    for most, other in (("s_outer", "s_outer_last"), ("t_rows", "t_rows_last")):
        f[most] = max(f[most], f[other])
    f["t_vectors"] = max(f["t_vectors"], f["t_split"] - 4)
    if f["mode"] == Mode.KERNEL:
        f |= {"s_mid": f["taps_y"], "s_inner": f["taps_x"], "t_groups": f["s_chunks"]}
        f["lane_step"] = f["s_mid"] * f["s_inner"]
        f["s_offset_inner"], f["s_offset_mid"] = f["x_step"], f["y_step"]
        f["run"] = VECTOR << f["s_vectors"]
        nest = ("pixel_bytes", "cols"), ("row_bytes", "rows"), ("sample_bytes", "samples")
    else:
        f |= {"cols": f["s_inner"], "s_mid": 1}
        f["rows"] = (f["s_chunks"] - 1) * f["s_outer"] + f["s_outer_last"]
        f["x_step"] = -f["s_offset_inner"]
        f["t_tiles"] = (f["t_groups"] - 1 << f["t_split"]) + rng.randint(1, 1 << f["t_split"] % 16)
        nest = (("t_tile_bytes", "t_tiles"),)
    f["s_keys"] = f["s_outer"] * f["s_mid"] * f["s_inner"]
    f["row_keys"] = f["s_inner"]
    step, grain = f["run"] * 8, rng.choice((32, 64))
    for name, count in (*nest, ("s_tile_bytes", "s_tiles")):
        f[name] = max(f[name], step + f[name] % 64) & -grain if rng.random() < 0.5 else step
        step = f[name] * f[count]
    end = f["out_addr"] + (results_extent(PassFields(**f)) or 0)
    most = max(end, 1 << 32)
    f["out_end"] = rng.choice((end, end + rng.randrange(VECTOR), rng.randint(end, most), most))
    return f


def _writes_at_once(f):
    """Return whether a tile can need no strip of the stream: its results are zeros, and written."""
    row_tiles = -(-f["rows"] // max(f["tile_rows"], 1))
    needed = f["strips_after"] > 0 and (row_tiles - 1) * f["tile_strips"] < f["t_strips"]
    return f["mode"] == Mode.KERNEL and not needed


class Wild:
    """Draws descriptors, each with bits that none before had, as long as there are any.

    Operands and results are anywhere beyond memory. As those cannot be read, none is written.

    Attributes
    ----------
    unseen : dict
        By field, the bits that have not been set yet and could be.
    """

    def __init__(self, rng, config):
        self.rng, self.config = rng, config
        possible = possible_bits(config)
        self.unseen = {name: possible[name] for name in FIELDS}

    def descriptor(self, fields):
        """Return a descriptor that the checks take, as far as it gets from the fields of a pass."""
        gained, accepted = 0, False
        for number in range(100 * TRIES):
            if accepted and number >= TRIES:
                break
            tried = _repaired(self.rng, fields | self._chosen() | self._places())
            inside = all(low <= tried[name] <= high for name, (low, high) in LIMITS.items())
            if not inside or _writes_at_once(tried) or self._gain(tried) < gained:
                continue
            if check_descriptor(PassFields(**tried), self.config) == PassError.NONE:
                fields, gained, accepted = tried, self._gain(tried), True
        assert accepted, f"the checks must take something like {fields}"
        for name in self.unseen:
            self.unseen[name] &= ~fields[name]
        # nobody reads what is reserved
        return fields | {name: self.rng.getrandbits(8) for name in RESERVED}

    def _places(self):
        return {name: self.rng.randrange(MEMORY, 1 << 32) & -64 for name in ADDRESSES}

    def _chosen(self):
        """Return other values of one or two fields: mostly one whose highest bit is unseen."""
        goals = [
            (name, bit)
            for name in DRAWN
            for bit in range(8 * FIELDS[name].itemsize)
            if self.unseen[name] >> bit & 1
        ]
        if not goals or self.rng.random() < 0.3:
            names = self.rng.sample(DRAWN, self.rng.randint(1, 2))
            return {name: any_number(self.rng, FIELDS[name]) for name in names}
        name, bit = self.rng.choice(goals)
        value = 1 << bit | self.rng.choice((0, self.rng.getrandbits(bit)))
        return {name: value - (1 << bit + 1) if value > LIMITS[name][1] else value}

    def _gain(self, fields):
        return sum((mask & fields[name]).bit_count() for name, mask in self.unseen.items())
