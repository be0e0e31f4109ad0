"""What passes do, by their law in plain Python: nonzero by nonzero, without keys or indices.

Nothing here comes from the lowering, the emulator or the hardware.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from gscn.array import ArrayConfig
from gscn.formats import NUMBER_FORMATS
from gscn.passes import Mode
from tests import floats
from tests.pass_memory import Program, RandomPass, result_bytes


def round_half_even(value, shift):
    """Return value / 2**shift rounded to nearest, ties to even."""
    return round(value / 2**shift) if abs(value) < 2**52 else _round_large(value, shift)


def _round_large(value, shift):
    quotient, remainder = divmod(value, 1 << shift)
    return quotient + (2 * remainder > 1 << shift or (2 * remainder == 1 << shift and quotient & 1))


@dataclass(kw_only=True, slots=True)
class Expected:
    """What a program does."""

    memory: np.ndarray
    saturated: bool = False
    nonfinite: bool = False
    overflow_certain: bool = False
    overflow_possible: bool = False
    products: int = 0


class _Sums:
    """Addends of accumulators, which are named by what they are a result for."""

    def __init__(self, config: ArrayConfig, fields: dict[str, int]):
        self.config, self.fields = config, fields
        fmt = NUMBER_FORMATS[fields["number_format"]]
        self.mode = None if fmt is None else floats.Mode(fmt, fields["window"])
        self.totals: Counter = Counter()
        self.magnitudes: Counter = Counter()
        self.specials: Counter = Counter()
        self.products = 0
        self.left_window = False

    def multiply(self, place: tuple, first: int, second: int) -> None:
        """Add the product of two codes."""
        self.products += 1
        if self.mode is None:
            width = self.config.format.width
            value = floats.signed(first, width) * floats.signed(second, width)
        else:
            value, special, beyond = floats.product(first, second, self.mode, self.config.acc_width)
            self.specials[place] |= special
            self.left_window |= beyond
        self.totals[place] += value
        self.magnitudes[place] += abs(value)

    def result(self, place: tuple, expected: Expected) -> int:
        """Return the result of an accumulator, unsigned."""
        width, fields = self.config.acc_width, self.fields
        bits = 8 * result_bytes(fields)
        total = floats.signed(self.totals[place] % (1 << width), width)
        if self.mode is None:
            if fields["out_format"] == 2:
                return total % (1 << bits)
            value = round_half_even(total, fields["shift"])
            limited = min(max(value, -(1 << bits - 1)), (1 << bits - 1) - 1)
            expected.saturated |= limited != value
            return limited % (1 << bits)
        special = self.specials[place]
        if fields["out_format"] == 2:
            return total % (1 << 62) + (special << 62)
        target = floats.result_format(self.mode.fmt, fields["out_format"])
        code, saturated, nonfinite = floats.rounded(total, special, self.mode, target, width)
        expected.saturated |= saturated
        expected.nonfinite |= nonfinite
        return code

    def flags(self, expected: Expected) -> None:
        """Set what all products together mean for the flags."""
        half = 1 << (self.config.acc_width - 1)
        expected.overflow_certain |= self.left_window or any(
            not -half <= total < half for total in self.totals.values()
        )
        expected.overflow_possible |= self.left_window or any(
            magnitude >= half for magnitude in self.magnitudes.values()
        )
        expected.products += self.products


def expect(program: Program) -> Expected:
    """Work out what a program does, from the numbers of its passes."""
    expected = Expected(memory=program.image.copy())
    for one in program.passes:
        sums = _Sums(program.config, one.fields)
        if one.fields["mode"] == Mode.KERNEL:
            _expect_kernel(one, sums, expected)
        else:
            _expect_correlate(one, sums, expected)
        sums.flags(expected)
    return expected


def _put(expected: Expected, fields: dict[str, int], addr: int, value: int) -> None:
    width = result_bytes(fields)
    content = np.frombuffer(int(value).to_bytes(width, "little"), np.uint8)
    assert fields["out_addr"] <= addr <= fields["out_end"] - width
    expected.memory[addr : addr + width] = content


def _expect_kernel(one: RandomPass, sums: _Sums, expected: Expected) -> None:
    f = one.fields
    for band in range(-(-f["rows"] // f["tile_rows"])):
        y0 = band * f["tile_rows"]
        height = min(f["tile_rows"], f["rows"] - y0)
        first = band * f["tile_strips"] - f["strips_before"]
        last = band * f["tile_strips"] + f["strips_after"]
        for sample in range(f["samples"]):
            for group in range(f["t_groups"]):
                for strip in range(max(first, 0), min(last, f["t_strips"])):
                    codes = one.streamed[group][sample * f["t_strips"] + strip]
                    for row, x, c in np.argwhere(codes).tolist():
                        y = f["first_row"] + ((strip - first) * f["t_rows"] + row) * f["t_step"]
                        column = f["first_col"] + x * f["t_step"]
                        _meet_weights(one, sums, (group, c), (sample, y0, height, y, column),
                                      int(codes[row, x, c]))  # fmt: skip
    for tile in range(f["s_tiles"]):
        for n in range(f["samples"]):
            for y in range(f["rows"]):
                for x in range(f["cols"]):
                    addr = f["out_addr"] + tile * f["s_tile_bytes"] + n * f["sample_bytes"]
                    addr += y * f["row_bytes"] + x * f["pixel_bytes"]
                    for k in range(f["run"]):
                        value = sums.result((tile, n, y, x, k), expected)
                        _put(expected, f, addr + k * result_bytes(f), value)


def _meet_weights(
    one: RandomPass,
    sums: _Sums,
    channel: tuple[int, int],
    place: tuple[int, int, int, int, int],
    code: int,
) -> None:
    f, (group, c), (sample, y0, height, y, column) = one.fields, channel, place
    for r in range(f["taps_y"]):
        for s in range(f["taps_x"]):
            if not (0 <= y + r < height and 0 <= column + s < f["cols"]):
                continue
            for tile in range(f["s_tiles"]):
                weights = one.stationary[tile][group][c, r, s]
                for k in np.flatnonzero(weights).tolist():
                    at = (tile, sample, y0 + y + r, column + s, k)
                    sums.multiply(at, code, int(weights[k]))


def _expect_correlate(one: RandomPass, sums: _Sums, expected: Expected) -> None:
    f = one.fields
    part_channels = (16 << f["t_vectors"]) >> f["t_split"]
    for group, strips in enumerate(one.streamed):
        for number, codes in enumerate(strips):
            sample, strip = divmod(number, f["t_strips"])
            for row, x, c in np.argwhere(codes).tolist():
                y = f["first_row"] + (strip * f["t_rows"] + row) * f["t_step"]
                column = f["first_col"] + x * f["t_step"]
                part, lane = divmod(c, part_channels)
                streamed = (group << f["t_split"]) + part
                if streamed >= f["t_tiles"]:
                    continue
                for r in range(f["taps_y"]):
                    for s in range(f["taps_x"]):
                        if not (0 <= y + r < f["rows"] and 0 <= column + s < f["cols"]):
                            continue
                        chunk, outer = divmod(y + r, f["s_outer"])
                        for tile in range(f["s_tiles"]):
                            chunks = one.stationary[tile]
                            held = chunks[sample * f["s_chunks"] + chunk][outer, 0, column + s]
                            for k in np.flatnonzero(held).tolist():
                                index = lane * f["lane_step"] + r * f["row_step"]
                                index += s * f["s_offset_inner"] + k
                                at = (tile, streamed, index)
                                sums.multiply(at, int(codes[row, x, c]), int(held[k]))
    for tile in range(f["s_tiles"]):
        for streamed in range(f["t_tiles"]):
            addr = f["out_addr"] + tile * f["s_tile_bytes"] + streamed * f["t_tile_bytes"]
            for index in range(f["run"]):
                value = sums.result((tile, streamed, index), expected)
                _put(expected, f, addr + index * result_bytes(f), value)
