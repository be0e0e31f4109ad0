"""The read channel of the cycle model."""

from __future__ import annotations

import numpy as np

from gscn.cycles.port.reader import READER, can_request, has_chunk, request, step_reader
from gscn.latencies import READER_REQUESTS


def reader(room=8):
    records = np.zeros(1, READER)
    records["room"] = room
    return records[0]


def test_a_request_is_its_beats_and_issued_bursts_take_room():
    one = reader()
    request(one, 6, 19, 4, 2)
    step_reader(one, 2)
    assert (one["beat"], one["left"], one["urgent_room"], one["sharers"]) == (6, 10, 4, 2)
    one["issued"] = 2
    step_reader(one, 2)
    assert (one["beat"], one["left"], one["room"]) == (8, 8, 6)


def test_chunks_leave_in_order_and_requests_are_bounded():
    one = reader()
    for count in range(1, READER_REQUESTS + 1):
        assert can_request(one)
        request(one, 0, count)
        step_reader(one, 2)
        one["issued"] = one["left"]
        step_reader(one, 2)
    assert not can_request(one)
    moved = 0
    for _ in range(40):
        one["arrived"] = 1 if one["level"] < 6 else 0
        one["moved"] = has_chunk(one)
        moved += int(one["moved"])
        step_reader(one, 2)
    assert moved == sum(range(1, READER_REQUESTS + 1))
    assert one["requests"] == 0
