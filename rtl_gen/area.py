"""Area and clock of configurations, component by component."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from gscn.array import ArrayConfig
from gscn.errors import InputError
from gscn.hw.cluster.worker_cluster import WorkerCluster
from gscn.hw.pe.worker import Worker
from gscn.port import port_names
from gscn.rtl_gen.array_verilog import TOP_MODULE, array_verilog
from gscn.rtl_gen.memories import Memory, MemoryGroup
from gscn.rtl_gen.place import Placement, place
from gscn.rtl_gen.synthesis import Counts, Netlist, cell_delay, synthesize
from gscn.rtl_gen.verilog import to_verilog

COMPONENTS = {
    "PE": "gscn_worker",
    "PE: Lookup": "gscn_worker.lookup",
    "PE: Walker": "gscn_worker.walker",
    "PE: Accumulator": "gscn_worker.accumulators",
    "PE: StreamFIFO of words": "gscn_worker.words",
    "TableReader": "gscn_cluster.input.tables",
    "PieceReader, load": "gscn_cluster.input.load_reader",
    "PieceReader, stream": "gscn_cluster.input.stream_reader",
    "VectorExpander, load": "gscn_cluster.input.load_expander",
    "VectorExpander, stream": "gscn_cluster.input.stream_expander",
    "WindowLoader": "gscn_cluster.input.window",
    "Streamer": "gscn_cluster.input.streamer",
    "Dealer": "gscn_cluster.input.dealer",
    "ClusterInput": "gscn_cluster.input",
    "SummingDrain": "gscn_cluster.drain",
    "Results": "gscn_cluster.results",
    "ResultWriter": "gscn_cluster.writer",
    "Cluster": "gscn_cluster",
    "PassSequencer": f"{TOP_MODULE}.sequencer",
    "Cutter": f"{TOP_MODULE}.cutter",
    "ReadArbiter": f"{TOP_MODULE}.reads",
    "WriteArbiter": f"{TOP_MODULE}.writes",
    "Array": TOP_MODULE,
}
"""Rows of a report: name to module of the array's Verilog."""
FLOAT_COMPONENTS = {"PE: FloatProduct": "gscn_worker.walker.product"}
"""The same of an array with float formats besides; part of the Walker."""

CLUSTER_WITHOUT_PES = "Cluster without PEs"
_ONCE = ("Array", "PassSequencer", "Cutter")
_PER_PORT = ("ReadArbiter", "WriteArbiter")
_NUMBERED = re.compile(r"\$\d+")  # what the converter adds where a signal has the same name
CLOCKED = {"PE": Worker, "Cluster": WorkerCluster}
"""Components whose clock is measured, each flattened and on its own."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """Speed of one component, flattened."""

    component: str
    cell_delay_ns: float | None
    """Longest delay between registers in standard cells; None without a liberty."""
    placement: Placement | None
    """On the ECP5; None if not asked for or too large."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AreaReport:
    """Area and clock of one configuration."""

    name: str
    config: ArrayConfig
    components: dict[str, Counts]
    """Row name to counts of one instance, what it contains included."""
    clocks: tuple[Clock, ...]
    memories: tuple[MemoryGroup, ...] = ()
    """All of the array; none if they were not looked at."""

    def to_dict(self) -> dict[str, object]:
        """Return the report as plain JSON values."""
        return {
            "name": self.name,
            "config": self.config.to_dict(),
            "config_digest": self.config.digest(),
            "components": {
                name: dataclasses.asdict(counts) for name, counts in self.components.items()
            },
            "clocks": [dataclasses.asdict(clock) for clock in self.clocks],
            "memories": [dataclasses.asdict(group) for group in self.memories],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AreaReport:
        """Return the report that `to_dict` made these of."""
        return cls(
            name=values["name"],
            config=ArrayConfig.from_dict(values["config"]),
            components={name: Counts(**counts) for name, counts in values["components"].items()},
            clocks=tuple(
                Clock(
                    component=clock["component"],
                    cell_delay_ns=clock["cell_delay_ns"],
                    placement=placement_of(clock["placement"]),
                )
                for clock in values["clocks"]
            ),
            memories=tuple(
                MemoryGroup(**(group | {"memory": Memory(**group["memory"])}))
                for group in values.get("memories", ())
            ),
        )


def placement_of(values: dict[str, Any] | None) -> Placement | None:
    """Return a placement from its fields, None if there was none."""
    return None if values is None else Placement(**values)


def instances(config: ArrayConfig, row: str) -> int:
    """Return how many of a component an array has.

    Parameters
    ----------
    config
        Sizes of the array.
    row
        A row of a report: a key of `COMPONENTS`, `CLUSTER_WITHOUT_PES`, or a part of the PE, whose
        name begins with "PE".

    Raises
    ------
    InputError
        There is no such row.
    """
    if row not in COMPONENTS and row != CLUSTER_WITHOUT_PES and not row.startswith("PE: "):
        raise InputError(f"row must be a component of a report, not {row!r}")
    if row in _ONCE:
        return 1
    if row in _PER_PORT:
        return config.ports
    if row == "PE" or row.startswith("PE: "):
        return config.multipliers
    return config.clusters


def subtract(whole: Counts, part: Counts, times: int) -> Counts:
    """Return what is left of a module without some of the modules in it.

    Parameters
    ----------
    whole
        Counts of the module.
    part
        Counts of one module in it.
    times
        How many of them.
    """
    left = {}
    for field in dataclasses.fields(Counts):
        of_whole, of_part = getattr(whole, field.name), getattr(part, field.name)
        if of_whole is None or of_part is None:
            left[field.name] = None
        else:
            left[field.name] = of_whole - times * of_part
    return Counts(**left)


def component_counts(config: ArrayConfig, netlist: Netlist) -> dict[str, Counts]:
    """Return the rows of a report.

    Parameters
    ----------
    config
        Sizes of the array.
    netlist
        The array, synthesised.
    """
    modules = {_NUMBERED.sub("", name): counts for name, counts in netlist.modules.items()}
    first = port_names("reads", config.ports)[0], port_names("writes", config.ports)[0]
    own = dict(zip(_PER_PORT, (f"{TOP_MODULE}.{name}" for name in first), strict=True))
    rows = {}
    for name, module in (COMPONENTS | (FLOAT_COMPONENTS if config.floats else {})).items():
        rows[name] = modules[own.get(name, module)]
        if name == "Cluster":
            rows[CLUSTER_WITHOUT_PES] = subtract(rows[name], rows["PE"], config.pes)
    return rows


def measure_clock(
    component: wiring.Component, name: str, *, liberty: Path | None, place_and_route: bool
) -> Clock:
    """Return the speed of a component on its own.

    Parameters
    ----------
    component
        The component, not elaborated yet.
    name
        Its name in the report.
    liberty
        Standard cells; None to leave them out.
    place_and_route
        Place it on the ECP5.

    Raises
    ------
    InputError
        A tool or the liberty is missing.
    """
    text = to_verilog(lambda: component, TOP_MODULE).text
    return Clock(
        component=name,
        cell_delay_ns=None if liberty is None else cell_delay(text, TOP_MODULE, liberty),
        placement=place(text, TOP_MODULE) if place_and_route else None,
    )


def measure_area(
    name: str,
    config: ArrayConfig,
    *,
    liberty: Path | None = None,
    ecp5: bool = False,
    clocks: Collection[str] = (),
) -> AreaReport:
    """Synthesise the array of a configuration and report its components.

    Parameters
    ----------
    name
        Name of the configuration in the report.
    config
        Sizes of the array.
    liberty
        Standard cells; None to leave them out.
    ecp5
        Map to ECP5 resources, and place what `clocks` names.
    clocks
        Keys of `CLOCKED`: components whose clock is measured.

    Raises
    ------
    InputError
        A tool or the liberty is missing.
    """
    logger.info("%s: synthesis", name)
    text = array_verilog(config).text
    netlist = synthesize(text, TOP_MODULE, liberty=liberty, ecp5=ecp5)
    measured = []
    for component in clocks:
        logger.info("%s: clock of the %s", name, component)
        measured.append(
            measure_clock(
                CLOCKED[component](config=config),
                component,
                liberty=liberty,
                place_and_route=ecp5,
            )
        )
    return AreaReport(
        name=name,
        config=config,
        components=component_counts(config, netlist),
        clocks=tuple(measured),
        memories=netlist.memories,
    )
