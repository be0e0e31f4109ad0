# amaranth: UnusedElaboratable=no
"""The machine that checks records, against the emulator's checks and its program in Python."""

from __future__ import annotations

import random

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gscn.array import array
from gscn.emulator.encode_checks import check_encode, groups_and_positions
from gscn.encode import ENCODE_DESCRIPTOR, ENCODE_DESCRIPTOR_BYTES, EncodeError
from gscn.hw.encode.record import EncodeRecord
from gscn.hw.encode.record_machine import RecordMachine
from gscn.hw.encode.record_program import HELD, HELD_NAMES, KEPT_OF_STATE, place, record_program
from tests.encode_passes import encode_passes
from tests.hw.encode.record_model import damaged, run_program
from tests.hw.encode.walks import unpacked, walk_fields
from tests.hw.memory import Memory
from tests.hw.streams import plain, reused, simulate

INTEGERS = array("small")
CONFIG = INTEGERS.with_overrides(["float_formats=bf16"])
LISTED = (0, ENCODE_DESCRIPTOR_BYTES)
MOST_CYCLES = 2500
KINDS = st.booleans().flatmap(lambda kind: st.tuples(st.just(not kind), encode_passes(kind)))
"""Whether a pass is of integers, and the pass."""


def model(f, integers):
    """Return error and what is sent of a record by the program in plain Python."""
    content = ENCODE_DESCRIPTOR.pack(**f).tobytes()
    return run_program(content, LISTED, CONFIG.addr_width, integers=integers)[:2]


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(KINDS, st.integers(0, 2**32 - 1))
def test_damaged_records_have_the_first_error_of_the_contract(drawn, seed):
    (integers, (f, _)), source = drawn, random.Random(seed)
    assert model(f, integers)[0] == EncodeError.NONE
    assert model(f, not integers)[0] == EncodeError.FORMAT
    config = INTEGERS if integers else CONFIG
    for _ in range(5):
        bad = damaged(f, source)
        assert model(bad, integers)[0] == check_encode(unpacked(bad), config, LISTED), bad


@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(KINDS)
def test_the_walk_and_all_settings_are_sent(drawn):
    integers, (f, _) = drawn
    d = unpacked(f)
    sent = dict(model(f, integers)[1])
    present = [d.t0_format, d.t1_format, d.t2_format, d.masked,
               d.dense_end != d.dense_addr or d.second_end != d.second_addr]  # fmt: skip
    if d.dense_end == d.dense_addr:
        d = d._replace(dense_addr=d.second_addr, dense_end=d.second_addr)
    for one in walk_fields(d):
        if one["kind"] != 0 or present[one["number"]]:
            at = place(one["kind"], one["number"], one["row"])
            assert sent[at] % (1 << 54) == one["value"]
    names = HELD_NAMES[: -1 - len(KEPT_OF_STATE)]
    held = [*(getattr(d, name) for name in names), groups_and_positions(d)[0]]
    assert [sent[place(HELD, n)] for n in range(len(held))] == held


class Both(wiring.Component):
    """A record, and the machine that checks it."""

    def __init__(self, config, integers):
        self.record = EncodeRecord(config=config)
        self.machine = RecordMachine(config=config, integers=integers)
        super().__init__({"start": In(1), "done": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.record, m.submodules.machine = record, machine = self.record, self.machine
        before = record.filled
        m.d.comb += [
            record.place.eq(machine.place), record.en.eq(machine.en),
            machine.value.eq(record.value), self.done.eq(machine.done),
            machine.start.eq(self.start & before),
        ]  # fmt: skip
        return m


def run_records(config, integers, records):
    """Return (error, what is sent, cycles of the machine) of each record, by the hardware."""
    memory = Memory(config)
    addrs = []
    for f in records:
        addrs.append(memory.reserve(ENCODE_DESCRIPTOR_BYTES))
        memory.data[addrs[-1] :] = ENCODE_DESCRIPTOR.pack(**f).tobytes()
    dut = reused(Both, config=config, integers=integers)
    record, machine = dut.record, dut.machine
    found = []

    async def testbench(ctx):
        ctx.set(machine.list_range, {"begin": LISTED[0], "end": LISTED[1]})
        for addr in addrs:
            ctx.set(record.addr, addr)
            ctx.set(record.start, 1)
            await ctx.tick()
            ctx.set(record.start, 0)
            await ctx.tick().until(record.filled)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            sent, done, cycles = [], False, 0
            while not done:
                _, _, en, one, done, error = await ctx.tick().sample(
                    machine.sent_en, machine.sent, machine.done, machine.error
                )
                cycles += 1
                if en:
                    word = plain(one)
                    sent.append((word["place"], word["value"]))
            found.append((error, sent, cycles))

    server = memory.serve_reads([record.command], record.data, record.data_valid)
    simulate(
        dut, testbench, background=[server], cycles=(MOST_CYCLES + 600) * len(records)
    )  # fmt: skip
    return found


@settings(
    deadline=None, max_examples=4, derandomize=True, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(st.booleans().flatmap(
    lambda kind: st.tuples(
        st.just(not kind), st.lists(encode_passes(kind), min_size=3, max_size=3)
    )
), st.integers(0, 2**32 - 1))  # fmt: skip
def test_the_hardware_runs_the_program(drawn, seed):
    source, integers = random.Random(seed), drawn[0]
    records = [f for f, _ in drawn[1]]
    records += [damaged(f, source) for f in records]
    for width in (64, 256):
        config = CONFIG.with_overrides([f"mem_width={width}", "drain_width=1"])
        for f, (error, sent, cycles) in zip(
            records, run_records(config, integers, records), strict=True
        ):
            assert (error, sent) == model(f, integers)
            assert cycles <= MOST_CYCLES


def test_the_program_has_no_more_instructions_than_a_target_can_name():
    for integers in (False, True):
        assert len(record_program(integers=integers)[0]) <= 1 << 11
