"""The loss of a training run on the simulated accelerator, over that of the golden model.

`python -m benchmarks.loss_curve RESULT.json FIGURE.svg`, of a result of `gscn train --backend rtl
--check --json` or of `python -m benchmarks.cosim_speed digits`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.figures import write_figure
from gscn.command.plots import plot_losses
from gscn.errors import InputError


def loss_rows(result: Mapping[str, object]) -> list[dict[str, float]]:
    """Return the table of `command.plots.plot_losses`.

    Parameters
    ----------
    result
        JSON of a run.

    Raises
    ------
    InputError
        The run was not checked against the golden model on the generated Verilog.
    """
    simulation = result.get("simulation", {})
    if result.get("backend") != "rtl" or not simulation.get("checked"):
        raise InputError("result must be of a run with --backend rtl and --check")
    losses, golden = result["losses_nats"], simulation["golden_losses_nats"]
    first = result["iterations"] - len(losses) + 1
    return [
        {"iteration": first + index, "loss": loss, "golden_loss": right}
        for index, (loss, right) in enumerate(zip(losses, golden, strict=True))
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the run that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loss_curve", description=__doc__)
    parser.add_argument("result", type=Path, metavar="RESULT.json")
    parser.add_argument("figure", type=Path, metavar="FIGURE.svg")
    args = parser.parse_args(arguments)
    rows = loss_rows(json.loads(args.result.read_text()))
    write_figure(args.figure, plot_losses(rows).figure, rows)


if __name__ == "__main__":
    main()
