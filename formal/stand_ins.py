"""What stands in a part's place while a component is proved without it."""

from __future__ import annotations

from amaranth.asserts import AnySeq
from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import Component, Out


class Free(Component):
    """A part that does anything: claims that hold with it in a part's place do not rest on it.

    Parameters
    ----------
    part
        Whose ports it has.
    """

    def __init__(self, part: Component) -> None:
        part._MustUse__silence = True  # it is only asked for its ports
        super().__init__(part.signature)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for _, member, value in self.signature.flatten(self):
            value = Value.cast(value)
            if member.flow == Out and len(value):
                m.d.comb += value.eq(AnySeq(len(value)))
        return m


class Piped(Free):
    """A part that says anything of what is at its inputs, and moves it on while `en` is high.

    Its outputs are all that it says, `LATENCY` cycles of `en` later.

    Parameters
    ----------
    part
        Whose ports it has, each a single one.
    """

    def __init__(self, part: Component) -> None:
        super().__init__(part)
        shapes = {
            name: member.shape
            for name, member in self.signature.members.items()
            if member.flow == Out
        }
        layout = data.StructLayout(shapes)
        self.says = Signal(layout)
        """What it says of its inputs as they are now."""
        self.stages = [Signal(layout, name=f"stage{n}") for n in range(part.LATENCY)]
        """What it said, the youngest first; the outputs are the oldest."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += Value.cast(self.says).eq(AnySeq(len(Value.cast(self.says))))
        with m.If(self.en):
            m.d.sync += [
                after.eq(before)
                for before, after in zip([self.says, *self.stages[:-1]], self.stages, strict=True)
            ]
        for name, _ in self.says.shape():
            m.d.comb += getattr(self, name).eq(self.stages[-1][name])
        return m


class StandIn:
    """What has the name of a part's class while a component is elaborated without that part.

    Parameters
    ----------
    kind
        The class, whose attributes stay.
    other
        What is made in its place, of a part.
    made
        Receives them.
    """

    def __init__(self, kind: type[Component], other: type[Component], made: list) -> None:
        self._kind, self._other, self._made = kind, other, made

    def __call__(self, **parameters: object) -> Component:
        self._made.append(self._other(self._kind(**parameters)))
        return self._made[-1]

    def __getattr__(self, name: str) -> object:
        return getattr(self._kind, name)
