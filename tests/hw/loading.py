# amaranth: UnusedElaboratable=no
"""Load tiles into the two banks of a component, each as soon as its bank is free."""

from __future__ import annotations

from gscn.hw.layouts import FIBERS_PER_ROW, LoadTarget
from tests.hw.segments import FIBERS_PER_CHUNK, Segment, in_chunks, load_words


def load_payloads(segment: Segment, pe: int) -> list[dict]:
    """Return what a PE sees of everything that it loads, without the bank.

    Of a directory that is a row of fibers, those not enabled all zeros.
    """
    payloads = []
    for target, row, chunk in load_words(segment, pe):
        payload = {"target": target, "row": row, "chunk": chunk}
        if target == LoadTarget.DIRECTORY:
            tile = segment.tiles[pe]
            per_chunk = FIBERS_PER_CHUNK[tile.directory_format]
            payload["row"], first = divmod(row * per_chunk, FIBERS_PER_ROW)
            fibers = in_chunks(tile.directory, per_chunk)[row]
            lanes = [(0, 0)] * FIBERS_PER_ROW
            lanes[first : first + per_chunk] = fibers
            payload["fibers"] = [{"start": start, "length": length} for start, length in lanes]
            payload["pairs"] = sum(1 << lane // 2 for lane in range(first, first + per_chunk, 2))
        payloads.append(payload)
    return payloads


async def load(ctx, dut, segment: Segment, bank: int, pe: int) -> None:
    """Load a segment's tile, with a gap after every third chunk."""
    for number, payload in enumerate(load_payloads(segment, pe)):
        ctx.set(dut.load, {"bank": bank, **payload})
        ctx.set(dut.load_en, 1)
        await ctx.tick()
        ctx.set(dut.load_en, 0)
        if number % 3 == 2:
            await ctx.tick()


class BankedLoad:
    """Load the segments in turn; `ended()` tells how many the component has finished.

    The gate `released` counts the segments whose words may enter.
    """

    def __init__(self, dut, segments: list[Segment], ended, *, pe: int = 0):
        self.dut, self.segments, self.ended, self.pe = dut, segments, ended, pe
        self.released = 0

    async def testbench(self, ctx):
        for number, segment in enumerate(self.segments):
            while number - self.ended() >= 2:
                await ctx.tick()
            await load(ctx, self.dut, segment, number % 2, self.pe)
            self.released = number + 1

    def feed(self, port, words_of_segments: list[list], pauses, gate=None):
        """Return a testbench that offers each segment's words once its tile is loaded.

        With a gate, words of segment `number` also wait until `gate(number)` holds.
        """

        async def driver(ctx):
            for number, words in enumerate(words_of_segments):
                while self.released <= number or not (gate is None or gate(number)):
                    await ctx.tick()
                for word in words:
                    while next(pauses):
                        await ctx.tick()
                    ctx.set(port.p, word)
                    ctx.set(port.valid, 1)
                    taken = False
                    while not taken:
                        _, _, taken = await ctx.tick().sample(port.ready)
                    ctx.set(port.valid, 0)

        return driver
