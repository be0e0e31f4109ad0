"""Steps of the streams of encode passes that walk dense tensors: fields of their descriptors."""

from __future__ import annotations

from typing import NamedTuple

from gscn.encode import BITS_BYTES, ENCODE_MODE, LOOPS
from gscn.lowering.axes import TapRun
from gscn.lowering.step.memory import DensePlace
from gscn.passes import VECTOR
from gscn.step import Encode, Walk


class Loop(NamedTuple):
    """A loop of a walk: steps, and what it moves along of whole tensors and of small ones."""

    count: int
    axis: str
    factor: int
    small: int


def loops_of(op: Encode) -> list[Loop]:
    """Return the loops of a walk, innermost first."""
    first, second, rows, cols = op.shape
    if op.walk is Walk.WEIGHTS:
        other = second if op.by_output else first
        return [Loop(cols, "x", 1, 1), Loop(rows, "y", 1, 1), Loop(other, "n", 1, 1)]
    if op.walk is Walk.WINDOW:
        y, x = op.window
        return [
            Loop(x, "x", 1, 0), Loop(y, "y", 1, 0), Loop(cols // x, "x", x, 1),
            Loop(rows // y, "y", y, 1), Loop(first, "n", 1, 1),
        ]  # fmt: skip
    plain = [Loop(cols, "x", 1, 1), Loop(rows, "y", 1, 1)]
    samples = Loop(first, "n", 1, 0)
    return [samples, *plain] if op.walk is Walk.SAMPLES else [*plain, samples]


def stream_steps(
    stream: str, loops: list[Loop], place: DensePlace, *, small: bool, spread: object = None
) -> dict[str, int]:
    """Return the steps of a dense tensor."""
    vector, col, row, outer, group = place.dense.steps
    first = 0
    if place.turned:
        first = (place.dense.rows - 1) * row + (place.dense.cols - 1) * col
        row, col = -row, -col
    if spread is not None:
        first = spread.rows * row + spread.cols * col
        row, col = spread.step * row, spread.step * col
    sizes = {"x": col, "y": row, "n": outer}
    steps = {
        f"{stream}_step{n}": sizes[loop.axis] * (loop.small if small else loop.factor)
        for n, loop in enumerate(loops)
    }
    return {f"{stream}_first": first, f"{stream}_vector": vector, f"{stream}_step5": group, **steps}


def in_order(stream: str, fields: dict[str, int]) -> dict[str, int]:
    """Return the steps of bits in the order of the walk that wrote them."""
    steps, size = {}, BITS_BYTES
    for loop in range(LOOPS):
        steps[f"{stream}_step{loop}"] = size
        size *= fields[f"count{loop}"]
    return {**steps, f"{stream}_vector": BITS_BYTES}


def turn_fields(
    source: DensePlace, target: DensePlace, runs: tuple[TapRun, TapRun], *, transposed: bool
) -> dict[str, int]:
    """Return what puts some taps of a weight gradient among all, lanes being output channels.

    Parameters
    ----------
    source, target
        What a pass of the array wrote, and all taps.
    runs
        Tap rows and columns of the source, equally far apart.
    transposed
        Lanes of the source are input channels.
    """
    dense = target.dense
    _, _, _, outer, group = source.dense.steps
    loops = [
        Loop(source.dense.cols, "x", 1, 1), Loop(source.dense.rows, "y", 1, 1),
        Loop(dense.outer, "n", 1, 1),
    ]  # fmt: skip
    positions = source.dense.cols * source.dense.rows * dense.outer
    fields = {f"count{n}": 1 for n in range(LOOPS)}
    fields |= {f"count{n}": loop.count for n, loop in enumerate(loops)}
    fields |= stream_steps("t0", loops, source, small=False)
    if transposed:
        fields |= {
            "transposed": 1, "t0_step2": group, "t0_step5": VECTOR * outer, "t0_lane": outer,
            "t0_vector": VECTOR * outer,
        }  # fmt: skip
    to = stream_steps("dense", loops, target, small=False)
    for axis, run in zip((1, 0), runs, strict=True):
        apart = run.taps[1] - run.taps[0] if len(run.taps) > 1 else 1
        step = to[f"dense_step{axis}"]
        to["dense_first"] += run.taps[0] * step
        to[f"dense_step{axis}"] = apart * step
    return {
        **fields, **to, "mode": ENCODE_MODE, "out_format": 2, "t0_format": 2, "y_limit": 1,
        "x_limit": 1, "t0_addr": source.addr, "t0_end": source.end,
        "count5": -(-dense.channels // VECTOR), "channels": dense.channels,
        "group_channels": min(VECTOR, dense.channels), "period": positions, "segment": positions,
        "a_positions": 1, "b_positions": 1, "dense_addr": target.addr, "dense_end": target.end,
    }  # fmt: skip
