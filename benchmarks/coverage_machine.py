"""What of the machine's Verilog the default tests need not cover, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benchmarks.coverage_bits import possible_encode_bits
from benchmarks.coverage_waivers import (
    ALIGNED,
    LIMITED,
    Waiver,
    bits_of,
    mask_of,
    placed,
)
from gscn.array import array
from gscn.cosim.coverage import TOGGLE
from gscn.encode import COEFFICIENT_BITS
from gscn.formats import BF16, FLOAT32
from gscn.hw.encode.lane_counts import CHANNEL_COUNTS
from gscn.hw.encode.lane_outputs import finished_layout
from gscn.hw.encode.lane_sums import channel_sum_layout
from gscn.hw.encode.layouts import CODE, term_layout
from gscn.hw.encode.line_gatherer import line_layout, piece_layout
from gscn.hw.encode.outputs import Outputs
from gscn.hw.encode.record_program import KEPT_OF_STATE
from gscn.hw.encode.segment_rows import TOGETHER
from gscn.hw.encode.segment_sums import lane_row_layout
from gscn.hw.encode.unit_layouts import LANE_SUMS, LINE, STATE, SUMS, TALLY, settings_layout
from gscn.hw.layouts import burst_layout, write_beat_layout
from gscn.passes import TABLE_ENTRY_BYTES, VECTOR
from gscn.port import ALIGNMENT_BYTES
from gscn.window import MOST_TOP

MACHINE = array("small").with_overrides([
    "float_formats=bf16", "acc_depth=1024", "stationary_depth=4096", "directory_depth=1024",
])  # fmt: skip
"""That of the tests of lists."""
POSITION_BITS = 13
"""Positions of the longest pass of these tests are below 2 to the power of this."""
RECORD_BITS = 6
"""Records of a queue in the longest list likewise."""
_VALUE_BITS = POSITION_BITS + (VECTOR - 1).bit_length()
_HALFWORD_BITS = _VALUE_BITS + 1
"""A vector has up to 18 halfwords in strips."""
_COUNT = (
    f"The longest pass of these tests has fewer than 2^{POSITION_BITS} positions of "
    f"{VECTOR} values; nothing counts further."
)
_RECORDS = f"The longest list of these tests has fewer than 2^{RECORD_BITS} records of a queue."
_ENTRY_BITS = 8 * TABLE_ENTRY_BYTES
_STATE = "Held of a state is what is in use while a pass runs; other fields of this port are 0."
_PLAIN = "A plain term is not multiplied: of its coefficient there is only the sign."
_ELSEWHERE = "Results of the first combination come by a queue of their own: 0 here."
_RESERVED = "Reserved in the record of sums, or above an exponent of 8 bits: 0."
_LINE = "All bursts are of one beat, a line of 64 bytes, and lie at multiples of it."
_BURST = "Bursts have 4 beats at most, of 64 bytes, and lie at multiples of a beat."
_TOP = f"What a control record writes is a top, {MOST_TOP} at most."
_NARROW = "Strips have codes of bf16, below which there are zeros."
_EXPONENT = "There are three flags, and exponents have 8 bits: 0."


def _impossible_settings() -> Iterator[tuple[int, str]]:
    """Yield bits of settings that no pass has that runs, and why."""
    layout, possible = settings_layout(MACHINE), possible_encode_bits(MACHINE)
    low = dict.fromkeys(("rows_addr", "state_addr"), ALIGNMENT_BYTES - 1)
    yield mask_of(layout, low), ALIGNED
    yield (
        mask_of(layout, {name: ~possible[name] for name in layout.members if name not in low}),
        LIMITED,
    )


def _each(mask: int, width: int, count: int) -> int:
    """Return bits of each of so many neighbours, all of one width."""
    return sum((mask & (1 << width) - 1) << width * number for number in range(count))


def _sums_bits() -> Iterator[tuple[int, str]]:
    """Yield bits that no record of sums has, and why."""
    reserved = {"reserved": -1, "largest": -1 << FLOAT32.exponent_width}
    yield mask_of(SUMS, reserved), _RESERVED
    yield mask_of(SUMS, dict.fromkeys(("nonzeros", "kept_a"), -1 << POSITION_BITS)), _COUNT


def _lines(
    channel: int, part: str, made: str, gatherer: str, masks: Iterable[tuple[int, str]]
) -> Iterator[Waiver]:
    """Yield waivers of bits of the lines that a part of the outputs makes, by their channel.

    Parameters
    ----------
    channel
        Of the part's lines at the port.
    part, gatherer
        Components.
    made
        Stream of lines of the part.
    masks
        Bits of a line's data, and why.
    """
    data, out = line_layout(MACHINE)["data"].offset, "top.encode.outputs"
    line, piece = line_layout(MACHINE).size, piece_layout(MACHINE).size
    for mask, why in masks:
        bits, memory = bits_of(mask << data), bits_of(mask)
        for component, place, width in (
            (f"{out}*", f"channels__{channel}__payload", line),
            (f"{out}.{part}", made, line),
            (f"{out}.{part}", "i__payload", piece),
            (f"{out}.{part}.{gatherer}", "o__payload", line),
            (f"{out}.{part}.{gatherer}", "i__payload", piece),
        ):
            yield Waiver(TOGGLE, component, place, bits, why, width)
        yield Waiver(TOGGLE, f"{out}.{part}.{gatherer}", "$signature__data", memory, why, LINE)


def _counts() -> Iterator[Waiver]:
    """Yield waivers of counts that no pass of these tests reaches."""
    beyond = -1 << POSITION_BITS
    row = lane_row_layout(channel_sum_layout(MACHINE.acc_width))
    counts = mask_of(CHANNEL_COUNTS, dict.fromkeys(("nonzeros", "kept"), beyond))
    in_row = mask_of(row, {"counts": counts})
    rows = _each(in_row, row.size, TOGETHER)
    sums = "top.encode.lanes.inner.outputs.sums*"
    for mask, width in (
        (counts, CHANNEL_COUNTS.size),
        (in_row, row.size),
        (rows, row.size * TOGETHER),
    ):
        yield Waiver(TOGGLE, sums, "*", bits_of(mask), _COUNT, width)
    names = ("kept_a", "kept_b", "nonzeros", "elements")
    tally = placed(TALLY, dict.fromkeys(names, -1 << _VALUE_BITS))
    halfwords, width = ((_HALFWORD_BITS, 31),), Outputs.COUNT_BITS
    out, selection = "top.encode.outputs", "top.encode.outputs.selector.selection*"
    for component, place, bits, size in (
        ("top.encode*", "tally", tally, TALLY.size),
        ("top.encode*", "found", tally, TALLY.size),
        *(
            (selection, place, ((bits, width - 1),), width)
            for place, bits in (
                *((one, POSITION_BITS) for one in ("data", "write_data", "$*data", "counts")),
                ("held", _VALUE_BITS),
            )
        ),
        (f"{out}.[ab]*", "o_strip__payload", halfwords, 32),
        (f"{out}.[ab].packer.strips*", "*", halfwords, 32),
        ("top.encode*", "halfwords_[ab]", halfwords, 32),
        ("top.encode*", "halfwords", bits_of(_each(-1 << _HALFWORD_BITS, 32, 2)), 64),
    ):
        yield Waiver(TOGGLE, component, place, bits, _COUNT, size)
    entries = _each(-1 << _HALFWORD_BITS, _ENTRY_BITS, LINE // _ENTRY_BITS)
    for channel, part in ((5, "a"), (7, "b")):
        yield from _lines(channel, part, "o_table__payload", "entries", [(entries, _COUNT)])
    for place in ("ended", "others", "others_ended"):
        yield Waiver(TOGGLE, "top.listed.sequencer*", place, ((RECORD_BITS, 31),), _RECORDS, 32)


def _commands() -> Iterator[Waiver]:
    """Yield waivers of bits that no burst has: of the encode unit, of lists, of all together."""
    layout = burst_layout(MACHINE)
    low = {"addr": MACHINE.mem_bytes - 1}
    # of what is always 1 there is one change
    lines = placed(layout, {**low, "beats": -2})
    bursts = placed(layout, {**low, "beats": -1 << MACHINE.burst_beats.bit_length()})
    for top, bits, why in (
        ("top.encode", lines, _LINE),
        ("top.listed.sequencer", lines, _LINE),
        ("top.listed", bursts, _BURST),
    ):
        for component, place in (
            (f"{top}*.commands*", "*"),
            (f"{top}*", "*command*__payload"),
            (f"{top}*", "*_cmd__payload"),
            (f"{top}*", "channels__?__payload"),
            (f"{top}*", "chosen"),
        ):
            yield Waiver(TOGGLE, component, place, bits, why, layout.size)
    tops = _each(-1 << MOST_TOP.bit_length(), 16, MACHINE.mem_width // 16)
    width = write_beat_layout(MACHINE).size
    yield Waiver(TOGGLE, "top.listed.sequencer*", "*", bits_of(tops), _TOP, width)
    yield Waiver(TOGGLE, "top.listed*", "beats__1__payload", bits_of(tops), _TOP, width)


_FINISHED = finished_layout(MACHINE)
_SEGMENTED = _FINISHED["segmented"]
_TERM = term_layout(COEFFICIENT_BITS)

MACHINE_WAIVERS: tuple[Waiver, ...] = (
    *(
        Waiver(TOGGLE, "top.encode*", "settings", bits_of(mask), why, settings_layout(MACHINE).size)
        for mask, why in _impossible_settings()
    ),
    Waiver(
        TOGGLE, "top.encode*", "state",
        placed(STATE, {name: -1 for name in STATE.members if name not in (*KEPT_OF_STATE, "keep")}),
        _STATE, STATE.size,
    ),
    *(
        Waiver(
            TOGGLE, component, place,
            placed(_FINISHED, {"segmented": mask_of(_SEGMENTED.shape, {"codes": -1})}),
            _ELSEWHERE, _FINISHED.size,
        )
        for component, place in (
            ("top.encode.lanes.inner.finished", "?__payload"),
            ("top.encode.lanes.inner", "o__payload"),
        )
    ),
    Waiver(
        TOGGLE, "top.encode.lanes.inner.combiner.lane", "plain",
        placed(_TERM, {"factor": ~mask_of(_TERM["factor"].shape, {"negative": 1})}),
        _PLAIN, _TERM.size,
    ),
    *(
        Waiver(
            TOGGLE, "top.encode*", place,
            placed(TALLY, {"flags": -1 << 3, "largest": -1 << FLOAT32.exponent_width}),
            _EXPONENT, TALLY.size,
        )
        for place in ("tally", "found")
    ),
    Waiver(
        TOGGLE, "top.encode.inputs.strips", "o__payload",
        bits_of(_each((1 << BF16.width) - 1, CODE, VECTOR)), _NARROW, CODE * VECTOR,
    ),
    *(
        Waiver(TOGGLE, "top.encode*", "*", bits_of(mask), why, LANE_SUMS.size)
        for mask, why in _sums_bits()
    ),
    *_lines(
        3, "sums", "o__payload", "gatherer",
        ((_each(mask, SUMS.size, LINE // SUMS.size), why) for mask, why in _sums_bits()),
    ),
    *_counts(),
    *_commands(),
)  # fmt: skip
