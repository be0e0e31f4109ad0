"""What `gscn estimate` prints of a step with everything."""

from __future__ import annotations

from gscn.command.result import table

_LINES = 6
"""Of a sentence that says why there is no figure, which names operations; JSON has all."""


def whole_rows(step: dict) -> list[tuple[str, float]]:
    """Return the totals of a step with everything, if there is a figure."""
    if step["refused"] is not None:
        return []
    return [
        ("training with operands, times faster", step["speedup_with_operands"]),
        ("training with everything, times faster", step["speedup_with_everything"]),
        ("step with everything, million cycles", step["cycles"] / 1e6),
        ("exposed by encode passes, %", 100 * step["exposed_share"]),
        ("exposed by selection alone, %", 100 * step["selection_share"]),
    ]


def whole_step(step: dict) -> str:
    """Return what a step consists of, ours and the dense array's, or why there is no figure."""
    if step["refused"] is not None:
        lines = step["refused"].splitlines()
        if len(lines) > _LINES:
            lines = [*lines[:_LINES], f"  and {len(lines) - _LINES} more"]
        return "\n".join(("Step with everything: no figure.", *lines))
    rows = []
    for name, machine in (
        ("ours", step["ours"]),
        (f"ours, 1 of {step['refresh_period']}", step["selecting"]),
        ("dense array", step["dense"]),
    ):
        if machine is None:
            continue
        parts = {"convolutions": machine["convolutions"], **machine["encode_passes"]}
        rows += [
            (
                name, kind, one["passes"], one["cycles"] / 1e6,
                None if kind == "convolutions" else one["exposed"] / 1e6,
                one["read_bytes"] / 1e6, one["write_bytes"] / 1e6,
            )
            for kind, one in parts.items()
        ]  # fmt: skip
        rows.append((name, "step, two queues", None, machine["cycles"] / 1e6, None, None, None))
        in_series = machine["in_series_cycles"] / 1e6
        rows.append((name, "step, in series", None, in_series, None, None, None))
    return table(
        ("", "passes of a kind", "passes", "Mcycles", "exposed", "MB read", "MB written"),
        rows,
        title="step with everything; exposed: while the array has no pass",
    )
