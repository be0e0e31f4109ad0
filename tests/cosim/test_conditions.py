"""Conditions of launches: what is refused, and what they say of memory."""

import pytest

from gscn.cosim.conditions import Conditions
from gscn.cosim.simulation import CHANNELS
from gscn.errors import InputError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latency": 1}, "memory: latency must be at least 2 cycles, not 1"),
        ({"stall_probability": 1.0}, "of read_cmd must be at least 0 and below 1, not 1.0"),
        ({"stall_probability": {"write_data": -0.1}}, "of write_data must be at least 0"),
        ({"stall_probability": {"bus": 0.1}}, "channel must be one of .*, not 'bus'"),
        ({"faulty": True, "reset": False}, "faulty launches without a reset must run behind AXI"),
    ],
)
def test_conditions_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Conditions(**settings)


def test_every_problem_of_memory_is_told_at_once():
    with pytest.raises(InputError) as caught:
        Conditions(latency=0, stall_probability={"bus": 0.1, "read_data": 2})
    for part in ("'bus'", "read_data must be", "not 0"):
        assert part in str(caught.value)


def test_one_probability_is_that_of_every_channel_and_a_named_one_of_its_own():
    assert Conditions(stall_probability=0.25).stalls == dict.fromkeys(CHANNELS, 0.25)
    named = Conditions(stall_probability={"read_data": 0.5}).stalls
    assert named == dict.fromkeys(CHANNELS, 0.0) | {"read_data": 0.5}


def test_memory_is_steady_if_no_channel_pauses():
    assert Conditions().steady
    assert Conditions(stall_probability={"read_data": 0.0}).steady
    assert not Conditions(stall_probability={"read_data": 0.5}).steady
