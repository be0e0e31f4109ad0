"""What words of other tiles cost a stream: part of the closed form of weight gradients."""

from __future__ import annotations

from gscn.passes import VECTOR
from gscn.system.compiled import compiled

_PASSED_VALUES = 3.0
"""Values of other tiles that a stream passes over in a cycle."""


@compiled
def word_share(streamed, density):
    """Return cycles of a stream's vector for a tile of `streamed` channels, per word it has in all.

    A word of another channel costs none, but a vector without any of the tile's costs one, and
    three values that are passed over another.
    """
    wanted = streamed * density
    if streamed >= VECTOR:
        return 1.0
    empty = (1.0 - density) ** streamed - (1.0 - density) ** VECTOR
    passed = (VECTOR - streamed) * density / _PASSED_VALUES
    return (wanted + max(empty, passed)) / (VECTOR * density)
