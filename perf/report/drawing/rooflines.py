"""Rooflines as SVG: what resources allow at so many products per byte, and what was reached."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gscn.errors import InputError
from gscn.perf.report.drawing.charts import COLOURS, legend
from gscn.perf.report.drawing.svg import (
    FONT_SIZE,
    MARKS,
    drawing,
    element,
    line,
    mark,
    polyline,
    text,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A point of a roofline."""

    x: float
    y: float
    series: int
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Roof:
    """A slanted roof: so many bytes per cycle."""

    label: str
    short: str
    """Name where the drawing is narrow."""
    bytes_per_cycle: float


def _decades(low: float, high: float) -> Iterator[float]:
    exponent = math.floor(math.log10(low))
    while 10.0**exponent <= high * 1.0001:
        if 10.0**exponent >= low * 0.9999:
            yield 10.0**exponent
        exponent += 1


def roofline(
    points: Sequence[Point],
    series: Sequence[str],
    roofs: Sequence[Roof],
    flat: tuple[str, float],
    *,
    width: int,
    title: str,
    x_axis: str,
    y_axis: str,
    class_: str = "",
) -> str:
    """Draw a roofline on log-log axes: products per cycle against products per byte.

    Parameters
    ----------
    points
        What was computed; `series` chooses colour and mark.
    series
        Names of the points' series.
    roofs
        Slanted roofs.
    flat
        Name and height of the flat roof.
    width, title, class_
        As of `grouped_bars`.
    x_axis, y_axis
        Quantities and units.

    Raises
    ------
    InputError
        No points, or one that is not positive.
    """
    if not points or min(min(p.x, p.y) for p in points) <= 0:
        raise InputError(f"figure {title!r} must have points, all positive")
    narrow = width < 500
    names, top = legend(series, COLOURS, width, shapes=MARKS)
    left, right, height = 42.0, 12.0, 300.0 if narrow else 360.0
    knees = [flat[1] / roof.bytes_per_cycle for roof in roofs]
    low_x = min(min(p.x for p in points) / 1.6, *(knee / 10 for knee in knees))
    high_x = max(max(p.x for p in points), *knees) * 1.6
    low_y, high_y = min(*(p.y / 1.6 for p in points), flat[1] / 30), flat[1] * 1.5
    y0 = top + 10

    def at_x(value: float) -> float:
        share = math.log(value / low_x) / math.log(high_x / low_x)
        return left + share * (width - left - right)

    def at_y(value: float) -> float:
        return y0 + (1 - math.log(value / low_y) / math.log(high_y / low_y)) * height

    parts = [names]
    for tick in _decades(low_x, high_x):
        parts.append(line(at_x(tick), y0, at_x(tick), y0 + height, class_="grid"))
        parts.append(
            text(at_x(tick), y0 + height + 14, f"{tick:g}", text_anchor="middle", class_="tick")
        )
    for tick in _decades(low_y, high_y):
        parts.append(line(left, at_y(tick), width - right, at_y(tick), class_="grid"))
        parts.append(text(left - 5, at_y(tick) + 4, f"{tick:g}", text_anchor="end", class_="tick"))
    name, height_of_flat = flat
    leftmost = min(height_of_flat / roof.bytes_per_cycle for roof in roofs)
    parts.append(
        line(at_x(max(leftmost, low_x)), at_y(height_of_flat), width - right,
             at_y(height_of_flat), class_="roof")
    )  # fmt: skip
    parts.append(
        text(width - right, at_y(height_of_flat) - 6, name, text_anchor="end", class_="label")
    )
    for roof in roofs:
        knee = height_of_flat / roof.bytes_per_cycle
        start = max(low_x, low_y / roof.bytes_per_cycle)
        corners = [
            (at_x(start), at_y(start * roof.bytes_per_cycle)),
            (at_x(knee), at_y(height_of_flat)),
        ]
        parts.append(polyline(corners, class_="roof"))
        # its name along the slope, below the line, ending before the knee
        (x1, y1), (x2, y2) = corners
        angle = math.degrees(math.atan2(y2 - y1, x2 - x1))
        x, y = x2 - 0.06 * (x2 - x1), y2 - 0.06 * (y2 - y1)
        parts.append(
            text(
                x,
                y + 13,
                roof.short if narrow else roof.label,
                class_="tick",
                text_anchor="end",
                transform=f"rotate({angle:.1f} {x:.1f} {y:.1f})",
            )
        )
    for point in points:
        parts.append(
            mark(
                MARKS[point.series % len(MARKS)], at_x(point.x), at_y(point.y), 3.6,
                fill=COLOURS[point.series % len(COLOURS)], fill_opacity=0.75, stroke="#fff",
                stroke_width=0.6,
                tip=f"{point.label}: {point.y:.3g} products per cycle, {point.x:.3g} per byte",
            )
        )  # fmt: skip
    bottom = y0 + height
    parts.append(line(left, bottom, width - right, bottom, class_="axis"))
    parts.append(line(left, y0, left, bottom, class_="axis"))
    parts.append(text(left, bottom + 31, x_axis, class_="tick"))
    parts.append(
        element("g", text(0, 0, y_axis, class_="tick", text_anchor="end"),
                transform=f"translate({FONT_SIZE - 2} {y0:.1f}) rotate(-90)")
    )  # fmt: skip
    return drawing(width, bottom + 38, "".join(parts), title=title, class_=class_)
