# amaranth: UnusedElaboratable=no
"""A memory in plain Python that serves a whole port, reads and writes."""

from __future__ import annotations

from collections import deque


class MemoryPort:
    """Serve `mem_*` of a component from an array of bytes, after random delays.

    What is read is read when it is asked for; what is written is there when that is acknowledged.
    """

    def __init__(self, config, data, rng, *, latency=(3, 12)):
        self.config, self.data, self.rng, self.latency = config, data, rng, latency

    def processes(self, dut, name="mem"):
        """Return testbenches: one for reads, one for writes."""
        beat, rng = self.config.mem_bytes, self.rng
        read, data = getattr(dut, f"{name}_read_cmd"), getattr(dut, f"{name}_read_data")
        command, sent = getattr(dut, f"{name}_write_cmd"), getattr(dut, f"{name}_write_data")
        done = getattr(dut, f"{name}_write_done")

        async def reads(ctx):
            due, cycle = deque(), 0
            while True:
                sends = bool(due) and due[0][0] <= cycle
                ctx.set(data.valid, sends)
                if sends:
                    ctx.set(data.payload, int.from_bytes(due.popleft()[1], "little"))
                takes = rng.random() < 0.7
                ctx.set(read.ready, takes)
                _, _, valid, burst = await ctx.tick().sample(read.valid, read.p)
                cycle += 1
                if valid and takes:
                    assert burst.addr % beat == 0
                    after = cycle + rng.randint(*self.latency)
                    for addr in range(burst.addr, burst.addr + burst.beats * beat, beat):
                        due.append((after, self.data[addr : addr + beat].tobytes()))

        async def writes(ctx):
            due, beats, ends, cycle = deque(), deque(), deque(), 0
            while True:
                ends_now = bool(ends) and ends[0][0] <= cycle
                ctx.set(done, ends_now)
                if ends_now:
                    for addr, value in ends.popleft()[1]:
                        self.data[addr] = value
                takes = rng.random() < 0.7
                ctx.set(command.ready, takes)
                ctx.set(sent.ready, takes)
                _, _, offers, burst, sends, word = await ctx.tick().sample(
                    command.valid, command.p, sent.valid, sent.p
                )
                cycle += 1
                if offers and takes:
                    assert burst.addr % beat == 0
                    due.append([burst.addr, burst.beats])
                if sends and takes:
                    beats.append((word.data, word.strobe))
                while due and len(beats) >= due[0][1]:
                    addr, count = due.popleft()
                    found = []
                    for at in range(addr, addr + count * beat, beat):
                        content, strobe = beats.popleft()
                        found += [
                            (at + byte, content >> 8 * byte & 0xFF)
                            for byte in range(beat)
                            if strobe >> byte & 1
                        ]
                    ends.append((cycle + rng.randint(*self.latency), found))

        return reads, writes
