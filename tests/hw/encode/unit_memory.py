# amaranth: UnusedElaboratable=no
"""A memory in plain Python that is written as well as read."""

from __future__ import annotations

import itertools
from collections import deque

from tests.hw.memory import Memory
from tests.hw.streams import never


class WrittenMemory(Memory):
    """A memory of given content; bursts and their beats are taken with pauses."""

    def __init__(self, config, content=b"", *, latency=5, pauses=None, write_pauses=None):
        super().__init__(config, latency=latency, pauses=pauses)
        self.data = bytearray(content)
        self.write_pauses = never() if write_pauses is None else write_pauses
        self.writes: list[tuple[int, int]] = []

    def check_burst(self, addr: int, beats: int) -> None:
        """Let the last line be read as a whole."""
        self.data += bytes(-len(self.data) % 64)
        super().check_burst(addr, beats)

    def serve_writes(self, command, beat, done):
        """Return a testbench that takes bursts, and says when each is there."""

        async def server(ctx):
            due: deque[int] = deque()  # places of beats
            ends: deque[int] = deque()  # beats of bursts
            acknowledged: deque[int] = deque()  # cycles
            left = 0
            for cycle in itertools.count():
                ctx.set(command.ready, not next(self.write_pauses))
                ctx.set(beat.ready, bool(due) and not next(self.write_pauses))
                ctx.set(done, bool(acknowledged) and acknowledged[0] <= cycle)
                _, _, asked, ready, burst, sent, takes, word = await ctx.tick().sample(
                    command.valid, command.ready, command.p, beat.valid, beat.ready, beat.p
                )
                if acknowledged and acknowledged[0] <= cycle:
                    acknowledged.popleft()
                if sent and takes:
                    place, size = due.popleft(), self.config.mem_bytes
                    data, strobe = int(word.data).to_bytes(size, "little"), int(word.strobe)
                    for n in range(size):
                        if strobe >> n & 1:
                            self.data[place + n] = data[n]
                    left = left or ends.popleft()
                    left -= 1
                    if left == 0:
                        acknowledged.append(cycle + self.latency)
                if asked and ready:
                    addr, beats = int(burst.addr), int(burst.beats)
                    self.check_burst(addr, beats)
                    self.writes.append((addr, beats))
                    due.extend(addr + n * self.config.mem_bytes for n in range(beats))
                    ends.append(beats)

        return server
