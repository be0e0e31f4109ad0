"""Every public function that takes a member of an enumeration takes its text, or refuses it."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import pickle
import pkgutil
import re
from collections.abc import Iterable
from unittest.mock import MagicMock

import numpy as np
import pytest

from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.enums import enum_parameters, is_taking_text, member, takes_text
from gscn.errors import InputError
from gscn.formats import BF16, FP16, INT8, INT32, FloatFormat, IntFormat
from gscn.golden.oracle.floats import encode
from gscn.lowering.pass_image import lower_pass
from gscn.outputs import FloatOutput, OutputFormat
from gscn.perf.dense_array import dense_cost
from gscn.perf.estimate.training_step import estimate
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import Method, Sparsification
from gscn.perf.workload.work import Work

ROOMS = (
    *("golden", "lowering", "emulator", "cycles", "perf", "cosim", "rtl_gen", "system", "command"),
)
PACKAGES = ("gscn", *(f"gscn.{room}" for room in ROOMS))


def modules():
    for package in map(importlib.import_module, PACKAGES):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


MODULES = list(modules())
ENUMERATIONS = {
    one
    for module in MODULES
    for one in vars(module).values()
    if inspect.isclass(one) and issubclass(one, enum.Enum) and one.__module__ == module.__name__
}


LEGAL = {one: next(iter(one)) for one in ENUMERATIONS} | {FloatFormat: BF16, IntFormat: INT8}
"""A legal value of each enumeration and class of formats."""


def functions(module):
    """Yield name, function and what it belongs to of all public functions and constructors."""
    for name, one in vars(module).items():
        if getattr(one, "__module__", None) != module.__name__ or name.startswith("_"):
            continue
        if inspect.isfunction(one):
            yield name, one
        elif inspect.isclass(one) and one not in LEGAL:
            protocol = getattr(one, "_is_protocol", False)
            for own, found in vars(one).items():
                method = getattr(found, "__func__", found)
                public = own == "__init__" or not own.startswith("_")
                abstract = protocol or getattr(method, "__isabstractmethod__", False)
                if inspect.isfunction(method) and public and not abstract:
                    yield f"{name}.{own}", method


PUBLIC = {
    f"{module.__name__}.{name}": function
    for module in MODULES
    for name, function in functions(module)
}
TAKING = {name: function for name, function in PUBLIC.items() if enum_parameters(function)}


def test_the_enumerations_and_functions_are_found():
    assert {Pass, Method} <= ENUMERATIONS
    assert {
        *(
            "gscn.lowering.pass_image.lower_pass",
            "gscn.conv.ConvShape.operand_shapes",
            "gscn.perf.workload.work.Work.__init__",
        ),
        *(
            "gscn.golden.oracle.integers.convolve",
            "gscn.perf.estimate.result.NetworkEstimate.speedup",
        ),
    } <= TAKING.keys()


def test_annotations_of_enumerations_can_be_resolved():
    # One that is imported for type checkers alone would hide a parameter from `enum_parameters`.
    names = "|".join(one.__name__ for one in LEGAL)
    single = re.compile(rf"(Iterable\[|tuple\[|Sequence\[)?({names})(, \.\.\.)?\]?( \| None)?")
    for name, function in PUBLIC.items():
        hidden = [
            str(one.annotation)
            for one in inspect.signature(function).parameters.values()
            if single.fullmatch(str(one.annotation))
            and one.name not in [found for _, found, _ in enum_parameters(function)]
        ]
        # The union of the methods' options has the name of an enumeration.
        assert name.startswith("gscn.golden.methods") or not hidden, (name, hidden)


@pytest.mark.parametrize("name", TAKING)
def test_text_that_no_member_has_is_refused_with_the_members(name):
    function = TAKING[name]
    assert is_taking_text(function), "@takes_text is missing"
    parameters = inspect.signature(function).parameters
    for _, parameter, _ in enum_parameters(function):
        others = {
            other.name: None if other.name in _taken(function) else MagicMock()
            for other in parameters.values()
            if other.kind not in (other.VAR_POSITIONAL, other.VAR_KEYWORD)
            and (other.default is other.empty or other.name == parameter)
        }
        for taken, legal in _taken(function).items():
            if taken in others:
                others[taken] = legal
        with pytest.raises(InputError, match=rf"{parameter} must be (one|several) of .*sideways"):
            function(**others | {parameter: "sideways"})


def _taken(function):
    """Return a legal value of every parameter that takes members."""
    found = {}
    for _, name, annotation in enum_parameters(function):
        text = str(annotation)
        value = next(one for kind, one in LEGAL.items() if re.search(rf"\b{kind.__name__}\b", text))
        found[name] = (value, value) if "tuple" in text else value
    return found


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


@takes_text
def painted(first: Colour, rest: Iterable[Colour] = (), *, last: Colour | None = None):
    return first, rest, last


@takes_text
@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Wall:
    colour: Colour
    number: int = 0


def test_text_becomes_the_member():
    for given in ("red", Colour.RED, np.str_("red")):
        first, rest, last = painted(given, ["red", Colour.BLUE], last=given)
        assert first is last is Colour.RED
        assert rest[0] is Colour.RED
        assert rest[1] is Colour.BLUE
    assert painted(first="blue") == (Colour.BLUE, (), None)
    assert painted("red", (name for name in ("red", "blue")))[1] == (Colour.RED, Colour.BLUE)
    wall = Wall(colour="red")
    assert wall.colour is Colour.RED
    assert dataclasses.replace(wall, colour="blue").colour is Colour.BLUE
    assert member(Colour, "blue") is Colour.BLUE


def test_number_formats_go_by_their_names():
    values = np.array([0.1, -3.0])
    assert encode(values, "bf16").codes.tolist() == encode(values, BF16).codes.tolist()
    output = FloatOutput(operands="fp16", result="bf16")
    assert (output.operands, output.result) == (FP16, BF16)
    own = FloatFormat(name="own", exponent_width=3, mantissa_width=2)
    assert member(FloatFormat, own) is own
    assert member(IntFormat, "int32") is INT32
    for value in ("fp32", INT8, None, ["bf16"]):
        with pytest.raises(InputError, match=r"fmt must be one of bf16, fp16, .*float32, not"):
            encode(values, value)


def test_what_is_no_member_is_refused():
    for value in ("green", "RED", "", 1, None, ["red"]):
        with pytest.raises(InputError, match="first must be one of red, blue, not"):
            painted(value)
    with pytest.raises(InputError, match="rest must be several of red, blue, not 'red'"):
        painted("red", "red")
    with pytest.raises(InputError, match="rest must be one of red, blue, not 'green'"):
        painted("red", ["green"])
    with pytest.raises(InputError, match="hue must be one of red, blue, not 'green'"):
        member(Colour, "green", name="hue")


@pytest.mark.parametrize("which", Pass)
def test_a_pass_by_its_text_is_lowered_and_costs_the_same(which):
    shape = ConvShape(n=2, c=3, h=5, w=5, k=4, r=3, s=3, padding=(1, 1))
    rng = np.random.default_rng(0)
    first, second = (
        (rng.integers(-9, 9, size) * (rng.random(size) < 0.5)).astype(np.int16)
        for size in shape.operand_shapes(str(which))
    )
    config = array("tiny")
    by_member, by_text = (
        lower_pass(config, shape, name, first, second, OutputFormat())
        for name in (which, str(which))
    )
    assert by_text.which is which
    assert pickle.dumps(by_text) == pickle.dumps(by_member)
    assert dense_cost(config, shape, str(which)) == dense_cost(config, shape, which)
    work = Work(shape=shape, which=str(which), first_density=0.5, second_density=0.5)
    assert work.which is which


def test_an_estimate_by_texts_is_that_by_members():
    net = network("resnet20", image_size=32, batch=2)
    results = [
        estimate(net, array("tiny"), Sparsification(method=method, sparsity=0.9), mode=mode)
        for method, mode in ((Method.RESPROP, "analytic"), ("resprop", "analytic"))
    ]
    assert results[0] == results[1]
    assert results[0].cycles(["forward"]) == results[0].cycles((Pass.FORWARD,))
    with pytest.raises(InputError, match=r"which must be several of forward, .*not 'forward'"):
        results[0].cycles("forward")
    with pytest.raises(InputError, match=r"mode must be one of trace, statistical, .*'exact'"):
        estimate(net, array("tiny"), results[0].sparsification, mode="exact")
