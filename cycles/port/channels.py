"""Cycle model of `hw.port.arbiter` in front of the channels of an array, and of the memory behind.

Memory answers each burst after a fixed latency and then delivers one beat per cycle.
"""

from __future__ import annotations

from gscn.cycles.state import record
from gscn.system.compiled import borrowing

ARBITER = record(
    "first", "end",  # channels of the port
    "first_cluster", "end_cluster",
    "head", "level",  # of the ring of read bursts under way
    "arrived",  # beats of the first of them
    # whose read burst was taken last, and whose write burst
    "read_below", "write_below",
    "sender", "beats_left",  # of the burst that is written
    "taken",  # read bursts so far
)  # fmt: skip
BURST = record("beat", "beats", "due")
"""A read burst under way: address in beats, or -1 of the list of passes; `due` is the cycle of its
first beat at the earliest."""
LIST_READER = record("asks", "due", "burst")
"""Of the list of passes: bursts to ask for, beats to come, beats of a burst."""


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
def choose_channel(arbiter, channels, requests, asks):
    """Channel whose burst is taken; the first above all is that of the list of passes."""
    first, end = arbiter.first, arbiter.end
    for number in range(first, end):
        requests[number] = channels[number].beats
    number = choose(requests, arbiter.read_below, first, end)
    # the turn of the list comes after all channels that have not had theirs
    turn_is_over = number <= arbiter.read_below
    if asks and turn_is_over and (number < 0 or arbiter.read_below < end):
        number = end
    if number >= 0:
        arbiter.read_below = number
    return number


@borrowing
def take_burst(number, arbiter, burst, owners, channels, reader):
    """Take the burst that a channel offers, for all channels that ask for the same."""
    first, end = arbiter.first, arbiter.end
    arbiter.level += 1
    arbiter.taken += 1
    if number == end:
        burst.beat = -1
        burst.beats = reader.burst
        reader.asks -= 1
        for other in range(first, end):
            owners[other] = False
        return
    beat, beats = channels[number].beat, channels[number].beats
    burst.beat, burst.beats = beat, beats
    for other in range(first, end):
        alike = channels[other].beats == beats and channels[other].beat == beat
        owners[other] = alike
        if alike:
            channels[other].granted = 1


@borrowing
def deliver_beat(arbiter, burst, owners, channels, reader, outstanding):
    """Deliver a beat of the oldest burst, to the list of passes if no channel owns it."""
    shared = False
    for number in range(arbiter.first, arbiter.end):
        if owners[number]:
            channels[number].arrived = 1
            shared = True
    if not shared:
        reader.due -= 1
    arbiter.arrived += 1
    if arbiter.arrived == burst.beats:
        arbiter.arrived = 0
        arbiter.head = (arbiter.head + 1) % outstanding
        arbiter.level -= 1


@borrowing
def step_reads(arbiter, bursts, owners, channels, requests, reader, latency, now):
    """Advance a ReadArbiter and the memory behind it; return the beats delivered, 0 or 1.

    Parameters
    ----------
    arbiter
        `ARBITER`.
    bursts, owners
        `BURST` (outstanding,), bool (outstanding, channels): under way, a ring, and for whom.
    channels
        `cycles.port.channel.CHANNEL` (channels,), of all ports.
    requests
        int64 (channels,): space to work in.
    reader
        `LIST_READER` on the first port; that of another port never asks.
    latency
        Cycles from a command at the memory to its first beat.
    now
        The cycle.
    """
    outstanding = bursts.shape[0]
    asks = reader.asks > 0
    head, level = arbiter.head, arbiter.level
    arrived = level > 0 and bursts[head].due <= now
    if level < outstanding:
        number = choose_channel(arbiter, channels, requests, asks)
        if number >= 0:
            tail = (head + level) % outstanding
            bursts[tail].due = now + 1 + latency  # a command reaches memory one cycle later
            take_burst(number, arbiter, bursts[tail], owners[tail], channels, reader)
    if arrived:
        deliver_beat(arbiter, bursts[head], owners[head], channels, reader, outstanding)
        return 1
    return 0


@borrowing
def step_writes(arbiter, writers, bursts, requests, has_room):
    """Advance a WriteArbiter; return whether it sent a beat, ended a burst, took a burst.

    Parameters
    ----------
    arbiter
        `ARBITER`.
    writers, bursts
        `cycles.cluster.result_writer.RESULT_WRITER` (clusters,), int64 (clusters, depth).
    requests
        int64 (clusters,) or more: space to work in.
    has_room
        Memory takes another burst.
    """
    sends = arbiter.beats_left > 0
    ends = False
    if sends:
        writers[arbiter.sender].leaves = 1
        arbiter.beats_left -= 1
        ends = arbiter.beats_left == 0
    if arbiter.beats_left or not has_room:
        return sends, ends, False
    takes = False
    first, end = arbiter.first_cluster, arbiter.end_cluster
    for cluster in range(first, end):
        requests[cluster] = writers[cluster].bursts
        takes = takes or writers[cluster].bursts > 0
    if takes:
        cluster = choose(requests, arbiter.write_below, first, end)
        writer = writers[cluster]
        arbiter.write_below = cluster
        arbiter.sender = cluster
        arbiter.beats_left = bursts[cluster, writer.burst_head]
        writer.taken = 1
    return sends, ends, takes
