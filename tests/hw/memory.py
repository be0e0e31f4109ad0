# amaranth: UnusedElaboratable=no
"""A memory in plain Python that serves read ports."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator

from gscn.array import ArrayConfig
from tests.hw.streams import never, plain


class Memory:
    """A memory image that grows, and a testbench that serves read ports from it.

    Bytes never stored must not be read.
    """

    ALIGNMENT = 64

    def __init__(self, config: ArrayConfig, *, latency: int = 5, pauses=None, seed: int = 0):
        self.config = config
        self.latency = latency
        self.pauses: Iterator[bool] = never() if pauses is None else pauses
        self.rng = random.Random(seed)
        self.data = bytearray()
        self.reads: list[tuple[int, int]] = []

    def reserve(self, length: int) -> int:
        """Append `length` zero bytes and return their aligned address."""
        addr = len(self.data)
        self.data += bytes(-(-length // self.ALIGNMENT) * self.ALIGNMENT)
        return addr

    def store(self, chunks: list[int]) -> int:
        """Append 64-bit chunks and return their address."""
        addr = self.reserve(8 * len(chunks))
        packed = b"".join((chunk % (1 << 64)).to_bytes(8, "little") for chunk in chunks)
        self.data[addr : addr + len(packed)] = packed
        return addr

    def check_burst(self, addr: int, beats: int) -> None:
        """Require a burst inside the memory that does not cross a multiple of `burst_beats`."""
        beat, longest = self.config.mem_bytes, self.config.burst_beats
        assert addr % beat == 0, f"burst at {addr:#x} is not aligned to {beat} bytes"
        assert 1 <= beats <= longest, f"burst of {beats} beats"
        first, last = addr // beat, addr // beat + beats - 1
        assert first // longest == last // longest, f"burst {addr:#x} + {beats} crosses a boundary"
        assert (last + 1) * beat <= len(self.data), f"burst {addr:#x} + {beats} leaves the memory"

    def serve_reads(self, commands: list, data, data_valid):
        """Return a testbench: beats in the order of the commands, at most one command a cycle."""

        async def server(ctx):
            queue: deque[tuple[int, int, int]] = deque()  # (due cycle, channel, address)
            cycle = 0
            while True:
                ctx.set(data_valid, 0)
                if queue and queue[0][0] <= cycle and not next(self.pauses):
                    _, channel, addr = queue.popleft()
                    beat = self.data[addr : addr + self.config.mem_bytes]
                    ctx.set(data, int.from_bytes(beat, "little"))
                    ctx.set(data_valid, 1 << channel)
                served = self.rng.randrange(len(commands))
                for number, port in enumerate(commands):
                    ctx.set(port.ready, number == served)
                port = commands[served]
                _, _, valid, burst = await ctx.tick().sample(port.valid, port.p)
                if valid:
                    burst = plain(burst)
                    addr, beats = burst["addr"], burst["beats"]
                    self.check_burst(addr, beats)
                    self.reads.append((addr, beats))
                    for beat in range(beats):
                        at = addr + beat * self.config.mem_bytes
                        queue.append((cycle + self.latency, served, at))
                cycle += 1

        return server
