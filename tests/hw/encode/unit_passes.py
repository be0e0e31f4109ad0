"""Random passes in floating point, drawn once, with what the unit cannot do left out."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from gscn.encode import ENCODE_DESCRIPTOR
from tests.encode_passes import encode_passes
from tests.hw.encode.record_model import floating


def drawn_passes(count: int, number: int, *, most: int = 400) -> list:
    """Return (fields, memory) of passes, of at most so many vectors."""
    found = []

    def small(drawn):
        f = dict.fromkeys(ENCODE_DESCRIPTOR.dtype.names, 0) | drawn[0]
        vectors = 1 << f["vectors"]
        for loop in range(8):
            vectors *= f[f"count{loop}"]
        return floating(f) and vectors <= most

    @seed(number)
    @settings(
        database=None, deadline=None, max_examples=10 * count, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.builds(lambda d: d, encode_passes()))
    def draw(drawn):
        if small(drawn):
            found.append(drawn)

    draw()
    # the first ones are the simplest
    return found[-count:]
