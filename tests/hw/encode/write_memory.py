# amaranth: UnusedElaboratable=no
"""A memory in plain Python that takes bursts, with pauses, and says late that it has them."""

from __future__ import annotations

import random

from tests.hw.streams import plain


class WriteMemory:
    """A memory image, and a testbench that writes what a port sends.

    Parameters
    ----------
    config
        Port.
    content
        Bytes that it begins with.
    busy
        Share of the cycles in which it takes no command, and no beat.
    latency
        Most cycles from a burst's last beat to its answer, which come in order.
    seed
        Of pauses.
    """

    def __init__(self, config, content, *, busy=0.0, latency=4, seed=0):
        self.config, self.data = config, bytearray(content)
        self.busy, self.latency = busy, latency
        self.source = random.Random(seed)
        self.beats = 0
        self.done = 0

    def serve(self, command, data, done):
        """Return the testbench."""

        async def server(ctx):
            bursts, beats, answers = [], [], []
            cycle = 0
            while True:
                takes_command = self.source.random() >= self.busy
                takes_beat = self.source.random() >= self.busy
                answers_now = bool(answers) and answers[0] <= cycle
                if answers_now:
                    answers.pop(0)
                    self.done += 1
                ctx.set(command.ready, takes_command)
                ctx.set(data.ready, takes_beat)
                ctx.set(done, answers_now)
                _, _, burst, beat, has_burst, has_beat = await ctx.tick().sample(
                    command.p, data.p, command.valid, data.valid
                )
                if has_burst and takes_command:
                    bursts.append(self.checked(plain(burst)))
                if has_beat and takes_beat:
                    beats.append(plain(beat))
                while bursts and len(beats) >= bursts[0]["beats"]:
                    self.write(bursts[0]["addr"], beats[: bursts[0]["beats"]])
                    del beats[: bursts.pop(0)["beats"]]
                    answers.append(cycle + 1 + self.source.randrange(self.latency))
                cycle += 1

        return server

    def checked(self, burst):
        size, longest = self.config.mem_bytes, self.config.burst_beats
        addr, beats = burst["addr"], burst["beats"]
        assert addr % size == 0, f"{addr:#x}"
        assert 1 <= beats <= longest, f"{beats} beats"
        assert addr // size // longest == (addr // size + beats - 1) // longest
        assert addr + beats * size <= len(self.data), f"{addr:#x} is beyond"
        return burst

    def write(self, addr, beats):
        size = self.config.mem_bytes
        for beat in beats:
            content = beat["data"].to_bytes(size, "little")
            for number in range(size):
                if beat["strobe"] >> number & 1:
                    self.data[addr + number] = content[number]
            addr += size
            self.beats += 1
