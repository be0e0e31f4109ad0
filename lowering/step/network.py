"""A network as the operations of a training step."""

from __future__ import annotations

from collections.abc import Iterable

from gscn.encode import Activation
from gscn.errors import InputError
from gscn.lowering.step.layers import IMAGES, Conv, Layer, Norm, Pool, Sum, Training
from gscn.lowering.step.merging import merged
from gscn.lowering.step.pools import Pools
from gscn.step import Normalised, Step, Stop, Top, Use, Walk
from gscn.window import guard_bits

GROWTH = 3
"""Bits by which a tensor of which nothing is known may have grown since the step before."""


class _Builder(Pools):
    """Operations of a step, layer by layer."""

    def __init__(self, layers: Iterable[Layer], batch: tuple[int, int, int, int], how: Training):
        super().__init__(how)
        self.layers = list(layers)
        self.maps = {IMAGES: batch}
        self.map_states = {IMAGES: self.state(f"s.{IMAGES}")}
        self.grads: dict[str, list[Use]] = {}
        self.tensor(IMAGES, batch)

    def build(self) -> Step:
        """Return the step."""
        self.ops.append(Stop(name="begin", what="begin"))
        for layer in self.layers:
            self._check(layer)
            if isinstance(layer, Conv):
                self.forward(layer)
            elif isinstance(layer, Norm):
                self._norm(layer)
            elif isinstance(layer, Sum):
                self._add(layer)
            else:
                self.pool(layer)
        last = self.layers[-1]
        self.tensor("dlogits", self.maps[last.name])
        self.ops.append(Stop(name="loss", what="loss", layer=last.name))
        for layer in reversed(self.layers):
            if isinstance(layer, Norm):
                self._norm_grads(layer)
            elif isinstance(layer, Pool):
                self.pool_grads(layer)
            elif isinstance(layer, Sum):
                self._sum_grads(layer)
            elif layer.plain:
                self._plain_grads(layer)
            elif layer.fixed:
                self.backward(layer, self.grads[layer.name], self.first(layer.kernels))
            elif layer.linear:
                self.backward(layer, [Use("dlogits")], self.one(layer.kernels))
        return Step(
            operations=tuple(self.ops), tensors=self.tensors, rows=self.tables,
            states=self.states, norms=self.norms, blocks=self.blocks,
        )  # fmt: skip

    def _check(self, layer: Layer) -> None:
        """Refuse a layer that has no place."""
        if isinstance(layer, Norm) and layer.source not in {*self.shapes, *self.maps} - {IMAGES}:
            raise InputError(
                f"layer {layer.name}: its source must be a convolution, or a map, before it"
            )
        if not isinstance(layer, Norm) and layer.source not in self.maps:
            raise InputError(
                f"layer {layer.name}: its source {layer.source!r} must come before it, and be a map"
            )
        is_last = layer is self.layers[-1]
        if (isinstance(layer, Conv) and layer.linear) is not is_last:
            raise InputError(f"layer {layer.name}: the last layer, and no other, must be linear")

    # -- sums

    def sums(
        self,
        name: str,
        uses: list[Use | None],
        states: tuple[str, ...],
        guard: int,
        stop: Stop,
        dot: int,
    ) -> None:
        """Add sums of a map for the host, in windows below tops of the states given.

        `states` are those of the first tensor and of the one that it is multiplied with.
        """
        shape = self.tensors[uses[0].name].shape
        state = self.state(f"s.{name}")
        one = 127 + guard
        self.ops += [
            Top(name=f"{name}.sum_top", target=state, which="sum_top", states=states[:1],
                margin=one),
            Top(name=f"{name}.dot_top", target=state, which="dot_top", states=states,
                margin=guard),
            self.pass_(
                name, Walk.MAP, shape, uses, rows=self.first(shape[1]), state=state,
                results={"sums": name}, fields={"dot": dot},
            ),
            stop,
        ]  # fmt: skip

    # -- normalisation

    def _norm(self, layer: Norm) -> None:
        y = self._normalised(layer)
        if layer.biased:
            self.ops.append(Stop(name=f"bias.{layer.name}", what="bias", layer=layer.name))
            self._clear(layer, [y], self.table(f"a.{layer.name}", self.tensors[y.name].shape[1]))
            return
        n, c, h, w = self.tensors[y.name].shape
        guard = guard_bits(n * h * w) + GROWTH
        own = f"sums.{layer.name}"
        other = next((one for one in self.layers if one.name == layer.added), None)
        folded = isinstance(other, Norm) and other.folded
        self.norms[layer.name] = Normalised(
            c, n * h * w, layer.folded, layer.added if folded else "", layer.source
        )
        stop = Stop(name=f"forward.{layer.name}", what="forward", layer=layer.name,
                    again=f"{own}.sum_top", after=layer.added if folded else "")  # fmt: skip
        self.sums(own, [y], (f"s.{own}", f"s.{own}"), guard, stop, 1)
        self.table(f"a.{layer.name}", c, c0=1.0, c1=1.0)
        self.table(f"b.{layer.name}", c, c2=-1.0)
        if layer.folded:
            return
        uses = [y]
        if layer.added:
            uses.append(self._normalised(other) if folded else Use(self.name_of(layer.added)))
        self._clear(layer, uses, f"a.{layer.name}")

    def _clear(self, layer: Norm, uses: list[Use], rows: str) -> None:
        """Make the map of a layer with ReLU."""
        size = self.tensors[uses[0].name].shape
        self.map_(layer.name, size)
        self.ops.append(
            self.pass_(
                f"z.{layer.name}", Walk.MAP, size, uses, rows=rows,
                state=self.map_states[layer.name], fields={"activation": int(Activation.RELU)},
                results={"dense": f"z.{layer.name}", "bits": f"bits.{layer.name}"},
            )
        )  # fmt: skip

    def _norm_grads(self, layer: Norm) -> None:
        y = self._normalised(layer)
        n, _, h, w = size = self.tensors[y.name].shape
        grad = f"d.{layer.name}"
        if layer.folded:
            grad = self.grads[layer.name][0].name
        else:
            self.tensor(grad, size)
            self.total(layer.name, grad, size, masked=True)
            if layer.added:
                self.grads.setdefault(layer.added, []).append(Use(grad))
        own = f"dsums.{layer.name}"
        conv = next((one for one in self.layers if one.name == layer.source), None)
        if layer.biased:
            stop = Stop(name=f"moved.{layer.name}", what="moved", layer=layer.name)
            states = (f"s.{grad}", f"s.{grad}")
            self.sums(own, [Use(grad)], states, guard_bits(n * h * w), stop, 0)
            self.backward(conv, [Use(grad)], self._less(conv))
            return
        stop = Stop(name=f"backward.{layer.name}", what="backward", layer=layer.name)
        # What is only multiplied is tensor 2, so that lanes do it beside the copy of tensor 0.
        self.sums(
            own, [Use(grad), None, y], (f"s.{grad}", f"s.sums.{layer.name}"),
            guard_bits(n * h * w), stop, 3,
        )  # fmt: skip
        uses, rows = [Use(grad), y], f"b.{layer.name}"
        if layer.source in self.maps:
            result = self.tensor(f"v.{layer.name}", size)
            self.ops.append(
                self.pass_(
                    result, Walk.MAP, size, uses, rows=rows, state=self.state(f"s.{result}"),
                    results={"dense": result},
                )
            )  # fmt: skip
            self.grads.setdefault(layer.source, []).append(Use(result))
            return
        self.backward(conv, uses, rows)

    def _normalised(self, layer: Norm) -> Use:
        """Return what a normalisation reads."""
        source = layer.source
        return Use(self.name_of(source) if source in self.maps else f"y.{source}")

    # -- sums without ReLU

    def _add(self, layer: Sum) -> None:
        size = self.maps[layer.source]
        self.map_(layer.name, size)
        uses = [Use(self.name_of(one)) for one in (layer.source, layer.added)]
        self.ops.append(
            self.pass_(
                f"z.{layer.name}", Walk.MAP, size, uses, rows=self.one(size[1]),
                state=self.map_states[layer.name], results={"dense": f"z.{layer.name}"},
            )
        )  # fmt: skip

    def _sum_grads(self, layer: Sum) -> None:
        grad = self._whole_grad(layer.name)
        for source in (layer.source, layer.added):
            self.grads.setdefault(source, []).append(Use(grad))

    def _plain_grads(self, layer: Conv) -> None:
        grad = self._whole_grad(layer.name)
        self.backward(layer, [Use(grad)], self._less(layer))

    def _less(self, layer: Conv) -> str:
        """Return rows by which what is reused is taken from a gradient."""
        return self.table(f"less.{layer.kernels}", layer.kernels, c0=1.0, c1=-1.0)

    def _whole_grad(self, name: str) -> str:
        """Return the gradient of a map that has no ReLU, added up if it is a sum."""
        uses = self.grads[name]
        if len(uses) == 1 and not uses[0].broadcast:
            return uses[0].name
        grad = self.tensor(f"d.{name}", self.maps[name])
        self.total(name, grad, self.maps[name], masked=False)
        return grad


def step_of(layers: Iterable[Layer], batch: tuple[int, int, int, int], how: Training) -> Step:
    """Return a training step of a network.

    Parameters
    ----------
    layers
        Each behind those that it reads; the last one is linear.
    batch
        Samples, channels, rows and columns of the images.
    how
        How it trains.

    Raises
    ------
    InputError
        Naming a layer that does not fit.
    """
    return merged(_Builder(layers, batch, how).build())
