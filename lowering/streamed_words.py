"""What words of other tiles cost a stream: part of the closed form of weight gradients."""

from __future__ import annotations

from gscn.passes import VECTOR
from gscn.system.compiled import compiled

_PASSED_VALUES = 3.0
"""Values of other tiles that a stream passes over in a cycle."""


@compiled
def word_share(streamed, lanes, density):
    """Return cycles of a stream for a tile of `streamed` channels, per word that it has in all.

    A word of another channel costs none, but a vector without any of the tile's costs one, and
    three values that are passed over another.

    Parameters
    ----------
    streamed
        Channels of a tile.
    lanes
        Channels of a group.
    density
        Of the stream.
    """
    if streamed >= lanes:
        return 1.0
    own = min(streamed, VECTOR)
    empty = (1.0 - density) ** own - (1.0 - density) ** VECTOR
    passed = (VECTOR - own) * density / _PASSED_VALUES
    partly = own * density + (max(empty, passed) if own < VECTOR else 0.0)
    other = max(1.0 - (1.0 - density) ** VECTOR, VECTOR * density / _PASSED_VALUES)
    vectors = max(1, streamed // VECTOR)
    return (vectors * partly + (lanes // VECTOR - vectors) * other) / (lanes * density)
