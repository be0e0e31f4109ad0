"""Poolings of a training step, and the gradients of maps that several layers read."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

from gscn.encode import BITS_BYTES, MOST_MAXIMUM, TENSORS, Masked, Reduce
from gscn.errors import InputError
from gscn.formats import FLOAT32
from gscn.lowering.step.convolutions import Convolutions
from gscn.lowering.step.layers import Pool
from gscn.lowering.step.walks import DenseTensor
from gscn.passes import VECTOR
from gscn.step import Encode, Held, Sliding, Top, Use, Walk, Window
from gscn.window import guard_bits

MOST_ADDED = 4
"""Windows whose gradients are added one after the other: some 2 cycles each, where the sum of a
segment is rounded lane by lane, which takes 16, but once."""


class Pools(Convolutions):
    """Operations of a step, as far as they concern poolings."""

    def total(
        self, source: str, result: str, size: tuple[int, int, int, int], *, masked: bool
    ) -> None:
        """Add up the gradients of a map, and clear what its ReLU had cleared."""
        uses = self.grads[source]
        while len(uses) > TENSORS:
            part = f"{result}.{len(uses)}"
            self.tensor(part, size)
            self.ops.append(self.sum_(part, uses[:TENSORS], size, part))
            uses = [Use(part), *uses[TENSORS:]]
        more: dict[str, Any] = {}
        if masked:
            more = {"mask": f"bits.{source}", "fields": {"masked": int(Masked.RESULT)}}
        self.ops.append(self.sum_(result, uses, size, result, **more))

    def sum_(
        self, name: str, uses: list[Use], size: tuple[int, int, int, int], result: str, **more: Any
    ) -> Encode:
        """Return a pass that adds up maps."""
        return self.pass_(
            name, Walk.MAP, size, uses, rows=self.one(size[1]), state=self.state(f"s.{name}"),
            results={"dense": result}, **more,
        )  # fmt: skip

    # -- forward

    def pool(self, layer: Pool) -> None:
        """Add a pooling."""
        n, c, h, w = size = self.maps[layer.source]
        windows = layer.windows((h, w))
        if layer.maximum and layer.rows * layer.cols > MOST_MAXIMUM:
            raise InputError(
                f"layer {layer.name}: windows of a maximum must have at most {MOST_MAXIMUM} "
                f"positions, not {layer.rows} x {layer.cols}"
            )
        if min(windows.made) < 1:
            raise InputError(
                f"layer {layer.name}: windows of {layer.rows} x {layer.cols} must not be larger "
                f"than the map of {h} x {w}"
            )
        made = (n, c, *windows.made)
        self.map_(layer.name, made)
        self.windows[layer.name] = size
        how: dict[str, Any] = {"walk": Walk.WINDOW, "window": Window(layer.rows, layer.cols)}
        if not _side_by_side(windows, (h, w)):
            how = {"walk": Walk.SLIDING, "sliding": windows}
        source = Use(self.name_of(layer.source))
        if layer.maximum:
            self.ops.append(
                self.pass_(
                    f"z.{layer.name}", shape=size, uses=[source], rows=self.one(c),
                    state=self.map_states[layer.name], fields={"reduce": int(Reduce.MAXIMUM)},
                    results={"dense": f"z.{layer.name}", "bits": f"bits.{layer.name}"}, **how,
                )
            )  # fmt: skip
            return
        count = layer.rows * layer.cols
        state = self.state(f"s.t.{layer.name}")
        self.tensor(f"t.{layer.name}", made)
        self.table(f"scale.{layer.name}", c, c0=1 / count, c1=1.0)
        self.ops += [
            Top(name=f"t.{layer.name}.sum_top", target=state, which="sum_top",
                states=(self.map_states[layer.source],), margin=FLOAT32.bias + guard_bits(count)),
            self.pass_(
                f"t.{layer.name}", shape=size, uses=[source], rows=self.one(c), state=state,
                fields={"reduce": int(Reduce.SUM)}, results={"dense": f"t.{layer.name}"}, **how,
            ),
            self.pass_(
                f"z.{layer.name}", Walk.MAP, made, [Use(f"t.{layer.name}")],
                rows=f"scale.{layer.name}", state=self.map_states[layer.name],
                results={"dense": f"z.{layer.name}"},
            ),
        ]  # fmt: skip

    # -- gradients

    def pool_grads(self, layer: Pool) -> None:
        """Add the gradient of what a pooling reads."""
        size, made = self.windows[layer.name], self.maps[layer.name]
        windows = layer.windows(size[2:])
        grad, result = f"d.{layer.name}", f"u.{layer.name}"
        self.tensor(grad, made)
        self.tensor(result, size)
        self.total(layer.name, grad, made, masked=False)
        more: dict[str, Any] = {"rows": f"scale.{layer.name}"}
        if layer.maximum:
            more = {"rows": self.one(size[1]), "mask": f"bits.{layer.name}"}
        fields = {"masked": int(Masked.RESULT)} if layer.maximum else {}
        if _side_by_side(windows, size[2:]):
            self.ops.append(
                self.pass_(
                    result, Walk.WINDOW, size, [Use(grad, broadcast=True)], fields=fields,
                    state=self.state(f"s.{result}"), window=Window(layer.rows, layer.cols),
                    results={"dense": result}, **more,
                )
            )  # fmt: skip
        else:
            self._held_grads(windows, grad, result, {**more, "fields": fields})
        self.grads.setdefault(layer.source, []).append(Use(result))

    def _held_grads(self, windows: Sliding, grad: str, result: str, more: dict[str, Any]) -> None:
        """Add up, for each position, the gradients of the windows that hold it.

        Positions of a phase are held alike. Where few windows hold each, their gradients are
        copied and added one after the other; elsewhere, and at borders, where some are not there,
        the windows of a position are a segment.
        """
        size = self.tensors[result].shape
        tops, passes = [], []
        for held in held_parts(windows, size[2:]):
            number = len(passes)
            name = f"{result}.{number}"
            state = self.state(f"s.{name}")
            own = {**more, "state": state, "results": {"dense": result}}
            uses = [Use(grad, broadcast=True)]
            if held.window is None:
                own["fields"] = {**more["fields"], "reduce": int(Reduce.SUM)}
                count = math.prod(holding(windows, held.phase))
                tops.append(
                    Top(name=f"{name}.sum_top", target=state, which="sum_top",
                        states=(f"s.{grad}",), margin=FLOAT32.bias + guard_bits(count))
                )  # fmt: skip
            elif any(held.window):
                uses.append(Use(result))
                own["fields"] = {"masked": int(Masked.TENSOR)} if more["fields"] else {}
            passes.append(
                self.pass_(name, Walk.HOLDING, size, uses, sliding=windows, held=held, **own)
            )
        self.ops += [*tops, *passes]


def _side_by_side(windows: Sliding, size: tuple[int, int]) -> bool:
    """Say whether windows neither overlap nor leave anything out."""
    sizes = zip(windows.made, windows.size, size, strict=True)
    fill = all(count * one == of for count, one, of in sizes)
    return fill and windows.stride == windows.size and not any(windows.padding)


def holding(windows: Sliding, phase: tuple[int, int]) -> tuple[int, int]:
    """Return the most windows, of rows and of columns, that hold a position of a phase."""
    rows, cols = (
        max(0, -(-(size - first) // step))
        for size, step, first in zip(windows.size, windows.stride, phase, strict=True)
    )
    return rows, cols


def sliding_steps(windows: Sliding, source: DenseTensor, made: DenseTensor) -> dict[str, int]:
    """Return the walk of a map's windows: (row, column) of the window, then its own (row, column).

    Parameters
    ----------
    windows
        Of a pooling.
    source, made
        The map, and one value for each window.
    """
    vector, col, row, outer, group = source.steps
    (rows, cols), (step_y, step_x), (above, left), (down, across) = windows
    fields = {
        "count0": cols, "count1": rows, "count2": across, "count3": down, "count4": source.outer,
        "t0_first": -above * row - left * col, "t0_vector": vector, "t0_step0": col,
        "t0_step1": row, "t0_step2": step_x * col, "t0_step3": step_y * row, "t0_step4": outer,
        "t0_step5": group, "segment": rows * cols, "y_first": -above, "y_limit": source.rows,
        "y_step1": 1, "y_step3": step_y, "x_first": -left, "x_limit": source.cols, "x_step0": 1,
        "x_step2": step_x,
    }  # fmt: skip
    vector, col, row, outer, group = made.steps
    return fields | {
        "dense_vector": vector, "dense_step2": col, "dense_step3": row, "dense_step4": outer,
        "dense_step5": group,
    }  # fmt: skip


def holding_steps(
    windows: Sliding, held: Held, grad: DenseTensor, result: DenseTensor
) -> dict[str, int]:
    """Return the walk of windows that hold positions, the last window of each first.

    Row y of a map is the phase a's row J, y + padding = J x stride + a; window J - d holds it as
    its own row a + d x stride.

    Parameters
    ----------
    windows, held
        Of a pooling, and which positions.
    grad, result
        The gradient of the windows, and of the map.
    """
    (rows, cols), (step_y, step_x), _, (down, across) = windows
    counts = (1, 1) if held.window else holding(windows, held.phase)
    (first_y, count_y), (first_x, count_x) = held.rows, held.cols
    # The window, and its own row, of the first position.
    (dy, dx), phase = held.window or (0, 0), held.phase
    at_y, at_x, own_y, own_x = (
        first_y - dy, first_x - dx, phase[0] + dy * step_y, phase[1] + dx * step_x,
    )  # fmt: skip
    vector, col, row, outer, group = grad.steps
    fields = {
        "count0": counts[1], "count1": counts[0], "count2": count_x, "count3": count_y,
        "count4": grad.outer, "segment": counts[0] * counts[1],
        "t0_first": at_y * row + at_x * col, "t0_vector": vector, "t0_step0": -col,
        "t0_step1": -row, "t0_step2": col, "t0_step3": row, "t0_step4": outer, "t0_step5": group,
        "y_first": at_y, "y_limit": down, "y_step1": -1, "y_step3": 1,
        "x_first": at_x, "x_limit": across, "x_step0": -1, "x_step2": 1,
    }  # fmt: skip
    # Bits lie in the order of `sliding_steps`.
    inner, in_row = BITS_BYTES, BITS_BYTES * cols
    window = in_row * rows
    below, sample = window * across, window * across * down
    fields |= {
        "mask_first": at_y * below + own_y * in_row + at_x * window + own_x * inner,
        "mask_vector": BITS_BYTES, "mask_step0": step_x * inner - window,
        "mask_step1": step_y * in_row - below, "mask_step2": window, "mask_step3": below,
        "mask_step4": sample, "mask_step5": sample * grad.outer,
    }  # fmt: skip
    vector, col, row, outer, group = result.steps
    place_y = first_y * step_y + phase[0] - windows.padding[0]
    place_x = first_x * step_x + phase[1] - windows.padding[1]
    # Behind the gradient what has been added up already is read, and written in its place.
    return fields | {
        f"{stream}_{name}": value
        for stream in ("dense", "t1")
        for name, value in (
            ("first", place_y * row + place_x * col), ("vector", vector), ("step2", step_x * col),
            ("step3", step_y * row), ("step4", outer), ("step5", group),
        )
    }  # fmt: skip


def held_parts(windows: Sliding, size: tuple[int, int]) -> list[Held]:
    """Return positions of a map by the windows that hold them; what no window holds is left out.

    Parameters
    ----------
    windows, size
        Of a pooling, and of the map.
    """
    found = []
    for phase in itertools.product(*map(range, windows.stride)):
        counts = holding(windows, phase)
        if not all(counts):
            continue
        axes = [_pieces(windows, axis, phase[axis], counts[axis], size) for axis in range(2)]
        for rows, cols in itertools.product(*axes):
            if rows.inside and cols.inside and math.prod(counts) <= MOST_ADDED:
                each = itertools.product(*map(range, counts))
                found += [Held(phase, rows.place, cols.place, window) for window in each]
            else:
                found.append(Held(phase, rows.place, cols.place))
    return found


class _Piece(NamedTuple):
    """Rows, or columns, of a phase."""

    place: tuple[int, int]
    """The first, and how many."""
    inside: bool
    """Every window that may hold them is there."""


def _pieces(
    windows: Sliding, axis: int, phase: int, count: int, size: tuple[int, int]
) -> list[_Piece]:
    step, padding, made = windows.stride[axis], windows.padding[axis], windows.made[axis]
    first = max(0, -((phase - padding) // step))
    end = min((size[axis] - 1 + padding - phase) // step, made + count - 2) + 1
    # From the first row to the last of those that as many windows hold as any.
    bounds = [first, min(max(first, count - 1), end), max(first, min(made, end)), end]
    if bounds[1] >= bounds[2]:
        bounds = [first, first, first, end]
    found = zip(bounds[:-1], bounds[1:], (False, True, False), strict=True)
    return [_Piece((low, high - low), inside) for low, high, inside in found if high > low]


def windows_walk(op: Encode, source: DenseTensor, made: DenseTensor) -> dict[str, int]:
    """Return the walk of a pooling whose windows overlap, or of its gradient.

    Parameters
    ----------
    op
        The pass.
    source, made
        What it reads and makes, in memory.
    """
    steps = (
        sliding_steps(op.sliding, source, made)
        if op.walk is Walk.SLIDING
        else holding_steps(op.sliding, op.held, source, made)
    )
    channels = op.shape[1]
    fields = {
        "count5": -(-channels // VECTOR), "count6": 1, "count7": 1, "channels": channels,
        "group_channels": min(VECTOR, channels), **steps,
    }  # fmt: skip
    return fields | {"period": math.prod(fields[f"count{n}"] for n in range(5))}
