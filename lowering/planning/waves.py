"""Tilings of weight gradients of 1x1 kernels in waves."""

from __future__ import annotations

from dataclasses import dataclass

from gscn.config import BANKS, PARTIAL_WIDTH, AcceleratorConfig
from gscn.lowering.balance import pack_pairs
from gscn.lowering.exchange import exchange_pairs
from gscn.lowering.waves import KEYS_PER_CHUNK, WaveTiling, met_pixels, refinements
from gscn.lowering.weight_grad import KernelProblem

_LEAST_CHANNELS = 4
"""Stationary channels of a PE, at least: with fewer, too many words meet nothing."""


def plan_waves(
    problem: KernelProblem, config: AcceleratorConfig, *, most: int
) -> list[tuple[float, WaveTiling]]:
    """Plan tilings with exactly one job per cluster and wave.

    Parameters
    ----------
    problem
        A weight gradient `by_pixel`, whose pixels are in any order.
    config
        The accelerator.
    most
        Tilings to return, at most.

    Returns
    -------
    list of tuple of float, WaveTiling
        The most promising tilings, with a number of cycles by which they may be compared with each
        other.
    """
    pes = config.pes_per_cluster
    met = _Met.of(problem)
    found = []
    for parts in (n for n in (1, 2) if config.clusters % n == 0):
        jobs = config.clusters // parts
        for tiles in (n for n in range(1, jobs + 1) if jobs % n == 0):
            columns = jobs // tiles
            planes = -(-problem.held_channels // (tiles * pes))
            rows = -(-problem.streamed_channels // columns)
            if not _LEAST_CHANNELS <= planes <= config.a_depth or planes * rows > config.acc_depth:
                continue
            if columns > problem.streamed_channels:
                continue
            found.append(
                (_cycles(problem, met, config, tiles, columns, parts), tiles, columns, parts)
            )
    tilings = []
    for cycles, tiles, columns, parts in sorted(found)[:most]:
        sizes = [
            (bins, -(-channels // bins))
            for channels, bins in (
                (problem.held_channels, tiles * pes),
                (problem.streamed_channels, columns),
            )
        ]
        bins = pack_pairs(problem.work, *sizes)
        held, streamed = exchange_pairs(problem.work.sum(axis=0), *bins)
        usual = {field: values[0] for field, values in refinements(config).items()}
        # Of more blocks than there are banks every wave would load most again, and the raw partial
        # sums of several parts are many whatever the waves.
        if parts > 1 or met.held > BANKS * config.a_depth * tiles * pes:
            usual["shares"] = (1,)
        tiling = WaveTiling(
            held=[held[first : first + pes] for first in range(0, tiles * pes, pes)],
            streamed=streamed,
            parts=parts,
            **usual,
        )
        tilings.append((cycles, tiling))
    return tilings


@dataclass(frozen=True, slots=True)
class _Met:
    """Pixels that have nonzeros of both operands, and these nonzeros."""

    pixels: int
    held: int
    streamed: int

    @classmethod
    def of(cls, problem: KernelProblem) -> _Met:
        """Count them."""
        met, held, streamed = met_pixels(problem)
        return cls(met.size, int(held.sum()), int(streamed.sum()))


def _cycles(
    problem: KernelProblem,
    met: _Met,
    config: AcceleratorConfig,
    tiles: int,
    columns: int,
    parts: int,
) -> float:
    """Estimate the cycles of a cluster: products, words and loads wait for each other."""
    pes = config.pes_per_cluster
    products = problem.work.sum() / config.multipliers
    words = met.streamed / (columns * parts)
    load = met.held / (2 * tiles * parts)
    load += pes * met.pixels / (KEYS_PER_CHUNK * parts)
    # the partial sums of all parts pass the port twice
    sums = problem.held_channels * problem.streamed_channels * parts if parts > 1 else 0
    partials = sums * PARTIAL_WIDTH / (8 * config.port_bytes_per_cycle)
    return float((products**6 + words**6 + load**6) ** (1 / 6) + 2 * partials)
