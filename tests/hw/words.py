# amaranth: UnusedElaboratable=no
"""Words for one PE of an array, with the stationary operand that they meet, and their sums."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from gscn.array import ArrayConfig
from gscn.hw.array_layouts import LOAD_LANES, WordKind, sum_rows
from tests import floats


@dataclass(kw_only=True, slots=True)
class Chunk:
    """Keys that follow each other, and their entries; numbers are not yet modulo the rings."""

    first_key: int
    first_entry: int
    fibers: list[list[tuple[int, int]]]
    """For each key: (value, offset) of its entries."""

    @property
    def entries(self) -> list[tuple[int, int]]:
        """Return all entries in order."""
        return [entry for fiber in self.fibers for entry in fiber]

    def starts(self) -> list[int]:
        """Return where each key begins, and the key behind the last."""
        found = [self.first_entry]
        for fiber in self.fibers:
            found.append(found[-1] + len(fiber))
        return found


@dataclass(kw_only=True, slots=True)
class Part:
    """A chunk and the words that meet it, closed by a MARK or END."""

    chunk: Chunk
    words: list[dict]
    """Fields of `word_layout`; `key` is absolute."""
    kind: WordKind = WordKind.MARK
    job_end: int = 0


@dataclass(kw_only=True, slots=True)
class Plan:
    """What a PE is given."""

    config: ArrayConfig
    parts: list[Part] = field(default_factory=list)
    row_keys: int = 1
    row_step: int = 1

    def fibers(self, part: Part) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
        """Yield (value, offset, entries) of each look-up, empty ones included."""
        chunk = part.chunk
        for word in part.words:
            for row in range(word["rows"] + 1):
                key = word["key"] + row * self.row_keys - chunk.first_key
                fibers = chunk.fibers[key : key + word["span"]]
                assert len(fibers) == word["span"]
                offset = word["offset"] + row * self.row_step
                yield word["value"], offset, [entry for fiber in fibers for entry in fiber]

    def products(self, part: Part) -> list[tuple[int, int, int]]:
        """Return (index, entry's value, word's value) of each product, in order."""
        bits = self.config.index_width
        return [
            ((offset + entry_offset) % (1 << bits), entry, value)
            for value, offset, entries in self.fibers(part)
            for entry, entry_offset in entries
        ]

    def jobs(self) -> list[list[tuple[int, int, int]]]:
        """Return the products of each job that is closed."""
        found, own = [], []
        for part in self.parts:
            own += self.products(part)
            if part.job_end:
                found.append(own)
                own = []
        return found

    def sums(self, mode: floats.Mode | None = None) -> list[list[tuple[int, int]]]:
        """Return (sum, special bits) of each accumulator after each job."""
        width = self.config.acc_width
        found = []
        for products in self.jobs():
            sums, specials = Counter(), Counter()
            for index, entry, value in products:
                addend, special = entry * value, 0
                if mode is not None:
                    addend, special, _ = floats.product(entry, value, mode, width)
                sums[index] += addend
                specials[index] |= special
            found.append(
                [
                    (floats.signed(sums[index] % (1 << width), width), specials[index])
                    for index in range(self.config.acc_depth)
                ]
            )
        return found

    def index_errors(self) -> int:
        """Return how many products have no accumulator."""
        return sum(
            index >= self.config.acc_depth for part in self.parts for index, *_ in
            self.products(part)
        )  # fmt: skip

    def words(self) -> Iterator[tuple[int, dict]]:
        """Yield (part, word as it is offered) in order, MARKs and ENDs included."""
        keys = self.config.directory_depth
        blank = dict.fromkeys(("value", "key", "span", "rows", "offset"), 0)
        for number, part in enumerate(self.parts):
            for word in part.words:
                mac = {"kind": WordKind.MAC, "job_end": 0}
                yield number, {**word, **mac, "key": word["key"] % keys}
            yield number, {**blank, "kind": part.kind, "job_end": part.job_end}


def random_plan(
    rng: random.Random, config: ArrayConfig, *, jobs: int = 3, longest: int = 5, wild: bool = False
) -> Plan:
    """Return a plan whose chunks follow each other in the rings, several of which fit at a time.

    Parameters
    ----------
    rng
        Source of all choices.
    config
        Sizes.
    jobs
        How many are closed.
    longest
        Most entries of a key.
    wild
        Offsets are any, not only those whose sums are accumulators.
    """
    plan = Plan(config=config, row_keys=rng.randint(0, 6), row_step=rng.randint(0, 3))
    if wild:
        plan.row_step = rng.randrange(1 << config.index_width)
    offsets = 1 << config.index_width if wild else (config.acc_depth - 3 * 3) // 2
    key, entry = rng.randrange(config.directory_depth), rng.randrange(config.stationary_depth)
    low, high = -(1 << config.value_width - 1), (1 << config.value_width - 1) - 1

    def value():
        return rng.choice((low, high)) if rng.random() < 0.05 else rng.randint(low, high)

    most = min(config.directory_depth, config.stationary_depth) // 3 - 1
    for _ in range(jobs):
        count = rng.randint(1, 4)
        for number in range(count):
            fibers, room = [], most
            for _ in range(rng.randint(1, most)):
                length = min(room, rng.choice((0, rng.randint(1, longest))))
                room -= length
                fibers.append([(value(), rng.randrange(offsets)) for _ in range(length)])
            chunk = Chunk(first_key=key, first_entry=entry, fibers=fibers)
            key, entry = key + len(fibers), entry + len(chunk.entries)
            words = []
            for _ in range(rng.choice((0, rng.randint(1, 12)))):
                rows = rng.randint(0, 3)
                while rows * plan.row_keys >= len(fibers):
                    rows -= 1
                span = rng.randint(1, len(fibers) - rows * plan.row_keys)
                at = rng.randint(0, len(fibers) - rows * plan.row_keys - span)
                words.append(
                    {
                        "value": value(), "key": chunk.first_key + at, "span": span, "rows": rows,
                        "offset": rng.randrange(offsets),
                    }
                )  # fmt: skip
            last = number == count - 1
            kind = WordKind.END if last or rng.random() < 0.2 else WordKind.MARK
            plan.parts.append(Part(chunk=chunk, words=words, kind=kind, job_end=int(last)))
    return plan


class Window:
    """Load chunks through a PE's port as early as they fit, in random portions."""

    def __init__(self, dut, plan: Plan, marks, rng: random.Random):
        self.dut, self.plan, self.marks, self.rng = dut, plan, marks, rng
        self.loaded = 0

    async def testbench(self, ctx):
        """Load all chunks; what is given back by `marks` is overwritten at once."""
        config = self.plan.config
        for number, part in enumerate(self.plan.parts):
            while not self._fits(number):
                ctx.set(self.dut.load, self._nothing())
                await ctx.tick()
            entries = deque(enumerate(part.chunk.entries, part.chunk.first_entry))
            starts = deque(enumerate(part.chunk.starts(), part.chunk.first_key))
            while entries or starts:
                load = self._nothing()
                portion = [
                    entries.popleft()
                    for _ in range(min(len(entries), self.rng.randint(0, LOAD_LANES)))
                ]
                if portion:
                    load["entry_en"] = (1 << len(portion)) - 1
                    load["entry_addr"] = portion[0][0] % config.stationary_depth
                    for lane, (_, (value, offset)) in enumerate(portion):
                        load["entries"][lane] = {"value": value, "offset": offset}
                if starts and self.rng.random() < 0.8:
                    key, start = starts.popleft()
                    load |= {
                        "key_en": 1,
                        "key": key % config.directory_depth,
                        "start": start % config.stationary_depth,
                    }
                ctx.set(self.dut.load, load)
                await ctx.tick()
            ctx.set(self.dut.load, self._nothing())
            self.loaded = number + 1

    def _fits(self, number):
        kept = [part.chunk for part in self.plan.parts[self.marks() : number + 1]]
        config = self.plan.config
        return (
            sum(len(chunk.entries) for chunk in kept) < config.stationary_depth
            and sum(len(chunk.fibers) for chunk in kept) < config.directory_depth
        )

    def _nothing(self):
        junk = {"value": self.rng.randint(-100, 100), "offset": 1}
        return {
            "entry_en": 0, "entry_addr": self.rng.randrange(16), "entries": [junk, junk],
            "key_en": 0, "key": self.rng.randrange(16), "start": self.rng.randrange(16),
        }  # fmt: skip


async def walk(ctx, dut, config: ArrayConfig, bank: int, pauses: Iterator[bool], sums) -> list:
    """Read and clear all rows of a bank; return (sum, special bits) of each accumulator."""
    found = []
    special = bool(config.floats)
    for row in range(sum_rows(config)):
        ctx.set(dut.drain, {"en": 1, "bank": bank, "row": row})
        await ctx.tick()
        ctx.set(dut.drain, {"en": 0, "bank": 1 - bank, "row": 0})
        while next(pauses):  # what is drained must stay
            await ctx.tick()
        for one in ctx.get(sums):
            found.append((int(one["sum"]), int(one["special"]) if special else 0))
    return found
