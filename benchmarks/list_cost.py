"""What a sequencer of lists costs: cycles between records, and cell area beside the array `large`.

`python -m benchmarks.list_cost` simulates `hw.core.list_sequencer` with units that are busy for a
fixed time and a memory of a fixed latency, and synthesises it as `benchmarks.encode_area` does
parts of the encode unit (two minutes, most of them for `large`).
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections import deque
from pathlib import Path

import numpy as np

from benchmarks.markdown import percent, table
from gscn.array import array
from gscn.control import CONTROL_MODE, CONTROL_RECORD, LINKS, Queue
from gscn.emulator.list_records import MODE_PLACE, control_of, listed
from gscn.encode import ENCODE_MODE
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR

LATENCIES = (10, 40, 100)
"""Cycles from a command to its first beat, and from the last beat to its acknowledgement."""
SPAN = 2000
"""Cycles that a pass takes: longer than it takes to find the next one."""
LIST, STATE = 4096, 64
PORT_USERS = 3
"""Array, encode unit and sequencer."""


def list_of(between: tuple[int, ...]) -> np.ndarray:
    """Return a list: a pass of the array, control records of so many links each, and a pass."""
    content = []
    for links in (None, *between, None):
        record = np.zeros(DESCRIPTOR_BYTES, dtype=np.uint8)
        if links is not None:
            fields = {f"target{n}": STATE + 24 for n in range(links)}
            fields |= {f"{one}{n}": STATE for n in range(links) for one in ("first", "second")}
            packed = CONTROL_RECORD.pack(
                mode=CONTROL_MODE, queue=Queue.ARRAY, links=links, **fields
            )
            record = packed.view(np.uint8)
        content.append(record)
    return np.concatenate(content)


def passes_apart(count: int) -> np.ndarray:
    """Return a list: a pass of the array, so many encode passes, and a pass of the array."""
    content = np.zeros(DESCRIPTOR_BYTES * (2 + 2 * count), dtype=np.uint8)
    mode = int(PASS_DESCRIPTOR.dtype.fields["mode"][1])
    content[DESCRIPTOR_BYTES + mode : -DESCRIPTOR_BYTES : 2 * DESCRIPTOR_BYTES] = ENCODE_MODE
    return content


def gap(content: np.ndarray, latency: int, *, two_queues: bool = True, span: int = SPAN) -> int:
    """Return the cycles from the end of the array's first pass to where its second is offered.

    Parameters
    ----------
    content
        The list.
    latency
        Of memory.
    two_queues
        As a start says it.
    span
        Cycles that a pass of the array takes; one of the encode unit takes none.
    """
    from amaranth.sim import Simulator

    from gscn.hw.core.list_sequencer import ListSequencer

    config = array("large")
    dut = ListSequencer(config=config)
    memory = np.zeros(LIST + len(content), dtype=np.uint8)
    memory[LIST:] = content
    times: list[int] = []

    async def serve(ctx):
        beats: deque[tuple[int, int]] = deque()
        ends: deque[int] = deque()
        for one in (dut.mem_read_cmd, dut.mem_write_cmd, dut.mem_write_data, dut.start_encode):
            ctx.set(one.ready, 1)
        cycle = 0
        while True:
            now = bool(beats) and beats[0][0] <= cycle
            ctx.set(dut.mem_read_data.valid, now)
            if now:
                addr = beats.popleft()[1]
                beat = memory[addr : addr + config.mem_bytes].tobytes()
                ctx.set(dut.mem_read_data.payload, int.from_bytes(beat, "little"))
            done = bool(ends) and ends[0] <= cycle
            ctx.set(dut.mem_write_done, done)
            if done:
                ends.popleft()
            _, _, reads, burst, writes = await ctx.tick().sample(
                dut.mem_read_cmd.valid, dut.mem_read_cmd.p, dut.mem_write_data.valid
            )
            cycle += 1
            if reads:
                at = burst.addr
                beats += [(cycle + latency, at + n * config.mem_bytes) for n in range(burst.beats)]
            if writes:
                ends.append(cycle + latency)

    async def run(ctx):
        places = len(content) // DESCRIPTOR_BYTES
        start = {"addr": LIST, "first": LIST, "places": places, "two_queues": two_queues}
        ctx.set(dut.start.p, start)
        ctx.set(dut.start.valid, 1)
        await ctx.tick()
        ctx.set(dut.start.valid, 0)
        ctx.set(dut.start_array.ready, 1)
        await ctx.tick().until(dut.start_array.valid)
        ctx.set(dut.array_busy, 1)
        await ctx.tick().repeat(span)
        ctx.set(dut.array_busy, 0)
        cycles = 0
        while not ctx.get(dut.start_array.valid):
            await ctx.tick()
            cycles += 1
        times.append(cycles)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(run)
    simulator.add_testbench(serve, background=True)
    simulator.run()
    return times[0]


def gap_rows() -> list[list[str]]:
    """Return a row for each thing that lies between two passes."""
    things = {
        "nothing, or records of the other queue": list_of(()),
        **{f"a control record of {n} links": list_of((n,)) for n in (0, 1, 2, LINKS)},
        "two control records of 2 links": list_of((2, 2)),
    }
    rows = [
        [name, *(str(gap(content, latency)) for latency in LATENCIES)]
        for name, content in things.items()
    ]
    some, more = passes_apart(10), passes_apart(20)
    each = [(gap(more, one, span=1) - gap(some, one, span=1)) / 10 for one in LATENCIES]
    return [*rows, ["for each record to look past, not found meanwhile", *(f"{n:g}" for n in each)]]


def step_rows(cycles: dict[int, list[int]]) -> list[list[str]]:
    """Return a row for each queue of a step of ResNet-20, 32x32, batch 8: its control records.

    Parameters
    ----------
    cycles
        Per links of a control record, 0 and 1, its cycles at each of `LATENCIES`.
    """
    from benchmarks.encode_step import made, resnet20
    from gscn.lowering.step.lists import dense_bytes

    step, memory, listing = made(resnet20(32), (8, 3, 32, 32))
    port_cycles = dense_bytes(step, listing.memory) / array("large").mem_bytes
    rows = []
    for queue in Queue:
        own = [one for one in listed(memory, listing.addr, listing.end) if one.queue == queue]
        found = [
            control_of(memory, one.addr)
            for one in own
            if memory[one.addr + MODE_PLACE] == CONTROL_MODE
        ]
        links = sum(len(one.links) for one in found)
        row = [queue.name.lower(), str(len(own)), str(len(found)), str(links)]
        for place in range(len(LATENCIES)):
            none, one = (cycles[links_][place] for links_ in (0, 1))
            total = len(found) * none + links * (one - none)
            row.append(f"{total:,} ({percent(total / port_cycles)})")
        rows.append(row)
    return rows


def area_rows(liberty: Path) -> list[list[str]]:
    """Return a row for each part, of the cells of a library."""
    from benchmarks.encode_area import TOP, measure, measure_array
    from gscn.hw.core.list_sequencer import ListSequencer
    from gscn.hw.port.arbiter import ReadArbiter
    from gscn.hw.port.write_merger import WriteMerger
    from gscn.rtl_gen.synthesis import cell_delay
    from gscn.rtl_gen.verilog import to_verilog

    config = array("large").with_overrides(["float_formats=bf16"])
    array_netlist = measure_array(liberty)
    whole = array_netlist.modules[array_netlist.top].area
    assert whole is not None
    parts = {
        "ListSequencer": functools.partial(ListSequencer, config=config),
        "ReadArbiter in front": functools.partial(ReadArbiter, config=config, count=PORT_USERS),
        "WriteMerger in front": functools.partial(WriteMerger, config=config, count=PORT_USERS),
    }
    rows = []
    for name, make in parts.items():
        found = measure(make, liberty)
        assert found.area is not None
        delay = cell_delay(to_verilog(make, TOP).text, TOP, liberty)
        share = percent(found.area / whole)
        rows.append([name, f"{found.area:,.0f}", share, str(found.memory_bits), f"{delay:.2f}"])
    return rows


def text(liberty: Path) -> str:
    """Return the tables."""
    gaps = gap_rows()
    cycles = {links: [int(one) for one in gaps[1 + links][1:]] for links in (0, 1)}
    latencies = [f"latency {one}" for one in LATENCIES]
    return "\n\n".join([
        table(["between two passes", *latencies], gaps),
        table(["queue", "records", "control records", "links", *latencies], step_rows(cycles)),
        table(["part", "um2", "of `large`", "memory bits", "delay (ns)"], area_rows(liberty)),
    ])  # fmt: skip


if __name__ == "__main__":
    from gscn.rtl_gen.liberty import DEFAULT_LIBERTY, check_liberty

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--liberty", type=Path, default=DEFAULT_LIBERTY, help="standard cells")
    sys.stdout.write(text(check_liberty(parser.parse_args().liberty)) + "\n")
