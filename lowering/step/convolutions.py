"""A convolution's part of a training step: operands, three passes, update of weights."""

from __future__ import annotations

import math

from gscn.conv import ConvShape, Pass
from gscn.encode import Adapt, Reduce, Thresholds
from gscn.enums import takes_text
from gscn.formats import FLOAT32
from gscn.lowering.axes import MOST_STEP, kernel_geometries
from gscn.lowering.step.layers import IMAGES, Conv
from gscn.lowering.step.masks import Masks
from gscn.lowering.step.shapes import (
    blocks_of,
    filled_up,
    in_packs,
    named,
    one_sample,
    parts_of,
    together,
    undilated,
)
from gscn.step import (
    Convolve,
    Operand,
    Part,
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
        trained = self.grouped.get(name, shape).w_shape
        keep = math.ceil(density * math.prod(trained)) if density else 0
        state = self.state(f"sw.{name}", keep=keep)
        if density and self.how.refresh:
            self.select(f"select.w.{name}", Walk.WEIGHTS, size, weights, state, wide=True)
        if not self.how.masks:
            return weights
        return self.masked(name, shape)

    def strips(
        self, name: str, operand: Operand, uses: list[Use], *, state: str, rows: str = "",
        wide: bool = False, fields: dict[str, int] | None = None, part: Part | None = None,
    ) -> str:  # fmt: skip
        """Make an operand; return the name of its strips."""
        shape = self.tensors[uses[0].name].shape
        weights = self.tensors[uses[0].name].weights
        # Rows are of all channels of a map, but of the lanes of weights.
        lanes = shape[1]
        if part is not None:
            axis = 0 if weights else 1
            size = shape[axis] // part.count
            shape = (*shape[:axis], size, *shape[axis + 1 :])
        if weights:
            lanes = shape[0 if operand.which is Pass.FORWARD else 1]
        self.ops.append(
            self.pass_(
                name, Walk.OPERAND, shape, uses, rows=rows or self.first(lanes), state=state,
                wide=wide, operand=operand, results={"a": name}, fields=fields or {}, part=part,
            )
        )  # fmt: skip
        return name

    @takes_text
    def convolve(
        self, kind: str, layer: str, shape: ConvShape, which: Pass,
        operands: list[tuple[str, str]], result: str, *, part: Part | None = None,
        like: ConvShape | None = None, spread: Spread | None = None,
    ) -> None:  # fmt: skip
        """Add a pass of a convolution on strips, given with their states."""
        # Wide: the pass, what it reads and makes, and how it is a part or a term of another.
        (first, state), (second, other) = operands
        name, grouped = named(kind, layer, part), self.grouped.get(layer)
        length = contraction_length(shape, which)
        if which is not Pass.WEIGHT_GRAD:
            length = -(-length // together(grouped, self.shapes[layer]))
        # Rounding of float32 to bf16 may raise an exponent by 1.
        margin = guard_bits(length) + 1
        wide = self.tensors[result].wide
        self.ops += [
            Top(name=f"{name}.window", target=name, which="window", states=(state, other),
                margin=margin),
            Convolve(name=name, shape=shape, which=which, first=first, second=second,
                     result=result, wide=wide, like=like, spread=spread, part=part,
                     grouped=grouped),
        ]  # fmt: skip

    def forward(self, layer: Conv) -> None:
        """Add a layer's forward pass."""
        n, c, h, w = self.maps[layer.source]
        shape = ConvShape(
            n=n, c=c, h=h, w=w, k=layer.kernels, r=layer.taps, s=layer.taps,
            stride=(layer.stride,) * 2, padding=(layer.padding,) * 2,
            dilation=(layer.dilation,) * 2, groups=layer.groups,
        )  # fmt: skip
        name = layer.name
        if shape.groups > 1:
            self.grouped[name] = shape
            packed = in_packs(shape)
            if together(shape, packed) > 1:
                self.blocks[f"blocks.{name}"] = blocks_of(shape, packed)
            shape = packed
        self.shapes[name] = shape
        source = Use(self.name_of(layer.source))
        weights = self._weights(layer, shape)
        chosen = BY_STATE if self.how.density_of(name) and not layer.fixed else {}
        flat = undilated(shape)
        filled = filled_up(flat)
        spread = weights if flat is shape else self._laid_out("ws", weights, shape, flat)
        whole = spread if filled is flat else self._laid_out("wp", weights, shape, filled)
        if layer.linear:
            result = self.tensor(f"y.{name}", shape.y_shape, wide=True)
        else:
            result = self.made_in_parts(f"y.{name}", name, shape.y_shape)
        pack = filled.group
        for part in parts_of(filled):
            made = [
                (
                    self.strips(named("w1", name, part), Operand(pack, Pass.FORWARD, Role.FIRST),
                                [Use(whole)], state=f"sw.{name}", wide=True, fields=chosen,
                                part=part),
                    f"sw.{name}",
                ),
                (
                    self.strips(named("x1", name, part), Operand(pack, Pass.FORWARD, Role.SECOND),
                                [source], state=self.state(f"sx.{name}"), part=part),
                    f"sx.{name}",
                ),
            ]  # fmt: skip
            self.convolve("forward", name, pack, Pass.FORWARD, made, result, part=part)
        self.weights_of[name] = (spread, chosen)
        if layer.linear or layer.fixed or layer.plain:
            self.maps[name] = shape.y_shape
        if layer.fixed or layer.plain:
            self.plain.add(name)
        if layer.source != IMAGES and flat.groups == 1:
            self._turned_weights("w2", name, flat, None)

    def _turned_weights(self, kind: str, layer: str, shape: ConvShape, part: Part | None) -> str:
        """Make the weights of an input gradient, or of a part of it; return the name of strips."""
        weights, chosen = self.weights_of[layer]
        return self.strips(
            named(kind, layer, part), Operand(shape.group, Pass.INPUT_GRAD, Role.FIRST),
            [Use(weights)], state=f"sw.{layer}", wide=True, fields=chosen, part=part,
        )  # fmt: skip

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
        terms_of = [("dx", shape, terms, rows, fields, f"sg.{name}")]
        if reuses:
            one = one_sample(shape)
            terms_of.append(("dxg", one, [Use(f"g.{name}")], "", {}, self.state(f"sgx.{name}")))
        for kind, size, used, table, chosen, state in terms_of:
            axes = kernel_geometries(size.group, Pass.INPUT_GRAD, MOST_STEP)[0]
            result = f"{kind}.{name}"
            spread = None
            made = result
            if axes.results != (size.h, size.w):
                places = (
                    one.low * one.cut + one.phases[0] - one.padding for one in (axes.y, axes.x)
                )
                spread = Spread(axes.y.cut, *places)
                self.tensor(result, size.x_shape)
                made = f"{kind}s.{name}"
            self.made_in_parts(made, name, (size.n, size.c, *axes.results))
            for part in parts_of(size):
                # Passes of parts have a state in common, so that each is read before the next.
                weights = f"w2.{name}"
                if part is not None:
                    weights = self._turned_weights(f"w2.{kind}", name, size, part)
                strips = self.strips(
                    f"s1.{named(kind, name, part)}",
                    Operand(size.group, Pass.INPUT_GRAD, Role.SECOND), used, rows=table,
                    state=state, fields=chosen, part=part,
                )  # fmt: skip
                self.convolve(
                    kind, name, size.group, Pass.INPUT_GRAD,
                    [(weights, f"sw.{name}"), (strips, state)], made, part=part,
                    like=shape.group if size is not shape else None, spread=spread,
                )  # fmt: skip
            if spread is not None:
                self.ops.append(
                    self.pass_(
                        f"{kind}.{name}.spread", Walk.MAP, self.tensors[made].shape, [Use(made)],
                        rows=self.first(size.c), state=self.state(f"s.{kind}.{name}"),
                        spread=spread, results={"dense": result},
                    )
                )  # fmt: skip
            self.grads.setdefault(layer.source, []).append(Use(result, broadcast=kind == "dxg"))

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
        parts = parts_of(shape)
        grad = self.tensor(f"dw.{name}", shape.w_shape, wide=True, weights=True)
        for part in parts:
            own = adapted if part is None else fields
            made = [
                (
                    self.strips(f"s2.{named('dw', name, part)}",
                                Operand(shape.group, Pass.WEIGHT_GRAD, Role.FIRST), terms,
                                rows=rows, state=f"sg.{name}", fields=own, part=part),
                    f"sg.{name}",
                ),
                (
                    self.strips(named("x2", name, part),
                                Operand(shape.group, Pass.WEIGHT_GRAD, Role.SECOND), [source],
                                state=state, fields=chosen, part=part),
                    state,
                ),
            ]  # fmt: skip
            self.convolve("dw", name, shape.group, Pass.WEIGHT_GRAD, made, grad, part=part)
        if len(parts) > 1:
            self._count(layer, terms, rows, adapted)
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
        more = self.tensor(f"dwg.{name}", shape.w_shape, wide=True, weights=True)
        for part in parts:
            made = [
                (
                    self.strips(f"s2.{named('dwg', name, part)}",
                                Operand(one.group, Pass.WEIGHT_GRAD, Role.FIRST),
                                [Use(f"g.{name}")], state=self.state(f"sgw.{name}"), part=part),
                    f"sgw.{name}",
                ),
                (
                    self.strips(f"x2.{named('dwg', name, part)}",
                                Operand(one.group, Pass.WEIGHT_GRAD, Role.SECOND),
                                [Use(total)], state=own, part=part),
                    own,
                ),
            ]  # fmt: skip
            self.convolve("dwg", name, one.group, Pass.WEIGHT_GRAD, made, more, part=part,
                          like=shape.group)  # fmt: skip
        whole = self.tensor(f"dws.{name}", shape.w_shape, wide=True, weights=True)
        self.ops.append(
            self.pass_(
                whole, Walk.WEIGHTS, shape.w_shape, [Use(grad), Use(more)], wide=True,
                rows=self.one(shape.k), state=self.state(f"s.{whole}"), results={"dense": whole},
            )
        )  # fmt: skip

    def _count(self, layer: Conv, terms: list[Use], rows: str, fields: dict[str, int]) -> None:
        """Count what operands of a layer keep in all, where passes made them part by part.

        These have the same states, which are of the last part then; a threshold that steps by what
        is kept of all of a gradient does it here.
        """
        name, shape = layer.name, self.shapes[layer.name]
        source = Use(self.name_of(layer.source))
        weights, chosen = self.weights_of[name]
        values = BY_STATE if self.how.density_of(name) else {}
        self.ops += [
            self.pass_(
                f"count.w.{name}", Walk.WEIGHTS, self.tensors[weights].shape, [Use(weights)],
                wide=True, rows=self.first(shape.k), state=f"sw.{name}", fields=chosen,
            ),
            self.pass_(
                f"count.x.{name}", Walk.MAP, shape.x_shape, [source], rows=self.first(shape.c),
                state=f"sk.{name}", fields=values,
            ),
            self.pass_(
                f"count.g.{name}", Walk.MAP, shape.y_shape, terms, rows=rows, state=f"sg.{name}",
                fields=fields,
            ),
        ]  # fmt: skip

    def _update(self, layer: Conv) -> None:
        """Add the update of a layer's weights, from its gradient with the most that was added."""
        name, shape = layer.name, self.shapes[layer.name]
        size, how = shape.w_shape, self.how
        grad = f"dws.{name}" if f"dws.{name}" in self.tensors else f"dw.{name}"
        if how.masks:
            grad = self.masked_grad(name, shape, grad)
        mask, fields = self.only_blocks(name)
        rows = self.table(
            f"update.{shape.k}", shape.k, c0=how.decay, c1=how.momentum, c2=1.0, second=-how.rate
        )
        self.ops.append(
            self.pass_(
                f"update.{name}", Walk.WEIGHTS, size,
                [Use(f"w.{name}"), Use(f"m.{name}"), Use(grad)], wide=True, rows=rows,
                state=self.state(f"su.{name}"),
                results={"dense": f"m.{name}", "second": f"w.{name}"},
                mask=mask, fields=fields,
            )
        )  # fmt: skip
