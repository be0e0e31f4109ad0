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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plane:
    """A rectangle of the drawing with two logarithmic axes."""

    left: float
    right: float
    top: float
    bottom: float
    """Pixels."""
    low_x: float
    high_x: float
    low_y: float
    high_y: float
    """Values at its sides."""

    @classmethod
    def around(
        cls, points: Sequence[Point], roofs: Sequence[Roof], flat: float, *, width: int, top: float
    ) -> _Plane:
        """Return one that shows every point, and every slanted roof below the flat one."""
        knees = [flat / roof.bytes_per_cycle for roof in roofs]
        return cls(
            left=42.0,
            right=width - 12.0,
            top=top,
            bottom=top + (300.0 if width < 500 else 360.0),
            low_x=min(min(p.x for p in points) / 1.6, *(knee / 10 for knee in knees)),
            high_x=max(max(p.x for p in points), *knees) * 1.6,
            low_y=min(*(p.y / 1.6 for p in points), flat / 30),
            high_y=flat * 1.5,
        )

    def at_x(self, value: float) -> float:
        """Return where a value of the horizontal axis is, pixels."""
        share = math.log(value / self.low_x) / math.log(self.high_x / self.low_x)
        return self.left + share * (self.right - self.left)

    def at_y(self, value: float) -> float:
        """Return where a value of the vertical axis is, pixels."""
        share = math.log(value / self.low_y) / math.log(self.high_y / self.low_y)
        return self.top + (1 - share) * (self.bottom - self.top)


def _grid(plane: _Plane) -> Iterator[str]:
    """Yield a line and a number at every power of ten."""
    for tick in _decades(plane.low_x, plane.high_x):
        x = plane.at_x(tick)
        yield line(x, plane.top, x, plane.bottom, class_="grid")
        yield text(x, plane.bottom + 14, f"{tick:g}", text_anchor="middle", class_="tick")
    for tick in _decades(plane.low_y, plane.high_y):
        y = plane.at_y(tick)
        yield line(plane.left, y, plane.right, y, class_="grid")
        yield text(plane.left - 5, y + 4, f"{tick:g}", text_anchor="end", class_="tick")


def _flat_roof(plane: _Plane, roofs: Sequence[Roof], flat: tuple[str, float]) -> Iterator[str]:
    """Yield the flat roof, from the leftmost knee on, and its name."""
    name, height = flat
    start = max(min(height / roof.bytes_per_cycle for roof in roofs), plane.low_x)
    y = plane.at_y(height)
    yield line(plane.at_x(start), y, plane.right, y, class_="roof")
    yield text(plane.right, y - 6, name, text_anchor="end", class_="label")


def _slanted_roof(plane: _Plane, roof: Roof, height: float, *, narrow: bool) -> Iterator[str]:
    """Yield a slanted roof up to the flat one, and its name along it, ending before the knee."""
    start = max(plane.low_x, plane.low_y / roof.bytes_per_cycle)
    x1, y1 = plane.at_x(start), plane.at_y(start * roof.bytes_per_cycle)
    x2, y2 = plane.at_x(height / roof.bytes_per_cycle), plane.at_y(height)
    yield polyline([(x1, y1), (x2, y2)], class_="roof")
    angle = math.degrees(math.atan2(y2 - y1, x2 - x1))
    x, y = x2 - 0.06 * (x2 - x1), y2 - 0.06 * (y2 - y1)
    yield text(
        x,
        y + 13,
        roof.short if narrow else roof.label,
        class_="tick",
        text_anchor="end",
        transform=f"rotate({angle:.1f} {x:.1f} {y:.1f})",
    )


def _mark(plane: _Plane, point: Point) -> str:
    return mark(
        MARKS[point.series % len(MARKS)], plane.at_x(point.x), plane.at_y(point.y), 3.6,
        fill=COLOURS[point.series % len(COLOURS)], fill_opacity=0.75, stroke="#fff",
        stroke_width=0.6,
        tip=f"{point.label}: {point.y:.3g} products per cycle, {point.x:.3g} per byte",
    )  # fmt: skip


def _axes(plane: _Plane, names: tuple[str, str]) -> Iterator[str]:
    yield line(plane.left, plane.bottom, plane.right, plane.bottom, class_="axis")
    yield line(plane.left, plane.top, plane.left, plane.bottom, class_="axis")
    across, upwards = names
    yield text(plane.left, plane.bottom + 31, across, class_="tick")
    yield element(
        "g",
        text(0, 0, upwards, class_="tick", text_anchor="end"),
        transform=f"translate({FONT_SIZE - 2} {plane.top:.1f}) rotate(-90)",
    )


def roofline(
    points: Sequence[Point],
    series: Sequence[str],
    roofs: Sequence[Roof],
    flat: tuple[str, float],
    *,
    width: int,
    title: str,
    axes: tuple[str, str],
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
    axes
        Quantity and unit of the horizontal axis and of the vertical one.

    Raises
    ------
    InputError
        No points, or one that is not positive.
    """
    if not points or min(min(p.x, p.y) for p in points) <= 0:
        raise InputError(f"figure {title!r} must have points, all positive")
    names, top = legend(series, COLOURS, width, shapes=MARKS)
    plane = _Plane.around(points, roofs, flat[1], width=width, top=top + 10)
    parts = [names, *_grid(plane), *_flat_roof(plane, roofs, flat)]
    for roof in roofs:
        parts += _slanted_roof(plane, roof, flat[1], narrow=width < 500)
    parts += [_mark(plane, point) for point in points]
    parts += _axes(plane, axes)
    return drawing(width, plane.bottom + 38, "".join(parts), title=title, class_=class_)
