"""Cycle model of `hw.encode.encode_walk`: where vectors are, what is there, what they end."""

from __future__ import annotations

import numpy as np

from gscn.cycles.encode.state import LANES_ALL, RING, calling
from gscn.encode import GROUP_LOOPS, LOOPS, STREAMS, TENSORS
from gscn.passes import VECTOR
from gscn.port import ALIGNMENT_BITS
from gscn.system.compiled import borrowing

_GROUP_LEVEL = 1 + LOOPS - GROUP_LOOPS
_BLOCKED_LEVEL = 3
_MASK, _DENSE = STREAMS.index("mask"), STREAMS.index("dense")
DENSITY_BITS = 12
_SHARES = 4
"""Of a random number of 64 bits, as many as a vector has lanes."""


@borrowing
def popcount(bits):
    """Return how many bits of 16 are set."""
    bits = bits - ((bits >> 1) & 0x5555)
    bits = (bits & 0x3333) + ((bits >> 2) & 0x3333)
    bits = (bits + (bits >> 4)) & 0x0F0F
    return (bits + (bits >> 8)) & 0x1F


@borrowing
def random_lanes(number, density, salt):
    """Return lanes of a vector, each of which is kept with a probability of `density` / 4096."""
    if density <= 0:
        return 0
    if density >= 1 << DENSITY_BITS:
        return LANES_ALL
    found = 0
    for share in range(DENSITY_BITS // _SHARES):
        word = np.uint64(number * 8 + share) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(
            salt
        ) * np.uint64(0xD1B54A32D192ED03)
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        word = word ^ (word >> np.uint64(31))
        for part in range(_SHARES):
            lanes = np.int64((word >> np.uint64(16 * part)) & np.uint64(LANES_ALL))
            if density >> (share * _SHARES + part) & 1:
                found |= lanes
            else:
                found &= lanes
    return found


@borrowing
def lanes_of(settings, masks, what, number):
    """Return the lanes of a vector that are kept, as it is known or at random."""
    if settings.known[what]:
        return np.int64(masks[what, number])
    return random_lanes(number, settings.densities[what], what)


@borrowing
def _step(walk, settings, places):
    """Go on to the next vector; return the level that steps, or -1 for the first one."""
    level = -1
    if walk.made:
        level = 0
        while walk.left[level] == 0:
            level += 1
        walk.left[level] -= 1
        walk.left[0] = (1 << settings.vectors) - 1 if level > 0 else walk.left[0]
        for lower in range(1, level):
            walk.left[lower] = settings.counts[lower - 1] - 1
    within = 0
    if level == -1 or level > _BLOCKED_LEVEL:
        walk.number = 0
    elif level == _BLOCKED_LEVEL:
        within = settings.transposed and walk.number != VECTOR - 1
        walk.number = (walk.number + 1) % VECTOR
    if level >= 0:
        for stream in range(places.shape[0]):
            place = places[stream]
            place.at[level] += place.within[0] if within else place.steps[level]
            for lower in range(level):
                place.at[lower] = place.at[level]
    return level


@borrowing
def _count_down(left, ended, group, most):
    """Return what is left of a run of positions behind this one."""
    return (most if group or ended else left) - 1


@borrowing
def _mark(walk, settings, item, level):
    """Say what begins and ends with the position of a vector."""
    if level == 0:
        walk.vector += 1
    else:
        walk.vector = 0
        group = level == -1 or level >= _GROUP_LEVEL
        walk.begins_rows = group
        walk.begins_segment = group or walk.segment == 0
        period = walk.period == 0
        a, b = walk.a == 0 or period, walk.b == 0 or period
        walk.segment = _count_down(walk.segment, walk.segment == 0, group, settings.segment)
        walk.period = _count_down(walk.period, period, group, settings.period)
        walk.a = _count_down(walk.a, a, group, settings.a_positions)
        walk.b = _count_down(walk.b, b, group, settings.b_positions)
    item.begins_rows = walk.begins_rows
    item.begins_segment = walk.begins_segment
    ends_group = 1
    for inner in range(1, _GROUP_LEVEL):
        if walk.left[inner]:
            ends_group = 0
    item.ends_group = ends_group
    ends = ends_group and walk.left[0] == 0
    for outer in range(_GROUP_LEVEL, LOOPS + 1):
        if walk.left[outer]:
            ends = 0
    item.ends = ends
    item.ends_segment = walk.segment == 0 or ends_group
    item.ends_a = walk.a == 0 or walk.period == 0
    item.ends_b = walk.b == 0 or walk.period == 0
    item.vector = walk.vector
    item.last_vector = walk.left[0] == 0


@borrowing
def _channels(walk, settings, level):
    """Follow loop 5; return how many channels the group has."""
    if level == -1 or level > _GROUP_LEVEL:
        walk.column = 0
        walk.group_left = settings.channels
    elif level == _GROUP_LEVEL:
        walk.column += 1
        walk.group_left -= settings.group_channels
    return min(walk.group_left, settings.group_channels)


@calling
def next_item(unit, masks):
    """Make the next vector of the walk."""
    walk, settings, places = unit.walk, unit.settings, unit.places
    level = _step(walk, settings, places)
    number = walk.made
    item = unit.items[number % RING]
    walk.made += 1
    _mark(walk, settings, item, level)
    real = _channels(walk, settings, level)
    y, x = places[TENSORS + 2].at[0], places[TENSORS + 3].at[0]
    there = 0
    if 0 <= y < settings.y_limit and 0 <= x < settings.x_limit:
        lanes = min(max(real - VECTOR * item.vector, 0), VECTOR)
        there = (1 << lanes) - 1
    item.there = there
    item.number = number
    item.column = walk.column
    for tensor in range(TENSORS):
        place = places[tensor].at[0]
        inside = 0 <= place <= settings.addr_mask
        item.places[tensor] = place if inside else settings.addr_mask
    item.mask = places[_MASK].at[0] >> ALIGNMENT_BITS
    item.dense = places[_DENSE].at[0]
    item.begins_strip = not walk.inside_strip
    item.ends_strip = item.ends_a and item.last_vector
    walk.inside_strip = not item.ends_strip
    odd = masks[0, number] if settings.known[0] else settings.odd_all
    item.third = settings.present[2] and (settings.product or (odd >> 2) & 1)
    item.wide = (
        (settings.wide[0] and odd & 1)
        or (settings.wide[1] and not settings.product and (odd >> 1) & 1)
        or (settings.wide[2] and item.third)
    )
    item.a = lanes_of(settings, masks, 2, number) & there
    item.b = lanes_of(settings, masks, 3, number) & there
