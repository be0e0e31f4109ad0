"""Cycle model of `hw.port.arbiter`, and of the memory behind one port.

Memory answers each burst after a fixed latency and then delivers one beat per cycle.
"""

from __future__ import annotations

from gscn.cycles.port.writer import writer_offer
from gscn.cycles.state import record
from gscn.records import AT_ONCE
from gscn.system.compiled import borrowing

ARBITER = record(
    "first", "end",  # clusters of the port
    "head", "level",  # of the ring of read bursts under way
    "arrived",  # beats of the first of them
    # whose read burst was taken last, or looked at; and whose write burst
    "read_below", "write_below",
    "complete",  # 1 more than the channel whose waiting burst had its sharers a cycle before, or 0
    "sender", "beats_left",  # of the burst that is written
)  # fmt: skip
BURST = record("beats", "due")
"""A read burst under way; `due` is the cycle of its first beat at the earliest."""


@borrowing
def choose(requests, below, first, end):
    """Index of the request in [first, end) that a RoundRobin grants.

    That is the first above `below`, else the first of all.
    """
    lowest = -1
    for index in range(first, end):
        if requests[index] > 0:
            if index > below:
                return index
            if lowest < 0:
                lowest = index
    return lowest


@borrowing
def look_at_offers(arbiter, ports, machine, burst):
    """Note what read channels offer; return whether any is urgent, and any names sharers."""
    any_urgent = any_sharers = False
    for channel in range(2 * arbiter.first, 2 * arbiter.end):
        reader = machine.readers[channel]
        offer = 0
        if reader.left > 0:
            offer = min(reader.left, burst - reader.beat % burst)
            if reader.room < offer:
                offer = 0
        ports.offers[channel] = offer
        # a load block or stream that is not needed soon waits to be shared
        if channel % 2 == 0:
            fetcher = machine.fetchers[channel // 2]
            waits = fetcher.lead != AT_ONCE and not fetcher.hurry
        else:
            waits = reader.room < reader.urgent_room
        ports.urgent[channel] = 0 if waits else offer
        any_urgent = any_urgent or ports.urgent[channel] > 0
        any_sharers = any_sharers or (offer > 0 and reader.sharers > 0)
    return any_urgent, any_sharers


@borrowing
def look_at_waiting(arbiter, ports, readers):
    """Have a ReadArbiter look at the next burst that waits and names sharers.

    It is noted if as many channels offer it. `ports.urgent` is overwritten.
    """
    first, end = 2 * arbiter.first, 2 * arbiter.end
    offers, waiting = ports.offers, ports.urgent
    for channel in range(first, end):
        waiting[channel] = offers[channel] if readers[channel].sharers > 0 else 0
    candidate = choose(waiting, arbiter.read_below, first, end)
    arbiter.read_below = candidate
    beat, beats = readers[candidate].beat, offers[candidate]
    present = 0
    for other in range(first, end):
        if offers[other] == beats and readers[other].beat == beat:
            present += 1
    if present >= readers[candidate].sharers:
        arbiter.complete = candidate + 1


@borrowing
def choose_urgent(arbiter, urgent, asks):
    """Channel whose urgent burst is taken; the first above all channels is the sequencer's."""
    first, end = 2 * arbiter.first, 2 * arbiter.end
    channel = choose(urgent, arbiter.read_below, first, end)
    # the sequencer's turn comes after all channels that have not had theirs
    turn_is_over = channel <= arbiter.read_below
    if asks and turn_is_over and (channel < 0 or arbiter.read_below < end):
        channel = end
    arbiter.read_below = channel
    return channel


@borrowing
def take_burst(channel, arbiter, burst, owners, ports, readers, sequencer):
    """Take the burst that a channel offers, for all channels that ask for the same."""
    first, end = 2 * arbiter.first, 2 * arbiter.end
    arbiter.level += 1
    if channel == end:
        burst.beats = sequencer.burst
        sequencer.asks -= 1
        for other in range(first, end):
            owners[other] = False
        return
    beat, beats = readers[channel].beat, ports.offers[channel]
    burst.beats = beats
    for other in range(first, end):
        alike = ports.offers[other] == beats and readers[other].beat == beat
        owners[other] = alike
        if alike:
            readers[other].issued = beats


@borrowing
def deliver_beat(arbiter, burst, owners, readers, sequencer, outstanding):
    """Deliver a beat of the oldest burst, to the sequencer if no channel owns it."""
    shared = False
    for channel in range(2 * arbiter.first, 2 * arbiter.end):
        if owners[channel]:
            readers[channel].arrived = 1
            shared = True
    if not shared:
        sequencer.due -= 1
    arbiter.arrived += 1
    if arbiter.arrived == burst.beats:
        arbiter.arrived = 0
        arbiter.head = (arbiter.head + 1) % outstanding
        arbiter.level -= 1


@borrowing
def step_reads(port, ports, machine, sequencer, sizes, now):
    """Advance a ReadArbiter and the memory behind it; return the beats delivered, 0 or 1.

    `sequencer` reads through the first port; the one of another port never asks.
    """
    arbiter, bursts, owners = ports.arbiters[port], ports.bursts[port], ports.owners[port]
    outstanding = bursts.shape[0]
    asks = sequencer.asks > 0
    any_urgent, any_sharers = look_at_offers(arbiter, ports, machine, sizes.burst)
    any_urgent = any_urgent or asks
    head, level = arbiter.head, arbiter.level
    arrived = level > 0 and bursts[head].due <= now
    complete = arbiter.complete - 1
    arbiter.complete = 0
    if not any_urgent and complete < 0 and any_sharers:
        look_at_waiting(arbiter, ports, machine.readers)
    if (any_urgent or complete >= 0) and level < outstanding:
        channel = complete
        if any_urgent:
            channel = choose_urgent(arbiter, ports.urgent, asks)
        tail = (head + level) % outstanding
        bursts[tail].due = now + 1 + sizes.latency  # a command reaches memory one cycle later
        take_burst(channel, arbiter, bursts[tail], owners[tail], ports, machine.readers, sequencer)
    if arrived:
        deliver_beat(arbiter, bursts[head], owners[head], machine.readers, sequencer, outstanding)
        return 1
    return 0


@borrowing
def step_writes(arbiter, offers, writers, burst):
    """Advance a WriteArbiter; return whether it sent a beat, ended a burst, took a burst."""
    any_offer = False
    for cluster in range(arbiter.first, arbiter.end):
        offers[cluster] = writer_offer(writers[cluster], burst)
        any_offer = any_offer or offers[cluster] > 0
    sends = arbiter.beats_left > 0
    ends = False
    if sends:
        writers[arbiter.sender].leaves = 1
        arbiter.beats_left -= 1
        ends = arbiter.beats_left == 0
    takes = any_offer and arbiter.beats_left == 0
    if takes:
        cluster = choose(offers, arbiter.write_below, arbiter.first, arbiter.end)
        arbiter.write_below = cluster
        arbiter.sender = cluster
        arbiter.beats_left = offers[cluster]
        writers[cluster].issued = offers[cluster]
    return sends, ends, takes
