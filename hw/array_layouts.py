"""Shapes of what travels between components of an array that cuts its own jobs."""

from __future__ import annotations

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum

from gscn.array import ArrayConfig
from gscn.hw.layouts import SPECIAL, record_layout
from gscn.passes import PASS_DESCRIPTOR

SPAN_WIDTH = 9
"""Bits of the keys of one look-up: at most those of 16 x 16 taps."""
ROWS_WIDTH = 4
"""Bits of the look-ups of a word, less one: tap rows."""
LOAD_LANES = 2
"""Stationary entries that can be loaded in a cycle."""


class WordKind(enum.Enum, shape=2):
    """What a PE does with a word."""

    MAC = 0
    """Look its keys up and multiply by what lies there."""
    MARK = 1
    """Say when the entries of all words before it have been read."""
    END = 2
    """The same, and close the accumulators with `job_end`."""


def word_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a word for one PE.

    A MAC meets, for each i of 0 to `rows`, the entries of the keys from `key + i x row_keys` on,
    `span` of them (at least 1), at `offset + i x row_step`. Only `kind` means anything otherwise,
    and the `job_end` of an END.
    """
    return data.StructLayout(
        {
            "kind": WordKind,
            "job_end": 1,
            "value": signed(config.value_width),
            "key": config.key_width,
            "span": SPAN_WIDTH,
            "rows": ROWS_WIDTH,
            "offset": config.index_width,
        }
    )


def entry_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a stationary entry."""
    return data.StructLayout({"value": signed(config.value_width), "offset": config.index_width})


def load_layout(config: ArrayConfig) -> data.StructLayout:
    """Return what is written into a PE's stationary operand in a cycle.

    Bit i of `entry_en`: `entries[i]` becomes entry `entry_addr + i`, of any parity. `key_en`: the
    entries of `key` begin at `start`.
    """
    return data.StructLayout(
        {
            "entry_en": LOAD_LANES,
            "entry_addr": config.entry_width,
            "entries": data.ArrayLayout(entry_layout(config), LOAD_LANES),
            "key_en": 1,
            "key": config.key_width,
            "start": config.entry_width,
        }
    )


def fiber_layout(config: ArrayConfig) -> data.StructLayout:
    """Return what a look-up finds: entries from `start` on, before `end`, for a word's value."""
    return data.StructLayout(
        {
            "kind": WordKind,
            "job_end": 1,
            "start": config.entry_width,
            "end": config.entry_width,
            "value": signed(config.value_width),
            "offset": config.index_width,
        }
    )


def addend_layout(config: ArrayConfig) -> data.StructLayout:
    """Return what is announced to the accumulators: index of a product, or the end of a job."""
    return data.StructLayout({"job_end": 1, "index": config.index_width})


def product_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a product.

    With float formats `value` is subtracted if `negative`, and `special` bits are set.
    """
    floats = {"negative": 1, "special": SPECIAL} if config.floats else {}
    width = config.acc_width if floats else 2 * config.value_width
    return data.StructLayout({"value": signed(width), **floats})


def sum_rows(config: ArrayConfig) -> int:
    """Return the rows of a bank of accumulators, of `drain_width` each."""
    return config.acc_depth // config.drain_width


def drain_layout(config: ArrayConfig) -> data.StructLayout:
    """Return what a drain reads and clears if `en`: a row of `drain_width` sums of a bank."""
    return data.StructLayout(
        {"en": 1, "bank": 1, "row": unsigned((sum_rows(config) - 1).bit_length())}
    )


def sums_layout(config: ArrayConfig) -> data.ArrayLayout:
    """Return a row of sums; with float formats, special bits beside each."""
    special = {"special": SPECIAL} if config.floats else {}
    one = data.StructLayout({"sum": signed(config.acc_width), **special})
    return data.ArrayLayout(one, config.drain_width)


PASS = record_layout(PASS_DESCRIPTOR)
"""A descriptor of a pass, as the pass registers hold it."""


def ranges_layout() -> data.StructLayout:
    """Return a range of bytes: first address, and one past the last."""
    return data.StructLayout({"begin": 64, "end": 64})


def job_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a job: what a cluster does of a pass.

    It contracts, if `streams`, stationary tile `s_tile` with group `t_group` of the stream, samples
    from `first_sample` on. Kernel: of every group, strips from `strip` on, which may lie before a
    sample's first; targets are `rows` rows and columns `x0` to `x1` (excluded) of the result.
    Correlate: channels of the stream from `lane0` of the group on; `rows` and `x1` are the map's.

    With `drains` the job ends its tile: its sums go, with those of the next cluster unless it is
    `last` of its team, to `out_addr` if it is `head`, or else to the cluster before.
    """
    return data.StructLayout(
        {
            "s_tile": 16,
            "t_group": 16,
            "lane0": 8,
            "first_sample": 16,
            "samples": 16,
            "strip": signed(17),
            "rows": 16,
            "x0": 16,
            "x1": 16,
            "out_addr": config.addr_width,
            "streams": 1,
            "drains": 1,
            "head": 1,
            "last": 1,
        }
    )


def tile_layout(config: ArrayConfig) -> data.StructLayout:
    """Return what a drain must know of a job: the results of its tile, and its place in a team.

    There are `samples` x `rows` x `cols` runs.
    """
    return data.StructLayout(
        {
            "samples": 16,
            "rows": 16,
            "cols": 16,
            "out_addr": config.addr_width,
            "head": 1,
            "last": 1,
        }
    )


def result_row_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a row of results: `drain_width` of them, of which the format's width counts.

    `addr`, in bytes, is a multiple of what the row takes. `last` ends a job. Unless it is a job's
    first row, `turns` says that it lies in another beat than the row before, `follows` that this is
    the very next one, and no multiple of `burst_beats`.
    """
    return data.StructLayout(
        {
            "addr": config.addr_width,
            "turns": 1,
            "follows": 1,
            "last": 1,
            "results": data.ArrayLayout(64, config.drain_width),
        }
    )
