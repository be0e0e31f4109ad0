# amaranth: UnusedElaboratable=no
"""Whole passes of lanes against the emulator: every output of random modes, and turns of each."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest

from gscn.array import ARRAYS
from gscn.encode import Activation, Adapt, Masked, Reduce, Thresholds
from gscn.hw.encode.combiner import DIGITS
from gscn.hw.encode.lanes import Lanes
from tests.hw.encode.lane_passes import Case
from tests.hw.streams import PERIOD, in_runs, never, plain, randomly, reused
from tests.quick_simulator import simulator_of

CONFIG = ARRAYS["tiny"].with_overrides(["float_formats=bf16"])
OUTPUTS = ("dense", "second", "bits", "verdicts", "sums", "selected")
LIMIT = 4000
PATTERNS = (never, lambda: randomly(1), lambda: in_runs(3), lambda: randomly(5, 0.8))
BF16, FLOAT32 = 1, 2


class Made(NamedTuple):
    """What lanes made of a pass."""

    outputs: dict[str, list]
    tally: dict[str, int]
    taken: list[int]
    """Cycles in which vectors were taken."""
    cycles: int
    first: int | None
    """Cycle of the first word of any output."""


async def one_pass(ctx, dut, case, pauses):
    """Run a pass, every stream with its pauses, until lanes are done."""
    ctx.set(dut.settings, case.settings)
    ctx.set(dut.state, {name: int(case.state[name]) for name in case.state.dtype.names})
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)
    source, sinks = pauses(), {name: pauses() for name in OUTPUTS}
    outputs = {name: [] for name in OUTPUTS}
    held = dict.fromkeys(OUTPUTS)
    left, offered, taken, first = iter(case.vectors), False, [], None
    for cycle in range(LIMIT):
        if not offered and not next(source):
            vector = next(left, None)
            offered = vector is not None
            if offered:
                ctx.set(dut.i.p, vector)
        ctx.set(dut.i.valid, offered)
        takes = {name: not next(sinks[name]) for name in OUTPUTS}
        for name, take in takes.items():
            ctx.set(getattr(dut, f"o_{name}").ready, take)
        if offered and ctx.get(dut.i.ready):
            offered = False
            taken.append(cycle)
        for name, take in takes.items():
            port = getattr(dut, f"o_{name}")
            word = plain(ctx.get(port.p)) if ctx.get(port.valid) else None
            assert held[name] in (None, word), f"{name}: {word} before {held[name]} was taken"
            held[name] = None if take else word
            if word is not None:
                first = cycle if first is None else first
                if take:
                    outputs[name].append(word)
        if ctx.get(dut.done):
            return Made(outputs, plain(ctx.get(dut.tally)), taken, cycle, first)
        await ctx.tick()
    pytest.fail(f"not done: { ({name: len(one) for name, one in outputs.items()}) }")


def run(cases, dut=None):
    """Return what lanes make of (pass, pauses), one behind the other."""
    dut, results = dut or reused(Lanes, config=CONFIG), []

    async def testbench(ctx):
        for case, pauses in cases:
            results.append(await one_pass(ctx, dut, case, pauses))

    with simulator_of(dut, PERIOD) as simulator:
        simulator.add_testbench(testbench)
        simulator.run()
    return results


def check(case, made):
    """Compare what came out with what the emulator has."""
    found = made.outputs
    assert found["dense"] == case.dense("dense")
    assert found["second"] == case.dense("second")
    assert found["bits"] == case.bits()
    assert found["sums"] == case.sums()
    assert found["selected"] == case.selected()
    for one, other in zip(found["verdicts"], case.verdicts(), strict=True):
        assert one["marks"]["ends"] == other.pop("ends")
        for name, content in other.items():
            assert content is None or one[name] == content, name
    assert made.tally == case.tally()


def check_all(cases, dut=None):
    for number, ((case, _), made) in enumerate(zip(cases, run(cases, dut), strict=True)):
        try:
            check(case, made)
        except AssertionError as failed:
            changed = {name: one for name, one in case.settings.items() if one}
            raise AssertionError(f"pass {number}: {changed}") from failed


NOTHING = {
    **{f"{part}_addr": 0 for part in ("dense", "second", "bits", "sums")},
    **{f"{part}_end": 0 for part in ("dense", "second", "bits", "sums", "a", "b")},
    **dict.fromkeys(
        ("activation", "masked", "thresholds", "judged", "dot", "magnitudes", "kept_sums", "adapt",
         "reduce", "product", "vectors"),
        0,
    ),
    "t0_format": BF16, "t1_format": BF16, "t2_format": 0, "out_format": BF16, "segment": 16,
}  # fmt: skip
DENSE = {"dense_addr": 4096, "dense_end": 8192}
SECOND = {"second_addr": 8192, "second_end": 16384}
SUMS = {"sums_end": 64}
CHOSEN = (
    {**NOTHING, **DENSE, "bits_end": 64, "a_end": 64, "activation": Activation.RELU,
     "masked": Masked.RESULT, "thresholds": Thresholds.STATE, "adapt": Adapt.SELECT_FIRST,
     "segment": 3},
    {**NOTHING, **DENSE, **SECOND, "t0_format": FLOAT32, "t2_format": BF16, "out_format": FLOAT32,
     "masked": Masked.TENSOR, "a_end": 64, "b_end": 64, "thresholds": Thresholds.ROWS,
     "judged": 1},
    {**NOTHING, **DENSE, **SUMS, "dot": 2, "magnitudes": 1, "kept_sums": 1, "vectors": 1,
     "segment": 3, "masked": Masked.TENSOR, "thresholds": Thresholds.ROWS, "judged": 3,
     "t2_format": FLOAT32},
    {**NOTHING, **DENSE, "reduce": Reduce.MAXIMUM, "bits_end": 64, "segment": 3, "vectors": 1,
     "b_end": 64},
    {**NOTHING, **DENSE, **SUMS, "reduce": Reduce.SUM, "segment": 4, "product": 1,
     "t2_format": BF16, "out_format": FLOAT32},
    {**NOTHING, **DENSE, "activation": Activation.SLOPE, "masked": Masked.TENSOR,
     "bits_end": 64, "t1_format": 0, "out_format": FLOAT32},
)  # fmt: skip


def test_every_output_of_passes_of_each_kind_is_the_emulators():
    source = random.Random(4)
    check_all(
        [
            (Case(source, CONFIG, most=12, **fields), PATTERNS[number % len(PATTERNS)])
            for number, fields in enumerate(CHOSEN)
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_every_output_of_random_passes_is_the_emulators(seed):
    source = random.Random(seed)
    check_all([(Case(source, CONFIG), PATTERNS[n % len(PATTERNS)]) for n in range(12)])


WIDE = {"t0_format": FLOAT32, "t1_format": FLOAT32, "t2_format": FLOAT32}
TURNS = (
    # turns, of which tensors coefficients are powers of two, and what the pass has
    (1, (0, 0, 1), {**NOTHING, **DENSE, "a_end": 64, "bits_end": 64}),
    (1, (0, 0, 1), {**NOTHING, **DENSE, **SUMS}),
    (1, (0, 0, 1), {**NOTHING, **DENSE, "reduce": Reduce.MAXIMUM, "bits_end": 64, "segment": 4}),
    (1, (0, 0, 1), {**NOTHING, **DENSE, "reduce": Reduce.SUM}),
    (2, (0, 0, 1), {**NOTHING, **DENSE, **SUMS, "dot": 2}),
    (1, (0, 0, 1), {**NOTHING, **DENSE, **SUMS, "dot": 1, "t1_format": 0}),
    (1, (0, 0, 1), {**NOTHING, **SUMS, "dot": 3, "t1_format": 0, "t2_format": BF16}),
    (3, (0, 0, 0), {**NOTHING, **SUMS, "dot": 3, "t1_format": 0, "t2_format": BF16}),
    (1 + DIGITS, (1, 0, 1), {**NOTHING, **SUMS, "dot": 1, "t1_format": 0, "t0_format": FLOAT32}),
    (2, (0, 0, 1), {**NOTHING, **SECOND}),
    (DIGITS, (1, 0, 1), {**NOTHING, **DENSE, "t1_format": FLOAT32}),
    (DIGITS + 1, (0, 0, 1), {**NOTHING, **DENSE, **SECOND, "t0_format": FLOAT32}),
    (1, (0, 1, 1), {**NOTHING, **DENSE, "t1_format": FLOAT32}),
    (1, (1, 1, 1), {**NOTHING, **DENSE, **WIDE}),
    (2, (1, 1, 0), {**NOTHING, **DENSE, "t2_format": BF16}),
    (2 * DIGITS, (1, 1, 0), {**NOTHING, **DENSE, **WIDE}),
    (2 * DIGITS, (1, 0, 0), {**NOTHING, **DENSE, "t1_format": FLOAT32, "t2_format": BF16}),
)


def test_a_vector_takes_a_turn_for_each_combination_and_for_sums_of_products():
    source = random.Random(2)
    cases = [
        (Case(source, CONFIG, **fields, shifted=shifted, positions=16, groups=1), never)
        for _, shifted, fields in TURNS
    ]
    for (turns, _, _), (case, _), made in zip(TURNS, cases, run(cases), strict=True):
        check(case, made)
        # Queues take some vectors before the first one is through. With a second combination six
        # come one behind the other, while six come back.
        assert made.taken[14] - made.taken[8] == 6 * turns
        if turns == 1 and made.outputs["dense"] and case.d.reduce == Reduce.NONE:
            assert made.first == made.taken[0] + Lanes.LATENCY
