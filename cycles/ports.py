"""Cycle model of a memory port: `hw.port.arbiter` and the bursts under way at one port."""

from gscn.cycles.channels import burst_length, writer_offer
from gscn.cycles.columns import (
    A_BEATS_LEFT,
    A_COMPLETE,
    A_HEAD,
    A_LEVEL,
    A_READ_BEAT,
    A_READ_BELOW,
    A_SENDER,
    A_WRITE_BELOW,
    L_HURRY,
    L_LEAD,
    R_ARRIVED,
    R_BEAT,
    R_ISSUED,
    R_LEFT,
    R_ROOM,
    R_SHARERS,
    R_URGENT_ROOM,
    S_ASKS,
    S_BURST,
    S_DUE,
)
from gscn.records import AT_ONCE
from gscn.system.compiled import compiled


@compiled
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


@compiled
def look_at_waiting(port, offers, waiting, readers, first, end):
    """Have a ReadArbiter look at the next burst that waits and names sharers.

    It is noted if as many channels offer it. `waiting` is overwritten.
    """
    for channel in range(first, end):
        waiting[channel] = offers[channel] if readers[channel, R_SHARERS] > 0 else 0
    candidate = choose(waiting, port[A_READ_BELOW], first, end)
    port[A_READ_BELOW] = candidate
    beat, beats = readers[candidate, R_BEAT], offers[candidate]
    present = 0
    for other in range(first, end):
        if offers[other] == beats and readers[other, R_BEAT] == beat:
            present += 1
    if present >= readers[candidate, R_SHARERS]:
        port[A_COMPLETE] = candidate + 1


@compiled
def step_reads(
    port, reads, owners, offers, urgent, readers, loaders, events, first, end, burst, latency, now,
    phases,
):  # fmt: skip
    """Advance a ReadArbiter and the memory behind it; return the beats delivered, 0 or 1.

    `reads` holds per burst under way its beats and the cycle of the first, `owners` the channels
    that it is for. The channels of the port are `first` to `end` - 1, and after them that of the
    Sequencer `phases`, which at other ports than the first never asks; it owns a burst that no
    other channel does.
    """
    asks = phases[S_ASKS] > 0
    any_urgent = asks
    any_sharers = False
    for channel in range(first, end):
        left = readers[channel, R_LEFT]
        offer = 0
        if left > 0:
            offer = burst_length(readers[channel, R_BEAT], left, burst)
            if readers[channel, R_ROOM] < offer:
                offer = 0
        offers[channel] = offer
        # a load block or stream that is not needed soon waits to be shared
        if channel % 2 == 0:
            loader = loaders[channel // 2]
            waits = loader[L_LEAD] != AT_ONCE and not loader[L_HURRY]
        else:
            waits = readers[channel, R_ROOM] < readers[channel, R_URGENT_ROOM]
        urgent[channel] = 0 if waits else offer
        any_urgent = any_urgent or urgent[channel] > 0
        any_sharers = any_sharers or (offer > 0 and readers[channel, R_SHARERS] > 0)
    outstanding = reads.shape[0]
    head, level = port[A_HEAD], port[A_LEVEL]
    arrived = level > 0 and reads[head, 1] <= now
    complete = port[A_COMPLETE] - 1
    port[A_COMPLETE] = 0
    if not any_urgent and complete < 0 and any_sharers:
        look_at_waiting(port, offers, urgent, readers, first, end)
    if (any_urgent or complete >= 0) and level < outstanding:
        channel = complete
        if any_urgent:
            channel = choose(urgent, port[A_READ_BELOW], first, end)
            # the sequencer's turn comes after all channels that have not had theirs
            turn_is_over = channel <= port[A_READ_BELOW]
            if asks and turn_is_over and (channel < 0 or port[A_READ_BELOW] < end):
                channel = end
            port[A_READ_BELOW] = channel
        tail = (head + level) % outstanding
        reads[tail, 1] = now + 1 + latency  # a command reaches memory one cycle later
        port[A_LEVEL] += 1
        if channel == end:
            reads[tail, 0] = phases[S_BURST]
            phases[S_ASKS] -= 1
            for other in range(first, end):
                owners[tail, other] = False
        else:
            beat, beats = readers[channel, R_BEAT], offers[channel]
            reads[tail, 0] = beats
            # every channel that asks for the same burst has it from this one
            for other in range(first, end):
                alike = offers[other] == beats and readers[other, R_BEAT] == beat
                owners[tail, other] = alike
                if alike:
                    events[other, R_ISSUED] = beats
    if not arrived:
        return 0
    shared = False
    for channel in range(first, end):
        if owners[head, channel]:
            events[channel, R_ARRIVED] = 1
            shared = True
    if not shared:
        phases[S_DUE] -= 1
    port[A_READ_BEAT] += 1
    if port[A_READ_BEAT] == reads[head, 0]:
        port[A_READ_BEAT] = 0
        port[A_HEAD] = (head + 1) % outstanding
        port[A_LEVEL] -= 1
    return 1


@compiled
def step_writes(port, offers, drains, leaves, issued, first, end, burst):
    """Advance a WriteArbiter; return whether it sent a beat, ended a burst, took a burst.

    The clusters of the port are `first` to `end` - 1. `leaves` is set for the one whose beat is
    sent, `issued` to the beats of the burst for the one from which it is taken.
    """
    any_offer = False
    for cluster in range(first, end):
        offers[cluster] = writer_offer(drains[cluster], burst)
        any_offer = any_offer or offers[cluster] > 0
    sends = port[A_BEATS_LEFT] > 0
    ends = False
    if sends:
        leaves[port[A_SENDER]] = 1
        port[A_BEATS_LEFT] -= 1
        ends = port[A_BEATS_LEFT] == 0
    takes = any_offer and port[A_BEATS_LEFT] == 0
    if takes:
        cluster = choose(offers, port[A_WRITE_BELOW], first, end)
        port[A_WRITE_BELOW] = cluster
        port[A_SENDER] = cluster
        port[A_BEATS_LEFT] = offers[cluster]
        issued[cluster] = offers[cluster]
    return sends, ends, takes
