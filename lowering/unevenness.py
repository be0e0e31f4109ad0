"""How unlike samples and channels are, and what that costs: parts of the closed form."""

from __future__ import annotations

import math

from gscn.lowering.estimates import word_cycles
from gscn.system.compiled import compiled

INPUT_SPREAD, DENSE_SPREAD = 0.4, 0.05
"""Deviation over mean of the nonzeros of an input's samples, sparse or dense."""
_FEW_HAVE, _MISSES = 0.93, 1.5
"""Share of an uneven operand that few samples have; what look-ups cost that find nothing."""
_LONGEST, _LAST, _OVER = 5.0, 0.385, 0.22
"""Deviations of the longest unit; shares of it, and of what it is over a member's part of a tile,
for which a team waits."""


@compiled
def sample_spread(density):
    """Return deviation over mean of the nonzeros of an output gradient's samples.

    As in recorded steps: the sparser, the more of them are in a few samples.
    """
    return max(0.15, 1.9 * math.log10(0.3 / max(density, 1e-4)))


@compiled
def uneven_share(tiles, team, clusters):
    """Return how much longer tiles take than if all were dealt evenly.

    The last round may be incomplete, and tiles differ by what their channels have. Clusters of
    their own may have a tile more or less at the end, teams share theirs.
    """
    teams = clusters // team
    rounds = tiles / teams
    if rounds < 1.0:
        return (1.2 if team == 1 else 1.0) / rounds
    share = 1.0 + 1.1 * (math.ceil(rounds) / rounds - 1.0)
    if team > 1:
        return share + 0.16 * (1.0 - 1.0 / teams) / math.sqrt(rounds)
    return share + (0.24 if rounds <= 1.0 else max(0.24 / math.sqrt(rounds), 0.52 / rounds))


@compiled
def uneven_word(entries, density, spread):
    """Return `word_cycles` of an operand of which a few samples have nearly all, as they spread."""
    few = 1.0 / (1.0 + spread * spread)
    most = max(_FEW_HAVE, few)
    cycles = few * word_cycles(entries, min(0.99, density * most / few)) * most / few
    if few < 1.0:
        rest = (1.0 - most) / (1.0 - few)
        mean = max(1e-6, entries * density * rest)
        cycles += (1.0 - few) * (1.0 + _MISSES * (1.0 - density * rest) ** entries / mean) * rest
    return cycles


@compiled
def team_ends(unit, units, rounds, team, spread):
    """Return the cycles for which members of a team wait for the one that has most.

    Parameters
    ----------
    unit
        Cycles of a unit, on average.
    units
        Of a tile.
    rounds
        Tiles of a team.
    team
        Members.
    spread
        Deviation over mean of units.
    """
    longest = (1.0 + _LONGEST * spread) * unit * (1.0 - 1.0 / team)
    over = max(0.0, longest - unit * units / team) * max(0.0, rounds - 1.0)
    return _LAST * longest + _OVER * over
