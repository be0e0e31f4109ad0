# amaranth: UnusedElaboratable=no
"""Results of whole passes in memory: all of their bytes, and no others; errors; throughput."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.encode import CHANNEL_SUMS, EncodeError
from gscn.formats import INT16
from gscn.hw.encode.outputs import Outputs
from gscn.passes import VECTOR
from gscn.strips import encode
from tests.hw.encode.write_memory import WriteMemory
from tests.hw.streams import in_runs, never, simulate

SIZE = 1 << 15
FULL = (1 << VECTOR) - 1
PARTS = ("dense", "second", "bits", "sums", "a", "b")
BF16, FLOAT32 = 1, 2


def config_of(mem_width, burst_beats=4):
    return ARRAYS["tiny"].with_overrides(
        [
            "clusters=1", "drain_width=1", "float_formats=bf16", f"mem_width={mem_width}",
            f"burst_beats={burst_beats}", "read_fifo_beats=32",
        ]
    )  # fmt: skip


class Made:
    """A pass of random results: settings, what goes in, and memory before and after.

    Parameters
    ----------
    seed
        Of all that is random.
    parts
        What it has.
    out_format
        Of dense results.
    groups, strips, vectors
        Groups, strips of each, and vectors of each strip (A; B has half as many strips).
    changes
        Settings that are changed.
    """

    def __init__(
        self, seed, *, parts=PARTS, out_format=BF16, groups=2, strips=2, vectors=5, changes=None
    ):
        self.source = source = random.Random(seed)
        self.parts, self.wide = parts, out_format == FLOAT32
        self.before = source.randbytes(SIZE)
        self.after = bytearray(self.before)
        self.shape = groups, strips, vectors
        self.count = groups * strips * vectors
        self.at = 0
        self.settings = {"out_format": out_format}
        self.words = {name: [] for name in ("dense", "second", "bits", "sums", "verdicts")}
        self.halfwords = {}
        for name in ("dense", "second"):
            self.dense(name)
        self.bits()
        self.sums()
        self.verdicts()
        self.settings |= changes or {}

    def place(self, name, size, first="addr"):
        """Give a result a range of so many bytes, and return where it begins."""
        addr = self.at + 64 * self.source.randrange(1, 3)
        self.settings |= {f"{name}_{first}": addr, f"{name}_end": addr}
        if name in self.parts:
            self.settings[f"{name}_end"] += size
            self.at = -(-(addr + size) // 64) * 64
        assert self.at <= SIZE
        return addr

    def put(self, addr, content):
        self.after[addr : addr + len(content)] = content

    def dense(self, name):
        """Vectors, some of which are not wanted, each run of neighbours anywhere in the range."""
        size = 64 if self.wide else 32
        places = list(range(self.count + 3))
        turn = self.source.randrange(self.count)
        places = places[turn:] + places[:turn]
        addr = self.place(name, size * len(places))
        for number in range(self.count):
            codes = [self.source.randrange(1 << 32) for _ in range(VECTOR)]
            codes = codes if self.wide else [code >> 16 << 16 for code in codes]
            wanted = self.source.random() < 0.9
            at = addr + size * places[number]
            # Where a vector is that is not written says nothing.
            word = {"addr": at if wanted else self.source.randrange(SIZE), "codes": codes}
            word |= {"wanted": wanted, "ends": number == self.count - 1}
            if name in self.parts:
                self.words[name].append(word)
                if wanted:
                    shift, kind = (0, "<u4") if self.wide else (16, "<u2")
                    self.put(at, np.array([code >> shift for code in codes], kind).tobytes())

    def bits(self):
        masks = [self.source.randrange(1 << VECTOR) for _ in range(self.count)]
        addr = self.place("bits", 2 * self.count)
        if "bits" in self.parts:
            self.words["bits"] = [
                {"bits": one, "ends": number == self.count - 1} for number, one in enumerate(masks)
            ]
            self.put(addr, np.array(masks, "<u2").tobytes())

    def sums(self):
        addr = self.place("sums", 32 * self.count)
        for number in range(self.count * ("sums" in self.parts)):
            content = self.source.randbytes(CHANNEL_SUMS.width // 8)
            word = int.from_bytes(content, "little")
            fields = {}
            for field in CHANNEL_SUMS.fields:
                fields[field.name] = word % (1 << field.width)
                word >>= field.width
            self.words["sums"].append({"sums": fields, "ends": number == self.count - 1})
            self.put(addr + 32 * number, content)

    def verdicts(self):
        groups, strips, vectors = self.shape
        codes = self.random_array(1 << 16, VECTOR) | 1
        kept = {name: self.random_array(2, VECTOR) for name in "ab"}
        # Some vectors have nothing, or all.
        kept["a"] *= self.random_array(3, 1) > 0
        kept["b"] |= self.random_array(3, 1) == 0
        ends = {"a": vectors, "b": 2 * vectors}
        per_group = strips * vectors
        for name in "ab":
            chosen = (codes * kept[name]).reshape(groups, -1, VECTOR).astype(np.uint16)
            bounds = np.append(np.arange(0, per_group, ends[name]), per_group)
            found = encode(chosen, bounds, INT16)
            self.halfwords[name] = found.halfwords if name in self.parts else 0
            addr = self.place(name, 2 * found.halfwords, "data")
            table = self.place("table", 0) + 64
            self.settings[f"{name}_table"] = table
            if name in self.parts:
                self.at = table + -(-found.table.size * 4 // 64) * 64
                self.put(addr, found.data[: 2 * found.halfwords].tobytes())
                self.put(table, found.table.astype("<u4").tobytes())
        for number in range(self.count if {"a", "b"} & set(self.parts) else 0):
            place = number % per_group + 1
            marks = {
                f"ends_strip_{name}": place % ends[name] == 0 or place == per_group for name in "ab"
            }
            marks |= {"ends_group": place == per_group, "ends": number == self.count - 1}
            word = {"codes": codes[number].tolist(), "marks": marks, "last_vector": 1}
            for name in "ab":
                lanes = kept[name][number].tolist()
                word[f"packed_{name}"] = sum(bit << lane for lane, bit in enumerate(lanes))
            self.words["verdicts"].append(word)

    def random_array(self, below, lanes):
        numbers = [self.source.randrange(below) for _ in range(self.count * lanes)]
        return np.array(numbers).reshape(self.count, lanes)


class Ran:
    """What a unit did."""

    def __init__(self, errors, halfwords, cycles, memory):
        self.errors, self.halfwords, self.cycles = errors, halfwords, cycles
        self.memory = memory


def run(passes, config, *, busy=0.0, latency=4, pauses=never, most=6000):
    """Run passes one after the other on one memory each; return what happened of each."""
    dut = Outputs(config=config)
    found = []
    memory = WriteMemory(config, passes[0].before, busy=busy, latency=latency)

    async def driver(ctx):
        for one in passes:
            memory.data = bytearray(one.before)
            for name, value in one.settings.items():
                if not name.startswith("table"):
                    ctx.set(dut.settings[name], value)
            ctx.set(dut.columns, one.shape[0])
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            left = {name: list(words) for name, words in one.words.items()}
            paused = {name: pauses() for name in left}
            offered, cycles = dict.fromkeys(left, False), 0
            while not (ctx.get(dut.done) or (ctx.get(dut.error) and not ctx.get(dut.busy))):
                for name, words in left.items():
                    port = getattr(dut, f"i_{name}")
                    offered[name] |= bool(words) and not next(paused[name])
                    ctx.set(port.valid, offered[name])
                    if offered[name]:
                        ctx.set(port.p, words[0])
                ctx.set(dut.through, not any(left.values()))
                ports = [getattr(dut, f"i_{name}") for name in left]
                _, _, *readies = await ctx.tick().sample(*(port.ready for port in ports))
                for name, ready in zip(left, readies, strict=True):
                    if ready and offered[name]:
                        left[name].pop(0)
                        offered[name] = False
                cycles += 1
            for port in ports:
                ctx.set(port.valid, 0)
            halfwords = {"a": ctx.get(dut.halfwords_a), "b": ctx.get(dut.halfwords_b)}
            ctx.set(dut.through, 0)
            found.append(Ran(ctx.get(dut.error), halfwords, cycles, bytes(memory.data)))
            await ctx.tick().repeat(4)
            assert bytes(memory.data) == found[-1].memory

    simulate(
        dut, driver, cycles=most, background=[memory.serve(dut.command, dut.data, dut.write_done)]
    )
    return found


def check(passes, config, **options):
    found = run(passes, config, **options)
    for one, ran in zip(passes, found, strict=True):
        assert ran.errors == EncodeError.NONE
        assert ran.halfwords | {n: 0 for n in "ab" if n not in one.parts} == one.halfwords
        wrong = [n for n in range(SIZE) if ran.memory[n] != one.after[n]]
        assert not wrong, f"{len(wrong)} bytes from {wrong[0]:#x}: {one.settings}"
    return found


@pytest.mark.parametrize(
    ("mem_width", "burst_beats", "out_format", "busy"),
    [(512, 4, BF16, 0.0), (512, 1, FLOAT32, 0.5), (256, 4, BF16, 0.3), (128, 2, FLOAT32, 0.2),
     (64, 16, BF16, 0.0)],
)  # fmt: skip
def test_all_results_of_a_pass_are_in_memory_and_nothing_else_changes(
    mem_width, burst_beats, out_format, busy
):
    config = config_of(mem_width, burst_beats)
    passes = [
        Made(mem_width, out_format=out_format),
        Made(mem_width + 1, out_format=out_format, groups=3, strips=3, vectors=2),
    ]
    check(passes, config, busy=busy, latency=30, pauses=lambda: in_runs(mem_width, 4))
