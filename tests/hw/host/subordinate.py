"""An AXI4 memory that checks the protocol."""

from __future__ import annotations

import itertools
import random
from collections import deque

from gscn.hw.host.axi_ports import Response
from tests.hw.streams import never

OKAY, SLVERR, DECERR = 0, 2, 3


class Subordinate:
    """An AXI4 memory of one bytearray: pauses on every channel, answers in order.

    Commands and written beats must stay unchanged until they are taken. Addresses in `bad` are
    answered with their response and neither read nor written. What is said of addresses here is how
    far they are from `base`.
    """

    def __init__(self, config, *, pauses=never, latency=3, bad=(), base=0):
        self.config = config
        self.base = base
        self.memory = bytearray(random.Random(5).randbytes(4096))
        self.pauses = pauses
        self.latency = latency
        self.bad = dict(bad)
        self.read_bursts, self.write_bursts = [], []
        self.answered = 0
        self.strobes = []
        self.longest_backlog = 0
        self.holds_beats = False

    @property
    def under_way(self):
        """How many bursts have been taken and not answered."""
        return len(self.read_bursts) + len(self.write_bursts) - self.answered

    def check_command(self, fields):
        beats, size, addr = fields["len"] + 1, 1 << fields["size"], fields["addr"] - self.base
        assert size == self.config.mem_bytes
        assert fields["burst"] == 1
        assert fields["id"] == fields["lock"] == fields["qos"] == 0
        assert addr % size == 0
        assert addr // 4096 == (addr + beats * size - 1) // 4096, "a burst crosses 4 KiB"
        return addr, beats

    def commands(self, axi, channel, queue, seen):
        """Return a testbench that takes commands with pauses."""
        names = ("id", "addr", "len", "size", "burst", "lock", "cache", "prot", "qos")
        ports = [getattr(axi, channel + name) for name in names]
        valid, ready = getattr(axi, f"{channel}valid"), getattr(axi, f"{channel}ready")
        pauses = self.pauses()

        async def server(ctx):
            offered = None
            while True:
                takes = not next(pauses)
                ctx.set(ready, takes)
                _, _, has, *values = await ctx.tick().sample(valid, *ports)
                fields = dict(zip(names, map(int, values), strict=True)) if has else None
                assert offered is None or fields == offered, "a command changed before it was taken"
                offered = None if takes else fields
                if has and takes:
                    burst = self.check_command(fields)
                    seen.append(burst)
                    queue.append(burst)

        return server

    def reads(self, axi):
        queue, pauses = deque(), self.pauses()

        async def server(ctx):
            pending = deque()
            for cycle in itertools.count():
                while queue:
                    addr, beats = queue.popleft()
                    pending += [
                        (cycle + self.latency, addr + n * self.config.mem_bytes, n == beats - 1)
                        for n in range(beats)
                    ]
                self.longest_backlog = max(
                    self.longest_backlog, sum(last for _, _, last in pending)
                )
                valid = bool(pending) and pending[0][0] <= cycle and not next(pauses)
                ctx.set(axi.rvalid, valid)
                if valid:
                    _, at, last = pending.popleft()
                    word = self.memory[at : at + self.config.mem_bytes]
                    ctx.set(axi.rdata, int.from_bytes(word, "little"))
                    ctx.set(axi.rresp, Response(self.bad.get(at, OKAY)))
                    ctx.set(axi.rlast, last)
                _, _, ready = await ctx.tick().sample(axi.rready)
                assert ready, "read beats are always taken"
                self.answered += valid and last

        return [self.commands(axi, "ar", queue, self.read_bursts), server]

    def writes(self, axi):
        queue, beats, pauses, answer_pauses = deque(), deque(), self.pauses(), self.pauses()

        async def take(ctx):
            offered = None
            while True:
                takes = not next(pauses) and not self.holds_beats
                ctx.set(axi.wready, takes)
                _, _, has, *word = await ctx.tick().sample(
                    axi.wvalid, axi.wdata, axi.wstrb, axi.wlast
                )
                word = list(map(int, word)) if has else None
                assert offered is None or word == offered, "a beat changed before it was taken"
                offered = None if takes else word
                if has and takes:
                    beats.append(word)

        async def answer(ctx):
            while True:
                ctx.set(axi.bvalid, 0)
                answers = bool(queue) and len(beats) >= queue[0][1]
                if answers:
                    addr, count = queue.popleft()
                    response = self.bad.get(addr, OKAY)
                    for number in range(count):
                        data, strobe, last = beats.popleft()
                        self.strobes.append(strobe)
                        assert last == (number == count - 1), "WLAST must mark the last beat alone"
                        for lane in range(self.config.mem_bytes):
                            if strobe >> lane & 1 and response == OKAY:
                                at = addr + number * self.config.mem_bytes + lane
                                self.memory[at] = data >> (8 * lane) & 0xFF
                    for _ in range(self.latency):
                        await ctx.tick()
                    while next(answer_pauses):
                        await ctx.tick()
                    ctx.set(axi.bvalid, 1)
                    ctx.set(axi.bresp, Response(response))
                _, _, ready = await ctx.tick().sample(axi.bready)
                assert ready, "answers are always taken"
                self.answered += answers

        return [self.commands(axi, "aw", queue, self.write_bursts), take, answer]

    def serve(self, axi):
        return [*self.reads(axi), *self.writes(axi)]
