"""The functional model of passes obeys their law, and reports errors without doing harm."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest

from gscn.emulator.arithmetic import Arithmetic
from gscn.emulator.pass_checks import operand_ranges, pass_fields
from gscn.emulator.pass_sums import Stationary, TileSums, Words
from gscn.emulator.passes import PassCounts, PassesResult, run_passes
from gscn.formats import BF16
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR, Mode
from gscn.registers import NO_PASS
from tests.pass_law import expect
from tests.pass_memory import Program, correlate_pass, kernel_pass, program_of
from tests.pass_programs import TINY, random_program

FLAGS = ("saturated", "nonfinite", "overflow_certain", "overflow_possible")


def run(program: Program, image: np.ndarray | None = None) -> PassesResult:
    """Run a program, or another image of it."""
    return run_passes(
        program.config,
        program.image if image is None else image,
        program.descriptors_addr,
        program.count,
        program.memory_bytes,
    )


def assert_expected(program: Program) -> None:
    """Compare memory, flags and products with those of the law."""
    expected, result = expect(program), run(program)
    assert (result.error, result.error_pass) == (PassError.NONE, program.count)
    assert np.array_equal(result.memory, expected.memory)
    assert [getattr(result, name) for name in FLAGS] == [getattr(expected, name) for name in FLAGS]
    assert sum(one.products for one in result.counts) == expected.products


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("number_format", range(5))
@pytest.mark.parametrize("seed", range(4))
def test_random_passes_have_the_results_of_the_law(mode, number_format, seed):
    assert_expected(random_program(seed, 1, mode=mode, number_format=number_format))


@pytest.mark.parametrize("seed", range(20))
def test_the_smallest_passes_have_the_results_of_the_law(seed):
    assert_expected(random_program(seed, 0))


@pytest.mark.parametrize("seed", range(6))
def test_integers_of_8_bits_have_the_results_of_the_law(seed):
    config = dataclasses.replace(TINY, operand_format="int8", acc_width=24, clusters=6)
    assert_expected(random_program(seed, 1, config=config, number_format=0))


def codes(shape: tuple[int, ...], *values: tuple[tuple[int, ...], int]) -> np.ndarray:
    """Return zeros but for some codes at their places."""
    found = np.zeros(shape, int)
    for place, code in values:
        found[place] = code & 0xFFFF
    return found


def results(result: PassesResult, program: Program, number: int = 0) -> np.ndarray:
    """Return the results of a pass, signed numbers of 32 bits."""
    f = program.passes[number].fields
    return result.memory[f["out_addr"] : f["out_end"]].view("<i4")


def test_a_kernel_by_hand():
    # Word 7 of channel 1 at (0, 1) meets 3 (tap 0, 0) and -2 (tap 0, 1), both for channel 4; word
    # -5 of channel 0 at (0, 0) meets 11 (tap 0, 1). Its tap (0, 1) of pixel (0, 1) is beyond.
    weights = codes((2, 1, 2, 16), ((1, 0, 0, 4), 3), ((1, 0, 1, 4), -2), ((0, 0, 1, 9), 11))
    stream = codes((1, 2, 16), ((0, 1, 1), 7), ((0, 0, 0), -5))
    program = program_of(TINY, [kernel_pass(weights, stream)])
    result = run(program)
    found = results(result, program).reshape(1, 2, 16)
    assert {tuple(at): int(found[tuple(at)]) for at in np.argwhere(found).tolist()} == {
        (0, 1, 4): 21,
        (0, 1, 9): -55,
    }
    # 4 positions of weights in a block: 1 and 3 x 2 halfwords; of the stream 1 and 2 x 2.
    assert result.counts == (
        PassCounts(jobs=1, words=2, lookups=2, products=2, entries=3, halfwords=12),
    )


def test_words_before_and_behind_the_tile_meet_what_reaches_it():
    # Row 0 of the stream counts for row -1: only its lower tap row is in the tile.
    weights = codes((1, 2, 1, 16), ((0, 0, 0, 0), 2), ((0, 1, 0, 0), 3))
    stream = codes((2, 1, 16), ((0, 0, 0), 5), ((1, 0, 0), 7))
    program = program_of(TINY, [kernel_pass(weights, stream, first_row=-1)])
    assert results(run(program), program).reshape(2, 16)[:, 0].tolist() == [15 + 14, 21]


def test_a_weight_gradient_by_hand():
    # Word 5 (channel 2) at (1, 1) meets 3 at (1, 1) by tap (0, 0) and -4 at (2, 2), in the next
    # chunk, by tap (1, 1); word 9 at (0, 0) meets nothing.
    maps = [codes((2, 3, 16), ((1, 1, 6), 3)), codes((1, 3, 16), ((0, 2, 0), -4))]
    stream = [codes((2, 3, 16), ((1, 1, 2), 5)), codes((1, 3, 16), ((0, 0, 0), 9))]
    changes = {"run": 576, "t_split": 1, "t_tiles": 2, "t_tile_bytes": 4 * 576, "ahead": 1}
    config = dataclasses.replace(TINY, acc_depth=576)
    program = program_of(config, [correlate_pass(maps, stream, (2, 2), **changes)])
    result = run(program)
    found = results(result, program).reshape(2, 576)[:, :512].reshape(16, 2, 2, 16)[:8]
    assert {tuple(at): int(found[tuple(at)]) for at in np.argwhere(found).tolist()} == {
        (2, 0, 0, 6): 15,
        (2, 1, 1, 0): -20,
    }
    # Of both tiles: chunks and strips; words of lanes 0 to 7 are all in the first.
    assert result.counts == (
        PassCounts(jobs=2, words=2, lookups=2 + 1, products=2, entries=4, halfwords=24),
    )


def test_results_of_a_tile_without_a_stream_are_zero():
    program = program_of(TINY, [kernel_pass(*ones(), strips_after=0)])
    result = run(program)
    assert not results(result, program).any()
    assert result.counts == (PassCounts(jobs=1),)


LEAST, MOST = -(1 << 15), (1 << 15) - 1


@pytest.mark.parametrize(
    ("weights", "words", "certain", "possible"),
    [
        # the square of LEAST is 2**30, so that two of them are beyond 32 bits
        ([LEAST, 0, 0], [LEAST, LEAST, 1], False, False),
        ([LEAST, MOST, 1], [LEAST, LEAST, 1], False, False),
        ([LEAST, MOST, MOST], [LEAST, LEAST, LEAST], False, True),
        ([LEAST, LEAST, MOST], [LEAST, LEAST, LEAST], False, True),
        ([LEAST, LEAST, 1], [LEAST, LEAST, 1], True, True),
    ],
)
def test_a_flag_of_overflow_may_depend_on_the_order_of_words(weights, words, certain, possible):
    config = dataclasses.replace(TINY, acc_width=32)
    held = codes((3, 1, 1, 16), *(((c, 0, 0, 5), code) for c, code in enumerate(weights)))
    stream = codes((1, 1, 16), *(((0, 0, c), code) for c, code in enumerate(words)))
    result = run(program_of(config, [kernel_pass(held, stream)]))
    assert (result.overflow_certain, result.overflow_possible) == (certain, possible)


@pytest.mark.parametrize(("count", "certain"), [(1 << 18, True), (3, False), (4, True)])
def test_sums_beyond_64_bits_are_known_to_overflow(count, certain):
    # 1.0 by 1.0, at the top of its window, adds 2**45; accumulators have 48 bits.
    program = program_of(TINY, [kernel_pass(*ones(), number_format=1, window=254)])
    d = pass_fields(PASS_DESCRIPTOR.pack(1, **program.passes[0].fields)[0])
    arithmetic = Arithmetic(fmt=BF16, top=254, acc_width=48, integer_width=16)
    one = arithmetic.decode(np.array([0x3F80]))
    zeros = np.zeros(count, np.int64)
    sums = TileSums(d, TINY, arithmetic)
    words = Words(zeros, zeros + 1, zeros + 1, zeros, np.repeat(one, count, axis=0))
    sums.add(words, Stationary(np.array([0, 1]), np.array([7]), one), 0)
    assert (sums.products, sums.overflow_certain, sums.overflow_possible) == (
        count, certain, certain
    )  # fmt: skip


def ones(channels: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return weights of one tap and a stream of one pixel, all ones."""
    stream = codes((1, 1, 16))
    stream[..., :channels] = 1
    return np.ones((channels, 1, 1, 16), int), stream


def changed(program: Program, name: str, at: int, value: int) -> np.ndarray:
    """Return an image with another halfword of strips, or entry of a table."""
    image = program.image.copy()
    addr = program.passes[0].fields[name]
    if name.endswith("table"):
        image[addr:].view("<u4")[at] = value
    else:
        image[addr : addr + 2 * (image.size - addr) // 2].view("<u2")[at] = value
    return image


# Data of both operands: the block's occupancy, then mask and values of each vector.
@pytest.mark.parametrize(
    ("name", "at", "value", "code"),
    [
        ("s_table", 0, 40, "TABLE"),
        ("s_table", 1, 1 << 31, "TABLE"),
        ("t_table", 0, 5, "TABLE"),
        ("t_table", 1, 5, "TABLE"),
        ("t_table", 1, 3, "STRIP"),
        ("t_table", 0, 1, "STRIP"),
        ("s_table", 1, 34, "STRIP"),
        ("s_data", 0, 0b111, "STRIP"),
        ("s_data", 0, 0b1, "STRIP"),
        ("s_data", 1, 0, "STRIP"),
        ("t_data", 0, 0, "STRIP"),
        ("t_data", 0, 0b11, "STRIP"),
        ("t_data", 1, 0, "STRIP"),
        ("t_data", 1, 0b111, "STRIP"),
        ("t_data", 1, 0b101, "STRIP"),
    ],
)
def test_damaged_strips_and_tables_are_errors(name, at, value, code):
    program = program_of(TINY, [kernel_pass(*ones())])
    assert run(program).error is PassError.NONE
    result = run(program, changed(program, name, at, value))
    assert result.error.name == code
    allowed = {"STRIP", "WINDOW"} if name == "s_data" or at == 1 else {code}
    assert {one.name for one in result.possible} <= allowed | {code}


def test_a_channel_within_the_chunk_is_none():
    program = program_of(TINY, [kernel_pass(*ones())])
    # the same strip with lanes 0 and 1, or 0 and 2 of 3, whose third has no entries
    assert run(program, changed(program, "t_data", 1, 0b11)).error is PassError.NONE


def window_code(depths: dict[str, int], one) -> str:
    """Return the name of the error of a pass on an array of these depths."""
    return run(program_of(dataclasses.replace(TINY, **depths), [one])).error.name


def test_a_kernel_needs_one_chunk_at_a_time():
    weights, stream = ones()
    assert window_code({"stationary_depth": 32}, kernel_pass(weights, stream)) == "WINDOW"
    weights[1, 0, 0, 0] = 0
    assert window_code({"stationary_depth": 32}, kernel_pass(weights, stream)) == "NONE"
    one = kernel_pass(*ones(), s_chunks=2, t_groups=2)
    one.stationary, one.streamed = [[weights, weights]], [[stream], [stream]]
    assert window_code({"stationary_depth": 32}, one) == "NONE"


@pytest.mark.parametrize(
    ("depths", "code"),
    [
        ({"stationary_depth": 64}, "NONE"),
        ({"stationary_depth": 32}, "WINDOW"),
        ({"directory_depth": 16}, "NONE"),
        ({"chunks_depth": 4}, "NONE"),
    ],
)
def test_a_strip_needs_its_chunks_at_a_time(depths, code):
    # Three chunks of 20 entries and 5 keys: each strip needs its own and the one behind.
    chunk = np.zeros((1, 5, 16), int)
    chunk[:, :, :4] = 1
    stream = [codes((1, 1, 16), ((0, 0, 0), 1))] * 3
    one = correlate_pass([chunk] * 3, stream, (1, 1), ahead=1)
    assert window_code(depths, one) == code


def test_keys_of_chunks_needed_at_a_time_fill_no_directory():
    chunk, stream = np.zeros((1, 8, 16), int), np.zeros((1, 1, 16), int)
    one = correlate_pass([chunk] * 3, [stream] * 3, (1, 1), ahead=1)
    assert window_code({"directory_depth": 16}, one) == "WINDOW"
    one = correlate_pass([chunk] * 3, [stream] * 3, (1, 1))
    assert window_code({"directory_depth": 16}, one) == "NONE"
    one = correlate_pass([chunk[:, :1]] * 9, [stream] * 9, (1, 1), behind=4)
    assert window_code({"chunks_depth": 4}, one) == "WINDOW"
    assert window_code({"chunks_depth": 8}, one) == "NONE"


def test_memory_that_is_not_there_is_an_error_of_the_bus():
    program = program_of(TINY, [kernel_pass(*ones())])
    f = program.passes[0].fields
    for name, code in (
        ("s_table", "BUS_READ"),
        ("t_table", "BUS_READ"),
        ("s_data", "BUS_READ"),
        ("t_data", "BUS_READ"),
        ("out_addr", "BUS_WRITE"),
    ):
        image, end = program.image.copy(), program.memory_bytes
        fields = f | {name: end, "out_end": 2 * end if name == "out_addr" else f["out_end"]}
        at = program.descriptors_addr
        image[at : at + DESCRIPTOR_BYTES] = PASS_DESCRIPTOR.pack(1, **fields).view(np.uint8)
        result = run(program, image)
        assert (result.error.name, result.error_pass) == (code, 0)
        assert PassError[code] in result.possible


@pytest.mark.parametrize(
    ("addr", "count", "code"),
    [
        (32, 1, "START_ADDRESS"),
        (1 << 32, 1, "START_ADDRESS"),
        ((1 << 32) - 64, 1, "START_ADDRESS"),
        (64, 0, "START_PASSES"),
        (1 << 20, 1, "BUS_READ"),
    ],
)
def test_a_start_that_is_wrong(addr, count, code):
    result = run_passes(TINY, np.zeros(0, np.uint8), addr, count, 1 << 20)
    assert (result.error.name, result.error_pass, result.counts) == (code, NO_PASS, ())


def test_a_descriptor_that_cannot_be_read_is_an_error_of_the_pass_before():
    program = program_of(TINY, [kernel_pass(*ones()), kernel_pass(*ones())])
    content = program.image[program.descriptors_addr :][: DESCRIPTOR_BYTES * program.count]
    image = np.concatenate([program.image, content])
    list_of = (TINY, image, program.memory_bytes)
    whole = run_passes(*list_of, 2, image.size)
    assert (whole.error, whole.error_pass) == (PassError.NONE, 2)
    result = run_passes(*list_of, 3, image.size)
    assert (result.error, result.error_pass, len(result.counts)) == (PassError.BUS_READ, 1, 1)
    f = program.passes[1].fields
    kept = slice(f["out_addr"], f["out_end"])
    assert np.array_equal(result.memory[kept], image[kept])
    # the pass under way may as well fail by itself
    image[f["t_table"] : f["t_table"] + 4] = 255
    alone, result = (run_passes(*list_of, count, image.size) for count in (2, 3))
    assert (result.error, result.error_pass) == (alone.error, 1) == (PassError.TABLE, 1)
    assert set(result.possible) - set(alone.possible) == {PassError.BUS_READ}


def test_a_pass_that_fails_leaves_those_before_it():
    program = program_of(TINY, [kernel_pass(*ones()), kernel_pass(*ones()), kernel_pass(*ones())])
    image = program.image.copy()
    second = program.descriptors_addr + DESCRIPTOR_BYTES
    image[second : second + DESCRIPTOR_BYTES] = 255
    result = run(program, image)
    assert (result.error, result.error_pass, len(result.counts)) == (PassError.MODE, 1, 1)
    whole = run(program)
    assert np.array_equal(results(result, program), results(whole, program))
    for number in (1, 2):
        f = program.passes[number].fields
        assert np.array_equal(
            result.memory[f["out_addr"] : f["out_end"]], image[f["out_addr"] : f["out_end"]]
        )


def test_a_pass_reads_what_the_one_before_has_written():
    # The second pass has its table among the results of the first: it ends where those say.
    one = kernel_pass(*ones())
    program = program_of(TINY, [one, kernel_pass(*ones())])
    f = program.passes[1].fields
    assert run(program).error is PassError.NONE
    table = program.passes[0].fields["out_addr"]
    image = program.image.copy()
    second = program.descriptors_addr + DESCRIPTOR_BYTES
    content = PASS_DESCRIPTOR.pack(1, **f | {"t_table": table})
    image[second : second + DESCRIPTOR_BYTES] = content.view(np.uint8)
    assert results(run(program), program)[:2].tolist() == [2, 2]
    result = run(program, image)
    # from halfword 2 to halfword 2 there is no strip
    assert (result.error, result.error_pass) == (PassError.STRIP, 1)


def damaged(program: Program, seed: int) -> np.ndarray:
    """Return an image with some bytes of descriptors, tables and strips changed."""
    rng, image = random.Random(seed), program.image.copy()
    at = program.descriptors_addr
    spans = [(at, at + DESCRIPTOR_BYTES * program.count)]
    for one in program.passes:
        spans += operand_ranges(pass_fields(PASS_DESCRIPTOR.pack(1, **one.fields)[0]))
    for _ in range(rng.choice([1, 1, 2, 5])):
        begin, end = rng.choice(spans)
        place = rng.randrange(begin, max(end, begin + 1))
        image[place] = rng.choice([image[place] ^ 1 << rng.randrange(8), rng.randrange(256)])
    return image


def outputs(program: Program, image: np.ndarray) -> np.ndarray:
    """Return which bytes the passes of an image may write."""
    found = np.zeros(image.size, bool)
    at = program.descriptors_addr
    content = image[at : at + DESCRIPTOR_BYTES * program.count]
    for descriptor in PASS_DESCRIPTOR.unpack(content):
        d = pass_fields(descriptor)
        found[d.out_addr : d.out_end] = True
    return found


def assert_harmless(seed: int) -> None:
    """Run a damaged program."""
    program = random_program(seed, seed % 2)
    image = damaged(program, seed)
    result = run(program, image)
    kept = ~outputs(program, image)
    assert np.array_equal(result.memory[kept], image[kept])
    assert result.error_pass == len(result.counts)
    if result.error is PassError.NONE:
        assert result.error_pass == program.count
        assert not result.possible
    else:
        assert result.error in result.possible
        assert PassError.INDEX not in result.possible


@pytest.mark.parametrize("seed", range(60))
def test_damaged_programs_end_and_write_nothing_outside(seed):
    assert_harmless(seed)
