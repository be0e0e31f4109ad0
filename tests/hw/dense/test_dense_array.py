# amaranth: UnusedElaboratable=no
"""The dense array: products of matrices against numpy's, one after the other, at every size."""

from __future__ import annotations

import ast
import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.errors import InputError
from gscn.hw.dense.dense_array import DenseArray
from gscn.hw.dense.dense_pe import DensePe
from tests.hw.streams import never, randomly, reused, simulate

CONFIG = ARRAYS["small"]


def run(config, rows, columns, products, pauses=None):
    """Multiply matrices; return the sums that left each column, with their cycles."""
    dut = reused(DenseArray, config=config, rows=rows, columns=columns)
    pauses = never() if pauses is None else pauses
    left = [[] for _ in range(columns)]
    ends = []

    async def feed(ctx):
        cycle = 0
        for first, second in products:
            for place in range(first.shape[1]):
                while next(pauses):
                    ctx.set(dut.valid, 0)
                    await ctx.tick()
                    cycle += 1
                ctx.set(dut.valid, 1)
                ctx.set(dut.last, int(place == first.shape[1] - 1))
                ctx.set(dut.rows_i, first[:, place].tolist())
                ctx.set(dut.columns_i, second[place].tolist())
                await ctx.tick()
                cycle += 1
            ends.append(cycle - 1)
        ctx.set(dut.valid, 0)
        await ctx.tick().repeat(DenseArray.LATENCY + columns + 2 * rows)

    async def watch(ctx):
        cycle = 0
        while True:
            streams = [(one.valid, one.p) for one in dut.columns_o]
            _, _, *found = await ctx.tick().sample(*itertools.chain(*streams))
            for own, valid, value in zip(left, found[::2], found[1::2], strict=True):
                if valid:
                    own.append((cycle, int(value)))
            cycle += 1

    cycles = 3 * sum(first.shape[1] for first, _ in products) + 100
    simulate(dut, feed, cycles=cycles, background=[watch])
    return left, ends


def matrices(rng, config, rows, columns, lengths):
    low, high = -(1 << config.value_width - 1), (1 << config.value_width - 1) - 1
    return [
        (
            rng.integers(low, high, (rows, length), endpoint=True),
            rng.integers(low, high, (length, columns), endpoint=True),
        )
        for length in lengths
    ]


@pytest.mark.parametrize(
    ("rows", "columns", "changes"),
    [
        (1, 1, {}),
        (3, 2, {}),
        (2, 4, {"operand_format": "int8", "acc_width": 24}),
        (4, 1, {"acc_width": 32}),
    ],
    ids=str,
)
@pytest.mark.parametrize("pauses", [None, 5], ids=["no pause", "pauses"])
def test_products_of_matrices_are_those_of_numpy(rows, columns, changes, pauses):
    config = dataclasses.replace(CONFIG, **changes)
    rng = np.random.default_rng(7)
    least = max(2 * rows - 1, 1)
    products = matrices(rng, config, rows, columns, [1, least, least + 5, 3 * least, least])
    left, ends = run(config, rows, columns, products, pauses and randomly(pauses))
    span = 1 << config.acc_width
    for column, own in enumerate(left):
        right = [
            int(one) for first, second in products for one in (first @ second)[:, column]
        ]  # sums are exact in 64 bits
        wrapped = [(one + span // 2) % span - span // 2 for one in right]
        assert [value for _, value in own] == wrapped
        # the cycles that the docstring states
        assert [cycle for cycle, _ in own] == [
            end + DenseArray.LATENCY + column + 2 * row for end in ends for row in range(rows)
        ]


def test_the_extremes_of_operands_and_of_sums():
    low = -(1 << 15)
    first, second = np.full((2, 300), low), np.full((300, 2), low)
    left, _ = run(dataclasses.replace(CONFIG, acc_width=40), 2, 2, [(first, second)])
    assert [[value for _, value in own] for own in left] == [[300 << 30] * 2] * 2
    # beyond the width a sum wraps around
    config = dataclasses.replace(CONFIG, operand_format="int8", acc_width=24)
    first, second = np.full((1, 600), -128), np.full((600, 1), -128)
    left, _ = run(config, 1, 1, [(first, second)])
    assert left[0][0][1] == (600 << 14) - (1 << 24)


def test_a_pe_alone_counts_nothing_that_is_not_valid():
    dut = reused(DensePe, config=CONFIG)
    seen = []

    async def testbench(ctx):
        for cycle in range(12):
            valid = cycle in (1, 4)
            ctx.set(dut.row_i.valid, valid)
            ctx.set(dut.row_i.p, {"last": cycle in (4, 6), "value": 5 + cycle})
            ctx.set(dut.column_i, 100)
            ctx.set(dut.sums_i.valid, cycle == 2)
            ctx.set(dut.sums_i.p, -9)
            _, _, valid, out = await ctx.tick().sample(dut.sums_o.valid, dut.sums_o.p)
            if valid:
                seen.append((cycle, int(out)))

    simulate(dut, testbench, cycles=20)
    assert seen == [(3, -9), (4 + DensePe.LATENCY, 1500)]


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0), ("two", 1)])
def test_sizes_that_are_none(sizes):
    with pytest.raises(InputError, match="must be a whole number of at least 1"):
        DenseArray(config=CONFIG, rows=sizes[0], columns=sizes[1])


def test_nothing_of_the_accelerator_uses_it(repository):
    users = {
        path.relative_to(repository).as_posix()
        for folder in ("hw", "rtl_gen", "cosim", "driver", "soc", "formal", "command")
        for path in sorted((repository / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gscn.hw.dense")
    }
    assert {str(Path(one).parent) for one in users} == {"hw/dense"}
