"""The pictures of docs/architecture.md are those of the code."""

from __future__ import annotations

import importlib
import inspect
import re

import numpy as np
import pytest
from amaranth.hdl import Fragment
from amaranth.hdl._ast import Assign, Switch

from gscn import records
from gscn.array import array
from gscn.config import preset
from gscn.conv import ConvShape, Pass
from gscn.hw.cluster.broadcast import Broadcaster
from gscn.hw.cluster.drain import Drainer
from gscn.hw.cluster.fetcher import Fetcher
from gscn.hw.cluster.filler import Filler
from gscn.hw.cluster.offsets import TableReader
from gscn.hw.cluster.streamer import Streamer
from gscn.hw.cluster.summing import SummingDrain
from gscn.hw.core.accelerator import Accelerator
from gscn.hw.core.array import Array
from gscn.hw.core.cutter import Cutter
from gscn.hw.core.pass_checker import PassChecker
from gscn.hw.fifo import StreamFIFO
from gscn.hw.host.top_axi import AcceleratorAxi
from gscn.hw.pe.accumulator import Accumulator
from gscn.hw.pe.float_rounding import FloatRounder
from gscn.hw.pe.lookup import Lookup
from gscn.hw.pe.pe import PE
from gscn.hw.pe.rounding import Rounder
from gscn.hw.pe.walker import Walker
from gscn.lowering import lower
from gscn.program import OutputFormat
from tests.test_structure import ALLOWED

CONFIG = preset("tiny")
ARRAY = array("tiny")
SIZES = {
    **{"count": 2, "most": 2, "width": 32, "shape": 8, "depth": 2, "values": 2, "skip": False},
    "config": None,
}
"""What components are made with here; only the names of their members matter."""
CORE_MACHINES = {
    "fetcher": Fetcher,
    "filler": Filler,
    "broadcaster": Broadcaster,
    "drainer": Drainer,
}
ARRAY_MACHINES = {
    "checker": PassChecker,
    "cutter": Cutter,
    "tables": TableReader,
    "streamer": Streamer,
    "summing": SummingDrain,
}
MACHINES = CORE_MACHINES | ARRAY_MACHINES
BLOCKS = ("core", "reading", "writing", "array", "array_reading", "array_writing")


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
    """Return the class that a node of the core or of a cluster stands for; None if it is none."""
    if len(label) < 2:
        return None
    module = importlib.import_module(f"gscn.{label[1]}")
    return getattr(module, re.match(r"\w+", label[0])[0])


def config_of(kind):
    """Return sizes for a component: of the core, or of the array that cuts its own jobs."""
    asked = inspect.signature(kind).parameters.get("config")
    return ARRAY if asked is not None and asked.annotation == "ArrayConfig" else CONFIG


def members(kind):
    """Return the names of a component's ports."""
    sizes = SIZES | {"config": config_of(kind)}
    names = [name for name in inspect.signature(kind).parameters if name in sizes]
    return set(kind(**{name: sizes[name] for name in names}).signature.members)


def test_every_picture_is_tested(text):
    assert re.findall(r"<!-- picture: (\w+) -->", text) == [
        *("core", "reading", "writing", "pe", *CORE_MACHINES),
        *("array", "array_reading", "array_writing", *ARRAY_MACHINES),
        *("memory", "hinge", "folders"),
    ]
    assert text.count("```mermaid") == 19


@pytest.mark.parametrize("name", BLOCKS)
def test_arrows_between_blocks_are_members_of_one_of_them(text, name):
    source = picture(text, name)
    kinds = {node: component(label) for node, label in nodes(source).items()}
    # Inside the core signals to memory, outside it those of the bus.
    around = members(Accelerator) | members(Array)
    around |= {name.split("_aw")[0] for name in members(AcceleratorAxi)}
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
    assert len(frames) == 11
    for module, name in frames:
        assert hasattr(importlib.import_module(f"gscn.{module}"), name)


def test_cycles_of_the_pe_are_those_of_its_parts(text):
    stages = {name: label[-1] for name, label in nodes(picture(text, "pe")).items() if label[1:]}
    assert stages == {
        "words": f"{StreamFIFO.LATENCY}",
        "lookup": f"{Lookup.LATENCY}",
        "fibers": f"{StreamFIFO.LATENCY}",
        "walker": f"{Walker.LATENCY}, {Walker.FLOAT_LATENCY}",
        "accumulator": f"{Accumulator.LATENCY}",
        "bank": f"{PE.DRAIN_CYCLES - Rounder.LATENCY}",
        "rounder": f"{Rounder.LATENCY}",
        "floats": f"{FloatRounder.LATENCY}",
    }


def test_the_table_of_cycles_adds_them_up(text):
    table = text.split("<!-- table: pe -->\n")[1].split("\n\n")[0].splitlines()[2:]
    integers, floats = zip(
        *(map(int, row.split("|")[1:3]) for row in table), strict=True
    )  # fmt: skip
    steps = (0, StreamFIFO.LATENCY, Lookup.LATENCY, StreamFIFO.LATENCY)
    behind = (Walker.LATENCY, Accumulator.LATENCY)
    assert integers == tuple(np.cumsum([*steps, *behind]))
    assert floats == tuple(np.cumsum([*steps, Walker.FLOAT_LATENCY, Accumulator.LATENCY]))
    assert integers[-1] == PE.WORD_TO_SUM_CYCLES
    assert floats[-1] == PE.WORD_TO_SUM_CYCLES + PE.FLOAT_PRODUCT_CYCLES
    drains = re.search(r"DRAIN_CYCLES`, (\d+) cycles, or (\d+) with float formats", text)
    assert (int(drains[1]), int(drains[2])) == (
        PE.DRAIN_CYCLES,
        PE.DRAIN_CYCLES + PE.FLOAT_DRAIN_CYCLES,
    )


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
    drawn = re.findall(r"^ *(\S+) --> (\w+)(?:: .+)?$", picture(text, name), re.MULTILINE)
    first, changes = machine(MACHINES[name](config=config_of(MACHINES[name])))
    assert {edge for edge in drawn if edge[0] != "[*]"} == changes
    assert [edge for edge in drawn if edge[0] == "[*]"] == [("[*]", first)]


def test_no_other_component_has_a_state_machine(repository):
    sources = {
        path.stem
        for path in (repository / "hw").rglob("*.py")
        if re.search(r"\bm\.FSM\(", path.read_text(encoding="utf-8"))
    }
    assert sources == {kind.__module__.rpartition(".")[2] for kind in MACHINES.values()}


def test_records_and_fields_of_the_memory_map_exist(text):
    source = picture(text, "memory")
    names = set(re.findall(r"\b[A-Z]+_?[A-Z]{3,}\b|\bTAP\b", source))
    assert names >= {"QUEUE_ENTRY", "TAP", "STREAM_ITEM", "PARTIAL"}
    assert {name for name in names if not hasattr(records, name)} == set()
    known = {field.name for record in records.RECORDS for field in record.fields}
    drawn = {name for _, labels, _ in edges(source) for name in labels}
    assert drawn == {
        "queue_addr", "out_addr", "out_end", "segment_addr", "load_addr", "stream_addr",
    }  # fmt: skip
    assert drawn <= known


def test_a_program_lies_in_memory_as_drawn():
    shape = ConvShape(n=2, c=16, h=6, w=6, k=16, r=3, s=3, padding=(1, 1))
    rng = np.random.default_rng(0)
    first, second = (rng.integers(1, 100, size) for size in shape.operand_shapes(Pass.WEIGHT_GRAD))
    program = lower(CONFIG, shape, Pass.WEIGHT_GRAD, first, second, OutputFormat())
    blocks, others, ends = [], [], []
    for phase in program.phases:
        entries = records.queue_entries(program.image, phase.queue_addr, phase.job_count)
        for entry in entries:
            segments = records.segment_descriptors(program.image, entry)
            blocks += [int(a) for a in segments["load_addr"]]
            blocks += [int(a) for a in segments["stream_addr"][segments["kind"] == 0]]
            others += [int(entry["job"]["segment_addr"])] * (len(segments) > 1)
        assert max(blocks) < min(others) <= phase.queue_addr
        ends.append(phase.queue_addr + phase.job_count * records.QUEUE_ENTRY.itemsize)
        assert (phase.out_addr, phase.out_end) == (program.image.size, program.memory_bytes)
    assert others
    assert max(ends) <= program.phases_addr
    assert min(blocks) == 0
    size = records.PHASE_DESCRIPTOR.width // 8
    end = program.phases_addr + len(program.phases) * size
    assert not program.image[end:].any()
    assert program.image.size - end >= size
    assert min(start for start, _ in program.output_ranges) == program.image.size


def test_arrows_between_folders_are_those_of_the_floor_plan(text):
    drawn = {(start, end) for start, _, end in edges(picture(text, "folders"))}
    folders = set(nodes(picture(text, "folders")))
    assert folders == set(ALLOWED) - {"gscn.errors", "gscn", "system", "command", "benchmarks"}
    assert drawn == {(folder, other) for folder in folders for other in ALLOWED[folder] & folders}
    rest = folders - {"formal"}
    assert ALLOWED["command"] >= rest - {"hw"}
    assert not ALLOWED["command"] & {"hw", "formal"}
    assert ALLOWED["benchmarks"] >= {*rest, "command"}
    assert "formal" not in ALLOWED["benchmarks"]
    assert {name for name in ALLOWED if "gscn" in ALLOWED[name]} == {
        *folders,
        "command",
        "benchmarks",
    }
    assert {name for name in folders if "system" not in ALLOWED[name]} == {"hw"}
