"""Passes of an estimated network, read from its JSON, with what the report derives from them.

A row (`perf.estimate.to_json`) is one network with one method, sparsity and mode. Used of it:

======================  ============================================================================
`network` ... `mode`    which training step, and by which model
`config`                fields of the accelerator
`layers[]`              `name`, `linear`, `first`, `shape` (fields of `ConvShape`), `passes[]`
`passes[]`              `pass`, `cycles`, `dense_cycles`, `dense_bound`, `convolutions[]`; of newer
                        estimates `read_bytes`, `write_bytes`, `bound`, `rivals` (cycles by name)
`convolutions[]`        `batch`, `first_operand_density`, `second_operand_density`,
                        `expected_useful_products`; where the model counts them, `accesses`
======================  ============================================================================
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape, Pass
from perf import memory
from perf.memory import Traffic
from perf.report.cases import Row

BACKWARD = (Pass.INPUT_GRAD, Pass.WEIGHT_GRAD)
GROUPS: Mapping[str, tuple[Pass, ...]] = {
    "forward": (Pass.FORWARD,),
    "backward": BACKWARD,
    "training": tuple(Pass),
}
"""Passes that speed-ups are given for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PassRow:
    """One pass of one layer."""

    layer: str
    linear: bool
    first: bool
    which: Pass
    shape: ConvShape
    cycles: float
    dense_cycles: float
    dense_bound: str
    useful_products: float
    """Expected products of two nonzeros, ReSprop's precomputed term included."""
    densities: tuple[float, float]
    """Of the operands of the pass itself, without a precomputed term."""
    compressed: Traffic
    """Operands once, compressed, and results once: what a large global buffer leaves to DRAM."""
    resident_bytes: float
    """Capacity of a buffer that suffices for that, in some order of the jobs."""
    ports: Traffic | None
    """Bytes at the ports; None where the model does not count them."""
    rivals: Mapping[str, float]
    """Cycles of other accelerators, by name."""
    accesses: Mapping[str, float] | None
    """Fields of `perf.energy.Accesses`; None where the model does not count them."""
    causes: Mapping[str, float] | None
    """PE-cycles by cause (`gscn.counters`); None likewise."""

    @property
    def speedup(self) -> float:
        """Cycles of the dense array over ours."""
        return self.dense_cycles / self.cycles

    @property
    def dense_traffic(self) -> Traffic:
        """Bytes of the dense array: operands once, results once."""
        return memory.dense_bytes(self.shape, self.which)

    def utilization(self, config: AcceleratorConfig) -> float:
        """Return useful products per multiplier and cycle."""
        return self.useful_products / (config.multipliers * self.cycles)

    def bounds(self, config: AcceleratorConfig) -> dict[str, float]:
        """Return the cycles that multipliers and ports need by themselves."""
        ports = self.ports or Traffic(read_bytes=0, write_bytes=0)
        return memory.bound_cycles(
            config.multipliers, self.useful_products, ports, memory.Bandwidth.of(config)
        )

    def bound(self, config: AcceleratorConfig) -> str:
        """Return which of them needs the most."""
        needed = self.bounds(config)
        return max(needed, key=needed.__getitem__)

    def dram_bytes(self, buffer_bytes: float) -> float:
        """Return the bytes of DRAM behind a global buffer: all of the ports', or each byte once."""
        ports = self.ports.total_bytes if self.ports is not None else self.compressed.total_bytes
        if self.resident_bytes > buffer_bytes:
            return ports
        return min(ports, self.compressed.total_bytes)


def config_of(row: Row) -> AcceleratorConfig:
    """Return the accelerator that a row is about."""
    return AcceleratorConfig.from_dict(dict(row["config"]))


def shape_of(fields: Mapping[str, object]) -> ConvShape:
    """Return the shape that JSON describes."""
    return ConvShape(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})


def _summed(parts: Iterable[Mapping[str, float] | None]) -> dict[str, float] | None:
    total: dict[str, float] = {}
    for part in parts:
        if part is None:
            return None
        for name, value in part.items():
            total[name] = total.get(name, 0.0) + value
    return total


def pass_rows(row: Row) -> tuple[PassRow, ...]:
    """Return the passes of all layers of a row, in the network's order."""
    return tuple(_pass_row(layer, fields) for layer in row["layers"] for fields in layer["passes"])


def _pass_row(layer: Mapping, fields: Mapping) -> PassRow:
    which, shape = Pass(fields["pass"]), shape_of(layer["shape"])
    works = fields["convolutions"]
    read = write = resident = 0.0
    for work in works:
        densities = work["first_operand_density"], work["second_operand_density"]
        own = dataclasses.replace(shape, n=work["batch"])
        traffic = memory.compressed_bytes(own, which, *densities)
        read, write = read + traffic.read_bytes, write + traffic.write_bytes
        resident = max(resident, memory.resident_bytes(own, which, *densities))
    ports = None
    if fields.get("read_bytes") is not None:
        ports = Traffic(read_bytes=fields["read_bytes"], write_bytes=fields["write_bytes"])
    return PassRow(
        layer=layer["name"],
        linear=layer["linear"],
        first=layer["first"],
        which=which,
        shape=shape,
        cycles=fields["cycles"],
        dense_cycles=fields["dense_cycles"],
        dense_bound=fields["dense_bound"],
        useful_products=sum(work["expected_useful_products"] for work in works),
        densities=(works[0]["first_operand_density"], works[0]["second_operand_density"]),
        compressed=Traffic(read_bytes=read, write_bytes=write),
        resident_bytes=resident,
        ports=ports,
        rivals=rival_cycles(fields),
        accesses=_summed(work.get("accesses") for work in works),
        causes=_summed(work.get("causes") for work in works),
    )


def rival_cycles(fields: Mapping) -> dict[str, float]:
    """Return the cycles of other accelerators of a pass, by name."""
    return {
        name: float(cost["cycles"] if isinstance(cost, Mapping) else cost)
        for name, cost in (fields.get("rivals") or {}).items()
    }


def speedup(
    passes: Iterable[PassRow], which: Iterable[Pass], *, over: str = "dense"
) -> float | None:
    """Return cycles of another accelerator over ours, for some passes; None if not computed.

    Parameters
    ----------
    passes
        Of one network.
    which
        The passes that count.
    over
        "dense", or the name of a rival.
    """
    wanted = set(which)
    chosen = [p for p in passes if p.which in wanted]
    if over == "dense":
        return sum(p.dense_cycles for p in chosen) / sum(p.cycles for p in chosen)
    if any(over not in p.rivals for p in chosen):
        return None
    return sum(p.rivals[over] for p in chosen) / sum(p.cycles for p in chosen)
