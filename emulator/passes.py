"""The functional model of the array: runs passes on memory, without time.

It follows `docs/contract/passes.md`, and takes tables and strips apart by `emulator.pass_pieces`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from gscn.array import ArrayConfig
from gscn.emulator.arithmetic import Arithmetic
from gscn.emulator.pass_checks import (
    PassFields,
    channels_of_tile,
    check_descriptor,
    pass_fields,
    result_bytes,
    results_extent,
)
from gscn.emulator.pass_pieces import Operand, Piece, Shape, longest_window, stationary_fibers
from gscn.emulator.pass_sums import Stationary, TileSums
from gscn.emulator.pass_words import Unit, correlate_words, kernel_words, needed_chunks, units
from gscn.enums import takes_text
from gscn.formats import NUMBER_FORMATS
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR, Mode
from gscn.port import ALIGNMENT_BYTES
from gscn.registers import NO_PASS


@dataclass(kw_only=True, slots=True)
class PassCounts:
    """What a pass did."""

    jobs: int = 0
    """Tiles in kernel mode, units of work in correlate mode."""
    words: int = 0
    """Nonzeros of the stream with at least one look-up, once per job."""
    lookups: int = 0
    products: int = 0
    entries: int = 0
    """Stationary entries loaded, if each job loads its own."""
    halfwords: int = 0
    """Of strips, stationary ones counted likewise."""


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class PassesResult:
    """Memory after a run, the sticky flags, and counts.

    After an error memory and flags are those before the failing pass; of it, hardware may have
    written any results to their places and set flags for them.
    """

    memory: np.ndarray
    """uint8."""
    saturated: bool
    nonfinite: bool
    overflow_certain: bool
    """`accumulator_overflow` is set, whatever the order of words."""
    overflow_possible: bool
    """It may be set."""
    counts: tuple[PassCounts, ...]
    """Of the passes that ended."""
    error: PassError
    """The first in the order of jobs, or `PassError.NONE`."""
    error_pass: int
    """Number of the pass that failed, or that was under way when the next descriptor could not be
    read; `NO_PASS` if none had begun; the number of passes if none failed."""
    possible: frozenset[PassError]
    """What hardware may report: the first error that it meets is any of these."""


@dataclass(slots=True)
class _Outcome:
    """What a pass leaves behind."""

    counts: PassCounts = field(default_factory=PassCounts)
    errors: dict[PassError, None] = field(default_factory=dict)
    """In the order in which they were found."""
    saturated: bool = False
    nonfinite: bool = False
    overflow_certain: bool = False
    overflow_possible: bool = False

    def note(self, *errors: PassError) -> None:
        """Note errors that a part of the pass has."""
        self.errors.update(dict.fromkeys(one for one in errors if one != PassError.NONE))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Loaded:
    """Stationary strips of a job."""

    held: Stationary
    ends: np.ndarray
    """Entries before each chunk, and behind the last."""
    piece: Piece


class _Pass:
    """One pass whose descriptor has no error."""

    def __init__(self, d: PassFields, config: ArrayConfig, memory: np.ndarray):
        self.d, self.config, self.memory = d, config, memory
        self.after = memory.copy()
        self.outcome = _Outcome()
        fmt = NUMBER_FORMATS[d.number_format]
        self.arithmetic = Arithmetic(
            fmt=fmt,
            top=d.window,
            acc_width=config.acc_width,
            integer_width=config.format.width,
        )
        narrow = (fmt or config.format).width == 8
        across = d.s_mid * d.s_inner
        self.stationary = Operand(
            memory,
            data=d.s_data,
            halfwords=d.s_halfwords,
            table=d.s_table,
            columns=d.s_groups,
            shape=Shape(d.s_outer * across, d.s_outer_last * across, d.s_chunks, d.s_vectors),
            narrow=narrow,
        )
        self.streamed = Operand(
            memory,
            data=d.t_data,
            halfwords=d.t_halfwords,
            table=d.t_table,
            columns=d.t_groups,
            shape=Shape(d.t_rows * d.t_width, d.t_rows_last * d.t_width, d.t_strips, d.t_vectors),
            narrow=narrow,
        )

    def run(self) -> _Outcome:
        """Run all tiles; results are in `after`."""
        if self.d.mode == Mode.KERNEL:
            for tile in range(self.d.s_tiles):
                self._kernel_tiles(tile)
        else:
            for tile in range(self.d.s_tiles):
                for streamed in range(self.d.t_tiles):
                    self._correlate_tile(tile, streamed)
        return self.outcome

    # -- both modes

    def _load(self, column: int, first: int, count: int) -> _Loaded:
        """Return strips of the stationary operand as entries."""
        d = self.d
        piece = self.stationary.piece(column, first, count)
        self.outcome.note(piece.error)
        if piece.error == PassError.STRIP:
            self.outcome.note(PassError.WINDOW)  # what is no strip may be too long for it
        starts = stationary_fibers(piece, d.s_keys)
        inner = piece.position % d.s_inner
        mid = piece.position // d.s_inner % d.s_mid
        offset = mid * d.s_offset_mid + inner * d.s_offset_inner + piece.channel
        held = Stationary(starts, offset, self.arithmetic.decode(piece.code))
        return _Loaded(held=held, ends=starts[:: d.s_keys], piece=piece)

    def _check_window(self, entries: int, chunks: int) -> None:
        """Note an error if so much, needed at a time, does not fit."""
        config = self.config
        if (
            entries >= config.stationary_depth
            or chunks * self.d.s_keys >= config.directory_depth
            or chunks > config.chunks_depth
        ):
            self.outcome.note(PassError.WINDOW)

    def _count(self, loaded: Piece | None, streamed: list[Piece], lookups: int, words: int) -> None:
        counts = self.outcome.counts
        counts.jobs += 1
        counts.lookups += lookups
        counts.words += words
        counts.halfwords += sum(piece.halfwords for piece in streamed)
        if loaded is not None:
            counts.entries += loaded.code.size
            counts.halfwords += loaded.halfwords

    def _write(self, sums: TileSums, walk: np.ndarray, runs: np.ndarray) -> None:
        """Round and write the sums of a tile: runs of results at byte addresses."""
        outcome = self.outcome
        outcome.counts.products += sums.products
        outcome.overflow_certain |= sums.overflow_certain
        outcome.overflow_possible |= sums.overflow_possible
        if sums.outside:
            outcome.note(PassError.INDEX)
        results, saturated, nonfinite = sums.results(walk)
        outcome.saturated |= bool(saturated)
        outcome.nonfinite |= bool(nonfinite)
        width = result_bytes(self.d)
        data = results.astype(f"<u{width}").view(np.uint8).reshape(runs.size, -1)
        self.after[runs[:, None] + np.arange(data.shape[1])] = data

    # -- kernel

    def _kernel_tiles(self, tile: int) -> None:
        """Run all tiles of results of one stationary tile."""
        d = self.d
        loaded = None
        for n0 in range(0, d.samples, d.tile_samples):
            samples = min(d.tile_samples, d.samples - n0)
            for band, y0 in enumerate(range(0, d.rows, d.tile_rows)):
                rows = min(d.tile_rows, d.rows - y0)
                number = band * d.tile_strips - d.strips_before
                first = max(number, 0)
                strips = min(band * d.tile_strips + d.strips_after, d.t_strips) - first
                pieces: list[Piece] = []
                if strips > 0:
                    loaded = loaded or self._load_kernel(tile)
                    pieces = self._kernel_pieces(n0, first, strips, samples)
                for x0 in range(0, d.cols, d.tile_cols):
                    cols = (x0, min(x0 + d.tile_cols, d.cols))
                    sums = TileSums(d, self.config, self.arithmetic)
                    lookups = words = 0
                    for group, piece in enumerate(pieces):
                        if group >= loaded.piece.strips:
                            break  # an error of the stationary piece
                        made, looked_up = kernel_words(
                            d,
                            self._known_channels(piece, group),
                            self.arithmetic,
                            strips=strips,
                            before=first - number,
                            samples=samples,
                            rows=rows,
                            cols=cols,
                        )
                        made = made._replace(key=made.key + group * d.s_keys)
                        sums.add(made, loaded.held, 0)
                        lookups += looked_up
                        words += made.key.size
                    self._count(loaded.piece if pieces else None, pieces, lookups, words)
                    self._write_kernel(sums, tile, (n0, y0, x0), (samples, rows, cols[1] - x0))

    def _load_kernel(self, tile: int) -> _Loaded:
        loaded = self._load(tile, 0, self.d.s_chunks)
        self._check_window(int(np.diff(loaded.ends).max(initial=0)), 1)
        return loaded

    def _kernel_pieces(self, n0: int, first: int, strips: int, samples: int) -> list[Piece]:
        """Return the strips of each group that a tile streams."""
        d = self.d
        at = n0 * d.t_strips + first
        count = (samples - 1) * d.t_strips + strips
        pieces = [self.streamed.piece(group, at, count) for group in range(d.t_groups)]
        self.outcome.note(*(piece.error for piece in pieces))
        return pieces

    def _known_channels(self, piece: Piece, group: int) -> Piece:
        """Return a piece without channels that its chunk lacks; they are an error."""
        d = self.d
        channels = d.s_outer_last if group == d.s_chunks - 1 else d.s_outer
        known = piece.channel < channels
        if known.all():
            return piece
        self.outcome.note(PassError.STRIP)
        names = ("strip", "position", "channel", "code")
        return replace(piece, **{name: getattr(piece, name)[known] for name in names})

    def _write_kernel(
        self,
        sums: TileSums,
        tile: int,
        origin: tuple[int, int, int],
        size: tuple[int, int, int],
    ) -> None:
        d = self.d
        n, y, x = (one.reshape(-1) for one in np.indices(size))
        walk = (n * d.plane + y * d.y_step + x * d.x_step)[:, None] + np.arange(d.run)
        first = d.out_addr + tile * d.s_tile_bytes
        steps = (d.sample_bytes, d.row_bytes, d.pixel_bytes)
        first += sum(at * step for at, step in zip(origin, steps, strict=True))
        runs = first + n * d.sample_bytes + y * d.row_bytes + x * d.pixel_bytes
        self._write(sums, walk.reshape(-1), runs)

    # -- correlate

    def _correlate_tile(self, tile: int, streamed: int) -> None:
        """Run all units of work of one tile; not chained, it is one."""
        d = self.d
        group, part = streamed >> d.t_split, streamed & ((1 << d.t_split) - 1)
        sums = TileSums(d, self.config, self.arithmetic)
        for unit in units(d):
            loaded = self._load(tile, unit.n0 * d.s_chunks + unit.chunk, unit.chunks)
            strips = (unit.samples - 1) * d.t_strips + unit.strips
            piece = self.streamed.piece(group, unit.n0 * d.t_strips + unit.strip, strips)
            self.outcome.note(piece.error)
            self._check_correlate_window(loaded, unit)
            if PassError.NONE == loaded.piece.error == piece.error:
                words, lookups = correlate_words(
                    d, piece, self.arithmetic, part * channels_of_tile(d), unit.strip
                )
                words = words._replace(key=words.key - unit.chunk * d.s_keys)
                sums.add(words, loaded.held, d.row_step)
                self._count(loaded.piece, [piece], lookups, words.key.size)
        first = d.out_addr + tile * d.s_tile_bytes + streamed * d.t_tile_bytes
        self._write(sums, np.arange(d.run), np.array([first]))

    def _check_correlate_window(self, loaded: _Loaded, unit: Unit) -> None:
        """Note an error if the samples of a unit, as far as whole, do not slide through the window.

        Of a part of one sample all chunks must be there.
        """
        each = self.d.s_chunks if unit.samples > 1 else unit.chunks
        samples = loaded.piece.strips // each
        if samples:
            ends = loaded.ends[: samples * each + 1]
            self._check_window(*longest_window(ends, samples, needed_chunks(self.d, unit)))


def _descriptors(memory: np.ndarray, addr: int, count: int) -> Iterator[PassFields]:
    """Yield the descriptors of a list."""
    for first in range(addr, addr + DESCRIPTOR_BYTES * count, DESCRIPTOR_BYTES):
        content = memory[first : first + DESCRIPTOR_BYTES]
        yield pass_fields(PASS_DESCRIPTOR.unpack(content)[0])


_UNDER_WAY = (
    PassError.BUS_WRITE,
    PassError.BUS_READ,
    PassError.TABLE,
    PassError.STRIP,
    PassError.WINDOW,
)
"""Errors that a pass can have whose descriptor has none."""


def run_passes(
    config: ArrayConfig,
    image: np.ndarray,
    descriptors_addr: int,
    count: int,
    memory_bytes: int,
) -> PassesResult:
    """Run a list of passes on a memory image, as the hardware must.

    Parameters
    ----------
    config
        The array.
    image
        uint8: memory from address 0; behind it are zeros.
    descriptors_addr
        Byte address of the list.
    count
        Passes.
    memory_bytes
        Size of memory; what is beyond answers with errors.
    """
    memory = np.zeros(memory_bytes, np.uint8)
    memory[: image.size] = image
    done: list[_Outcome] = []
    errors: tuple[PassError, ...] = ()
    error_pass = NO_PASS
    end = descriptors_addr + DESCRIPTOR_BYTES * count
    there = min(count, max(0, memory_bytes - descriptors_addr) // DESCRIPTOR_BYTES)
    reach = 1 << config.addr_width
    if descriptors_addr % ALIGNMENT_BYTES != 0 or descriptors_addr >= reach or end > reach:
        errors = (PassError.START_ADDRESS,)
    elif count == 0:
        errors = (PassError.START_PASSES,)
    elif there == 0:
        errors = (PassError.BUS_READ,)
    else:
        for error_pass, d in enumerate(_descriptors(memory, descriptors_addr, there)):
            code = check_descriptor(d, config, (descriptors_addr, end))
            if code != PassError.NONE:
                errors = (code,)
                break
            if d.out_addr + results_extent(d) > memory_bytes:
                errors = _UNDER_WAY  # unless another comes first, a write fails
                break
            work = _Pass(d, config, memory)
            outcome = work.run()
            if error_pass + 1 == there < count:
                outcome.note(PassError.BUS_READ)  # of the next descriptor, which is read meanwhile
            errors = tuple(outcome.errors)
            if errors:
                break
            memory = work.after
            done.append(outcome)
    return PassesResult(
        memory=memory,
        saturated=any(one.saturated for one in done),
        nonfinite=any(one.nonfinite for one in done),
        overflow_certain=any(one.overflow_certain for one in done),
        overflow_possible=any(one.overflow_possible for one in done),
        counts=tuple(one.counts for one in done),
        error=errors[0] if errors else PassError.NONE,
        error_pass=error_pass if errors else len(done),
        possible=frozenset(errors),
    )
