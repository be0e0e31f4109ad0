# amaranth: UnusedElaboratable=no
"""Run plans of words through a PE of an array, in Amaranth's simulator."""

from __future__ import annotations

import random

from gscn.formats import NUMBER_FORMATS
from gscn.hw.pe.worker import Worker
from tests.hw.streams import never, simulate
from tests.hw.words import Window, walk


class Bench:
    """Run a plan through a PE; drain each job as soon as it ends."""

    OUTPUTS = ("mark", "job_end", "busy", "pending", "index_error", "overflow")

    def __init__(self, plan, *, seed=0, source=None, drain=None, mode=None):
        self.plan, self.mode = plan, mode
        self.dut = Worker(config=plan.config)
        self.source, self.drain_pauses = source or never(), drain or never()
        self.counts = dict.fromkeys(self.OUTPUTS, 0)
        self.cycles = []
        self.window = Window(self.dut, plan, lambda: self.counts["mark"], random.Random(seed))
        self.drained = []
        self.ready = False

    def run(self):
        simulate(
            self.dut,
            self.window.testbench,
            self.feed,
            self.drain,
            background=[self.watch],
            cycles=4000 * (1 + len(self.plan.parts)),
        )
        return self

    async def watch(self, ctx):
        dut = self.dut
        ports = [getattr(dut, name) for name in self.OUTPUTS]
        while True:
            _, _, valid, ready, level, *pulses = await ctx.tick().sample(
                dut.i.valid, dut.i.ready, dut.level, *ports
            )
            values = dict(zip(self.OUTPUTS, pulses, strict=True))
            for name, pulse in values.items():
                self.counts[name] += pulse
            taken = int(valid and ready)
            self.cycles.append({**values, "taken": taken, "ready": ready, "level": level})

    async def feed(self, ctx):
        dut, plan = self.dut, self.plan
        ctx.set(dut.row_keys, plan.row_keys)
        ctx.set(dut.row_step, plan.row_step)
        if self.mode is not None:
            number = NUMBER_FORMATS.index(self.mode.fmt)
            ctx.set(dut.mode, {"number_format": number, "window": self.mode.top})
        job = 0
        for number, word in plan.words():
            # the accumulators are those of the last job but one
            while self.window.loaded <= number or len(self.drained) < job - 1 or not self.ready:
                await ctx.tick()
            while next(self.source):
                await ctx.tick()
            ctx.set(dut.i.p, word)
            ctx.set(dut.i.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(dut.i.ready)
            ctx.set(dut.i.valid, 0)
            job += word["job_end"]

    async def drain(self, ctx):
        for bank in range(2):
            await walk(ctx, self.dut, self.plan.config, bank, never(), self.dut.sums)
        self.ready = True
        for number in range(len(self.plan.jobs())):
            while self.counts["job_end"] <= number:
                await ctx.tick()
            self.drained.append(
                await walk(
                    ctx, self.dut, self.plan.config, number % 2, self.drain_pauses, self.dut.sums
                )
            )
        await ctx.tick().repeat(8)
        assert not ctx.get(self.dut.pending)
