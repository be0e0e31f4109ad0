"""Cycle model of what is between the walk and memory in the encode unit, from `begin` to the end.

Parts are looked at as their registers are when a cycle begins; then each goes on, those behind
first.
"""

from __future__ import annotations

from gscn.cycles.encode.gatherer import gather, gather_run, gatherer_ended
from gscn.cycles.encode.lanes import (
    SELECTED,
    VERDICTS,
    lanes_ready,
    offer_dot,
    outputs_done,
    step_lanes,
    step_outputs,
)
from gscn.cycles.encode.line_writer import step_writer
from gscn.cycles.encode.packer import look_at_packer, step_packer
from gscn.cycles.encode.queues import outputs_room, pop
from gscn.cycles.encode.readers import (
    arbitrate,
    ask,
    commit,
    deliver,
    load_rows,
    offer,
    rows_free,
    show,
    show_rows,
)
from gscn.cycles.encode.state import (
    A_DATA,
    A_TABLE,
    B_DATA,
    BITS,
    DENSE,
    MASK,
    READERS,
    RING,
    SECOND,
    STRIPS,
    SUMS,
    T0,
    TABLE,
    VECTORS,
    calling,
)
from gscn.cycles.encode.strip_reader import offer_strips, step_strips
from gscn.cycles.encode.transposer import step_transposer, transposer_spot
from gscn.cycles.encode.walk import next_item
from gscn.encode import TENSORS
from gscn.passes import VECTOR
from gscn.port import ALIGNMENT_BITS
from gscn.system.compiled import borrowing, compiled

WALK_LATENCY = 2
"""`EncodeWalk.LATENCY`, from `begin`."""
BINS = 256
"""Of a selection."""


@calling
def _offer_lines(unit):
    """Look at what readers want of the port."""
    settings, readers, items = unit.settings, unit.readers, unit.items
    bursts = settings.bursts
    for number in range(MASK + 1):
        reader = readers[number]
        item = items[reader.gone % RING]
        valid = reader.placed > reader.gone
        if number == MASK:
            offer(reader, valid, item.there, item.mask, bursts)
        elif number == T0 and settings.transposed:
            asks, used, line = transposer_spot(unit)
            offer(reader, asks, used, line, bursts)
        elif settings.present[number]:
            line = item.places[number] >> ALIGNMENT_BITS
            offer(reader, valid, item.there, line, bursts)
    if settings.packed:
        offer_strips(unit)


@borrowing
def _whole(unit):
    """Return whether all that belongs to the next vector is there."""
    settings, readers = unit.settings, unit.readers
    if not unit.rows.valid:
        return False
    if settings.masked and not readers[MASK].valid:
        return False
    for number in range(TENSORS):
        if not settings.present[number]:
            continue
        if number == T0 and settings.packed:
            if not unit.decoder.whole:
                return False
        elif number == T0 and settings.transposed:
            if not unit.transposer.highs:
                return False
        elif not readers[number].valid:
            return False
    return True


@borrowing
def _has_room(unit, now):
    """Return whether every reader can be told of a vector."""
    inputs, settings, readers = unit.inputs, unit.settings, unit.readers
    if inputs.forked - unit.rows.shown == VECTORS:
        return False
    if settings.masked and not readers[MASK].place_room:
        return False
    for number in range(TENSORS):
        if not settings.present[number]:
            continue
        if number == T0 and settings.packed:
            if inputs.forked - unit.decoder.arrived == VECTORS:
                return False
            continue
        reader = readers[number]
        if reader.staged and not reader.place_room:
            return False
        # the bytes from lane to lane are added up first, lane by lane
        if number == T0 and settings.transposed and now <= settings.begin + VECTOR:
            return False
    return True


@borrowing
def _fork(unit, moves):
    """Go on with places that are checked, and tell readers of a vector, if it `moves`."""
    inputs, settings, readers = unit.inputs, unit.settings, unit.readers
    for number in range(TENSORS):
        if settings.present[number] and not (number == T0 and settings.packed):
            reader = readers[number]
            if reader.staged and reader.place_room:
                reader.placed += 1
                reader.staged = 0
            if moves:
                reader.staged = 1
    if not moves:
        return
    if settings.masked:
        readers[MASK].placed += 1
    item = unit.items[inputs.forked % RING]
    if item.loads:
        load_rows(unit.rows, settings, item.column)
        inputs.known_column = 1
        inputs.column = item.column
    inputs.forked += 1


@borrowing
def _next_moves(unit, masks, now, room):
    """Return whether the walk's vector is taken, which is made if there is none."""
    inputs, settings, walk = unit.inputs, unit.settings, unit.walk
    if now < settings.begin + WALK_LATENCY or inputs.forked == settings.all_vectors:
        return False
    if walk.made == inputs.forked:
        next_item(unit, masks)
        item = unit.items[inputs.forked % RING]
        known = inputs.known_column and inputs.column == item.column
        item.loads = item.begins_rows and item.vector == 0 and not known
    item = unit.items[inputs.forked % RING]
    return room and (not item.loads or unit.rows.room)


@calling
def _step_inputs(unit, masks, now, taken):
    """Advance readers and the walk by a cycle; `taken`: the lanes take a vector."""
    settings, readers, rows, inputs = (
        unit.settings, unit.readers, unit.rows, unit.inputs,
    )  # fmt: skip
    _offer_lines(unit)
    rows.room = rows_free(rows, settings)
    room = _has_room(unit, now)
    moves = _next_moves(unit, masks, now, room)
    burst = arbitrate(unit, now)
    for number in range(READERS):
        ask(readers[number], settings.bursts)
    entry, halfword, found = taken, taken, taken
    if settings.packed:
        step_strips(unit, masks, taken)
        entry, halfword = unit.decoder.shows_entry, unit.decoder.shows_halfword
    if settings.transposed and settings.present[T0]:
        valid = readers[T0].placed > readers[T0].gone
        found = step_transposer(unit, valid, readers[T0].leaves, taken)
    for number in range(READERS):
        reader, fresh = readers[number], unit.fresh[number]
        takes = taken
        if number == T0:
            takes = found
        elif number == TABLE:
            takes = entry
        elif number == STRIPS:
            takes = halfword
        freed = show(reader, fresh, takes)
        if commit(reader, fresh, freed) and number <= MASK:
            reader.gone += not (number == T0 and settings.transposed)
    released = show_rows(rows, unit.items, inputs.forked, taken)
    whole = deliver(unit, now, burst)
    rows.ready += whole
    rows.held -= released
    if moves and unit.items[inputs.forked % RING].loads:
        rows.held += 1
    _fork(unit, moves)


@calling
def _write(unit, now, leaves):
    """Advance writers by a cycle; `leaves`: the channel whose line is written."""
    settings, queues = unit.settings, unit.queues
    for number in range(DENSE, SECOND + 1):
        queue, word = queues[number], unit.queued[number, queues[number].head]
        line = word.addr >> ALIGNMENT_BITS
        if gather(
            unit.gatherers[number], queue.level > 0, word.there, word.ends, line, leaves == number
        ):
            pop(queue)
    for number in range(BITS, SUMS + 1):
        queue, word = queues[number], unit.queued[number, queues[number].head]
        if gather_run(unit.gatherers[number], queue.level > 0, word.ends, 0, leaves == number):
            pop(queue)
    if settings.has_a or settings.has_b:
        queue, word = queues[VERDICTS], unit.queued[VERDICTS, queues[VERDICTS].head]
        a = unit.packers[0].ready or not settings.has_a
        b = unit.packers[1].ready or not settings.has_b
        there = queue.level > 0
        comes = there and a and b
        at = word.addr
        if settings.has_a:
            step_packer(unit, 0, comes, there and b, at, leaves == A_DATA, leaves == A_TABLE)
        if settings.has_b:
            step_packer(unit, 1, comes, there and a, at, leaves == B_DATA, leaves == B_DATA + 1)
        if comes:
            pop(queue)
    if queues[SELECTED].level and now >= settings.bins_ready:
        pop(queues[SELECTED])


@calling
def _complete(unit, now, through):
    """Return whether all results are in memory, and the choice is made."""
    settings, outputs, writer = unit.settings, unit.outputs, unit.writer
    if settings.selects:
        if through and not outputs.asked and now >= settings.bins_ready:
            outputs.asked = 1
            outputs.chosen_at = now + 1 + VECTOR * (BINS - settings.chosen_bin)
        if not outputs.asked or now < outputs.chosen_at:
            return False
    if not through or writer.held or writer.under_way:
        return False
    for number in range(SUMS + 1):
        if settings.has[number] and not gatherer_ended(unit.gatherers[number]):
            return False
    for part in range(2):
        has = settings.has_b if part else settings.has_a
        ended = unit.packers[part].ended and gatherer_ended(unit.gatherers[A_TABLE + 2 * part])
        if has and not ended:
            return False
    return True


@borrowing
def step(unit, masks, now):
    """Advance all parts by a cycle; return whether the results are in memory."""
    outputs_room(unit)
    look_at_packer(unit.packers[0])
    look_at_packer(unit.packers[1])
    through = outputs_done(unit)
    complete = _complete(unit, now, through)
    taken = _whole(unit) and lanes_ready(unit)
    room, dots = offer_dot(unit)
    leaves = step_writer(unit, now)
    _write(unit, now, leaves)
    dot_goes = step_lanes(unit, taken, dots)
    step_outputs(unit, room, dot_goes)
    _step_inputs(unit, masks, now, taken)
    return complete


@compiled
def run(units, masks):
    """Return the cycle in which `Outputs.done` is seen; -1: there were too many.

    Parameters
    ----------
    units
        `UNIT` (1,): as a pass begins.
    masks
        uint16 (MASKS, vectors): what `settings.known` says that is known.
    """
    unit = units[0]
    now = unit.settings.begin + 1
    while now < unit.settings.limit:
        if step(unit, masks, now):
            return now + 1
        now += 1
    return -1
