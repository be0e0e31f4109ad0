"""Modules emitted once in Verilog and instantiated many times.

Amaranth emits a separate copy of a submodule for each of its instances. `Shared` marks a submodule
whose copies are all alike: with a `ModuleLibrary` as the platform it becomes an instance of one
module that is emitted once; with any other platform it just contains the component.
"""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import ClockSignal, Const, Instance, Module, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In


def flat_ports(component: wiring.Component) -> dict[str, tuple[Value, str]]:
    """Return the ports of a component under the names that they have in Verilog.

    Parameters
    ----------
    component
        Any component.

    Returns
    -------
    dict
        Flattened name (members joined by two underscores) to (value, `"i"` or `"o"`). The constant
        half of a stream that is always valid or always ready is no port.
    """
    return {
        "__".join(map(str, path)): (Value.cast(value), "i" if member.flow == In else "o")
        for path, member, value in component.signature.flatten(component)
        if not isinstance(value, Const)
    }


def _is_plain(value: object) -> bool:
    return isinstance(value, int | str | float | tuple | frozenset) or hasattr(
        type(value), "__dataclass_fields__"
    )


def _parameters(component: wiring.Component) -> dict[str, object]:
    """Plain attributes: what distinguishes two components of one class and signature."""
    return {
        name: value
        for name, value in vars(component).items()
        if not name.startswith("_MustUse") and _is_plain(value)
    }


class ModuleLibrary:
    """Collect the components that `Shared` submodules stand for.

    To be passed as the platform of an elaboration whose result is converted to Verilog.
    """

    def __init__(self) -> None:
        self._components: dict[str, wiring.Component] = {}

    @property
    def components(self) -> dict[str, wiring.Component]:
        """The first component registered under each name, in order of registration."""
        return dict(self._components)

    def register(self, name: str, component: wiring.Component) -> None:
        """Record a component under the name of its module.

        Parameters
        ----------
        name
            Name of the Verilog module.
        component
            The component. All components of one name must be of one class and have the same
            signature and the same plain attributes (numbers, strings, tuples, configurations).

        Raises
        ------
        ValueError
            A different component is registered under this name.
        """
        known = self._components.setdefault(name, component)
        if known is component:
            return
        differences = [
            what
            for what, of_known, of_new in (
                ("class", type(known), type(component)),
                ("signature", known.signature, component.signature),
                ("attributes", _parameters(known), _parameters(component)),
            )
            if of_known != of_new
        ]
        if differences:
            raise ValueError(
                f"shared module {name!r} must stand for components that are all alike, not for "
                f"{known!r} and {component!r}, whose {' and '.join(differences)} differ"
            )

    def instance(
        self, name: str, component: wiring.Component, ports: Mapping[str, Value]
    ) -> Instance:
        """Return an instance of the module of a component, which is registered.

        Parameters
        ----------
        name, component
            As of `register`.
        ports
            What each of its `flat_ports` is connected to.
        """
        self.register(name, component)
        ways = {port: direction for port, (_, direction) in flat_ports(component).items()}
        connected = {f"{ways[port]}_{port}": value for port, value in ports.items()}
        return Instance(name, i_clk=ClockSignal(), i_rst=ResetSignal(), **connected)


class Shared(wiring.Component):
    """Stand for a component whose Verilog module is emitted once per name.

    Behaves exactly as the component; adds no logic and no latency. The component may use only the
    `sync` clock domain.

    Parameters
    ----------
    component
        The component; its signature becomes that of the wrapper.
    name
        Name of the Verilog module; must tell apart all parameters of the component.
    """

    def __init__(self, component: wiring.Component, name: str) -> None:
        super().__init__(component.signature)
        self._component = component
        self._name = name

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if isinstance(platform, ModuleLibrary):
            m.submodules.shared = platform.instance(
                self._name,
                self._component,
                {port: value for port, (value, _) in flat_ports(self).items()},
            )
        else:
            # port by port: `flipped` of an interface with arrays of streams fails in amaranth 0.5
            m.submodules.shared = self._component
            inner = flat_ports(self._component)
            for name, (outer, direction) in flat_ports(self).items():
                if direction == "i":
                    m.d.comb += inner[name][0].eq(outer)
                else:
                    m.d.comb += outer.eq(inner[name][0])
        return m
