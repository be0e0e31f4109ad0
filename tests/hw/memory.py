# amaranth: UnusedElaboratable=no
"""Jobs in plain Python: memory images, expected results, and a memory that serves the ports."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from gscn.config import AcceleratorConfig
from tests.hw.parts import strobe_of
from tests.hw.segments import Segment, accumulators, bits, load_block, stream_chunks, stream_records
from tests.hw.streams import never, plain

RESULT_BITS = {0: 16, 1: 32, 2: 64}


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """Segments and the drain of their sums."""

    segments: list[Segment]
    out_format: int = 2
    shift: int = 0
    pitch: int
    guard_cols: int = 0
    plane_rows: int = 1
    guard_rows: int = 0
    planes: int = 1
    walk_count: int

    def cells(self) -> list[int]:
        """Return the accumulators written out, in order."""
        plane_cells = self.plane_rows * self.pitch
        return [
            cell
            for cell in range(self.walk_count)
            if cell % self.pitch >= self.guard_cols
            and cell // self.pitch % self.plane_rows >= self.guard_rows
            and cell // plane_cells < self.planes
        ]

    def results(self, config: AcceleratorConfig) -> tuple[bytes, bool]:
        """Return the bytes that the job writes, and whether any result is saturated."""
        width = RESULT_BITS[self.out_format]
        sums = [accumulators(self.segments, config, pe) for pe in range(config.pes_per_cluster)]
        written, saturated = bytearray(), False
        for cell in self.cells():
            for pe in range(config.pes_per_cluster):
                exact = round(Fraction(sums[pe][cell], 1 << self.shift))
                limit = 1 << (width - 1)
                result = min(max(exact, -limit), limit - 1)
                saturated |= result != exact
                written += (result % (1 << width)).to_bytes(width // 8, "little")
        return bytes(written), saturated

    def descriptor(self, segment_addr: int, out_addr: int) -> list[int]:
        return [
            segment_addr,
            out_addr,
            bits((len(self.segments), 32), (self.out_format, 16), (self.shift, 16)),
            bits(
                (self.pitch, 16), (self.guard_cols, 16),
                (self.plane_rows, 16), (self.guard_rows, 16),
            ),
            bits((self.planes, 32), (self.walk_count, 32)),
            0, 0, 0,
        ]  # fmt: skip


class Memory:
    """A memory image that grows, and testbenches that serve read and write ports from it.

    Bytes never stored and not reserved for results must not be read or written.
    """

    ALIGNMENT = 64

    def __init__(self, config: AcceleratorConfig, *, latency: int = 5, pauses=None, seed: int = 0):
        self.config = config
        self.latency = latency
        self.pauses: Iterator[bool] = never() if pauses is None else pauses
        self.rng = random.Random(seed)
        self.data = bytearray()
        self.writable: list[tuple[int, int]] = []
        self.written: dict[int, int] = {}
        self.reads: list[tuple[int, int]] = []
        self.bursts_written = 0

    def reserve(self, length: int) -> int:
        """Append `length` zero bytes and return their aligned address."""
        addr = len(self.data)
        self.data += bytes(-(-length // self.ALIGNMENT) * self.ALIGNMENT)
        return addr

    def store(self, chunks: list[int]) -> int:
        """Append chunks and return their address."""
        addr = self.reserve(8 * len(chunks))
        packed = b"".join((chunk % (1 << 64)).to_bytes(8, "little") for chunk in chunks)
        self.data[addr : addr + len(packed)] = packed
        return addr

    def add_jobs(self, jobs: list[Job]) -> tuple[int, list[int]]:
        """Store jobs; return the address of their queue and of each job's results."""
        entries, outs = [], []
        for job in jobs:
            segments = []
            for segment in job.segments:
                block, words = load_block(segment), stream_chunks(segment)
                segments += [
                    self.store(block),
                    self.store(words),
                    bits(
                        (len(block), 32), (len(segment.taps), 16),
                        (int(segment.partials is not None), 16),
                    ),
                    bits((len(stream_records(segment)), 32), (segment.offset_bits, 16)),
                    0, 0, 0, 0,
                ]  # fmt: skip
            segment_addr = self.store(segments[8:])
            length = len(job.results(self.config)[0])
            outs.append(self.reserve(length))
            self.writable.append((outs[-1], outs[-1] + length))
            entries += job.descriptor(segment_addr, outs[-1]) + segments[:8]
        return self.store(entries), outs

    def add_list(self, phases: list[dict[str, int]]) -> int:
        """Store the descriptors of phases; return their address."""
        return self.store(
            [
                chunk
                for phase in phases
                for chunk in (
                    phase["queue_addr"], phase["out_addr"], phase["out_end"], phase["job_count"],
                    0, 0, 0, 0,
                )
            ]
        )  # fmt: skip

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

    def serve_writes(self, command, data, done=None):
        """Return a testbench that takes the beats of a burst after its command."""

        async def server(ctx):
            addr = beats_left = 0
            while True:
                paused = next(self.pauses)
                ctx.set(command.ready, not paused and beats_left == 0)
                ctx.set(data.ready, not paused and beats_left != 0)
                _, _, command_valid, burst, data_valid, beat = await ctx.tick().sample(
                    command.valid, command.p, data.valid, data.p
                )
                if done is not None:
                    ctx.set(done, 0)
                if paused:
                    continue
                if beats_left == 0 and command_valid:
                    burst = plain(burst)
                    addr, beats_left = burst["addr"], burst["beats"]
                    self.check_burst(addr, beats_left)
                elif beats_left != 0 and data_valid:
                    beat = plain(beat)
                    # a cluster gives one bit per slot, a memory port one per byte
                    strobe = (
                        beat["strobe"]
                        if "strobe" in beat
                        else strobe_of(beat["slots"], self.config)
                    )
                    self.write(addr, beat["data"], strobe)
                    addr += self.config.mem_bytes
                    beats_left -= 1
                    if beats_left == 0:
                        self.bursts_written += 1
                        if done is not None:
                            ctx.set(done, 1)

        return server

    def write(self, addr: int, word: int, strobe: int) -> None:
        """Write the bytes enabled; each result may be written once."""
        for lane in range(self.config.mem_bytes):
            if strobe >> lane & 1:
                at = addr + lane
                inside = any(low <= at < high for low, high in self.writable)
                assert inside, f"byte {at:#x} is written outside the results"
                assert at not in self.written, f"byte {at:#x} is written twice"
                self.written[at] = word >> (8 * lane) & 0xFF

    def results(self, out_addr: int, length: int) -> bytes:
        """Return the bytes written from an address on; a byte never written is an error."""
        missing = [at for at in range(out_addr, out_addr + length) if at not in self.written]
        assert not missing, f"{len(missing)} bytes not written, the first at {missing[0]:#x}"
        return bytes(self.written[at] for at in range(out_addr, out_addr + length))
