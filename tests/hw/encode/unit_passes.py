"""Random passes of one kind of numbers, drawn once."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from gscn.encode import ENCODE_DESCRIPTOR
from tests.encode_passes import encode_passes


def drawn_passes(count: int, number: int, *, most: int = 400, integers: bool = False) -> list:
    """Return (fields, memory) of passes, of at most so many vectors."""
    found = []

    def small(drawn):
        f = dict.fromkeys(ENCODE_DESCRIPTOR.dtype.names, 0) | drawn[0]
        vectors = 1 << f["vectors"]
        for loop in range(8):
            vectors *= f[f"count{loop}"]
        return vectors <= most

    @seed(number)
    @settings(
        database=None, deadline=None, max_examples=10 * count, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.builds(lambda d: d, encode_passes(not integers)))
    def draw(drawn):
        if small(drawn):
            found.append(drawn)

    draw()
    # the first ones are the simplest
    return found[-count:]
