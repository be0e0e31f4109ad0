"""A convolution's part of a training step: operands, three passes, update of weights."""

from __future__ import annotations

import dataclasses
import math

from gscn.conv import ConvShape, Pass
from gscn.encode import Adapt, Reduce, Thresholds
from gscn.enums import takes_text
from gscn.formats import FLOAT32
from gscn.lowering.axes import MOST_STEP, kernel_geometries
from gscn.lowering.step.layers import IMAGES, Conv
from gscn.lowering.step.masks import Masks
from gscn.passes import VECTOR
from gscn.step import (
    Convolve,
    Operand,
    Role,
    Spread,
    Top,
    Use,
    Walk,
)
from gscn.window import contraction_length, guard_bits

BY_STATE = {"thresholds": int(Thresholds.STATE)}
REUSED = {**BY_STATE, "strict": 1}
FIRST_THRESHOLD = 1e-7
"""ReSprop's."""


class Convolutions(Masks):
    """Operations of a step, as far as they concern convolutions."""

    # -- weights

    def _weights(self, layer: Conv, shape: ConvShape) -> str:
        """Make both operands of a layer's weights; return the name of what they are made of."""
        size, name = shape.w_shape, layer.name
        weights = self.tensor(f"w.{name}", size, wide=True, weights=True)
        if layer.fixed:
            self.state(f"sw.{name}")
            return weights
        self.tensor(f"m.{name}", size, wide=True, weights=True)
        density = self.how.density_of(name)
        keep = math.ceil(density * math.prod(size)) if density else 0
        state = self.state(f"sw.{name}", keep=keep)
        if density and self.how.refresh:
            self.select(f"select.w.{name}", Walk.WEIGHTS, size, weights, state, wide=True)
        if not self.how.masks:
            return weights
        return self.masked(name, shape)

    def strips(
        self, name: str, operand: Operand, uses: list[Use], *, state: str, rows: str = "",
        wide: bool = False, fields: dict[str, int] | None = None,
    ) -> str:  # fmt: skip
        """Make an operand; return the name of its strips."""
        shape = self.tensors[uses[0].name].shape
        weights = self.tensors[uses[0].name].weights
        lanes = shape[0 if weights and operand.which is Pass.FORWARD else 1]
        self.ops.append(
            self.pass_(
                name, Walk.OPERAND, shape, uses, rows=rows or self.first(lanes), state=state,
                wide=wide, operand=operand, results={"a": name}, fields=fields or {},
            )
        )  # fmt: skip
        return name

    @takes_text
    def convolve(
        self, name: str, shape: ConvShape, which: Pass, operands: list[tuple[str, str]],
        result: str, *, like: ConvShape | None = None, spread: Spread | None = None,
    ) -> None:  # fmt: skip
        """Add a pass of a convolution on strips, given with their states."""
        (first, state), (second, other) = operands
        # Rounding of float32 to bf16 may raise an exponent by 1.
        margin = guard_bits(contraction_length(shape, which)) + 1
        wide = self.tensors[result].wide
        self.ops += [
            Top(name=f"{name}.window", target=name, which="window", states=(state, other),
                margin=margin),
            Convolve(name=name, shape=shape, which=which, first=first, second=second,
                     result=result, wide=wide, like=like, spread=spread),
        ]  # fmt: skip

    def forward(self, layer: Conv) -> None:
        """Add a layer's forward pass."""
        n, c, h, w = self.maps[layer.source]
        shape = ConvShape(
            n=n, c=c, h=h, w=w, k=layer.kernels, r=layer.taps, s=layer.taps,
            stride=(layer.stride,) * 2, padding=(layer.padding,) * 2,
            dilation=(layer.dilation,) * 2,
        )  # fmt: skip
        name = layer.name
        self.shapes[name] = shape
        source = Use(self.name_of(layer.source))
        weights = self._weights(layer, shape)
        chosen = BY_STATE if self.how.density_of(name) and not layer.fixed else {}
        flat = undilated(shape)
        filled = filled_up(flat)
        spread = weights if flat is shape else self._laid_out("ws", weights, shape, flat)
        whole = spread if filled is flat else self._laid_out("wp", weights, shape, filled)
        made = [
            (
                self.strips(f"w1.{name}", Operand(filled, Pass.FORWARD, Role.FIRST), [Use(whole)],
                            state=f"sw.{name}", wide=True, fields=chosen),
                f"sw.{name}",
            ),
            (
                self.strips(f"x1.{name}", Operand(filled, Pass.FORWARD, Role.SECOND), [source],
                            state=self.state(f"sx.{name}")),
                f"sx.{name}",
            ),
        ]  # fmt: skip
        result = self.tensor(f"y.{name}", shape.y_shape, wide=layer.linear)
        if layer.linear or layer.fixed or layer.plain:
            self.maps[name] = shape.y_shape
        if layer.fixed or layer.plain:
            self.plain.add(name)
        self.convolve(f"forward.{name}", filled, Pass.FORWARD, made, result)
        if layer.source != IMAGES:
            self.strips(f"w2.{name}", Operand(flat, Pass.INPUT_GRAD, Role.FIRST), [Use(spread)],
                        state=f"sw.{name}", wide=True, fields=chosen)  # fmt: skip

    def _laid_out(self, prefix: str, weights: str, shape: ConvShape, like: ConvShape) -> str:
        """Put weights into larger ones, of a convolution that is the same; return their name."""
        result = self.tensor(
            f"{prefix}.{weights.partition('.')[2]}", like.w_shape, wide=True, weights=True
        )
        dilation = shape.dilation[0]
        self.ops.append(
            self.pass_(
                result, Walk.WEIGHTS, shape.w_shape, [Use(weights)], wide=True,
                rows=self.first(shape.k), state=self.state(f"s.{result}"),
                spread=Spread(dilation, 0, 0) if like.dilation != shape.dilation else None,
                results={"dense": result},
            )
        )  # fmt: skip
        return result

    # -- gradients

    def backward(self, layer: Conv, uses: list[Use], rows: str) -> None:
        """Add a layer's gradients, its output gradient being combined of tensors; update it."""
        name, shape = layer.name, self.shapes[layer.name]
        own = shape.y_shape
        count = math.prod(own)
        low, high = self.how.reuse or (0, 0)
        self.state(f"sg.{name}", low=math.ceil(low * count), high=math.floor(high * count),
                   threshold=FIRST_THRESHOLD, step=self.how.step)  # fmt: skip
        kept = self.how.reuse is not None and not layer.linear and not layer.fixed
        reuses = kept and self.how.reuses
        fields: dict[str, int] = {}
        if kept:
            self.tensor(f"g.{name}", (1, *own[1:]))
        terms = [*uses, Use(f"g.{name}", broadcast=True)] if reuses else uses
        if reuses:
            fields = REUSED
        if layer.source != IMAGES:
            self._input_grad(layer, terms, rows, fields, reuses=reuses)
        if layer.fixed:
            return
        self._weight_grad(layer, terms, rows, fields, reuses=reuses)
        if kept:
            self.ops.append(
                self.pass_(
                    f"g.{name}", Walk.ONE, (1, *own[1:]), uses, rows=rows,
                    state=self.state(f"s.g.{name}"), results={"dense": f"g.{name}"},
                )
            )  # fmt: skip
        self._update(layer)

    def _input_grad(
        self, layer: Conv, terms: list[Use], rows: str, fields: dict[str, int], *, reuses: bool
    ) -> None:
        name, shape = layer.name, undilated(self.shapes[layer.name])
        parts = [("dx", shape, terms, rows, fields, f"sg.{name}")]
        if reuses:
            one = one_sample(shape)
            parts.append(("dxg", one, [Use(f"g.{name}")], "", {}, self.state(f"sgx.{name}")))
        for part, size, used, table, chosen, state in parts:
            strips = self.strips(
                f"s1.{part}.{name}", Operand(size, Pass.INPUT_GRAD, Role.SECOND), used,
                rows=table, state=state, fields=chosen,
            )  # fmt: skip
            axes = kernel_geometries(size, Pass.INPUT_GRAD, MOST_STEP)[0]
            result = self.tensor(f"{part}.{name}", size.x_shape)
            spread = None
            made = result
            if axes.results != (size.h, size.w):
                places = (
                    one.low * one.cut + one.phases[0] - one.padding for one in (axes.y, axes.x)
                )
                spread = Spread(axes.y.cut, *places)
                made = self.tensor(f"{part}s.{name}", (size.n, size.c, *axes.results))
            self.convolve(
                f"{part}.{name}", size, Pass.INPUT_GRAD,
                [(f"w2.{name}", f"sw.{name}"), (strips, state)], made,
                like=shape if size is not shape else None, spread=spread,
            )  # fmt: skip
            if spread is not None:
                self.ops.append(
                    self.pass_(
                        f"{part}.{name}.spread", Walk.MAP, self.tensors[made].shape, [Use(made)],
                        rows=self.first(size.c), state=self.state(f"s.{part}.{name}"),
                        spread=spread, results={"dense": result},
                    )
                )  # fmt: skip
            self.grads.setdefault(layer.source, []).append(Use(result, broadcast=part == "dxg"))

    def _weight_grad(
        self, layer: Conv, terms: list[Use], rows: str, fields: dict[str, int], *, reuses: bool
    ) -> None:
        name, shape = layer.name, self.shapes[layer.name]
        source, size = Use(self.name_of(layer.source)), shape.x_shape
        density = self.how.density_of(name)
        state = self.state(
            f"sk.{name}", keep=math.ceil(density * math.prod(size)) if density else 0
        )
        chosen = BY_STATE if density else {}
        if density and self.how.refresh:
            self.select(f"select.x.{name}", Walk.MAP, size, source.name, state, wide=False)
        adapted = {**fields, "adapt": int(Adapt.STEP)} if reuses else fields
        made = [
            (
                self.strips(f"s2.dw.{name}", Operand(shape, Pass.WEIGHT_GRAD, Role.FIRST), terms,
                            rows=rows, state=f"sg.{name}", fields=adapted),
                f"sg.{name}",
            ),
            (
                self.strips(f"x2.{name}", Operand(shape, Pass.WEIGHT_GRAD, Role.SECOND), [source],
                            state=state, fields=chosen),
                state,
            ),
        ]  # fmt: skip
        grad = self.tensor(f"dw.{name}", shape.w_shape, wide=True, weights=True)
        self.convolve(f"dw.{name}", shape, Pass.WEIGHT_GRAD, made, grad)
        if not reuses:
            return
        one = one_sample(shape)
        total = self.tensor(f"xs.{name}", one.x_shape)
        own = self.state(f"sxs.{name}")
        self.ops += [
            Top(name=f"xs.{name}.sum_top", target=state, which="sum_top",
                states=(self.map_states[layer.source],),
                margin=FLOAT32.bias + guard_bits(shape.n)),
            self.pass_(
                f"xs.{name}", Walk.SAMPLES, size, [source], rows=self.first(shape.c), state=state,
                fields={**chosen, "reduce": int(Reduce.SUM), "kept_sums": int(bool(chosen))},
                results={"dense": total},
            ),
        ]  # fmt: skip
        made = [
            (
                self.strips(f"s2.dwg.{name}", Operand(one, Pass.WEIGHT_GRAD, Role.FIRST),
                            [Use(f"g.{name}")], state=self.state(f"sgw.{name}")),
                f"sgw.{name}",
            ),
            (
                self.strips(f"x2.dwg.{name}", Operand(one, Pass.WEIGHT_GRAD, Role.SECOND),
                            [Use(total)], state=own),
                own,
            ),
        ]  # fmt: skip
        part = self.tensor(f"dwg.{name}", shape.w_shape, wide=True, weights=True)
        self.convolve(f"dwg.{name}", one, Pass.WEIGHT_GRAD, made, part, like=shape)
        whole = self.tensor(f"dws.{name}", shape.w_shape, wide=True, weights=True)
        self.ops.append(
            self.pass_(
                whole, Walk.WEIGHTS, shape.w_shape, [Use(grad), Use(part)], wide=True,
                rows=self.one(shape.k), state=self.state(f"s.{whole}"), results={"dense": whole},
            )
        )  # fmt: skip

    def _update(self, layer: Conv) -> None:
        """Add the update of a layer's weights, from its gradient with the most that was added."""
        name, shape = layer.name, self.shapes[layer.name]
        size, how = shape.w_shape, self.how
        grad = f"dws.{name}" if f"dws.{name}" in self.tensors else f"dw.{name}"
        if how.masks:
            grad = self.masked_grad(name, shape, grad)
        rows = self.table(
            f"update.{shape.k}", shape.k, c0=how.decay, c1=how.momentum, c2=1.0, second=-how.rate
        )
        self.ops.append(
            self.pass_(
                f"update.{name}", Walk.WEIGHTS, size,
                [Use(f"w.{name}"), Use(f"m.{name}"), Use(grad)], wide=True, rows=rows,
                state=self.state(f"su.{name}"),
                results={"dense": f"m.{name}", "second": f"w.{name}"},
            )
        )  # fmt: skip


def undilated(shape: ConvShape) -> ConvShape:
    """Return a convolution whose kernel has what lies between its taps, as zeros."""
    if shape.dilation == (1, 1):
        return shape
    r, s = (
        (taps - 1) * apart + 1
        for taps, apart in zip((shape.r, shape.s), shape.dilation, strict=True)
    )
    return dataclasses.replace(shape, r=r, s=s, dilation=(1, 1))


def filled_up(shape: ConvShape) -> ConvShape:
    """Return a forward pass with channels that are zero, so that no 16 are of two phases."""
    phased = max(shape.stride) > 1 and max(shape.r, shape.s) > 1
    if not phased or shape.c <= VECTOR or shape.c % VECTOR == 0:
        return shape
    return dataclasses.replace(shape, c=shape.c + -shape.c % VECTOR)


def one_sample(shape: ConvShape) -> ConvShape:
    """Return the convolution of one sample of a batch."""
    return dataclasses.replace(shape, n=1)
