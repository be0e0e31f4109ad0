"""Section about training steps with everything: encode passes beside convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gscn.array import ArrayConfig
from gscn.passes import VECTOR
from gscn.perf.estimate.energy import HOROWITZ_45NM, port_pj
from gscn.perf.report.data.estimated import Estimated
from gscn.perf.report.drawing import charts
from gscn.perf.report.drawing.page import Figure, Items, Paragraph, Part, Section, Table
from gscn.perf.report.sections.energy_and_area import network_dense_energy, network_energy

_TO_MB, _TO_MJ, _MILLION = 1e-6, 1e-9, 1e6
PRODUCTS = 2
"""Of a lane in a cycle, at most."""


def encode_energy(config: ArrayConfig, passes: Mapping[str, Mapping[str, float]]) -> float:
    """Return the energy of a step's encode passes, mJ; DRAM in the middle of its range.

    Every byte waits in a queue of the port, written and read once, and comes from or goes to DRAM.
    Every lane multiplies as often as it can in every cycle, which is more than it does.

    Parameters
    ----------
    config
        Sizes of the port's queues.
    passes
        By kind, as `whole_step` of a row has them.
    """
    technology = HOROWITZ_45NM
    read, written, behind, cycles = (
        sum(one[name] for one in passes.values())
        for name in ("read_bytes", "write_bytes", "dram_bytes", "cycles")
    )
    queues = port_pj(config, read, written)
    lanes = VECTOR * PRODUCTS * cycles * technology.multiply_pj(16)
    return _TO_MJ * (queues + behind * technology.dram_pj(0.5) + lanes)


def _machines(result: Estimated) -> list[tuple[str, Mapping]]:
    """Return the steps of a row by name."""
    step = result.row["whole_step"]
    named = [("thresholds stand", step["ours"]), ("thresholds selected", step["selecting"])]
    return [*((name, one) for name, one in named if one), ("dense array", step["dense"])]


def cycles_table(results: Sequence[Estimated]) -> Table:
    """Return the cycles of steps by kind of pass."""
    kinds = list(
        dict.fromkeys(
            kind
            for result in results
            for _, machine in _machines(result)
            for kind in machine["encode_passes"]
        )
    )
    rows = []
    for result in results:
        for name, machine in _machines(result):
            own = machine["encode_passes"]
            rows.append(
                (
                    *(result.case.label, name, machine["cycles"] / _MILLION),
                    *(100 * machine["exposed_share"], machine["convolutions"]["cycles"] / _MILLION),
                    *(own[kind]["cycles"] / _MILLION if kind in own else None for kind in kinds),
                    machine["in_series_cycles"] / _MILLION,
                )
            )
    return Table(
        name="whole-step",
        caption="Million cycles of a training step in two queues; of convolutions and of each kind "
        "of encode pass by itself; and of all one after the other. *Exposed*: the share of the "
        "step that convolutions alone would not take.",
        header=(
            *("network", "step", "cycles", "exposed, %", "convolutions"),
            *(*kinds, "in series"),
        ),
        rows=tuple(rows),
        columns=5,
    )


def speedup_table(results: Sequence[Estimated]) -> Table:
    """Return what whole steps gain over the dense array with the same encode unit."""
    rows = []
    for result in results:
        step = result.row["whole_step"]
        rows.append(
            (
                result.case.label,
                result.speedup("training"),
                *(step["speedup_with_operands"], step["speedup_with_everything"]),
                *(100 * step["exposed_share"], 100 * step["selection_share"]),
            )
        )
    return Table(
        name="whole-step-speedup",
        caption="Times faster than a dense array with the same encode unit: convolutions alone; "
        "ours with the passes that zeros ask for, against the dense array's convolutions alone; "
        "both with everything. One step in ten selects thresholds.",
        header=(
            *("network", "convolutions", "with operands", "with everything"),
            *("exposed, %", "by selection, %"),
        ),
        rows=tuple(rows),
    )


def bytes_table(results: Sequence[Estimated]) -> Table:
    """Return operands, bytes at the ports and of DRAM, and energy, before and after."""
    rows = []
    for result in results:
        ours, dense = (result.row["whole_step"][name] for name in ("ours", "dense"))
        counted = all(p.accesses is not None for p in result.passes)
        operands = (
            sum(p.compressed.read_bytes for p in result.passes),
            sum(p.dense_traffic.read_bytes for p in result.passes),
        )
        energies = (
            sum(network_energy(result).values()) if counted else None,
            sum(network_dense_energy(result).values()),
        )
        for name, machine, strips, mj in (
            ("ours", ours, operands[0], energies[0]),
            ("dense array", dense, operands[1], energies[1]),
        ):
            encode = machine["encode_passes"]
            before = [machine["convolutions"][part] for part in _BYTES]
            after = [
                value + sum(one[part] for one in encode.values())
                for part, value in zip(_BYTES, before, strict=True)
            ]
            more = encode_energy(result.config, encode)
            for when, moved, total in (
                ("convolutions alone", before, mj),
                ("with encode passes", after, None if mj is None else mj + more),
            ):
                rows.append(
                    (
                        *(result.case.label, name, when, _TO_MB * strips),
                        *(_TO_MB * value for value in moved),
                        total,
                    )
                )
    return Table(
        name="whole-step-bytes",
        caption="A training step before encode passes are counted, and after: operands of "
        "convolutions once, compressed, or dense for the dense array; bytes at the ports; bytes of "
        "DRAM without a buffer; energy, DRAM in the middle of its published range.",
        header=(
            *("network", "array", "what", "operands, MB"),
            *("read, MB", "written, MB", "DRAM, MB", "energy, mJ"),
        ),
        rows=tuple(rows),
    )


_BYTES = ("read_bytes", "write_bytes", "dram_bytes")


def _figure(results: Sequence[Estimated]) -> Figure:
    rows = []
    for result in results:
        ours = result.row["whole_step"]["ours"]
        parts = {"convolutions": ours["convolutions"]["cycles"], **ours["exposed_cycles"]}
        # Both units want the port at times, and then a convolution is slower too.
        parts["shared port"] = max(0.0, ours["cycles"] - sum(parts.values()))
        rows.append(
            (result.case.label, {name: 100 * one / ours["cycles"] for name, one in parts.items()})
        )
    names = tuple(dict.fromkeys(name for _, parts in rows for name in parts))
    whole = [(label, {name: parts.get(name, 0.0) for name in names}) for label, parts in rows]

    def draw(width: int, class_: str) -> str:
        return charts.stacked_bars(
            whole,
            names,
            width=width,
            class_=class_,
            title="What a training step's cycles are",
            axis="share of a step in which thresholds stand, %",
            total=100,
        )

    return Figure(
        name="whole-step",
        caption="Convolutions, and what the encode unit does while the array has none.",
        draw=draw,
    )


def _first_of(why: str) -> str:
    """Return the first operation without a place, and how many more there are."""
    head, *named = why.splitlines()
    named = [one.strip() for one in named if one.startswith("  ")]
    if not named:
        return head
    return named[0] + (f"; and {len(named) - 1} more" if len(named) > 1 else "")


def whole_steps_section(results: Sequence[Estimated]) -> Section:
    """Return the section; a network whose step has no list is named, and has no figure."""
    known = [one for one in results if not one.row["whole_step"]["refused"]]
    refused = {
        one.case.title: one.row["whole_step"]["refused"] for one in results if one not in known
    }
    content: list[Part] = [
        Paragraph(
            "A whole step is a list of records for two units: convolutions on the array, encode "
            "passes beside them, which make operands, normalise, pool, and update weights. The "
            "compiler of steps says which there are and what waits for what; cycles of encode "
            "passes are the cycle model's, none is assumed. Both units share one port, in turns. "
            "The dense array has the same unit: it rounds weights once, combines an output "
            "gradient once, and makes no other operand. The host takes no time."
        )
    ]
    if known:
        content += [
            speedup_table(known), _figure(known), cycles_table(known), bytes_table(known)
        ]  # fmt: skip
    if refused:
        content += [
            Paragraph("The compiler of steps has no place for these, so that they have no figure:"),
            Items([f"{name}: {_first_of(why)}" for name, why in refused.items()]),
        ]
    return Section(key="whole-steps", title="A step with everything", content=tuple(content))
