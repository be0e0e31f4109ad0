"""Passes of an estimated network, read from its JSON, with what the report derives from them.

A row (`perf.estimate.training_step.to_json`) is one network with one method, sparsity and mode.
Used of it:

======================  ============================================================================
`network` ... `mode`    which training step, and by which model
`config`                fields of the accelerator
`layers[]`              `name`, `linear`, `first`, `shape` (fields of `ConvShape`), `passes[]`
`passes[]`              `pass`, `cycles`, `dense_cycles`, `dense_bound`, `convolutions[]`,
                        `read_bytes`, `write_bytes`, `dram_read_bytes` (by the capacity of a
                        buffer), `rival_cycles` (by name)
`convolutions[]`        `batch`, `first_operand_density`, `second_operand_density`,
                        `expected_useful_products`, `cycles`; where a sample was run, `sample`
`sample`                `useful_products`; `accesses` (fields of `perf.estimate.energy.Accesses`)
                        and `causes` (PE-cycles by cause) of the sample
======================  ============================================================================

Accesses of a convolution are those of its sample, in proportion to the useful products, and causes
shares of its cycles. A convolution without a sample has the mean of those of its pass that have
one, weighted by useful products or cycles.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.perf.estimate import memory
from gscn.perf.estimate.memory import Traffic
from gscn.perf.report.data.cases import Row

BACKWARD = (Pass.INPUT_GRAD, Pass.WEIGHT_GRAD)
GROUPS: Mapping[str, tuple[Pass, ...]] = {
    "forward": (Pass.FORWARD,),
    "backward": BACKWARD,
    "training": tuple(Pass),
}
"""Passes that speed-ups are given for."""


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class PassRow:
    """One pass of one layer."""

    layer: str
    linear: bool
    first: bool
    which: Pass
    runs_as: Pass
    """The pass of `shape` that computes it: another one of a transposed layer."""
    shape: ConvShape
    cycles: float
    dense_cycles: float
    dense_bound: str
    useful_products: float
    """Expected products of two nonzeros, ReSprop's precomputed term included."""
    densities: tuple[float, float]
    """Of the operands of the pass itself, without a precomputed term."""
    compressed: Traffic
    """Operands once, compressed, and results once: what a large buffer leaves to DRAM."""
    smaller_bytes: float
    """Of the smaller compressed operand."""
    dram_reads: Mapping[int, float]
    """Bytes that DRAM delivers, by the capacity of a buffer."""
    ports: Traffic
    """Bytes at the ports, at least those of `compressed`."""
    rivals: Mapping[str, float]
    """Cycles of other accelerators, by name."""
    accesses: Mapping[str, float] | None
    """Fields of `perf.estimate.energy.Accesses`; None where no sample was run."""
    causes: Mapping[str, float] | None
    """PE-cycles by cause (`gscn.counters`); None likewise."""

    @property
    def speedup(self) -> float:
        """Cycles of the dense array over ours."""
        return self.dense_cycles / self.cycles

    @property
    def dense_traffic(self) -> Traffic:
        """Bytes of the dense array: operands once, results once."""
        return memory.dense_bytes(self.shape, self.runs_as)

    def utilization(self, config: ArrayConfig) -> float:
        """Return useful products per multiplier and cycle."""
        return self.useful_products / (config.multipliers * self.cycles)

    def bounds(self, config: ArrayConfig) -> dict[str, float]:
        """Return the cycles that multipliers and ports need by themselves."""
        return memory.bound_cycles(
            config.multipliers, self.useful_products, self.ports, memory.Bandwidth.of(config)
        )

    def bound(self, config: ArrayConfig) -> str:
        """Return which of them needs the most."""
        needed = self.bounds(config)
        return max(needed, key=needed.__getitem__)

    def dram_bytes(self, buffer_bytes: int) -> float:
        """Return the bytes of DRAM behind a buffer, one of those measured: reads and results."""
        return self.dram_reads[buffer_bytes] + self.ports.write_bytes


def config_of(row: Row) -> ArrayConfig:
    """Return the accelerator that a row is about."""
    return ArrayConfig.from_dict(dict(row["config"]))


def shape_of(fields: Mapping[str, object]) -> ConvShape:
    """Return the shape that JSON describes."""
    return ConvShape(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})


def _add(total: dict[str, float], part: Mapping[str, float], factor: float) -> None:
    for name, value in part.items():
        total[name] = total.get(name, 0.0) + factor * value


Rates = Mapping[str, Mapping[str, float]]
"""`accesses` per useful product, and `causes` as shares of the PE-cycles."""


def _rates(sample: Mapping) -> Rates | None:
    if not sample or sample.get("accesses") is None:
        return None
    pe_cycles = sum(sample["causes"].values())
    return {
        "accesses": {k: v / sample["useful_products"] for k, v in sample["accesses"].items()},
        "causes": {k: v / pe_cycles for k, v in sample["causes"].items()},
    }


def _mean_rates(row: Row, which: str) -> Rates | None:
    """Return the mean rates of the convolutions of a pass that have a sample."""
    totals: dict[str, dict[str, float]] = {"accesses": {}, "causes": {}}
    weights = {"accesses": 0.0, "causes": 0.0}
    for layer in row["layers"]:
        for fields in layer["passes"]:
            for work in fields["convolutions"] if fields["pass"] == which else ():
                rates = _rates(work.get("sample"))
                if rates is None:
                    continue
                for kind, weight in (
                    ("accesses", work["expected_useful_products"]),
                    ("causes", work["cycles"]),
                ):
                    weights[kind] += weight
                    _add(totals[kind], rates[kind], weight)
    if not weights["causes"]:
        return None
    return {
        kind: {name: value / weights[kind] for name, value in total.items()}
        for kind, total in totals.items()
    }


def pass_rows(row: Row) -> tuple[PassRow, ...]:
    """Return the passes of all layers of a row, in the network's order."""
    config = config_of(row)
    means = {str(which): _mean_rates(row, str(which)) for which in Pass}
    return tuple(
        _pass_row(layer, fields, means[fields["pass"]], config.multipliers)
        for layer in row["layers"]
        for fields in layer["passes"]
    )


def _pass_row(layer: Mapping, fields: Mapping, mean: Rates | None, multipliers: int) -> PassRow:
    which, shape = Pass(fields["pass"]), shape_of(layer["shape"])
    runs_as = Pass(fields.get("runs_as", which))
    works = fields["convolutions"]
    read = write = smaller = 0.0
    accesses: dict[str, float] = {}
    causes: dict[str, float] = {}
    for work in works:
        densities = (work["first_operand_density"], work["second_operand_density"])
        own = dataclasses.replace(shape, n=work["batch"])
        traffic = memory.compressed_bytes(own, runs_as, *densities)
        read, write = read + traffic.read_bytes, write + traffic.write_bytes
        smaller = max(smaller, min(memory.operand_bytes(own, runs_as, *densities)))
        rates = _rates(work.get("sample")) or mean
        if rates is not None:
            _add(accesses, rates["accesses"], work["expected_useful_products"])
            _add(causes, rates["causes"], work["cycles"] * multipliers)
    # The closed form that brings bytes to the size of a layer can say fewer than there are.
    ports = Traffic(
        read_bytes=max(fields["read_bytes"], read), write_bytes=max(fields["write_bytes"], write)
    )
    return PassRow(
        layer=layer["name"],
        linear=layer["linear"],
        first=layer["first"],
        which=which,
        runs_as=runs_as,
        shape=shape,
        cycles=fields["cycles"],
        dense_cycles=fields["dense_cycles"],
        dense_bound=fields["dense_bound"],
        useful_products=sum(work["expected_useful_products"] for work in works),
        densities=(works[0]["first_operand_density"], works[0]["second_operand_density"]),
        compressed=Traffic(read_bytes=read, write_bytes=write),
        smaller_bytes=smaller,
        dram_reads={
            int(size): max(moved, read) for size, moved in fields["dram_read_bytes"].items()
        },
        ports=ports,
        rivals=dict(fields.get("rival_cycles") or {}),
        accesses=_at_ports(accesses, ports),
        causes=causes or None,
    )


def _at_ports(accesses: dict[str, float], ports: Traffic) -> dict[str, float] | None:
    """Return accesses with the bytes that the estimate gives for the whole layer."""
    if not accesses:
        return None
    return accesses | {"read_bytes": ports.read_bytes, "write_bytes": ports.write_bytes}


@takes_text
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
