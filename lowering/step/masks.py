"""DST's part of a training step: weights that thresholds mask, and the gradients of both."""

from __future__ import annotations

from gscn.conv import ConvShape
from gscn.encode import Activation, Masked
from gscn.formats import FLOAT32
from gscn.lowering.step.names import Names
from gscn.step import Stop, Top, Use, Walk
from gscn.window import guard_bits


class Masks(Names):
    """Operations of a step, as far as they concern thresholds that are trained."""

    def masked(self, name: str, shape: ConvShape) -> str:
        """Add passes that mask a layer's weights; return the name of what is left."""
        size, weights = shape.w_shape, f"w.{name}"
        rows = self.table(f"t.{name}", shape.k, c0=1.0)
        kept = self.tensor(f"wm.{name}", size, wide=True, weights=True)
        common = {"wide": True, "state": self.state(f"st.{name}")}
        mask, fields = self.only_blocks(name)
        self.ops += [
            self.pass_(
                f"kept.{name}", Walk.WEIGHTS, size, [Use(weights)], rows=rows,
                fields={"absolute": 1, "activation": int(Activation.RELU), **fields},
                results={"bits": f"bits.w.{name}"}, mask=mask, **common,
            ),
            Stop(name=f"stop.kept.{name}", what="kept", layer=name, again=f"kept.{name}"),
            self.pass_(
                kept, Walk.WEIGHTS, size, [Use(weights)], rows=self.first(shape.k),
                mask=f"bits.w.{name}", fields={"masked": int(Masked.RESULT)},
                results={"dense": kept}, wide=True, state=self.state(f"s.{kept}"),
            ),
        ]  # fmt: skip
        return kept

    def masked_grad(self, name: str, shape: ConvShape, grad: str) -> str:
        """Return the gradient of weights that thresholds mask, and add that of the thresholds."""
        size, k = shape.w_shape, shape.k
        made = {
            part: self.tensor(f"{part}.{name}", size, wide=True, weights=True)
            for part in ("excess", "slope", "through", "dm")
        }
        slope = self.table(f"slope.{k}", k, c0=-4.0, bias=2.0)
        weights, own = Use(f"w.{name}"), f"dt.{name}"
        state = self.state(f"s.{own}")
        plain = {"wide": True, "rows": self.first(k)}
        self.ops += [
            self.pass_(
                made["excess"], Walk.WEIGHTS, size, [weights], wide=True, rows=f"t.{name}",
                state=self.state(f"s.excess.{name}"), fields={"absolute": 1},
                results={"dense": made["excess"]},
            ),
            self.pass_(
                made["slope"], Walk.WEIGHTS, size, [Use(made["excess"])], wide=True, rows=slope,
                state=self.state(f"s.slope.{name}"),
                fields={"absolute": 1, "activation": int(Activation.SLOPE)},
                results={"dense": made["slope"]},
            ),
            self.pass_(
                made["through"], Walk.WEIGHTS, size, [None, Use(made["slope"]), weights],
                state=self.state(f"s.through.{name}"), fields={"product": 1},
                results={"dense": made["through"]}, **plain,
            ),
            Top(name=f"{own}.sum_top", target=state, which="sum_top", states=(state,),
                margin=FLOAT32.bias + guard_bits(shape.c * shape.r * shape.s) + 3),
            self.pass_(
                own, Walk.WEIGHTS, size, [None, Use(grad), Use(made["through"])], state=state,
                fields={"product": 1}, results={"sums": own}, **plain,
            ),
            Stop(name=f"thresholds.{name}", what="thresholds", layer=name,
                 again=f"{own}.sum_top"),
            self.pass_(
                made["dm"], Walk.WEIGHTS, size, [Use(grad), Use(grad), Use(made["through"])],
                mask=f"bits.w.{name}", state=self.state(f"s.dm.{name}"),
                fields={"product": 1, "absolute": 4, "masked": int(Masked.TENSOR)},
                results={"dense": made["dm"]}, **plain,
            ),
        ]  # fmt: skip
        return made["dm"]
