"""Whole layers of a network behind DRAM, on a cycle model that has it.

`python -m benchmarks.dram forward 64x256x1 --buffer 1024` runs the forward passes of ResNet-50,
SWAT 90 %, batch 32, of the layers with 64 input and 256 output channels and 1x1 kernels, each of
its shape once: cycles, those of the multipliers and of DRAM for what it moves, and what the driver
expected. `gscn estimate --dram` takes the longer of the array's cycles, of samples, and DRAM's, by
the driver's closed form: this is what both stand for. A pass takes some ten seconds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

import numpy as np

from benchmarks.markdown import table
from gscn.array import ArrayConfig, array
from gscn.conv import Pass
from gscn.cycles.passes import simulate_passes
from gscn.dram import Dram
from gscn.lowering.pass_image import lower_pass
from gscn.outputs import OutputFormat
from gscn.perf.estimate.buffer import owners_of, replay
from gscn.perf.estimate.sampling import Sample, draw_operands
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import Method, Sparsification
from gscn.perf.workload.statistics import kinds_of
from gscn.perf.workload.work import Work, pass_work, passes

SWAT = Sparsification(method=Method.SWAT, sparsity=0.9)
HEAD = (
    "pass", "layer", "million cycles", "expected", "multipliers", "DRAM", "DRAM, all once",
    "read per operand byte",
)  # fmt: skip


def works(name: str, batch: int, sparsification: Sparsification = SWAT) -> list[Work]:
    """Return the different convolutions of a training step of a network."""
    layers = network(name, image_size=224, batch=batch).layers
    every = (
        work
        for layer in layers
        for which in passes(layer)
        for work in pass_work(layer, which, sparsification)
    )
    return list(dict.fromkeys(every))


def label(work: Work) -> str:
    """Return the channels and the kernel of a convolution."""
    shape = work.shape
    return f"{shape.c}x{shape.k}x{shape.r}"


def compute(
    config: ArrayConfig, chosen: Iterable[Work], dram: Dram, *, prunes: bool = True
) -> list[dict[str, object]]:
    """Run whole convolutions, with operands drawn like real ones, behind a DRAM."""
    rows = []
    for work in chosen:
        sample = Sample(
            shape=work.shape,
            which=work.which,
            first_density=work.first_density,
            second_density=work.second_density,
            kinds=kinds_of(work, prunes=prunes),
        )
        first, second = (one.astype(np.int64) for one in draw_operands(sample, seed=0))
        image = lower_pass(
            config, work.shape, work.which, first, 2 * second, OutputFormat(width=16, shift=0),
            dram=dram,
        )  # fmt: skip
        result = simulate_passes(
            config, image.image, image.descriptors_addr, image.descriptor_count,
            image.memory_bytes, bursts=True, dram=dram,
        )  # fmt: skip
        read = replay(config, result.bursts, owners_of(image, result.bursts), dram.buffer_bytes)
        written = result.write_beats * config.mem_bytes
        rows.append(
            {
                "pass": str(work.which),
                "layer": f"{label(work)}, {work.shape.h}x{work.shape.w}",
                "cycles": result.cycles,
                "expected": image.plan.cycles,
                "multipliers": image.useful_products / config.multipliers,
                "dram": dram.cycles(read.total + written),
                "once": dram.cycles(image.operand_bytes + written),
                "reads": read.total / image.operand_bytes,
            }
        )
    return rows


def render(rows: Sequence[dict]) -> str:
    """Return the measurements as Markdown."""
    lines = [
        (
            row["pass"],
            row["layer"],
            *(
                f"{row[name] / 1e6:.2f}"
                for name in ("cycles", "expected", "multipliers", "dram", "once")
            ),
            f"{row['reads']:.2f}",
        )
        for row in rows
    ]
    return table(HEAD, lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of the layers asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", choices=[str(which) for which in Pass])
    parser.add_argument("layers", nargs="*", help="as 64x256x1; default: all but the first")
    parser.add_argument("--network", default="resnet50")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=5.46, help="bytes per cycle of DRAM")
    parser.add_argument("--buffer", type=int, default=1024, help="KiB")
    options = parser.parse_args(arguments)
    chosen = [
        work
        for work in works(options.network, options.batch)
        if str(work.which) == options.which
        and (label(work) in options.layers if options.layers else work.shape.c > 3)
    ]
    dram = Dram(bytes_per_cycle=options.rate, buffer_bytes=options.buffer << 10)
    print(render(compute(array("large"), chosen, dram)))


if __name__ == "__main__":
    main()
