"""Turns of the cycle model's arbiters."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.cycles.port.channels import choose


@pytest.mark.parametrize("turn", range(-1, 4))
def test_the_first_request_behind_the_turn_is_granted(turn):
    for bits in range(16):
        requests = np.array([bits >> place & 1 for place in range(4)], np.int64)
        order = [*range(turn + 1, 4), *range(turn + 1)]
        wanted = next((place for place in order if requests[place]), -1)
        assert choose(requests, turn, 0, 4) == wanted
