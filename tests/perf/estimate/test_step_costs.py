"""Records of a step have the kinds and costs that their operations ask for."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from gscn.array import array
from gscn.control import Queue
from gscn.cycles.encode.unit import Known, encode_cycles
from gscn.encode import Adapt
from gscn.lowering.step.arranging import arranged
from gscn.lowering.step.layers import Training
from gscn.lowering.step.lists import listings
from gscn.lowering.step.network import step_of
from gscn.perf.estimate import step_costs
from gscn.perf.estimate.memory import Dram
from gscn.perf.estimate.step_costs import (
    CONVOLUTION,
    KINDS,
    MAPS,
    OPERANDS,
    ORDER,
    REUSE,
    SELECTION,
    SUMS,
    UPDATE,
    PassCost,
    costs,
    kind_of,
    step_records,
)
from gscn.perf.estimate.step_schedule import CONTROL
from gscn.port import READ_LATENCY
from gscn.step import Convolve, Encode, Walk
from tests.step_networks import small

CONFIG = array("large").with_overrides(["float_formats=bf16"])
SIZE = (3, 3, 8, 8)
BOTH = Training(density=Fraction(1, 10), refresh=True, reuse=(0.1, 0.2), reuses=True)


@pytest.fixture(scope="module")
def step():
    return step_of(small(), SIZE, BOTH)


@pytest.fixture(scope="module")
def records(step):
    return step_records(step, CONFIG)


def of_nothing(_):
    return PassCost(100.0, 0.0, 0.0, 0.0)


def test_records_are_those_that_a_list_in_memory_has(step, records):
    memory, (listing,) = listings([step], CONFIG, together=True)
    wanted = memory[listing.addr : listing.end]
    assert np.array_equal(np.concatenate([one.content for one in records]).size, wanted.size)
    # What two passes over the records know of each other, tops behind them, is not in the first.
    for one, addr in zip(records, np.cumsum([0, *(len(one.content) for one in records[:-1])]),
                         strict=True):  # fmt: skip
        if isinstance(one.op, Encode):
            assert np.array_equal(one.content, wanted[addr : addr + len(one.content)]), one.name


def test_every_operation_has_its_record_and_every_pass_a_kind(step, records):
    named = {one.name for one in records if one.op is not None}
    made = arranged([step], CONFIG)[0].operations
    assert named == {op.name for op in made if isinstance(op, Convolve | Encode)}
    kinds = Counter(one.queued.kind for one in costs(records, CONFIG, of_nothing, {}))
    ops = [op for op in made if isinstance(op, Encode)]
    assert kinds[CONVOLUTION] == sum(isinstance(op, Convolve) for op in step.operations)
    assert kinds[OPERANDS] == sum(op.walk is Walk.OPERAND for op in ops)
    # Four passes of float32 weights, two of bf16 inputs, for each of five layers.
    assert kinds[SELECTION] == 5 * 4 + 5 * 2
    assert kinds[SELECTION] == sum(
        op.fields.get("adapt") in (Adapt.SELECT_FIRST, Adapt.SELECT_NEXT) for op in ops
    )
    assert kinds[UPDATE] == 5
    assert kinds[SUMS] == 2 * 4
    # Of the four convolutions: gradients for reuse, sums of inputs, sums of weight gradients.
    assert kinds[REUSE] == 3 * 4
    turned = sum(one.name.endswith(".turn") for one in records)
    assert kinds[ORDER] == turned + sum(op.spread is not None for op in ops)
    assert sum(kinds[kind] for kind in KINDS) == len(ops) + turned
    assert kinds[MAPS] > 0


def test_passes_cost_what_the_cycle_model_says_of_their_records(records):
    kept = {"w1.c2": 0.25}
    found = costs(records, CONFIG, of_nothing, kept)
    for record, one in zip(records, found, strict=True):
        if isinstance(record.op, Encode):
            share = 0.25 if record.name == "w1.c2" else 1.0
            known = Known(odd=record.odd)
            wanted = encode_cycles(record.content, CONFIG, kept_a=share, known=known)
            assert one.queued.queue == Queue.ENCODE
            assert one.queued.cycles == one.cost.cycles == wanted.cycles
            moved = CONFIG.port_bytes_per_cycle * wanted.cycles
            assert one.queued.ways.read == pytest.approx(wanted.read_bytes / moved)
            assert one.queued.ways.write == pytest.approx(wanted.write_bytes / moved)
            assert one.queued.ways.dram == 0


def test_tensors_are_multiplied_whose_coefficients_are_no_powers_of_two(records):
    odd = {one.name: one.odd for one in records}
    # Weights decay by 0, and the gradient's own coefficient is 1.
    assert odd["update.c2"] == 0b010
    # Of a normalisation the first two are the host's; what is reused is taken away.
    assert odd["s1.dx.c2"] == 0b011
    assert not odd["w1.c2"] & 1
    assert not any(number & 1 for name, number in odd.items() if ".turn" in name)


def test_strips_that_keep_less_are_written_in_fewer_bytes(records):
    (one,) = (record for record in records if record.name == "w1.c2")
    written = [
        costs([one], CONFIG, of_nothing, {"w1.c2": share})[0].cost.write_bytes
        for share in (0.1, 1.0)
    ]
    assert written[0] < written[1]


def test_control_records_wait_and_take_latencies(records):
    found = [one.queued for one in costs(records, CONFIG, of_nothing, {})]
    control = [one for one in found if one.kind == CONTROL]
    assert any(one.wait for one in control)
    least = 18 + READ_LATENCY
    assert {(one.cycles - least) % (18 + 2 * READ_LATENCY) for one in control} == {0}
    before = dict.fromkeys(Queue, 0)
    for one in found:
        assert one.wait <= before[Queue(1 - one.queue)]
        before[one.queue] += 1


def test_a_dram_makes_passes_as_slow_as_it_brings_their_bytes(records):
    dram = Dram(bytes_per_cycle=1.0)
    for plain, slow in zip(
        costs(records, CONFIG, of_nothing, {}),
        costs(records, CONFIG, of_nothing, {}, dram),
        strict=True,
    ):
        if plain.queued.kind in KINDS:
            assert slow.queued.cycles == max(plain.queued.cycles, plain.cost.dram_bytes)
            assert slow.queued.ways.dram == min(1, plain.cost.dram_bytes / slow.queued.cycles)


def test_kinds_are_told_apart_by_what_passes_do(records):
    kinds = {one.name: kind_of(one) for one in records if isinstance(one.op, Encode)}
    assert kinds["select.w.c2.0"] == SELECTION
    assert kinds["s1.dx.c2"] == kinds["x1.c2"] == OPERANDS
    assert kinds["g.c2"] == kinds["xs.c2"] == kinds["dws.c2"] == REUSE
    assert kinds["z.n2"] == kinds["d.n2"] == kinds["z.largest"] == kinds["u.largest"] == MAPS
    assert kinds["sums.n2"] == kinds["dsums.n2"] == SUMS
    assert kinds["update.c2"] == UPDATE


def test_records_of_the_same_shape_cost_the_same_wherever_their_tensors_lie(step, monkeypatch):
    twice = listings([step, step], CONFIG, together=True)
    (memory, (_, other)), own = twice, step_records(step, CONFIG)
    pairs = []
    for record in own:
        if isinstance(record.op, Encode):
            addr = other.records[record.name]
            there = record._replace(content=memory[addr : addr + len(record.content)])
            pairs.append((record, there))
    assert all(one.content.tobytes() != there.content.tobytes() for one, there in pairs)
    wanted = costs([one for one, _ in pairs], CONFIG, of_nothing, {})
    # Gone through once: the second time costs are known.
    monkeypatch.setattr(step_costs, "encode_cycles", None)
    assert costs([there for _, there in pairs], CONFIG, of_nothing, {}) == wanted
