"""Tilings of forward and input gradient with the kernels stationary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.lowering.balance import cut, grade, pack
from gscn.lowering.maps import KernelStationary, MapProblem
from gscn.lowering.options import LoweringOptions
from gscn.lowering.planning.estimate import (
    Candidate,
    Work,
    channel_parts,
    estimate,
    sizes,
    wanted_parts,
)
from gscn.lowering.planning.map_work import FIELD_LIMIT, col_bounds, map_work, trims

_JOBS_PER_CLUSTER = (1, 2, 3, 4, 6, 8, 12)
_SHARES = (1.0, 1.5, 2.0, 3.0)
"""How fast the sizes of graded jobs fall."""
_STRIPS = (1, 2, 4)
_LATE = (0.15, 0.25, 0.4)
"""Shares of the work that a second, smaller job of each cluster takes."""


def _strip_bounds(base: np.ndarray, jobs_of_rows: int, config: AcceleratorConfig) -> list:
    """Cuts of the columns to try: more strips where rows alone are few for the clusters."""
    extent = int(base[-1])
    found = [base]
    for strips in _STRIPS[1:]:
        fits = strips > base.size - 1 and extent % strips == 0 and extent // strips >= 7
        if fits and jobs_of_rows < 16 * config.clusters:
            found.append(np.arange(0, extent + 1, extent // strips))
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tiling:
    """Channels dealt to tiles and PEs; what is open is how the rows are cut."""

    problem: MapProblem
    config: AcceleratorConfig
    options: LoweringOptions
    work: np.ndarray
    words: np.ndarray
    per_channel: np.ndarray
    """As `map_work` returns them."""
    bins: list[np.ndarray]
    """Channels of each PE, tile by tile."""
    held: np.ndarray
    """Kernel nonzeros (tiles, pes)."""
    planes: int
    bounds: np.ndarray
    """Cuts of the columns."""
    guard: int
    keys: float
    """Keys of a channel, about: rows at a border, and columns at a border row by row."""
    longest: int
    """Most rows of a job."""
    useful: int
    out_width: int

    def candidates(self) -> Iterator[Candidate]:
        """Yield the candidates of every cut of the rows and of the contraction."""
        config, options = self.config, self.options
        tiles, strips = self.held.shape[0], self.bounds.size - 1
        row_count = self.words.size
        weight = self.work.sum(axis=0) if options.balance else np.ones(row_count)
        weight = weight + 1e-3 * (weight.sum() + 1) / row_count
        jobs_least = tiles * strips * max(1, -(-row_count // self.longest))
        for parts in wanted_parts(options, jobs_least, self.problem.channels, config.clusters):
            groups = channel_parts(self.per_channel, parts, options.balance)
            seen = set()
            for jobs in _JOBS_PER_CLUSTER:
                runs = max(1, round(jobs * config.clusters / (tiles * strips * parts)))
                row_bounds = cut(weight, min(runs, row_count), self.longest)
                if row_bounds.size not in seen:
                    seen.add(row_bounds.size)
                    text = f"{row_bounds.size - 1} runs of rows"
                    yield self._candidate([row_bounds] * tiles, groups, text)
            for late in self._late_rows(strips * parts * tiles) if options.balance else ():
                for times in (1, 2):
                    bounds = self._two_waves(weight, late, strips * parts * tiles, times)
                    if bounds is not None:
                        runs = (bounds.size - 1) // (1 + times)
                        text = f"{runs} + {times * runs} runs of rows"
                        yield self._candidate([bounds] * tiles, groups, text, row_count - late)
            for share in _SHARES if options.balance else ():
                graded = self._graded(weight, share, strips * parts)
                key = tuple(b.size for b in graded)
                if key not in seen:
                    seen.add(key)
                    yield self._candidate(graded, groups, f"{sum(key) - tiles} graded runs of rows")

    def _late_rows(self, repeat: int) -> list[int]:
        """Rows that the second, smaller jobs of all clusters may take together."""
        runs, rows = self.config.clusters // repeat, self.words.size
        if runs == 0:
            return []
        if rows > 24 * runs:
            return [round(share * rows) for share in _LATE]
        # With few rows they must be dealt evenly.
        return [count * runs for count in (1, 2, 3) if 2 * count * runs < rows]

    def _two_waves(
        self, weight: np.ndarray, late: int, repeat: int, times: int
    ) -> np.ndarray | None:
        """Cut the rows so that every cluster has a large job and then `times` small ones.

        The small jobs balance the clusters, and few results are left to drain at the end. `late`
        rows are left to the small jobs. Returns None if the rows cannot be cut so.
        """
        runs = self.config.clusters // repeat
        first = weight.size - late
        if late < times * runs:
            return None
        early_bounds = cut(weight[:first], runs, self.longest)
        late_bounds = cut(weight[first:], times * runs, self.longest)
        if early_bounds.size != runs + 1 or late_bounds.size != times * runs + 1:
            return None
        return np.concatenate([early_bounds, late_bounds[1:] + first])

    def _graded(self, weight: np.ndarray, share: float, repeat: int) -> list[np.ndarray]:
        """Cut the rows of every tile; jobs of later tiles, and the last ones of each, are small."""
        total = weight.sum()
        tiles = self.held.shape[0]
        clusters = self.config.clusters / repeat
        return [
            grade(weight, total * (tiles - 1 - tile), clusters, share, self.longest)
            for tile in range(tiles)
        ]

    def _candidate(
        self,
        row_bounds: list[np.ndarray],
        groups: list[np.ndarray],
        runs: str,
        late_row: int | None = None,
    ) -> Candidate:
        config, problem = self.config, self.problem
        tiles, pes = self.held.shape
        strips, parts = self.bounds.size - 1, len(groups)
        width = float(np.diff(self.bounds).max())
        pitch = width + self.guard
        # Without trimming, products beyond the left and right border are made and discarded.
        scale = self.useful / max(float(self.work.sum()), 1.0)
        if self.guard:
            scale = min(1.0, scale * pitch / width)
        halo_cols = 1 + (problem.cols.reach / width if strips > 1 else 0.0)
        keys = problem.channels * self.keys
        load = (self.held / 2 + keys / 2).sum(axis=1) / parts + 1
        segments = max(
            1.0,
            -(-float(self.held.max()) / parts // config.a_depth),
            -(-keys / parts // config.directory_depth),
        )
        prefix = np.concatenate([[0.0], np.cumsum(self.words)])
        late_row = self.words.size if late_row is None else late_row
        columns: list[list[np.ndarray]] = [[], [], [], [], [], []]
        for tile, bounds in enumerate(row_bounds):
            rows = np.diff(bounds)
            products = np.stack(
                [
                    np.add.reduceat(self.work[members].sum(axis=0), bounds[:-1])
                    for members in self.bins[tile * pes : (tile + 1) * pes]
                ]
            ).max(axis=0) * (scale / (strips * parts))
            halo = (1 + problem.rows.reach / np.maximum(rows, 1)) * halo_cols
            words = np.diff(prefix[bounds]) * halo / (strips * parts)
            order = np.argsort(-products, kind="stable")
            for part in range(parts):
                order_of_strips = np.repeat(order, strips)
                columns[0].append(products[order_of_strips])
                columns[1].append(words[order_of_strips])
                columns[2].append(np.full(order_of_strips.size, load[tile]))
                columns[3].append(np.full(order_of_strips.size, tile * parts + part))
                columns[4].append(rows[order_of_strips] * self.planes * pitch + self.guard)
                columns[5].append(bounds[order_of_strips] >= late_row)
        queue = np.argsort(np.concatenate(columns[5]), kind="stable")
        joined = [np.concatenate(column)[queue] for column in columns[:5]]
        cycles = estimate(
            Work(
                products=joined[0],
                lookups=joined[1],
                words=joined[1],
                load=joined[2],
                tile=joined[3].astype(np.int64),
                segments=segments,
                walk=joined[4],
                out_bytes=problem.result_count * self.out_width / 8.0,
                parts=parts,
            ),
            config,
        )
        return Candidate(
            cycles,
            KernelStationary(
                owners=[self.bins[i * pes : (i + 1) * pes] for i in range(tiles)],
                planes=self.planes,
                row_bounds=row_bounds,
                col_bounds=self.bounds,
                channel_parts=groups,
                trim=self.guard == 0,
                late_row=late_row,
            ),
            f"kernels held: {tiles} tiles x {pes} PEs x {self.planes} channels, {runs} x {strips} "
            f"strips of columns, {parts} parts, {'trimmed' if not self.guard else 'guarded'} "
            "columns",
        )


def plan_kernel_stationary(
    problem: MapProblem,
    useful: int,
    out_width: int,
    config: AcceleratorConfig,
    options: LoweringOptions,
) -> Iterator[Candidate]:
    """Yield tilings that hold kernels and stream maps."""
    work, words, per_channel = map_work(problem)
    pes = config.pes_per_cluster
    row_count = work.shape[1]
    held = np.bincount(problem.kernel.major, minlength=problem.owners)
    kernel_rows = problem.rows.kernel.shift.size
    for trim in trims(problem, options):
        base = col_bounds(problem.cols, problem.rows.reach, trim, config)
        for bounds in _strip_bounds(base, row_count, config):
            guard = 0 if trim else problem.cols.reach
            pitch = int(np.diff(bounds).max()) + guard
            cut = 0 if trim is False else problem.cols.reach
            seen = set()
            for planes in sizes(-(-problem.owners // pes)):
                tiles = -(-problem.owners // (pes * planes))
                planes = -(-problem.owners // (pes * tiles))
                longest = min(
                    (config.acc_depth - guard) // (planes * pitch),
                    FIELD_LIMIT // (planes * pitch) - problem.rows.reach - 1,
                )
                if tiles in seen or longest < 1:
                    continue
                seen.add(tiles)
                bins = pack(work.sum(axis=1), tiles * pes, planes, balance=options.balance)
                tiling = _Tiling(
                    problem=problem,
                    config=config,
                    options=options,
                    work=work,
                    words=words,
                    per_channel=per_channel,
                    bins=bins,
                    held=np.array([held[b].sum() for b in bins]).reshape(tiles, pes),
                    planes=planes,
                    bounds=bounds,
                    guard=guard,
                    keys=min(15.0, 2.0 * kernel_rows - 1 + kernel_rows * cut),
                    longest=longest,
                    useful=useful,
                    out_width=out_width,
                )
                yield from tiling.candidates()
