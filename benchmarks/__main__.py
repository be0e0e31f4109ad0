"""`python -m benchmarks`: compute everything, print tables, write `build/bench/report.json`."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from benchmarks import headline, layers, rtl
from gscn.cli.main import write_json
from gscn.cli.result import table
from gscn.conv import Pass
from perf.sampling import measure


def main() -> None:
    """Run the benchmarks that the options ask for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench/report.json"), metavar="FILE")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="put the headline table here")
    parser.add_argument("--processes", type=int, default=2, metavar="COUNT")
    args = parser.parse_args()

    measured = rtl.compute()
    header = ("pass", "cycles", "utilization", "simulated cycles/s")
    keys = ("pass", "cycles", "utilization", "simulated_cycles_per_second")
    sys.stdout.write(
        table(header, [[row[key] for key in keys] for row in measured], title="RTL") + "\n\n"
    )
    # The first run compiles the model, which is no part of its speed.
    name = next(iter(layers.LAYERS))
    layers.compute(name, Pass.FORWARD)
    single = [layers.compute(name, which) for name in layers.LAYERS for which in Pass]
    sys.stdout.write(
        table(list(single[0]), [list(row.values()) for row in single], title="Single layers")
        + "\n\n"
    )
    sizes = [layers.sample_size(products) for products in layers.SAMPLE_SIZES]
    sys.stdout.write(
        table(list(sizes[0]), [list(row.values()) for row in sizes], title="Size of samples")
        + "\n\n"
    )
    rows = [
        headline.compute(case, partial(measure, processes=args.processes))
        for case in headline.CASES
    ]
    text = "\n\n".join((rtl.render(measured), headline.render(rows)))
    sys.stdout.write(text + "\n")
    write_json(
        args.out, {"rtl": measured, "layers": single, "sample_sizes": sizes, "networks": rows}
    )
    if args.readme is not None:
        headline.replace_headline(args.readme, text)


if __name__ == "__main__":
    main()
