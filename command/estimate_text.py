"""What `gscn estimate` and `gscn.analyse` print of an estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gscn.command.result import table
from gscn.command.step_text import whole_rows, whole_step

BUFFERS_KIB = (0, 256, 1024, 4096)
"""Buffers behind the ports of which is said what they leave to DRAM."""


def _gradients(data: Mapping[str, Any]) -> str:
    """Say how dense ReSprop's differences are taken to be."""
    density = data["gradient_density"]
    if density is None or "resprop" not in data["method"]:
        return ""
    return f" (gradient differences {100 * density:g} % dense)"


def _coverage(data: Mapping[str, Any]) -> str:
    """Say of what the totals are."""
    share = data["covered_share"]
    if share is None:
        return "layers listed"
    if not data["omitted"]:
        return "whole network"
    return f"layers listed, {100 * share:.2f} % of the network's MACs"


def _memory_rows(data: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return what is read of a compressed byte, and how long DRAM takes by itself."""
    rows = [
        (f"read per operand byte, {behind}, mean of passes", data["reads_per_operand_byte"][size])
        for size, behind in (
            (str(kib << 10), f"buffer of {kib} KiB" if kib else "ports") for kib in BUFFERS_KIB
        )
        if size in data["reads_per_operand_byte"]
    ]
    if data["dram"] is not None:
        read = data["dram_read_bytes"][str(data["dram"]["buffer_bytes"])]
        moved = read + data["write_bytes"]
        rows += [
            ("read from DRAM per operand byte, all passes", read / data["operand_bytes"]),
            ("DRAM alone, million cycles", moved / data["dram"]["bytes_per_cycle"] / 1e6),
        ]
    return rows


def estimate_text(data: Mapping[str, Any], notes: Sequence[str]) -> str:
    """Return the tables of an estimate, and what it takes for granted.

    Parameters
    ----------
    data
        As `perf.estimate.training_step.to_json` returns it.
    notes
        Assumptions, in sentences.
    """
    rows = []
    for layer in data["layers"]:
        by_pass = {p["pass"]: p["speedup_vs_dense"] for p in layer["passes"]}
        shape = layer["shape"]
        rows.append(
            (
                layer["name"],
                f"{shape['k']}x{shape['c']}x{shape['r']}x{shape['s']}",
                f"{shape['h']}x{shape['w']}",
                by_pass["forward"],
                by_pass.get("input-grad"),
                by_pass.get("weight-grad"),
                layer["training_speedup_vs_dense"],
            )
        )
    layers = table(
        ("layer", "weights", "map", "forward", "input-grad", "weight-grad", "training"),
        rows,
        title=f"{data['network']}, {data['method']} at {data['sparsity']:g}{_gradients(data)}: "
        f"times faster than a dense array of {data['multipliers']} multipliers",
    )
    totals = table(
        (f"{_coverage(data)}, over a dense array", "value"),
        [
            ("forward, times faster", data["forward_speedup_vs_dense"]),
            ("backward, times faster", data["backward_speedup_vs_dense"]),
            ("training, times faster", data["training_speedup_vs_dense"]),
            *whole_rows(data["whole_step"]),
            ("training FLOP reduction, %", 100 * data["training_flop_reduction"]),
            ("inference FLOP reduction, %", 100 * data["inference_flop_reduction"]),
            ("training, million cycles", data["training_cycles"] / 1e6),
            *_memory_rows(data),
            (f"training at {data['clock_hz'] / 1e6:g} MHz, s", data["training_seconds"]),
            *(
                (f"{name}: training, million cycles", cycles["training"] / 1e6)
                for name, cycles in data["rival_cycles"].items()
            ),
        ],
    )
    parts = (layers, totals, whole_step(data["whole_step"]))
    return "\n\n".join((*parts, "Assumptions:\n" + "\n".join(f"- {n}" for n in notes)))
