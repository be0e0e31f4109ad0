"""What a PE and a dense PE are given of recorded layers: ports, cycle by cycle.

The PE is one of an array of one cluster that runs a pass of a recorded layer, of one image, as
co-simulation does; what its ports do is read from the waves. The dense PE gets the rows and columns
of the same pass as a matrix product.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.gate_activity import Stimulus
from gscn.array import ArrayConfig, array
from gscn.conv import Pass
from gscn.cosim.layer import PassInput
from gscn.errors import InputError, MismatchError
from gscn.rtl_gen.gates import Gates

CONFIG = "small"
NETWORK, METHOD, SPARSITY = "resnet20", "swat+resprop", 0.9
BATCH, ITERATIONS = 16, 100
"""Of the training, and iterations before the recorded one."""
LAYERS = {
    "stage1.1.conv1": Pass.INPUT_GRAD,
    "stage2.1.conv1": Pass.WEIGHT_GRAD,
    "stage3.1.conv1": Pass.FORWARD,
}
"""A layer of each size of maps, and the pass of it that is run."""
CYCLES = 8000
"""That are counted of a pass, from the first word of the PE on."""
DENSE_CYCLES = 3000
SEED = 0


def one_cluster() -> ArrayConfig:
    """Return an array of one cluster whose PEs are those of `CONFIG`."""
    return dataclasses.replace(array(CONFIG), clusters=1)


def record(folder: Path) -> None:
    """Train, and write the trace of an iteration."""
    import torch

    from gscn.golden.recipe import Recipe
    from gscn.golden.traces.recording import trace_step
    from gscn.golden.training.training import Trainer

    # Rounding depends on the number of threads.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        trainer = Trainer(
            Recipe(
                network=NETWORK,
                method=METHOD,
                sparsity=SPARSITY,
                batch_size=BATCH,
                learning_rate=0.01,
            )
        )
        for _ in trainer.run(ITERATIONS):
            pass
        trace_step(trainer, folder, list(LAYERS))
    finally:
        torch.set_num_threads(threads)


def first_image(one: PassInput) -> PassInput:
    """Return a pass of the first image of a mini-batch alone."""
    first = one.first[:1] if one.which is Pass.WEIGHT_GRAD else one.first
    shape = dataclasses.replace(one.shape, n=1)
    return dataclasses.replace(one, shape=shape, first=first, second=one.second[:1])


@dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    """A port of a component's Verilog."""

    name: str
    direction: str
    """`input` or `output`."""
    width: int


def ports_of(gates: Gates) -> list[Port]:
    """Return the ports of a netlist but for its clock, in the order of `Stimulus`."""
    return [
        Port(name=name, direction=direction, width=len(nets))
        for direction, ports in (("input", gates.inputs), ("output", gates.outputs))
        for name, nets in ports.items()
        if name != "clk"
    ]


def read_waves(path: Path, scopes: Sequence[str], ports: Sequence[Port]) -> Iterator[list[int]]:
    """Yield the values of an instance's ports before each rising edge of its clock.

    Parameters
    ----------
    path
        Value changes, as Verilator writes them.
    scopes
        Names of the instance and of one in it; a port that is not found in the first is looked for
        in the second. Of several instances of that name it is the first in the file.
    ports
        Which.

    Raises
    ------
    InputError
        A port is not there.
    """
    with path.open(encoding="ascii") as lines:
        codes = _codes(lines, scopes)
        if missing := [one.name for one in ports if one.name not in codes]:
            raise InputError(f"waves must have ports of {scopes[0]}, not be without {missing}")
        clock = codes["clk"]
        values = {codes[one.name]: 0 for one in ports}
        pending: dict[str, int] = {}
        rises = False
        for line in lines:
            kind = line[0]
            if kind == "#":
                if rises:
                    yield [values[codes[one.name]] for one in ports]
                values.update(pending)
                pending.clear()
                rises = False
            elif kind == "b":
                text, _, code = line[1:].rstrip("\n").partition(" ")
                if code in values:
                    pending[code] = int(text, 2)
            elif kind in "01":
                code = line[1:].rstrip("\n")
                if code == clock and kind == "1":
                    rises = True
                if code in values:
                    pending[code] = int(kind)


def _codes(lines: Iterator[str], scopes: Sequence[str]) -> dict[str, str]:
    """Return the code of each signal of the first instance of that name, up to the values."""
    found: list[dict[str, str]] = [{}, {}]
    path: list[str] = []
    place: tuple[str, ...] | None = None
    for line in lines:
        words = line.split()
        if not words:
            continue
        if words[0] == "$enddefinitions":
            break
        if words[0] == "$scope":
            path.append(words[2])
            if place is None and path[-1] == scopes[0]:
                place = tuple(path)
        elif words[0] == "$upscope":
            path.pop()
        elif words[0] == "$var" and place is not None:
            where = (place, (*place, scopes[1]))
            if tuple(path) in where:
                found[where.index(tuple(path))][words[4]] = words[3]
    return found[1] | found[0]


def pe_stimulus(one: PassInput, ports: Sequence[Port], cycles: int = CYCLES) -> Stimulus:
    """Run a pass on the generated Verilog and return what a PE's ports do.

    Parameters
    ----------
    one
        The pass.
    ports
        Of the PE's Verilog.
    cycles
        To be counted at most; from the first word on.

    Raises
    ------
    MismatchError
        A result or a counter differs from its model.
    """
    from gscn.cosim.builds.simulator import build
    from gscn.cosim.conditions import Conditions
    from gscn.cosim.layer import check_passes

    config = one_cluster()
    simulator = build(config, waves="vcd")
    (outcome,) = check_passes(config, [one], Conditions(waves=True), simulator=simulator)
    if not outcome.comparison.good:
        raise MismatchError("; ".join(outcome.comparison.details))
    waves = Path("build") / config.digest() / "waves.vcd"
    rows = []
    place = {port.name: number for number, port in enumerate(ports)}
    first = None
    for row in read_waves(waves, ("pe0", "shared"), ports):
        rows.append(row)
        if first is None and row[place["i__valid"]] and not row[place["rst"]]:
            first = len(rows) - 1
        if first is not None and len(rows) == first + cycles:
            break
    waves.unlink()
    if first is None:
        raise InputError(f"{one.layer} {one.which} must give PE 0 a word")
    while not rows[-1][place["pending"]]:
        rows.pop()
    return stimulus(rows, ports, first, sum(row[place["busy"]] for row in rows[first:]))


def stimulus(
    rows: Sequence[Sequence[int]], ports: Sequence[Port], first: int, products: int
) -> Stimulus:
    """Return ports cycle by cycle as whole inputs and outputs."""
    return Stimulus(
        inputs=[_joined(row, ports, "input") for row in rows],
        outputs=[_joined(row, ports, "output") for row in rows],
        first=first,
        products=products,
    )


def _joined(row: Sequence[int], ports: Sequence[Port], direction: str) -> int:
    value, place = 0, 0
    for number, port in zip(row, ports, strict=True):
        if port.direction == direction:
            value |= (number & (1 << port.width) - 1) << place
            place += port.width
    return value


def operand_rows(one: PassInput) -> tuple[np.ndarray, np.ndarray]:
    """Return a pass as a product of matrices: (rows, contraction) and (columns, contraction).

    Raises
    ------
    InputError
        It is of a convolution with stride, dilation or groups.
    """
    import torch
    from torch.nn.functional import unfold

    shape = one.shape
    if (shape.stride, shape.dilation, shape.groups) != ((1, 1), (1, 1), 1):
        raise InputError(f"{one.layer} must have no stride, dilation or groups")
    taps, padding = (shape.r, shape.s), shape.padding
    first, second = (
        torch.from_numpy(values.astype(np.float64)) for values in (one.first, one.second)
    )
    if one.which is Pass.INPUT_GRAD:
        first = first.flip(2, 3).transpose(0, 1)
        padding = (taps[0] - 1 - padding[0], taps[1] - 1 - padding[1])
    columns = unfold(second, taps, padding=padding).transpose(0, 1).flatten(1)
    if one.which is Pass.WEIGHT_GRAD:
        first = first.transpose(0, 1)
    else:
        columns = columns.T
    rows = first.flatten(1)
    return rows.numpy().astype(np.int64), columns.numpy().astype(np.int64)


def dense_operands(
    one: PassInput, *, zeros: bool, cycles: int = DENSE_CYCLES
) -> list[tuple[int, int, bool]]:
    """Return what a PE of a dense array multiplies: (row's, column's, whether it ends a sum).

    Parameters
    ----------
    one
        The pass.
    zeros
        With the zeros that the method made, which a dense array does not skip. Without, the
        nonzeros of both operands in their order, as many to a sum.
    cycles
        Products, at least.
    """
    rows, columns = operand_rows(one)
    length = rows.shape[1]
    sums = -(-cycles // length)
    rng = np.random.default_rng(SEED)
    if zeros:
        row = rows[rng.integers(len(rows), size=sums)].reshape(-1)
        column = columns[rng.integers(len(columns), size=sums)].reshape(-1)
    else:
        row, column = (np.resize(all_of[all_of != 0], sums * length) for all_of in (rows, columns))
    ends = np.arange(1, sums * length + 1) % length == 0
    return [
        (int(a), int(b), bool(end))
        for a, b, end in zip(row[:cycles], column[:cycles], ends[:cycles], strict=True)
    ]


def dense_stimulus(
    operands: Sequence[tuple[int, int, bool]], ports: Sequence[Port], config: ArrayConfig
) -> Stimulus:
    """Run a dense PE in Amaranth's simulator and return what its ports do.

    Parameters
    ----------
    operands
        As of `dense_operands`.
    ports
        Of its Verilog.
    config
        Widths.
    """
    from amaranth.sim import Simulator

    from gscn.hw.dense.dense_pe import DensePe
    from gscn.hw.shared import flat_ports

    dut = DensePe(config=config)
    values = {name: value for name, (value, _) in flat_ports(dut).items()}
    watched = [values[port.name] for port in ports if port.name != "rst"]
    rows: list[list[int]] = []

    async def testbench(ctx):
        for row, column, ends in [(0, 0, False), *operands]:
            ctx.set(dut.row_i.valid, len(rows) > 0)
            ctx.set(dut.row_i.p, {"last": ends, "value": row})
            ctx.set(dut.column_i, column)
            sampled = dict(
                zip(
                    (port.name for port in ports if port.name != "rst"),
                    (await ctx.tick().sample(*watched))[2:],
                    strict=True,
                )
            )
            rows.append([int(sampled.get(port.name, 0)) for port in ports])

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return stimulus(rows, ports, first=1, products=len(operands))
