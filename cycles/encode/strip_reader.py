"""Cycle model of `hw.encode.strip_reader`: tensor 0 as strips."""

from __future__ import annotations

from gscn.cycles.encode.readers import offer
from gscn.cycles.encode.state import RING, STRIPS, TABLE, VECTORS, calling
from gscn.cycles.encode.walk import lanes_of, popcount
from gscn.passes import HALFWORD_BYTES, TABLE_ENTRY_BYTES, VECTOR
from gscn.port import ALIGNMENT_BITS
from gscn.system.compiled import borrowing

KINDS, SPANS, LENGTHS, OUT_DEPTH = VECTORS + 2, 2, 4, 4
"""Depths of queues."""


@borrowing
def kept_of(unit, masks, number):
    """Return the lanes of a vector of tensor 0 that its strip has."""
    return lanes_of(unit.settings, masks, 1, number)


@calling
def offer_strips(unit):
    """Look at what is wanted of the table and of strips, as registers are."""
    decoder, settings = unit.decoder, unit.settings
    item = unit.items[decoder.arrived % RING]
    decoder.arrives = unit.inputs.forked > decoder.arrived
    decoder.room = decoder.arrived - decoder.taken < VECTORS
    decoder.opens = (
        item.begins_strip and item.begins_rows and item.vector == 0 and not decoder.second
    )
    decoder.asks = decoder.arrives and item.begins_strip and decoder.room and decoder.kinds < KINDS
    below = decoder.row + settings.columns * TABLE_ENTRY_BYTES
    decoder.table_addr = settings.t0_table + decoder.column if decoder.opens else below
    bursts = settings.bursts
    offer(unit.readers[TABLE], decoder.asks, 1, decoder.table_addr >> ALIGNMENT_BITS, bursts)
    span = unit.spans[decoder.span_head]
    asks = decoder.spans > 0 and decoder.begun and span.halfwords > 0
    addr = settings.t0_addr + (span.first + decoder.at) * HALFWORD_BYTES
    offer(unit.readers[STRIPS], asks, 1, addr >> ALIGNMENT_BITS, bursts)


@calling
def _strip(unit, masks, span):
    """Describe the next strip: where it begins, its halfwords, and its vectors."""
    decoder, settings = unit.decoder, unit.settings
    positions = min(settings.a_positions, settings.period - decoder.next_position)
    decoder.next_position = (decoder.next_position + positions) % settings.period
    span.vectors = positions << settings.vectors
    halfwords = (span.vectors + VECTOR - 1) // VECTOR
    for number in range(decoder.next_vector, decoder.next_vector + span.vectors):
        lanes = popcount(kept_of(unit, masks, number))
        halfwords += lanes + (lanes > 0)
    decoder.next_vector += span.vectors
    span.first = decoder.next_number
    span.halfwords = halfwords
    decoder.next_number += halfwords


@borrowing
def _measure(unit):
    """Make a span of an entry of the table."""
    decoder = unit.decoder
    decoder.shows_entry = 0
    opens = unit.kinds[decoder.kind_head]
    room = decoder.spans < SPANS
    if unit.readers[TABLE].valid and decoder.kinds and (opens or room):
        decoder.shows_entry = 1
        decoder.kinds -= 1
        decoder.kind_head = (decoder.kind_head + 1) % RING
        return not opens
    return 0


@borrowing
def _read(unit):
    """Ask for each halfword of a span; return whether it is done, and whether it begins."""
    decoder = unit.decoder
    if not decoder.spans:
        return 0, 0
    span, goes = unit.spans[decoder.span_head], unit.readers[STRIPS].leaves
    begins = not decoder.begun and decoder.lengths < LENGTHS
    last = decoder.at + 1 == span.halfwords
    ends = decoder.begun and (span.halfwords == 0 or (goes and last))
    if goes:
        decoder.at += 1
    if begins:
        decoder.begun = 1
    if ends:
        decoder.at = 0
        decoder.begun = 0
    return ends, begins


@borrowing
def _take(unit, masks, kind):
    """Take a halfword: the block's, the vector's, or a value; return whether it is the last."""
    decoder = unit.decoder
    decoder.left -= 1
    if kind == 0:
        decoder.known = 1
        decoder.bits = 0
        for number in range(decoder.taken, min(decoder.taken + VECTOR, decoder.end)):
            if kept_of(unit, masks, number):
                decoder.bits |= 1 << (number - decoder.taken)
    elif kind == 1:
        decoder.masked = 1
        decoder.rest = popcount(kept_of(unit, masks, decoder.taken))
    else:
        decoder.rest -= 1
        return decoder.rest == 0
    return 0


@borrowing
def _decode(unit, masks):
    """Make the next vector; return whether it is whole, and whether a length was taken."""
    decoder, item = unit.decoder, unit.items[unit.decoder.taken % RING]
    decoder.shows_halfword = 0
    if decoder.arrived == decoder.taken or decoder.whole == OUT_DEPTH:
        return 0, 0
    if item.begins_strip and not decoder.entered:
        enters = decoder.lengths > 0
        if enters:
            length = unit.lengths[decoder.length_head]
            decoder.entered = 1
            decoder.left = length.halfwords
            decoder.end = decoder.taken + length.vectors
        return 0, enters
    ends = 1
    if not decoder.known or decoder.bits & 1:
        ends = 0
        if decoder.left and unit.readers[STRIPS].valid:
            kind = 0 if not decoder.known else 2 if decoder.masked else 1
            ends = _take(unit, masks, kind)
            decoder.shows_halfword = 1
    if ends:
        last = item.ends_strip or decoder.index == VECTOR - 1
        decoder.masked = 0
        decoder.bits >>= 1
        decoder.known = not last
        decoder.index = 0 if last else decoder.index + 1
        decoder.entered = not item.ends_strip
    return ends, 0


@calling
def step_strips(unit, masks, taken):
    """Advance by a cycle, behind the arbiter; `taken`: what is shown is taken."""
    decoder = unit.decoder
    whole, length_taken = _decode(unit, masks)
    spans = _measure(unit)
    ends, begins = _read(unit)
    if begins:
        at = (decoder.length_head + decoder.lengths) % LENGTHS
        unit.lengths[at] = unit.spans[decoder.span_head]
    if ends:
        decoder.span_head = (decoder.span_head + 1) % SPANS
    decoder.spans -= ends
    if spans:
        _strip(unit, masks, unit.spans[(decoder.span_head + decoder.spans) % SPANS])
        decoder.spans += 1
    decoder.lengths += begins
    if length_taken:
        decoder.length_head = (decoder.length_head + 1) % LENGTHS
        decoder.lengths -= 1
    arrival = unit.items[decoder.arrived % RING]
    known = unit.readers[TABLE].leaves
    ready = decoder.room and (not arrival.begins_strip or (known and not decoder.opens))
    if known:
        unit.kinds[(decoder.kind_head + decoder.kinds) % RING] = decoder.opens
        decoder.kinds += 1
        decoder.row = decoder.table_addr
        decoder.second = decoder.opens
        if decoder.opens:
            decoder.column += TABLE_ENTRY_BYTES
    if decoder.arrives and ready:
        decoder.arrived += 1
    decoder.taken += whole
    decoder.whole += whole - taken
