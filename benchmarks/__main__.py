"""`python -m benchmarks`: compute everything, print tables, write `build/bench/report.json`."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from benchmarks import extrapolation, gpu, headline, layers, overhead, rtl, simulators, traced
from gscn.cli.main import write_json
from gscn.cli.result import table
from gscn.conv import Pass
from perf.sampling import measure


def main() -> None:
    """Run the benchmarks that the options ask for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench/report.json"), metavar="FILE")
    parser.add_argument(
        "--publish", type=Path, metavar="DIR", help="write README.md and docs/ of this checkout"
    )
    parser.add_argument("--processes", type=int, default=2, metavar="COUNT")
    args = parser.parse_args()

    steps, selection = overhead.compute_steps(), overhead.compute_selection()
    _say(overhead.render(steps, selection))
    measured = rtl.compute()
    _say(rtl.render(measured))
    compared = simulators.compute()
    _say(simulators.render(compared))
    real = traced.compute(traced.load_or_make_trace())
    _say(traced.render(real))
    # The first run compiles the model, which is no part of its speed.
    name = next(iter(layers.LAYERS))
    layers.compute(name, Pass.FORWARD)
    single = [layers.compute(name, which) for name in layers.LAYERS for which in Pass]
    _say(table(list(single[0]), [list(row.values()) for row in single], title="Single layers"))
    sizes = [layers.sample_size(products) for products in layers.SAMPLE_SIZES]
    _say(table(list(sizes[0]), [list(row.values()) for row in sizes], title="Size of samples"))
    rows = [
        headline.compute(case, partial(measure, plans=2, processes=args.processes))
        for case in headline.CASES
    ]
    all_networks = extrapolation.compute_all()
    _say(extrapolation.render(all_networks))
    beside_gpu = gpu.compute()
    _say(gpu.render(beside_gpu))
    text = "\n\n".join(
        (
            traced.render_summary(real),
            rtl.render(measured),
            simulators.render(compared),
            headline.render(rows),
        )
    )
    _say(text)
    write_json(
        args.out,
        {
            "rtl": measured,
            "simulators": compared,
            "traced": real,
            "layers": single,
            "sample_sizes": sizes,
            "networks": rows,
            "all_networks": all_networks,
            "gpu": beside_gpu,
            "overhead": {"steps": steps, "selection": selection},
        },
    )
    if args.publish is not None:
        headline.replace_headline(args.publish / "README.md", text)
        document = args.publish / "docs" / "utilization.md"
        document.write_text(traced.render(real), encoding="utf-8")
        (args.publish / "docs" / "networks.md").write_text(
            extrapolation.render(all_networks), encoding="utf-8"
        )
        (args.publish / "docs" / "gpu.md").write_text(gpu.render(beside_gpu), encoding="utf-8")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
