"""Every pass of consecutive iterations: cycles, bounds and bytes by the cycle model, some in RTL.

`python -m benchmarks.consecutive [ITERATION ...]` measures what is missing of the iterations of
`benchmarks.tracing` by the cycle model, on all processors or `--processes`, and says what they come
to; `--rtl` runs iterations whose operands are kept on the generated Verilog instead. Measured
passes are kept in a file whose name has the digest of all that their figures follow from.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import masks, tracing
from benchmarks.rtl import CONFIG, LATENCY, measure, model_row
from gscn.array import ArrayConfig, array
from gscn.conv import ConvShape, Pass
from gscn.cosim.layer import PassInput, traced_inputs
from gscn.cycles.passes import simulate_passes
from gscn.formats import IntFormat
from gscn.lowering.layouts import Grouping, spread
from gscn.lowering.pass_image import lower_pass
from gscn.lowering.plan import plan_pass
from gscn.outputs import OutputFormat
from gscn.passes import VECTOR
from gscn.perf.estimate.buffer import BUFFERS, dram_reads
from gscn.strips import encode
from gscn.system.sources import source_digest

MODEL_ROOMS = ("gscn", "lowering", "cycles", "perf")
RTL_ROOMS = (*MODEL_ROOMS, "hw", "rtl_gen", "cosim")
_UNRELATED = ("perf/report/", "perf/rivals/", "perf/workload/")
Row = dict[str, Any]

logger = logging.getLogger(__name__)


@functools.cache
def rows_path(
    folder: Path, name: str = "model", *, rtl: bool = False, own: tuple[Path, ...] = ()
) -> Path:
    """Return a file of measured passes: another one whenever sources or operands change.

    Parameters
    ----------
    folder
        Of the masks.
    name
        What is measured.
    rtl
        Whether sources of the hardware count.
    own
        Further files that count.
    """
    sources = source_digest(RTL_ROOMS if rtl else MODEL_ROOMS, without=_UNRELATED)
    state = hashlib.sha256(f"{sources} {array(CONFIG).digest()} {LATENCY}".encode())
    files = (Path(__file__), Path(__file__).with_name("rtl.py"), folder / tracing.DENSITIES)
    for path in (*files, *own):
        state.update(path.read_bytes())
    key = state.hexdigest()[:16]
    return folder / f"{name}-{key}.jsonl"


def compressed_bytes(one: PassInput, fmt: IntFormat) -> int:
    """Return the bytes of both operands' strips, each operand once and in one piece, untabled.

    Groups are of one vector of channels: results' channels of weights, channels of maps. Rows and
    columns of inputs that no result has, with a stride beyond the kernel, are left out.
    """
    # weights of a forward pass: filters are the lanes, else channels are
    first = (1, 2, 3, 0) if one.which is Pass.FORWARD else (0, 2, 3, 1)
    second = one.second
    if one.which is not Pass.INPUT_GRAD:
        rows, cols = used(one.shape)
        second = second[:, :, rows[:, None], cols]
    total = 0
    for operand, axes in ((one.first, first), (second, (0, 2, 3, 1))):
        ordered = operand.astype(f"<i{fmt.width // 8}").transpose(axes)
        groups = spread(ordered, Grouping(ordered.shape[-1], VECTOR, 0))
        codes = groups.reshape(groups.shape[0], -1, VECTOR)
        total += 2 * encode(codes, np.array([0, codes.shape[1]]), fmt).halfwords
    return total


def used(shape: ConvShape) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and the columns of an input that some result has, ascending."""
    found = []
    sizes = ((shape.p, shape.r, shape.h), (shape.q, shape.s, shape.w))
    for axis, (results, taps, size) in enumerate(sizes):
        places = (
            np.arange(results)[:, None] * shape.stride[axis]
            + np.arange(taps) * shape.dilation[axis]
            - shape.padding[axis]
        )
        found.append(np.unique(places[(places >= 0) & (places < size)]))
    return found[0], found[1]


def model_pass(config: ArrayConfig, one: PassInput, *, latency: int = LATENCY) -> Row:
    """Return the row of a pass by the cycle model, with its bytes.

    `read_bytes` are those that the ports read, and DRAM behind buffers, by capacity;
    `operand_bytes` those of the image without its list, `compressed_bytes` those of its operands.
    `first_plan` says whether the plan is the one by densities alone, at the least caution.
    """
    start = time.perf_counter()
    out = OutputFormat(width=16, shift=0)
    image = lower_pass(config, one.shape, one.which, one.first, one.second, out)
    model = simulate_passes(
        config, image.image, image.descriptors_addr, image.descriptor_count, image.memory_bytes,
        latency=latency, bursts=True,
    )  # fmt: skip
    first_plan = plan_pass(
        config, one.shape, one.which, tuple(densities(one)), out_bytes=out.width // 8
    )
    reads = dram_reads(image, model.bursts, BUFFERS)
    return {
        **model_row(config, one, image, model),
        "densities": densities(one),
        "first_plan": image.plan == first_plan,
        "image_bytes": image.image.size,
        "operand_bytes": image.operand_bytes,
        "compressed_bytes": compressed_bytes(one, config.format),
        "read_bytes": {str(size): read.total for size, read in reads.items()},
        "seconds": time.perf_counter() - start,
    }


def densities(one: PassInput) -> list[float]:
    """Return the share of nonzeros of each operand."""
    return [np.count_nonzero(operand) / operand.size for operand in (one.first, one.second)]


def _model_job(job: tuple[Path, int, str, Pass]) -> Row:
    folder, iteration, layer, which = job
    one = masks.read(folder, iteration, layer, which)
    return {"iteration": iteration, **model_pass(array(CONFIG), one)}


def measure_model(
    iterations: Iterable[int], folder: Path = tracing.FOLDER, *, processes: int | None = None
) -> list[Row]:
    """Return the rows of all passes of iterations, in order; those that are kept are not run."""
    wanted = [
        (folder, iteration, layer, which)
        for iteration in iterations
        for layer, which in masks.passes_of(folder, iteration)
    ]
    path = rows_path(folder)
    found = {_key(row): row for row in tracing.load(path)}
    missing = [job for job in wanted if (*job[1:3], str(job[3])) not in found]
    if missing:
        with ProcessPoolExecutor(max_workers=processes or os.cpu_count()) as pool:
            for row in appended(path, pool.map(_model_job, missing)):
                found[_key(row)] = row
    return [found[iteration, layer, str(which)] for _, iteration, layer, which in wanted]


def measure_rtl(
    iterations: Iterable[int], folder: Path = tracing.FOLDER, *, layers: Sequence[str] = ()
) -> list[Row]:
    """Return the rows in RTL of iterations whose operands are kept, of all layers or of some.

    Raises
    ------
    MismatchError
        A result is not the oracle's, or a counter not the cycle model's.
    """
    path = rows_path(folder, "rtl", rtl=True)
    found = {_key(row): row for row in tracing.load(path)}
    config, wanted = array(CONFIG), []

    def missing() -> Iterator[Row]:
        for iteration in iterations:
            trace = tracing.recorded_trace(iteration, folder)
            for layer in layers or trace.layers:
                for which in trace.entries[layer].densities:
                    wanted.append((iteration, layer, str(which)))
                    if wanted[-1] in found:
                        continue
                    start = time.perf_counter()
                    (one,) = traced_inputs(trace, config, [layer], which)
                    (row,) = measure(config, [one])
                    yield {
                        "iteration": iteration,
                        **row,
                        "densities": densities(one),
                        "seconds": time.perf_counter() - start,
                    }

    for row in appended(path, missing()):
        found[_key(row)] = row
    return [found[key] for key in wanted]


def _key(row: Row) -> tuple[int, str, str]:
    return row["iteration"], row["layer"], row["pass"]


def appended(path: Path, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows, each as soon as it is kept: a run that is stopped goes on from there."""
    with path.open("a", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
            file.flush()
            logger.info("%d %s %s", *_key(row))
            yield row


def cycles(row: Row) -> int:
    """Return the cycles of a pass, in RTL if it ran there."""
    return row["model_cycles"] if row["cycles"] is None else row["cycles"]


def together(rows: Sequence[Row]) -> float:
    """Return useful products per multiplier-cycle of all passes, one after the other."""
    useful = sum(row["useful_products"] for row in rows)
    return useful / (array(CONFIG).multipliers * sum(map(cycles, rows)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print each iteration's utilisation and that of all together."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.consecutive", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("iterations", nargs="*", type=int, help="by default all; with --rtl, two")
    parser.add_argument("--rtl", action="store_true", help="on the generated Verilog")
    parser.add_argument("--layers", nargs="*", default=(), help="in RTL: only these")
    parser.add_argument("--processes", type=int, help="of the cycle model; by default all")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    tracing.record()
    if args.rtl:
        chosen = args.iterations or tracing.extremes(
            tracing.load(tracing.FOLDER / tracing.DENSITIES)
        )
        rows = measure_rtl(chosen, layers=args.layers)
    else:
        chosen = args.iterations or tracing.iterations()
        rows = measure_model(chosen, processes=args.processes)
    for iteration in chosen:
        own = [row for row in rows if row["iteration"] == iteration]
        sys.stdout.write(f"{iteration} {len(own)} passes {together(own):.4f}\n")
    sys.stdout.write(f"together {together(rows):.4f}, {sum(map(cycles, rows))} cycles\n")


if __name__ == "__main__":
    main()
