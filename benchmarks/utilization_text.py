"""The text of docs/results/utilization.md, from its figures alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks import tracing
from benchmarks.markdown import percent, table
from benchmarks.rtl import BOUNDS, CONFIG
from benchmarks.step_figures import (
    LEAST_BOUND,
    LEAST_SPATIAL,
    SPARSE,
    Row,
    at_bound,
    decoded,
    geometric_mean,
    gradients,
    host_time,
    image_per_byte,
    in_rtl,
    iterations,
    pointwise,
    read_per_byte,
    sparse_iterations,
    spatial_gradients,
    swing,
    together,
)
from gscn.conv import Pass
from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.perf.estimate.buffer import BUFFERS

STALLS = tuple(name for name in CLUSTER_COUNTER_NAMES if name != "busy")


def render(data: dict[str, Any]) -> str:
    """Return the document."""
    rows = decoded(data)
    order = iterations(rows)
    three, one = spatial_gradients(rows), pointwise(rows)
    return f"""# Utilisation on consecutive training steps

ResNet-18 for 32x32 images, trained by SWAT and ReSprop together at 90 %, batch 32. ReSprop \
doubles or halves the threshold of a layer after every iteration, so that the share of nonzeros of \
its output gradients swings around the target of 15 %, and a single iteration says what one wants \
it to. So the iterations were fixed by a rule, before any figure of theirs was known: the first \
{tracing.MEASURED} sparse ones of the first epoch whose target is the final one. Its first \
iteration, {tracing.FIRST - 1}, is dense; measured are {_measured(order)} of these (iterations \
are counted from 0), every convolution in every pass that training computes, on `{CONFIG}`: \
{data["conditions"]}. Each pass is planned from its shape and two densities.

{_figures(data, rows, three, one)}

## Iteration by iteration

By the cycle model, which equals the hardware. Sparse are the {SPARSE} iterations whose gradient \
passes have least products.

{_iteration_table(data, rows)}

## On the generated Verilog

{_extent(data, rows)} ran the iteration whose output gradients have least nonzeros, and the one \
where they have most; every result was compared with the oracle and every counter of every \
cluster with the cycle model. Operands are rounded to the array's numbers there, which leaves \
somewhat fewer nonzeros than were recorded: the cycle model's rows are of the recorded ones.

{_rtl_table(data, rows)}

## Gradients of 3x3 kernels in sparse iterations

{len(three)} passes: geometric mean \
{percent(geometric_mean(row["utilization"] for row in three))}, \
{_below(three)} below {percent(LEAST_SPATIAL)}. The bound is the busiest of the multipliers, the \
read port and the write port; loss is the cause of most of the multipliers' other cycles.

{_pass_table([row for row in three if row["utilization"] < LEAST_SPATIAL])}

## 1x1 kernels

These passes have few products per byte, so that ports may be what bounds them: {_bounds(one)}. \
They are busy with their bound {percent(at_bound(one))} of their cycles together, in the geometric \
mean of passes {percent(geometric_mean(row["bound_share"] for row in one))}; these are below \
{percent(LEAST_BOUND)}:

{_pass_table([row for row in one if row["bound_share"] < LEAST_BOUND])}

## Bytes

Of a pass, per compressed byte: per byte of the strips of both operands, each once and in one \
piece. Means are geometric, over passes. Behind a buffer DRAM reads what the buffer \
({_buffers()}, lines of 64 bytes, the one used longest ago is replaced) has not; images \
have tables, the list and whatever the cut into strips adds.

{_bytes_table(rows)}

## The driver

{_host(data, rows)}

## How the gradients' nonzeros swing

Share of nonzeros of the output gradients of every convolution in these iterations. A step is the \
ratio between two consecutive iterations, either way.

{_swing_table(rows)}

## Where the other cycles went

Shares of the multipliers' cycles; with the utilisation they sum to 100 %, but for products that \
fall off a border.

{_stall_table(data, rows)}
"""


def _measured(order: Sequence[int]) -> str:
    """Return which iterations there are; those of a page that is not whole are named."""
    if list(order) == list(tracing.iterations()):
        return f"all, {order[0]} to {order[-1]},"
    return f"{', '.join(map(str, order[:-1]))} and {order[-1]}"


def _figures(
    data: dict[str, Any], rows: Sequence[Row], three: Sequence[Row], one: Sequence[Row]
) -> str:
    """Return the table that sums the page up."""
    size = data["multipliers"]
    by_iteration = {
        number: together([row for row in rows if row["iteration"] == number], size)
        for number in iterations(rows)
    }
    worst = min(by_iteration, key=lambda number: by_iteration[number])
    spatial = [row["utilization"] for row in three]
    mismatches, counters = (
        sum(row[name] for row in data["passes"]) for name in ("mismatches", "counters_differ")
    )
    found = [
        ("all passes of all iterations together", percent(together(rows, size))),
        (f"the iteration with least, {worst}", percent(by_iteration[worst])),
        (
            f"3x3 gradients of the {SPARSE} sparse iterations: geometric mean, least",
            f"{percent(geometric_mean(spatial))}, {percent(min(spatial))}",
        ),
        (
            "1x1, share of whichever bound holds: together, least",
            f"{percent(at_bound(one))}, {percent(min(row['bound_share'] for row in one))}",
        ),
        (
            "bytes read per compressed byte: at the ports, behind 1 MiB",
            f"{read_per_byte(rows, 0):.2f}, {read_per_byte(rows, 1 << 20):.2f}",
        ),
        (
            "bytes of an image per compressed byte: geometric mean, most",
            f"{geometric_mean(image_per_byte(rows)):.3f}, {max(image_per_byte(rows)):.3f}",
        ),
        (
            f"results and counters that differ, of {len(data['passes'])} passes in RTL",
            f"{mismatches}, {counters}",
        ),
        ("driver's time of a pass, median", f"{host_time(data):.0f} us"),
        ("lines of `lowering/`", f"{sum(data['lowering_lines'].values()):,}"),
    ]
    return table(("multipliers busy with useful products, unless it says otherwise", ""), found)


def _iteration_table(data: dict[str, Any], rows: Sequence[Row]) -> str:
    size, sparse, lines = data["multipliers"], sparse_iterations(rows), []
    for number in iterations(rows):
        own = [row for row in rows if row["iteration"] == number]
        by_pass = [[row for row in own if row["pass"] == which] for which in Pass]
        lines.append(
            (
                str(number),
                "sparse" if number in sparse else "",
                f"{data['gradient_nonzeros'][str(number)]:,}",
                str(len(own)),
                f"{sum(row['cycles'] for row in own):,}",
                *(percent(together(some, size)) for some in (own, *by_pass)),
            )
        )
    header = ("iteration", "", "gradients' nonzeros", "passes", "cycles", "together")
    return table((*header, *map(str, Pass)), lines)


def _extent(data: dict[str, Any], rows: Sequence[Row]) -> str:
    """Say whether all passes of the two iterations ran there."""
    wanted = data["rtl_iterations"].values()
    whole = sum(row["iteration"] in wanted for row in rows)
    ran = len(data["passes"])
    some = "Wholly" if ran == whole else f"With {ran} of {whole} passes"
    return f"{some} on the generated Verilog"


def _rtl_table(data: dict[str, Any], rows: Sequence[Row]) -> str:
    lines = []
    for which, number in data["rtl_iterations"].items():
        own = in_rtl(data, which)
        ran = {(row["layer"], row["pass"]) for row in own}
        modelled = [
            row for row in rows if row["iteration"] == number and (row["layer"], row["pass"]) in ran
        ]
        lines.append(
            (
                f"{number}, {which}",
                str(len(own)),
                f"{sum(row['results'] for row in own):,}",
                *(str(sum(row[name] for row in own)) for name in ("mismatches", "counters_differ")),
                f"{sum(row['cycles'] for row in own):,}",
                percent(together(own, data["multipliers"])),
                percent(together(modelled, data["multipliers"])),
            )
        )
    header = ("iteration", "passes", "results", "that differ", "counters that differ", "cycles")
    return table((*header, "together", "recorded nonzeros, by the model"), lines)


def _below(rows: Sequence[Row]) -> str:
    count = sum(row["utilization"] < LEAST_SPATIAL for row in rows)
    worst = min(rows, key=lambda row: row["utilization"])
    return f"least {percent(worst['utilization'])}, {count}"


def _pass_table(rows: Sequence[Row]) -> str:
    if not rows:
        return "None."
    lines = []
    for row in sorted(rows, key=lambda row: row["utilization"]):
        loss = max(STALLS, key=lambda name, row=row: row[name])
        lines.append(
            (
                *(row["layer"], row["pass"], str(row["iteration"])),
                f"{percent(row['first'])} x {percent(row['second'])}",
                str(row["cycles"]),
                percent(row["utilization"]),
                *(row["bound"], percent(row["bound_share"])),
                f"{loss}, {percent(row[loss])}",
            )
        )
    header = ("layer", "pass", "iteration", "operands nonzero", "cycles", "utilization", "bound")
    return table((*header, "its share", "most lost to"), lines)


def _bounds(rows: Sequence[Row]) -> str:
    counts = Counter(row["bound"] for row in rows)
    said = [f"{counts[name]} by the {name}" for name in BOUNDS if counts[name]]
    return f"{len(rows)} passes, bounded {', '.join(said)}"


def _buffers() -> str:
    names = [f"{size >> 10} KiB" for size in BUFFERS if size]
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _bytes_table(rows: Sequence[Row]) -> str:
    lines = []
    for name in (*map(str, Pass), "all"):
        own = [row for row in rows if name in (row["pass"], "all")]
        images = image_per_byte(own)
        lines.append(
            (
                *(name, str(len(own))),
                *(f"{read_per_byte(own, size):.2f}" for size in BUFFERS),
                *(f"{geometric_mean(images):.3f}", f"{max(images):.3f}"),
            )
        )
    behind = (f"behind {size >> 10} KiB" for size in BUFFERS if size)
    header = ("pass", "passes", "read at the ports", *behind, "image", "most of an image")
    return table(header, lines)


def _host(data: dict[str, Any], rows: Sequence[Row]) -> str:
    """Say what a driver does and reads."""
    host = data["host"]
    bytes_read = [row["read_bytes"] for row in host]
    others = sum(not row["first_plan"] for row in rows)
    times = [row["plan_us"] + row["descriptor_us"] for row in host]
    return (
        f"Plan and descriptors of a pass take {host_time(data):.0f} us of one core in the median "
        f"over layers, passes and densities, {min(times):.0f} to {max(times):.0f} by layer and "
        "pass; a driver that keeps plans pays for descriptors alone, "
        f"{_median(host, 'descriptor_us'):.0f} us. All that it reads are {min(bytes_read)} to "
        f"{max(bytes_read)} bytes, at 8 bytes a number: the shape, counts of nonzeros, addresses "
        "and lengths of operands, and no element of a tensor. It writes "
        f"{max(row['descriptor_bytes'] for row in host)} bytes at most. Of the passes above, "
        f"{others} have strips with more nonzeros than the first plan of their densities allows "
        "for; the array answers that plan by an error code, and they are planned with more "
        f"caution. `lowering/` has {sum(data['lowering_lines'].values()):,} lines. "
        "`python -m benchmarks.driver` prints times by layer and pass."
    )


def _median(rows: Sequence[Row], name: str) -> float:
    ordered = sorted(row[name] for row in rows)
    return ordered[len(ordered) // 2]


def _swing_table(rows: Sequence[Row]) -> str:
    lines = []
    for name, densities in gradients(rows).items():
        found = swing(densities)
        lines.append(
            (
                name,
                *(percent(found[key]) for key in ("least", "median", "most")),
                *(f"{found[key]:.1f}" for key in ("ratio", "neighbours", "neighbours_median")),
            )
        )
    header = ("layer", "least", "median", "most", "most / least")
    return table((*header, "largest step", "median step"), lines)


def _stall_table(data: dict[str, Any], rows: Sequence[Row]) -> str:
    lines = []
    for kernel in dict.fromkeys(row["kernel"] for row in rows):
        for which in Pass:
            own = [row for row in rows if (row["kernel"], row["pass"]) == (kernel, which)]
            if not own:
                continue
            total = sum(row["cycles"] for row in own)
            lost = [sum(row["cycles"] * row[name] for row in own) / total for name in STALLS]
            lines.append(
                (
                    *(kernel, str(which), str(len(own))),
                    percent(together(own, data["multipliers"])),
                    *map(percent, lost),
                )
            )
    return table(("kernels", "pass", "passes", "utilization", *STALLS), lines)
