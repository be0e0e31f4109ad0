"""The proved components, and the unit tests of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A component whose source is changed."""

    component: str
    module: str
    tests: tuple[str, ...]
    """Arguments of pytest that select its unit tests."""


def _target(component: str, module: str, test: str, only: str = "") -> Target:
    path = "/".join([*module.split(".")[:-1], f"test_{test}.py"])
    tests = (f"tests/hw/{path}", *(["-k", only] if only else []))
    return Target(component=component, module=f"gscn.hw.{module}", tests=tests)


TARGETS = {
    target.component: target
    for target in (
        _target("StreamFIFO", "fifo", "fifo"),
        _target("Sums", "pe.sums", "sums"),
        _target("RangeLookup", "pe.ranges", "ranges"),
        _target("RingWalker", "pe.ring", "ring"),
        _target("RoundRobin", "port.arbiter", "arbiter", "round_robin"),
        _target("ReadArbiter", "port.arbiter", "arbiter", "not round_robin"),
        _target("WriteArbiter", "port.arbiter", "arbiter_writes"),
        _target("WriteMerger", "port.write_merger", "write_merger"),
        _target("LineGatherer", "encode.line_gatherer", "outputs"),
        _target("LineWriter", "encode.line_writer", "outputs"),
        _target("DenseWriter", "encode.dense_writer", "outputs"),
        _target("IntegerWriter", "encode.integer_writer", "outputs"),
        _target("StripWriter", "encode.strip_writer", "outputs"),
        _target("Outputs", "encode.outputs", "outputs"),
        _target("EncodeFront", "encode.front", "front"),
        # its own tests run in Verilator, where a changed source is not seen
        Target(
            component="EncodeUnit",
            module="gscn.hw.encode.unit",
            tests=("tests/hw/test_docstrings.py", "-k", "EncodeUnit"),
        ),
        _target("ListQueue", "core.list_queue", "list_sequencer"),
        _target("ListSequencer", "core.list_sequencer", "list_sequencer"),
        _target("PassSequencer", "core.pass_sequencer", "pass_sequencer"),
        _target("Cutter", "core.cutter", "cutter"),
        _target("MarkJoiner", "cluster.marks", "marks"),
        _target("TileWalk", "cluster.walk", "summing"),
        _target("StripWalker", "cluster.strip_walk", "strip_walk"),
        _target("WindowLoader", "cluster.window", "window"),
        _target("TableReader", "cluster.offsets", "offsets"),
        _target("SummingDrain", "cluster.summing", "summing"),
        _target("Results", "cluster.results", "summing"),
        _target("PieceReader", "port.pieces", "pieces"),
        _target("ResultWriter", "cluster.result_writer", "result_writer"),
        _target("AxiManager", "host.axi", "axi"),
        _target("RegisterFile", "host.axil", "axil"),
        _target("Control", "host.control", "control"),
    )
}
