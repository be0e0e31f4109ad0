# amaranth: UnusedElaboratable=no
"""Results of whole passes in memory: all of their bytes, and no others; errors; throughput."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.encode import CHANNEL_SUMS, TENSOR_FORMATS, Adapt, EncodeError
from gscn.formats import INT8, INT16, IntFormat
from gscn.hw.encode.outputs import Outputs
from gscn.passes import VECTOR
from gscn.strips import encode
from tests.hw.encode.selected import Bits, choice, histogram, magnitudes
from tests.hw.encode.write_memory import WriteMemory
from tests.hw.streams import in_runs, never, plain, reused, simulate

SIZE = 1 << 15
FULL = (1 << VECTOR) - 1
PARTS = ("dense", "second", "bits", "sums", "a", "b")
BF16, FLOAT32 = 1, 2
FIRST = Bits(shift=8, width=7, prefix=0, wide=False)


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
    shape
        Groups, strips of each, and vectors of each strip (A; B has half as many strips).
    selection
        The first bits of a selection, if it is one.
    changes
        Settings that are changed.
    """

    def __init__(
        self, seed, *, parts=PARTS, out_format=BF16, shape=(2, 2, 5), selection=None, changes=None
    ):
        self.source = source = random.Random(seed)
        self.parts, self.fmt = parts, TENSOR_FORMATS[out_format]
        self.integers = isinstance(self.fmt, IntFormat)
        self.before = source.randbytes(SIZE)
        self.after = bytearray(self.before)
        self.shape = shape
        self.count = shape[0] * shape[1] * shape[2]
        self.at = 0
        self.settings = {"out_format": out_format}
        self.state, self.choice = {}, None
        self.words = {
            name: [] for name in ("dense", "second", "bits", "sums", "verdicts", "selected")
        }
        self.halfwords = {}
        for name in ("dense", "second"):
            self.dense(name)
        self.bits()
        self.sums()
        self.verdicts()
        self.select(selection)
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
        size = VECTOR * self.fmt.width // 8
        shift, kind = 0 if self.integers else 32 - self.fmt.width, f"<u{self.fmt.width // 8}"
        below = (1 << self.fmt.width) - 1
        places = list(range(self.count + 3))
        turn = self.source.randrange(self.count)
        places = places[turn:] + places[:turn]
        addr = self.place(name, size * len(places))
        for number in range(self.count):
            codes = [self.source.randrange(1 << 32) for _ in range(VECTOR)]
            codes = [code >> shift << shift for code in codes]
            wanted = self.source.random() < 0.9
            at = addr + size * places[number]
            # Where a vector is that is not written says nothing.
            word = {"addr": at if wanted else self.source.randrange(SIZE), "codes": codes}
            word |= {"wanted": wanted, "ends": number == self.count - 1}
            if name in self.parts:
                self.words[name].append(word)
                if wanted:
                    values = [code >> shift & below for code in codes]
                    self.put(at, np.array(values, kind).tobytes())

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
        fmt = INT8 if self.fmt is INT8 else INT16
        kept = {name: self.random_array(2, VECTOR) for name in "ab"}
        # Some vectors have nothing, or all.
        kept["a"] *= self.random_array(3, 1) > 0
        kept["b"] |= self.random_array(3, 1) == 0
        ends = {"a": vectors, "b": 2 * vectors}
        per_group = strips * vectors
        for name in "ab":
            chosen = (codes * kept[name]).reshape(groups, -1, VECTOR).astype(f"<u{fmt.width // 8}")
            bounds = np.append(np.arange(0, per_group, ends[name]), per_group)
            found = encode(chosen, bounds, fmt)
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

    def select(self, bits):
        """Magnitudes that are counted by the first pass of a selection, and its choice."""
        if bits is None:
            return
        self.settings |= {"adapt": Adapt.SELECT_FIRST, "bin_shift": bits.shift}
        self.settings |= {"bin_bits": bits.width}
        vectors = magnitudes(self.source, bits, self.count, VECTOR)
        counts = histogram(vectors, bits)
        keep = sum(counts) // 10
        self.words["selected"] = vectors
        # Only a later pass looks at what the one before has left.
        self.state = {"keep": keep, "rank": keep + 9, "prefix": 77}
        self.choice = choice(counts, keep)

    def random_array(self, below, lanes):
        numbers = [self.source.randrange(below) for _ in range(self.count * lanes)]
        return np.array(numbers).reshape(self.count, lanes)


class Ran:
    """What a unit did."""

    def __init__(self, error, halfwords, choice, cycles, memory):
        self.error, self.halfwords, self.choice = error, halfwords, choice
        self.cycles, self.memory = cycles, memory


def run(passes, config, *, busy=0.0, latency=4, pauses=never, most=6000):
    """Run passes one after the other on one memory each; return what happened of each."""
    dut = reused(Outputs, config=config, integers=passes[0].integers)
    found = []
    memory = WriteMemory(config, passes[0].before, busy=busy, latency=latency)

    async def driver(ctx):
        for one in passes:
            memory.data = bytearray(one.before)
            ctx.set(dut.settings.adapt, 0)
            for name, value in one.settings.items():
                if not name.startswith("table"):
                    ctx.set(dut.settings[name], value)
            for name, value in one.state.items():
                ctx.set(dut.state[name], value)
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
            chosen = plain(ctx.get(dut.choice))
            ctx.set(dut.through, 0)
            found.append(Ran(ctx.get(dut.error), halfwords, chosen, cycles, bytes(memory.data)))
            await ctx.tick().repeat(4)
            assert bytes(memory.data) == found[-1].memory

    simulate(
        dut, driver, cycles=most, background=[memory.serve(dut.command, dut.data, dut.write_done)]
    )
    return found


def check(passes, config, **options):
    found = run(passes, config, **options)
    for one, ran in zip(passes, found, strict=True):
        assert ran.error == EncodeError.NONE
        assert one.choice is None or ran.choice == one.choice
        assert ran.halfwords | {n: 0 for n in "ab" if n not in one.parts} == one.halfwords
        wrong = [n for n in range(SIZE) if ran.memory[n] != one.after[n]]
        assert not wrong, f"{len(wrong)} bytes from {wrong[0]:#x}: {one.settings}"
    return found


@pytest.mark.parametrize(
    ("mem_width", "burst_beats", "out_format", "busy"),
    [(512, 4, BF16, 0.0), (512, 1, FLOAT32, 0.5), (256, 4, BF16, 0.3), (128, 2, FLOAT32, 0.2),
     (64, 16, BF16, 0.0), (128, 2, 3, 0.2), (512, 4, 5, 0.0)],
)  # fmt: skip
def test_all_results_of_a_pass_are_in_memory_and_nothing_else_changes(
    mem_width, burst_beats, out_format, busy
):
    config = config_of(mem_width, burst_beats)
    passes = [
        Made(mem_width, out_format=out_format),
        Made(mem_width + 1, out_format=out_format, shape=(3, 3, 2)),
    ]
    check(passes, config, busy=busy, latency=30, pauses=lambda: in_runs(mem_width, 4))


def test_a_choice_is_made_of_what_was_counted():
    made = Made(1, parts=("bits",), shape=(1, 1, 6), selection=FIRST)
    found = check([made], config_of(512), most=9000)
    assert found[0].choice == made.choice


def outside(made, name):
    """Move some vector of a result just below its range, or behind it."""
    size = VECTOR * made.fmt.width // 8
    first, end = (made.settings[f"{name}_{part}"] for part in ("addr", "end"))
    word = made.source.choice(made.words[name])
    word |= {"wanted": 1, "addr": made.source.choice([first - size, -(-end // size) * size])}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", ["dense", "second"])
def test_a_vector_outside_its_range_is_an_error_and_is_not_written(name, seed):
    bad = Made(10 + seed, out_format=(BF16, FLOAT32)[seed], shape=(1, 2, 4))
    outside(bad, name)
    good = Made(20 + seed, out_format=BF16, shape=(1, 2, 3))
    found = run([bad, good], config_of(256), busy=0.3)
    assert [ran.error for ran in found] == [EncodeError.RANGE, 0]
    # Every byte is as it was, or as the pass would have it.
    for before, after, now in zip(bad.before, bad.after, found[0].memory, strict=True):
        assert now in (before, after)
    assert found[1].memory == good.after


@pytest.mark.parametrize("out_format", [BF16, FLOAT32])
def test_a_range_that_ends_within_a_line_has_room_for_half_a_line_of_bf16(out_format):
    size = 64 if out_format == FLOAT32 else 32
    passes = []
    for less in (0, 1):
        made = Made(30, parts=("dense",), out_format=out_format, shape=(1, 1, 5))
        used = max(word["addr"] for word in made.words["dense"] if word["wanted"]) + size
        made.settings["dense_end"] = used - less
        passes.append(made)
    assert [ran.error for ran in run(passes, config_of(512))] == [0, EncodeError.RANGE]


@pytest.mark.parametrize("name", ["a", "b"])
def test_strips_longer_than_their_range_are_an_error_at_the_end(name):
    passes = []
    for less in (0, 1, 70):
        made = Made(40, parts=("bits", name), shape=(2, 2, 6))
        made.settings[f"{name}_end"] -= less
        passes.append(made)
    found = run(passes, config_of(512))
    assert [ran.error for ran in found] == [0, *[EncodeError.CAPACITY] * 2]
    for made, ran in zip(passes, found, strict=True):
        first, end = (made.settings[f"{name}_{part}"] for part in ("data", "end"))
        # Nothing behind the range.
        after = bytearray(made.after)
        after[end : end + 128] = made.before[end : end + 128]
        assert ran.memory[:first] == after[:first]
        assert ran.memory[end:] == after[end:]


@pytest.mark.parametrize("out_format", [BF16, FLOAT32])
def test_a_vector_of_either_format_takes_a_cycle(out_format):
    passes = []
    for count in (20, 60):
        made = Made(50, parts=("dense",), out_format=out_format, shape=(1, 1, count))
        first = made.settings["dense_addr"]
        size = VECTOR * made.fmt.width // 8
        for number, word in enumerate(made.words["dense"]):
            word |= {"addr": first + size * number, "wanted": 1}
        passes.append(made)
    short, long = (ran.cycles for ran in run(passes, config_of(512), latency=1))
    assert long - short == 40
