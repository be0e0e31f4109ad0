"""The trace-driven mode: cycles of a recorded training step, every pass as it was computed."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.dram import Dram
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.golden.traces.trace import Trace
from gscn.perf.estimate.buffer import Reads
from gscn.perf.estimate.energy import Accesses
from gscn.perf.estimate.pass_cost import Measurement, measure_operands
from gscn.perf.workload.statistics import nonzeros
from gscn.system.reading import parse_json, read_text

_MOST_CACHE_BYTES = 64 << 20
logger = logging.getLogger(__name__)


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedPass:
    """One pass of one layer of a trace, on the cycle model."""

    layer: str
    which: Pass
    shape: ConvShape
    first_density: float
    """Share of nonzeros in the first operand, as recorded; `second_density` likewise."""
    second_density: float
    measurement: Measurement


@takes_text
def measure_pass(
    trace: Trace,
    layer: str,
    which: Pass,
    config: ArrayConfig,
    *,
    rivals: Iterable[str] = (),
    dram: Dram | None = None,
) -> RecordedPass:
    """Run one recorded pass on the cycle model, the whole of it.

    Parameters
    ----------
    trace, layer, which
        The pass.
    config
        The accelerator.
    rivals
        As in `perf.estimate.pass_cost.measure_operands`.
    dram
        Behind the ports: the driver knows it, and what it delivers is counted; None: it is no
        limit.

    Raises
    ------
    InputError
        The trace lacks the pass, or its operands leave no product.
    """
    shape = trace.entry(layer).shape
    first, second = nonzeros(trace, layer, which)
    return RecordedPass(
        layer=layer,
        which=which,
        shape=shape,
        first_density=float(first.mean()),
        second_density=float(second.mean()),
        measurement=measure_operands(
            config, shape, which, first, second, rivals=rivals, dram=dram, behind=True
        ),
    )


def measure_recorded(
    trace: Trace,
    config: ArrayConfig,
    *,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    dram: Dram | None = None,
) -> list[RecordedPass]:
    """Run every recorded pass on the cycle model.

    Parameters
    ----------
    trace
        The training step.
    config
        The accelerator.
    cache
        File of results, one JSON object per line: passes found in it, of the same data and
        configuration, are not measured again; others are added.
    progress
        Called with (passes done, passes).
    dram
        As of `measure_pass`.
    """
    known = _read(cache)
    items = [(name, which) for name, entry in trace.entries.items() for which in entry.densities]
    results = []
    for done, (name, which) in enumerate(items, 1):
        key = f"{trace.entry(name).sha256}/{which}/{config.digest()}"
        if dram is not None:
            key += f"/{dram.bytes_per_cycle:g}/{dram.buffer_bytes}"
        if key in known:
            result = _from_json(known[key])
        else:
            result = measure_pass(trace, name, which, config, dram=dram)
            if cache is not None:
                with cache.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": key, **_to_json(result)}) + "\n")
        logger.info("%s %s: %.3f", name, which, result.measurement.utilization)
        results.append(result)
        if progress is not None:
            progress(done, len(items))
    return results


def read_recorded(path: Path) -> list[RecordedPass]:
    """Return the results of a file that `measure_recorded` wrote.

    Raises
    ------
    InputError
        The file is missing or is none of these.
    """
    if not path.exists():
        raise InputError(f"{path} must be a file of recorded passes; there is none")
    return [_from_json(row) for row in _read(path).values()]


def _read(cache: Path | None) -> dict[str, dict]:
    if cache is None or not cache.exists():
        return {}
    lines = read_text(cache, "file of recorded passes", most_bytes=_MOST_CACHE_BYTES).splitlines()
    try:
        rows = [parse_json(line.encode(), f"{cache}") for line in lines]
        known = {row["key"]: row for row in rows}
        for row in rows:
            _from_json(row)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{cache} must hold one JSON object with a key per line") from error
    return known


def _to_json(result: RecordedPass) -> dict[str, object]:
    return dataclasses.asdict(result)


def _from_json(row: dict) -> RecordedPass:
    shape = {k: tuple(v) if isinstance(v, list) else v for k, v in row["shape"].items()}
    measured = dict(row["measurement"])
    if measured.get("accesses") is not None:
        measured["accesses"] = Accesses(**measured["accesses"])
    reads = measured.get("dram_reads") or {}
    measured["dram_reads"] = {int(size): Reads(**one) for size, one in reads.items()}
    return RecordedPass(
        layer=row["layer"],
        which=Pass(row["which"]),
        shape=ConvShape(**shape),
        first_density=row["first_density"],
        second_density=row["second_density"],
        measurement=Measurement(**measured),
    )
