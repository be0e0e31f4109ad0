# amaranth: UnusedElaboratable=no
# Long: the checks, and a component on which each is seen to fail.
"""Every component's docstring states members, latency, paths and reset state, and truly so."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re

import pytest
from amaranth.hdl import Module, Shape, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import hw
from gscn.array import ARRAYS
from gscn.axi import DEFAULT_AXI
from gscn.control import Queue
from gscn.hw import layouts
from gscn.hw.core.array import Array
from gscn.hw.core.listed_array import ListedArray
from gscn.hw.core.machine import Machine
from gscn.hw.encode.unit import EncodeUnit
from gscn.hw.host.machine_axi import MachineAxi
from gscn.hw.host.top_axi import ArrayAxi
from gscn.hw.pe.float_product import FloatProduct
from gscn.hw.pe.float_rounding import FloatRounder
from gscn.hw.ram import Ram
from gscn.hw.shared import Shared
from gscn.register import Top
from tests.hw import docstrings
from tests.hw.host.obeying import ObeyingAxi
from tests.hw.netlist import UNKNOWN, Netlist

MODULES = sorted(one.name for one in pkgutil.walk_packages(hw.__path__, "gscn.hw."))
COMPONENTS = [
    component
    for module in MODULES
    for component in vars(importlib.import_module(module)).values()
    if inspect.isclass(component)
    and issubclass(component, wiring.Component)
    and component.__module__ == module
    # the signature of one is that of the component it stands for, the other is a Memory
    and component not in (Shared, Ram)
]
INTEGERS = ARRAYS["tiny"].with_overrides(["clusters=1"])
FLOATS = INTEGERS.with_overrides(["float_formats=bf16"])
ARGUMENTS = {
    "attributes": DEFAULT_AXI,
    "count": 3,
    "width": 48,
    "bits": 33,
    "shape": 8,
    "depth": 4,
    "halfwords": 2,
    "most": 2,
    "values": 1,
    "skip": False,
    "factor_width": 16,
    "granularity": 8,
    "window": 32,
    "digit": 8,
    "listed": False,
    "queue": Queue.ARRAY,
    "banks": 2,
    "top": Top.MACHINE,
    "vectors": 6,
    "slots": 64,
    "strips": True,
    "integers": False,
    "magnitude": 31,
    "masked": False,
    "rows": 2,
    "columns": 2,
}
every_component = pytest.mark.parametrize(
    "component", COMPONENTS, ids=lambda component: component.__name__
)


def parameters(component):
    if component.__init__ is wiring.Component.__init__:
        return []
    return [name for name in inspect.signature(component).parameters if name != "self"]


def arguments(component, config):
    return {name: (ARGUMENTS | {"config": config})[name] for name in parameters(component)}


STANDINGS = {MachineAxi: ObeyingAxi}
"""In place of a component with a large one inside, whose docstring has no path and is checked, the
same one around a small one, which has no path either."""

WHOLE = (ArrayAxi, Array, ListedArray, EncodeUnit, Machine)


@functools.cache
def netlist(component, config):
    standing = STANDINGS.get(component, component)
    return Netlist(standing(**arguments(component, config)))


def netlists(component):
    """Return the netlists of all that a component's docstring speaks of: (netlist, floats)."""
    if "config" not in parameters(component):
        return [(netlist(component, None), False)]
    found = [(netlist(component, FLOATS), True)]
    # what whole cores leave out without float formats is seen in their parts
    if component not in (*WHOLE, FloatProduct, FloatRounder):
        found.append((netlist(component, INTEGERS), False))
    return found


def covers(path, leaf):
    """Return whether a path of a docstring names a leaf; indices may be left out."""
    plain = ".".join(step for step in leaf.split(".") if not step.isdigit())
    return any(f"{one}.".startswith(f"{path}.") for one in (leaf, plain))


# -- what is wrong with a docstring: each check returns that, so that it can be seen to fail


def wrong_members(component):
    """Compare names, directions and shapes with the signature."""
    config = FLOATS if "config" in parameters(component) else None
    given = arguments(component, config)
    members = dict(component(**given).signature.members)
    wrong, stated = [], {}
    entries = {}
    for one in docstrings.lineage(component):
        # a docstring speaks of what its module knows, and of the common layouts
        names = {**vars(layouts), **vars(inspect.getmodule(one)), **given}
        own = docstrings.described(docstrings.sections(one).get("Attributes", []))
        # one that extends another may have others of its members
        entries |= {
            name: (*entry, names)
            for name, entry in own.items()
            if one is component or name in members or name.endswith("*")
        }
    for name, (kind, text, names) in entries.items():
        if not text:
            wrong.append(f"{name}: no word")
        try:
            member = eval(kind, names)
        except (NameError, TypeError, SyntaxError, AttributeError) as error:
            wrong.append(f"{name}: {kind!r} means nothing: {error}")
            continue
        if name.endswith("*"):
            stated |= {
                f"{name[:-1]}{inner}": one for inner, one in member.signature.members.items()
            }
        else:
            stated[name] = member
    wrong += [f"{name}: not described" for name in members if name not in stated]
    wrong += [f"{name}: no member" for name in stated if name not in members]
    wrong += [
        f"{name}: not {stated[name]!r} but {member!r}"
        for name, member in members.items()
        if name in stated and not alike(stated[name], member)
    ]
    return wrong


def alike(first, second):
    """Return whether two members have direction, dimensions and shape in common."""
    if first.flow != second.flow or first.dimensions != second.dimensions:
        return False
    if first.is_signature or second.is_signature:
        return first.is_signature and second.is_signature and first.signature == second.signature
    return Shape.cast(first.shape) == Shape.cast(second.shape)


def wrong_latencies(component):
    """Compare latencies with the fewest registers between the members."""
    wrong = []
    for latency in docstrings.latencies(docstrings.facts(component)["Latency"]):
        for name in filter(None, (latency.constant, latency.with_floats)):
            if not isinstance(getattr(component, name, None), int):
                wrong.append(f"{name}: no number of the class")
        if wrong:
            continue
        for circuit, floats in netlists(component):
            stated = latency.cycles(component, floats=floats)
            for source in latency.sources:
                for target in latency.targets:
                    found = shortest(circuit, source, target, stated, memories=latency.memories)
                    if found != stated:
                        wrong.append(f"from {source} to {target}: not {stated} but {found}")
    return wrong


def shortest(circuit, source, target, most, *, memories):
    """Return the fewest registers between two members, None if there are more than `most`."""
    outputs = [
        leaf
        for leaf, (_, direction) in circuit.leaves.items()
        if direction == "o" and covers(target, leaf)
    ]
    found = circuit.sources(*outputs, cycles=most, memories=memories)
    return min((found[leaf] for leaf in found if covers(source, leaf)), default=None)


def wrong_paths(component):
    """Compare combinational paths with the netlist: each named one there is, and no other."""
    stated = docstrings.arrows(docstrings.facts(component)["Combinational"])
    unseen = {(a, b) for sources, targets in stated for a in sources for b in targets}
    named = set(unseen)
    wrong = set()
    for circuit, _ in netlists(component):
        for leaf, (_, direction) in circuit.leaves.items():
            if direction != "o":
                continue
            for source in circuit.sources(leaf, cycles=0):
                own = {(a, b) for a, b in named if covers(a, source) and covers(b, leaf)}
                unseen -= own
                if not own:
                    wrong.add(f"{source} -> {leaf}: not named")
    return sorted(wrong) + [f"{a} -> {b}: no path" for a, b in sorted(unseen)]


def wrong_reset(component):
    """Compare outputs after a reset; payloads count only while they are offered."""
    stated = docstrings.after_reset(docstrings.facts(component)["Reset"])
    said = {*stated.values, *stated.undefined, *stated.meaningless}
    seen, wrong = set(), set()
    for circuit, floats in netlists(component):
        for leaf, (_, direction) in circuit.leaves.items():
            if direction != "o" or not_offered(circuit, leaf):
                continue
            bits = circuit.after_reset(leaf)
            own = {name for name in said if covers(name, leaf)}
            seen |= own
            if own & set(stated.meaningless):
                continue
            undefined = any(
                stated.undefined[name] in (None, floats) for name in own & set(stated.undefined)
            )
            if undefined != (UNKNOWN in bits):
                wrong.add(f"{leaf}: {'defined' if undefined else 'undefined'}")
            elif not undefined:
                value = sum(bit << place for place, bit in enumerate(bits))
                expected = {stated.values[name] for name in own & set(stated.values)} or {0}
                if {value} != expected:
                    wrong.add(f"{leaf}: {value:#x}, not {expected}")
    return sorted(wrong) + [f"{name}: no output to speak of" for name in sorted(said - seen)]


def not_offered(circuit, leaf):
    """Return whether a leaf belongs to a word or address that is not offered after a reset."""
    channel = re.fullmatch(r"(.*(?:\.|_|^))(aw|ar|w|r|b)(?!valid|ready)\w+", leaf)
    candidates = [f"{channel[1]}{channel[2]}valid"] if channel else []
    steps = leaf.split(".")
    candidates += [".".join([*steps[:place], "valid"]) for place in range(1, len(steps))]
    return any(
        name != leaf
        and name in circuit.leaves
        and circuit.leaves[name][1] == "o"
        and circuit.after_reset(name) == [0]
        for name in candidates
    )


def test_components_are_found():
    assert {"Worker", "RangeLookup", "WorkerCluster", "RoundRobin"} <= {
        c.__name__ for c in COMPONENTS
    }


@every_component
def test_docstring_names_every_member_with_direction_and_shape(component):
    assert wrong_members(component) == []


@every_component
def test_docstring_names_every_parameter(component):
    found = {}
    for one in docstrings.lineage(component):
        found |= docstrings.described(docstrings.sections(one).get("Parameters", []))
    assert list(found) == parameters(component)
    assert all(text for _, text in found.values())


@every_component
def test_docstring_states_the_four_facts_of_timing(component):
    facts = docstrings.facts(component)
    assert tuple(facts) == docstrings.FACTS
    assert all(facts.values())


@every_component
def test_latencies_are_constants_and_the_registers_on_the_way(component):
    assert wrong_latencies(component) == []


@every_component
def test_combinational_paths_are_those_of_the_netlist(component):
    assert wrong_paths(component) == []


@every_component
def test_outputs_after_a_reset_are_as_stated(component):
    assert wrong_reset(component) == []


# -- every check sees a docstring that lies


class Honest(wiring.Component):
    """Hand words on in the next cycle.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`.
    - Throughput: one word per cycle.
    - Combinational: `i.valid` -> `sees`. Only that.
    - Reset: outputs 0, but `idle` = 1 and `last` undefined. It stays.

    Attributes
    ----------
    i : In(stream.Signature(8, always_ready=True))
        Words.
    o : Out(stream.Signature(8)).array(2)
        The same.
    sees : Out(1)
        There is a word.
    idle : Out(1)
        There was none.
    last : Out(signed(8))
        The last word but one.
    """

    LATENCY = 1

    def __init__(self):
        # by name, as the docstring is planted in other classes
        wiring.Component.__init__(
            self,
            {
                "i": In(stream.Signature(8, always_ready=True)),
                "o": Out(stream.Signature(8)).array(2),
                "sees": Out(1),
                "idle": Out(1),
                "last": Out(signed(8)),
            },
        )

    def elaborate(self, platform):
        m = Module()
        last = Signal(8, reset_less=True)
        m.d.comb += [self.sees.eq(self.i.valid), self.idle.eq(~self.o[0].valid), self.last.eq(last)]
        m.d.sync += last.eq(self.o[0].p)
        for o in self.o:
            m.d.sync += [o.valid.eq(self.i.valid), o.p.eq(self.i.p)]
        return m


def with_docstring(text):
    """Return `Honest` with another docstring, not one that adds to its own."""
    own = {
        name: value
        for name, value in vars(Honest).items()
        if name not in ("__dict__", "__weakref__")
    }
    return type("Planted", Honest.__bases__, {**own, "__doc__": text})


CHECKS = (wrong_members, wrong_latencies, wrong_paths, wrong_reset)


@pytest.mark.parametrize("check", CHECKS)
def test_a_true_docstring_passes(check):
    assert check(Honest) == []


@pytest.mark.parametrize(
    ("check", "old", "new", "message"),
    [
        (wrong_members, "sees : Out(1)", "sees : In(1)", "sees: not In(1) but Out(1)"),
        (wrong_members, "sees : Out(1)", "sees : Out(2)", "sees: not Out(2) but Out(1)"),
        (wrong_members, "Out(signed(8))", "Out(8)", "last: not Out(8) but Out(signed(8))"),
        (wrong_members, ".array(2)", "", "o: not"),
        (wrong_members, "always_ready=True", "", "i: not"),
        (wrong_members, "sees : ", "saw : ", "sees: not described"),
        (wrong_members, "sees : ", "saw : ", "saw: no member"),
        (wrong_members, "        There is a word.\n", "", "sees: no word"),
        (wrong_members, "Out(1)\n        There is", "Out(bits)\n        There is", "means nothing"),
        (wrong_latencies, "`i` to `o`", "`i` to `sees`", "from i to sees: not 1 but 0"),
        (wrong_latencies, "`i` to `o`", "`i` to `last`", "from i to last: not 1 but None"),
        (wrong_latencies, "`LATENCY`", "`DELAY`", "DELAY: no number of the class"),
        (wrong_paths, "`i.valid` -> `sees`", "none", "i.valid -> sees: not named"),
        (wrong_paths, "-> `sees`", "-> `sees`, `idle`", "i.valid -> idle: no path"),
        (wrong_paths, "`i.valid` ->", "`i.valid`, `o.ready` ->", "o.ready -> sees: no path"),
        (wrong_reset, "`idle` = 1", "`idle` = 0", "idle: 0x1, not {0}"),
        (wrong_reset, "`idle` = 1 and ", "", "idle: 0x1, not {0}"),
        (wrong_reset, " and `last` undefined", "", "last: undefined"),
        (wrong_reset, "`last` undefined", "`last`, `sees` undefined", "sees: defined"),
        (wrong_reset, "`idle` = 1", "`idle` = 1, `gone` = 0", "gone: no output to speak of"),
    ],
)
def test_a_false_docstring_is_seen(check, old, new, message):
    assert old in Honest.__doc__
    planted = with_docstring(Honest.__doc__.replace(old, new))
    assert any(message in one for one in check(planted)), check(planted)


@pytest.mark.parametrize(
    ("check", "old", "message"),
    [
        (wrong_latencies, "`LATENCY` from", "no constant"),
        (wrong_latencies, "`i` to `o`", "no way"),
        (wrong_paths, "`i.valid` -> `sees`", "no path"),
        (wrong_reset, "outputs 0", "nothing of outputs"),
    ],
)
def test_an_item_in_other_words_is_refused(check, old, message):
    planted = with_docstring(Honest.__doc__.replace(old, "as it is"))
    with pytest.raises(AssertionError, match=message):
        check(planted)


def test_what_extends_another_says_what_is_different():
    assert docstrings.facts(Later) == docstrings.facts(Honest) | {"Reset": "outputs 0."}
    assert wrong_members(Later) == []
    assert wrong_latencies(Later) == []
    assert wrong_reset(Later) != []


class Later(Honest):
    """The same.

    Timing
    ------
    - Latency, throughput: those of `Honest`.
    - Reset: outputs 0.
    """


def test_a_missing_item_is_seen():
    text = Honest.__doc__.replace("- Throughput: one word per cycle.\n", "")
    planted = with_docstring(text)
    assert tuple(docstrings.facts(planted)) == ("Latency", "Combinational", "Reset")
