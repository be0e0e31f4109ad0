"""Cycles of records' programs equal those of their instructions, one by one."""

from __future__ import annotations

import random

import pytest

from gscn.cycles.encode.fields import record_fields
from gscn.cycles.encode.record import RecordCost
from gscn.encode import ENCODE_DESCRIPTOR_BYTES, ENCODE_STATE
from gscn.hw.encode.record_program import SETTINGS, Entry
from tests.hw.encode.record_model import run_program
from tests.hw.encode.unit_passes import drawn_passes

LISTED, ADDR_WIDTH = (0, ENCODE_DESCRIPTOR_BYTES), 32
HALFWORDS_TO_RANK, BEHIND_KEPT_A = 4, 5


@pytest.mark.parametrize("seed", range(2))
def test_a_program_takes_a_cycle_for_each_instruction_and_what_it_waits_for(seed):
    source = random.Random(seed)
    for _, image in drawn_passes(12, seed, most=3000):
        f = record_fields(image)
        place = f["state_addr"]
        content = bytes(image[:ENCODE_DESCRIPTOR_BYTES])
        words = image[place : place + ENCODE_STATE.width // 8]
        state = {
            name: int(ENCODE_STATE.unpack(words)[0][name]) for name in ENCODE_STATE.dtype.names
        }
        kept = source.choice((0, state["low"], state["high"], state["high"] + 1))
        others = [0] * HALFWORDS_TO_RANK + [kept] + [0] * BEHIND_KEPT_A
        cost = RecordCost(f)
        ended = [
            run_program(content + bytes(words), LISTED, ADDR_WIDTH, entry, others)
            for entry in Entry
        ]
        assert not any(one.error for one in ended)
        assert [cost.check(), cost.open(), cost.close(kept, state)] == [one.cycles for one in ended]


def test_settings_that_are_handed_out_are_those_of_the_unit():
    dense = sum(name.startswith("dense") for name in SETTINGS)
    assert RecordCost(dict.fromkeys(["vectors", *_fields()], 1)).settings == len(SETTINGS) - dense


def _fields():
    """Return names of what a pass counts and where its results are."""
    counts = [f"count{loop}" for loop in range(8)]
    ends = [f"{part}_{end}" for part in ("dense", "second") for end in ("addr", "end")]
    return [*counts, *ends]
