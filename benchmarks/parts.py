"""A stretch of a list of gradients in parts, on a cycle model that has the DRAM and its buffer.

`python -m benchmarks.parts --first 480 --count 24` runs 24 passes of the list that
`gscn estimate --ahead` makes for ResNet-50, SWAT 90 %, batch 32, from pass 480 on: cycles by the
cycle model and by the estimate, behind a buffer that works ahead and behind one as large that does
not. Operands are drawn like real ones. Passes have operands of their own, so that none finds in the
buffer what another one of the stretch has read.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from benchmarks.dram import SWAT, join
from benchmarks.markdown import table
from gscn.array import ArrayConfig, array
from gscn.cycles.passes import simulate_passes
from gscn.dram import Dram
from gscn.lowering.pass_image import PassImage, lower_pass
from gscn.outputs import OutputFormat
from gscn.perf.estimate.in_parts import Part, in_parts, run_parts
from gscn.perf.estimate.result import Mode
from gscn.perf.estimate.sampling import Sample, draw_operands
from gscn.perf.estimate.training_step import estimate
from gscn.perf.workload.networks import network
from gscn.perf.workload.statistics import operand_kinds
from gscn.perf.workload.work import Work

HEAD = ("buffer", "cycle model", "estimate", "array alone", "DRAM alone")


def lowered(config: ArrayConfig, work: Work, dram: Dram, seed: int) -> PassImage:
    """Return a convolution in memory, with operands drawn like real ones."""
    sample = Sample(
        shape=work.shape,
        which=work.which,
        first_density=work.first_density,
        second_density=work.second_density,
        kinds=operand_kinds(work.which, prunes=True),
    )
    first, second = (one.astype(np.int64) for one in draw_operands(sample, seed=seed))
    return lower_pass(
        config, work.shape, work.which, first, 2 * second, OutputFormat(width=16, shift=0),
        dram=dram,
    )  # fmt: skip


def compute(config: ArrayConfig, parts: Sequence[Part], dram: Dram) -> list[dict[str, object]]:
    """Run parts one after the other, behind a DRAM that works ahead and one that does not."""
    works = [work for part in parts for work in part.works]
    rows = []
    for ahead in (0, dram.ahead_bytes):
        behind = Dram(
            bytes_per_cycle=dram.bytes_per_cycle, buffer_bytes=dram.buffer_bytes, ahead_bytes=ahead
        )
        images = [lowered(config, work, behind, seed) for seed, work in enumerate(works)]
        result = simulate_passes(config, *join(images), dram=behind)
        alone = [max(part.cost.array, part.cost.dram) for part in parts]
        rows.append(
            {
                "buffer": f"{ahead >> 10} KiB ahead" if ahead else "nothing ahead",
                "cycles": result.cycles + result.behind_cycles,
                "expected": run_parts(parts, dram.cycles(ahead)) if ahead else sum(alone),
                "array": sum(part.cost.array for part in parts),
                "dram": sum(part.cost.dram for part in parts),
            }
        )
    return rows


def render(rows: Sequence[dict]) -> str:
    """Return the measurements as Markdown, million cycles."""
    return table(
        HEAD,
        [(row["buffer"], *(f"{row[name] / 1e6:.2f}" for name in list(row)[1:])) for row in rows],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of the stretch asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="resnet50")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=5.46, help="bytes per cycle of DRAM")
    parser.add_argument("--buffer", type=int, default=1024, help="KiB")
    parser.add_argument("--ahead", type=int, default=896, help="KiB of it")
    parser.add_argument("--first", type=int, default=0, help="pass of the list, from 0")
    parser.add_argument("--count", type=int, default=16)
    options = parser.parse_args(arguments)
    config, ahead_bytes = array("large"), options.ahead << 10
    dram = Dram(
        bytes_per_cycle=options.rate, buffer_bytes=options.buffer << 10, ahead_bytes=ahead_bytes
    )
    net = network(options.network, image_size=224, batch=options.batch)
    plain = Dram(bytes_per_cycle=options.rate, buffer_bytes=options.buffer << 10)
    step = in_parts(estimate(net, config, SWAT, mode=Mode.ANALYTIC, dram=plain), ahead_bytes)
    parts = step.parts[options.first :][: options.count]
    print(", ".join(f"{part.layer} {part.which}" for part in parts))
    print(render(compute(config, parts, dram)))


if __name__ == "__main__":
    main()
