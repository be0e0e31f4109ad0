"""The pictures of docs/architecture.md are those of the code."""

from __future__ import annotations

import importlib
import inspect
import re

import numpy as np
import pytest
from amaranth.hdl import Fragment
from amaranth.hdl._ast import Assign, Switch

from gscn.array import array
from gscn.control import Queue
from gscn.conv import ConvShape, Pass
from gscn.hw.cluster.offsets import TableReader
from gscn.hw.cluster.streamer import Streamer
from gscn.hw.cluster.summing import SummingDrain
from gscn.hw.core.array import Array
from gscn.hw.core.control_runner import ControlRunner
from gscn.hw.core.cutter import Cutter
from gscn.hw.core.list_queue import ListQueue
from gscn.hw.core.list_walk import ListWalk
from gscn.hw.core.pass_checker import PassChecker
from gscn.hw.encode.front import EncodeFront
from gscn.hw.encode.record_machine import RecordMachine
from gscn.hw.encode.record_pairs import RecordPairs
from gscn.hw.fifo import StreamFIFO
from gscn.hw.host.top_axi import ArrayAxi
from gscn.hw.pe.float_rounding import FloatRounder
from gscn.hw.pe.ranges import RangeLookup
from gscn.hw.pe.ring import RingWalker
from gscn.hw.pe.rounding import Rounder
from gscn.hw.pe.sums import Sums
from gscn.hw.pe.worker import Worker
from gscn.latencies import team_sum_cycles
from gscn.lowering import PassImage, lower_pass
from gscn.outputs import OutputFormat
from gscn.passes import PASS_DESCRIPTOR
from gscn.register import Top
from tests.test_structure import ALLOWED

CONFIG = array("tiny")
SIZES = {
    **{"count": 2, "width": 32, "depth": 2, "values": 2, "skip": False},
    **{"config": CONFIG, "top": Top.ARRAY},
}
"""What components are made with here; only the names of their members matter."""
MACHINES = {
    "checker": PassChecker,
    "cutter": Cutter,
    "tables": TableReader,
    "streamer": Streamer,
    "summing": SummingDrain,
    "list_walk": ListWalk,
    "list_queue": ListQueue,
    "control_runner": ControlRunner,
    "front": EncodeFront,
    "record_machine": RecordMachine,
    "record_pairs": RecordPairs,
}
OF_A_QUEUE = ("list_walk", "list_queue")
BLOCKS = ("array", "reading", "writing")


@pytest.fixture
def text(repository):
    return (repository / "docs" / "architecture.md").read_text(encoding="utf-8")


def picture(text, name):
    """Return the Mermaid source below a mark."""
    return text.split(f"<!-- picture: {name} -->\n```mermaid\n")[1].split("```")[0]


def nodes(source):
    """Return the label of each node of a flowchart."""
    return {
        name: label.split("<br/>")
        for name, label in re.findall(r'(\w+)(?:\[|\(\[|\[\(|\{\{)"([^"]*)"', source)
    }


def edges(source):
    """Return (from, names, to) of each arrow of a flowchart."""
    return [
        (start, tuple(name.strip() for name in (label or "").strip('"|').split(",") if name), end)
        for start, label, end in re.findall(
            r"^ *(\w+) <?-->(\|[^|]*\|)? *(\w+)$", source, re.MULTILINE
        )
    ]


def component(label):
    """Return the class that a node of the array or of a cluster stands for; None if it is none."""
    if len(label) < 2:
        return None
    module = importlib.import_module(f"gscn.{label[1]}")
    return getattr(module, re.match(r"\w+", label[0])[0])


def members(kind):
    """Return the names of a component's ports."""
    names = [name for name in inspect.signature(kind).parameters if name in SIZES]
    return set(kind(**{name: SIZES[name] for name in names}).signature.members)


def test_every_picture_is_tested(text):
    pictures = re.findall(r"<!-- picture: (\w+) -->", text)
    assert pictures == [*BLOCKS, "pe", *MACHINES, "memory", "hinge", "folders"]
    assert text.count("```mermaid") == len(pictures)


@pytest.mark.parametrize("name", BLOCKS)
def test_arrows_between_blocks_are_members_of_one_of_them(text, name):
    source = picture(text, name)
    kinds = {node: component(label) for node, label in nodes(source).items()}
    # Inside the array signals to memory, outside it those of the bus.
    around = members(Array) | {name.split("_aw")[0] for name in members(ArrayAxi)}
    found = edges(source)
    wrong = [
        (start, member, end)
        for start, names, end in found
        for member in names
        if member not in around
        and not any(member in members(kinds[one]) for one in (start, end) if kinds[one])
    ]
    assert wrong == []
    assert len(found) == source.count("-->")


def test_frames_are_components_of_that_file(text):
    frames = re.findall(r'subgraph \w+\["(hw\.[\w.]+): (\w+)"\]', text)
    assert len(frames) == 7
    for module, name in frames:
        assert hasattr(importlib.import_module(f"gscn.{module}"), name)


def test_cycles_of_the_pe_are_those_of_its_parts(text):
    stages = {name: label[-1] for name, label in nodes(picture(text, "pe")).items() if label[1:]}
    assert stages == {
        "words": f"{StreamFIFO.LATENCY}",
        "lookup": f"{RangeLookup.LATENCY}",
        "walker": f"{RingWalker.LATENCY}, {RingWalker.FLOAT_LATENCY}",
        "sums": f"{Sums.LATENCY}",
        "bank": f"{Worker.DRAIN_CYCLES}",
        "total": f"{team_sum_cycles(4)}",
        "rounder": f"{Rounder.LATENCY}",
        "floats": f"{FloatRounder.LATENCY}",
    }


def test_the_table_of_cycles_adds_them_up(text):
    table = text.split("<!-- table: pe -->\n")[1].split("\n\n")[0].splitlines()[2:]
    integers, floats = zip(
        *(map(int, row.split("|")[1:3]) for row in table), strict=True
    )  # fmt: skip
    steps = (0, StreamFIFO.LATENCY, RangeLookup.LATENCY)
    assert integers == tuple(np.cumsum([*steps, RingWalker.LATENCY, Sums.LATENCY]))
    assert floats == tuple(np.cumsum([*steps, RingWalker.FLOAT_LATENCY, Sums.LATENCY]))
    assert integers[-1] == Worker.END_CYCLES
    assert floats[-1] == Worker.END_CYCLES + Worker.FLOAT_CYCLES


def machine(component):
    """Return the first state of an elaborated component's state machine, and all changes."""
    module = component.elaborate(None)
    fsm = module._generated["fsm"]
    found = set()

    def walk(statements, state):
        for statement in statements:
            if isinstance(statement, Switch):
                for patterns, inner, *_ in statement.cases:
                    here = (
                        fsm.decoding[int(patterns[0], 2)] if statement.test is fsm.state else state
                    )
                    walk(inner, here)
            elif isinstance(statement, Assign) and statement.lhs is fsm.state:
                found.add((state, fsm.decoding[statement.rhs.value]))

    for statements in Fragment.get(module, None).statements.values():
        walk(statements, None)
    return fsm.decoding[fsm.state.init], found


@pytest.mark.parametrize("name", MACHINES)
def test_states_and_their_changes_are_those_of_the_elaborated_machine(text, name):
    of_queue = {"queue": Queue.ARRAY} if name in OF_A_QUEUE else {}
    drawn = re.findall(r"^ *(\S+) --> (\w+)(?:: .+)?$", picture(text, name), re.MULTILINE)
    first, changes = machine(MACHINES[name](config=CONFIG, **of_queue))
    assert {edge for edge in drawn if edge[0] != "[*]"} == changes
    assert [edge for edge in drawn if edge[0] == "[*]"] == [("[*]", first)]


def test_no_other_component_has_a_state_machine(repository):
    sources = {
        path.stem
        for path in (repository / "hw").rglob("*.py")
        if re.search(r"\bm\.FSM\(", path.read_text(encoding="utf-8"))
    }
    assert sources == {kind.__module__.rpartition(".")[2] for kind in MACHINES.values()}


def test_fields_and_names_of_the_memory_map_exist(text):
    source = picture(text, "memory")
    assert set(re.findall(r"\b[A-Z]+_[A-Z]+\b", source)) == {"PASS_DESCRIPTOR"}
    names = set(re.findall(r"PassImage\.(\w+)", source))
    assert names == {"image", "memory_bytes", "descriptors_addr"}
    assert names <= set(PassImage.__dataclass_fields__)
    drawn = {name for _, labels, _ in edges(source) for name in labels}
    assert drawn == {"s_data", "s_table", "t_data", "t_table", "out_addr", "out_end"}
    assert drawn <= {field.name for field in PASS_DESCRIPTOR.fields}


def test_a_list_of_passes_lies_in_memory_as_drawn():
    shape = ConvShape(n=2, c=16, h=6, w=6, k=16, r=3, s=3, stride=(2, 2), padding=(1, 1))
    rng = np.random.default_rng(0)
    first, second = (rng.integers(1, 100, size) for size in shape.operand_shapes(Pass.WEIGHT_GRAD))
    image = lower_pass(CONFIG, shape, Pass.WEIGHT_GRAD, first, second, OutputFormat())
    assert image.descriptor_count > 1
    assert image.descriptors_addr == 0
    end = image.descriptor_count * PASS_DESCRIPTOR.width // 8
    descriptors = PASS_DESCRIPTOR.unpack(image.image[:end])
    for one in descriptors:
        operands = [int(one[name]) for name in ("s_data", "s_table", "t_data", "t_table")]
        assert operands == sorted(operands)
        assert all(end <= place < image.image.size and place % 64 == 0 for place in operands)
    assert image.output_ranges == tuple(
        (int(one["out_addr"]), int(one["out_end"])) for one in descriptors
    )
    bounds = [place for pair in image.output_ranges for place in pair]
    assert bounds == sorted(bounds)
    assert bounds[0] == image.image.size
    assert bounds[-1] == image.memory_bytes


def test_arrows_between_folders_are_those_of_the_floor_plan(text):
    drawn = {(start, end) for start, _, end in edges(picture(text, "folders"))}
    folders = set(nodes(picture(text, "folders")))
    above = {"command", "soc", "benchmarks"}
    assert folders == set(ALLOWED) - {"gscn.errors", "gscn", "system", *above}
    assert drawn == {(folder, other) for folder in folders for other in ALLOWED[folder] & folders}
    rest = folders - {"formal"}
    assert ALLOWED["command"] >= rest - {"hw"}
    assert not ALLOWED["command"] & {"hw", "formal"}
    assert ALLOWED["benchmarks"] >= {*rest, "command"}
    assert "formal" not in ALLOWED["benchmarks"]
    assert ALLOWED["soc"] - {"command"} == rest - {"hw", "cycles", "golden", "perf"} | {
        "gscn",
        "system",
    }
    assert {name for name in ALLOWED if "gscn" in ALLOWED[name]} == {*folders, *above}
    assert {name for name in folders if "system" not in ALLOWED[name]} == {"hw"}
