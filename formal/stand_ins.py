"""What stands in a part's place while a component is proved without it."""

from __future__ import annotations

from amaranth.asserts import AnySeq
from amaranth.hdl import Module, Value
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
