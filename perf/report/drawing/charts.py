"""Charts as SVG, each drawn for the width that it is asked for.

Nothing is computed here but positions. Colours are Okabe and Ito's, which the colour-blind can tell
apart; series differ by lightness too, so that a grey print can be read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gscn.errors import InputError
from gscn.perf.report.drawing.svg import drawing, line, mark, rect, text, text_width

COLOURS = (
    "#0072B2", "#56B4E9", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#F0E442", "#999999",
    "#444444",
    "#332288",
)  # fmt: skip
_ROW = 15
_GAP = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A group of bars, one per series."""

    label: str
    values: tuple[float | None, ...]
    """One per series; None: there is none."""
    marks: tuple[float | None, ...] = ()
    """A published value beside each bar; None: none was published."""


def nice_ticks(most: float, count: int = 5) -> list[float]:
    """Return round numbers from 0 to at least `most`, some `count` of them."""
    if not most > 0:
        raise InputError(f"the largest value of an axis must be positive, not {most}")
    raw = most / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * f for f in (1, 2, 2.5, 5, 10) if power * f >= raw * 0.999)
    return [step * index for index in range(math.ceil(most / step - 1e-9) + 1)]


def tick_text(value: float) -> str:
    """Write the number at a tick."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"


def legend(
    names: Sequence[str],
    colours: Sequence[str],
    width: float,
    *,
    extra: str = "",
    shapes: Sequence[str] = (),
) -> tuple[str, float]:
    """Return a legend and its height.

    Parameters
    ----------
    names, colours
        What to explain; there may be more colours than names.
    width
        At which to begin another line, pixels.
    extra
        Name of the mark of published values, if there are any.
    shapes
        Marks of the names; by default squares of their colour.
    """
    items = [(name, colour, "") for name, colour in zip(names, colours, strict=False)]
    if shapes:
        items = [(*item[:2], shape) for item, shape in zip(items, shapes, strict=False)]
    if extra:
        items.append((extra, "#000000", "published"))
    parts, x, y = [], 0.0, 12.0
    for name, colour, shape in items:
        advance = 18 + text_width(name) + 14
        if x and x + advance > width:
            x, y = 0.0, y + 18
        if shape == "published":
            parts.append(mark("diamond", x + 6, y - 4, 4, fill="#fff", stroke=colour))
        elif shape:
            parts.append(mark(shape, x + 6, y - 4, 5, fill=colour))
        else:
            parts.append(rect(x, y - 10, 12, 12, fill=colour))
        first, *others = _wrapped(name, width - x - 18)
        parts.append(text(x + 18, y, first))
        for words in others:
            y += 16
            parts.append(text(x + 18, y, words))
        x += advance
    return "".join(parts), y + 8


def _wrapped(label: str, width: float) -> list[str]:
    """Break a label into lines of at most `width` pixels, at spaces."""
    lines = [""]
    for word in label.split():
        candidate = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(candidate) > width:
            lines.append(word)
        else:
            lines[-1] = candidate
    return lines


@dataclass(frozen=True, kw_only=True, slots=True)
class _Across:
    """A horizontal axis."""

    start: float
    """Where zero is, pixels."""
    unit: float
    """How long 1 is, pixels."""
    ticks: Sequence[float]

    def at(self, value: float) -> float:
        """Return where a value is."""
        return self.start + value * self.unit

    def draw(self, top: float, bottom: float, *, drop: float, name: str) -> tuple[str, str]:
        """Return the lines behind the bars, and the words below them.

        Parameters
        ----------
        top, bottom
            Where the bars begin and end.
        drop
            How far below them the numbers of the ticks stand.
        name
            What the numbers are.
        """
        lines, words = [], []
        for tick in self.ticks:
            x = self.at(tick)
            lines.append(line(x, top - 4, x, bottom, class_="grid"))
            # At the drawing's edge half of a number would be cut off.
            anchor = "middle" if x else "start"
            words.append(text(x, bottom + drop, tick_text(tick), text_anchor=anchor, class_="tick"))
        return "".join(lines), "".join(
            [*words, text(self.start, bottom + drop + 17, name, class_="tick")]
        )


def _reference(across: _Across, value: float | None, top: float, bottom: float) -> str:
    """Return the dashed line at a value, if there is one."""
    if value is None:
        return ""
    return line(across.at(value), top - 4, across.at(value), bottom, class_="reference")


def _room(labels: Sequence[str], narrow: bool) -> float:
    """Return how much room labels take at the left of bars; none where they stand above them."""
    return 0.0 if narrow else min(250, max(map(text_width, labels)) + 10)


def _label_above(words: Sequence[str], y: float) -> str:
    return "".join(text(0, y + 11 + 16 * n, w, class_="label") for n, w in enumerate(words))


def _label_beside(words: Sequence[str], room: float, y: float) -> str:
    return "".join(
        text(room - 8, y + 16 * n, w, text_anchor="end", class_="label")
        for n, w in enumerate(words)
    )


def _group(bar: Bar, series: Sequence[str], across: _Across, y: float) -> str:
    """Return the bars of a group, each with its number, and the marks of published values."""
    parts = []
    marks = bar.marks or (None,) * len(bar.values)
    for index, (value, published) in enumerate(zip(bar.values, marks, strict=True)):
        end = across.start
        if value is not None:
            end = across.at(value)
            tip = f"{bar.label}, {series[index]}: {value:.3g}"
            parts.append(
                rect(across.start, y, value * across.unit, _ROW - 3, fill=COLOURS[index], tip=tip)
            )
        if published is not None:
            at = across.at(published)
            tip = f"{bar.label}, {series[index]}: published {published:g}"
            parts.append(mark("diamond", at, y + 6, 4, fill="#fff", stroke="#000", tip=tip))
            if abs(at - end) < 40:
                end = max(end, at + 6)
        if value is not None:
            parts.append(text(end + 4, y + 10.5, f"{value:.2f}", class_="number"))
        y += _ROW
    return "".join(parts)


def grouped_bars(
    bars: Sequence[Bar],
    series: Sequence[str],
    *,
    width: int,
    title: str,
    axis: str,
    mark_label: str = "",
    reference: float | None = None,
    class_: str = "",
) -> str:
    """Draw horizontal bars in groups, with the number at each, and published values as diamonds.

    Parameters
    ----------
    bars
        The groups, from the top.
    series
        Names of the bars of a group.
    width
        Of the drawing, pixels; where it is narrow, labels stand above the groups.
    title
        For readers that cannot see it.
    axis
        What the numbers are, with their unit.
    mark_label
        What the diamonds are.
    reference
        A vertical line, such as 1 for "as fast".
    class_
        CSS class.

    Raises
    ------
    InputError
        No bars.
    """
    if not bars:
        raise InputError(f"figure {title!r} must have at least one bar")
    narrow = width < 500
    room = _room([bar.label for bar in bars], narrow)
    names, top = legend(series, COLOURS, width, extra=mark_label)
    values = [v for bar in bars for v in (*bar.values, *bar.marks) if v is not None]
    ticks = nice_ticks(max([*values, reference or 0]), 4 if narrow else 7)
    across = _Across(start=room, unit=(width - room - 52) / ticks[-1], ticks=ticks)
    parts, y = [names], top + 6
    for bar in bars:
        words = _wrapped(bar.label, width - 8 if narrow else room - 10)
        if narrow:
            parts.append(_label_above(words, y))
            y += 16 * len(words)
        else:
            middle = y + _ROW * len(bar.values) / 2 - 8 * len(words) + 12
            parts.append(_label_beside(words, room, middle))
        parts.append(_group(bar, series, across, y))
        y += _ROW * len(bar.values) + _GAP
    lines, below = across.draw(top + 6, y, drop=14, name=axis)
    parts = [lines, *parts, below, _reference(across, reference, top + 6, y)]
    return drawing(width, y + 38, "".join(parts), title=title, class_=class_)


def stacked_bars(
    rows: Sequence[tuple[str, Mapping[str, float]]],
    series: Sequence[str],
    *,
    width: int,
    title: str,
    axis: str,
    total: float | None = None,
    class_: str = "",
) -> str:
    """Draw one horizontal bar per row, cut into the parts that `series` names.

    Parameters
    ----------
    rows
        (label, value by series) from the top.
    series
        Parts in order from the left; those that are 0 everywhere are left out of the legend.
    width, title, axis, class_
        As of `grouped_bars`.
    total
        End of the axis; by default what the largest bar needs, with the sum at each bar's end.

    Raises
    ------
    InputError
        No rows.
    """
    if not rows:
        raise InputError(f"figure {title!r} must have at least one bar")
    narrow = width < 500
    shown = [name for name in series if any(row.get(name) for _, row in rows)]
    colours = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(series)}
    names, top = legend(shown, [colours[name] for name in shown], width)
    room = _room([label for label, _ in rows], narrow)
    sums = [sum(row.get(name, 0) for name in series) for _, row in rows]
    ticks = nice_ticks(total or max(sums), 4 if narrow else 6)
    end = total or ticks[-1]
    across = _Across(
        start=room,
        unit=(width - room - (20 if total else 64)) / end,
        ticks=[tick for tick in ticks if tick <= end * 1.0001],
    )
    parts, y = [names], top + 6
    for (label, row), whole in zip(rows, sums, strict=True):
        if narrow:
            parts.append(_label_above([label], y))
            y += 16
        else:
            parts.append(_label_beside([label], room, y + 13))
        x = room
        for name in shown:
            length = row.get(name, 0) * across.unit
            tip = f"{label}: {name} {row.get(name, 0):.4g}"
            parts.append(rect(x, y, length, 18, fill=colours[name], tip=tip))
            x += length
        if total is None:
            parts.append(text(x + 4, y + 13, f"{whole:.3g}", class_="number"))
        y += 18 + _GAP
    lines, below = across.draw(top + 6, y, drop=12, name=axis)
    return drawing(width, y + 36, "".join([lines, *parts, below]), title=title, class_=class_)


def layer_columns(
    panels: Sequence[tuple[str, Sequence[tuple[str, float | None, str]]]],
    kinds: Sequence[str],
    *,
    width: int,
    title: str,
    axis: str,
    groups: Sequence[tuple[str, int]] = (),
    reference: float | None = None,
    class_: str = "",
) -> str:
    """Draw panels of thin columns, one column per layer, coloured by kind.

    Parameters
    ----------
    panels
        (name, columns); a column is (layer, value or None, kind). All have as many columns.
    kinds
        What colours mean, in order.
    width, title, axis, reference, class_
        As of `grouped_bars`.
    groups
        (name, columns) of neighbouring layers, named below the last panel.

    Raises
    ------
    InputError
        No panels or no columns.
    """
    if not panels or not panels[0][1]:
        raise InputError(f"figure {title!r} must have at least one column")
    used = [kind for kind in kinds if any(c[2] == kind for _, columns in panels for c in columns)]
    colours = {kind: COLOURS[index] for index, kind in enumerate(kinds)}
    names, y = legend(used, [colours[kind] for kind in used], width)
    left, height = 34, 96
    values = [c[1] for _, columns in panels for c in columns if c[1] is not None]
    ticks = nice_ticks(max([*values, reference or 0]), 4)
    parts = [names, text(0, y + 12, axis, class_="tick")]
    y += 16
    step = (width - left) / len(panels[0][1])
    for name, columns in panels:
        parts.append(text(left, y + 14, name, class_="label"))
        y += 20
        base, scale = y + height, height / ticks[-1]
        for tick in ticks:
            parts.append(line(left, base - tick * scale, width, base - tick * scale, class_="grid"))
            parts.append(
                text(left - 4, base - tick * scale + 4, tick_text(tick), text_anchor="end",
                     class_="tick")
            )  # fmt: skip
        for index, (layer, value, kind) in enumerate(columns):
            if value is not None:
                parts.append(
                    rect(
                        left + index * step + step * 0.12, base - value * scale, step * 0.76,
                        value * scale, fill=colours[kind],
                        tip=f"{layer}, {name}: {value:.3g} ({kind})",
                    )
                )  # fmt: skip
        if reference is not None:
            at = base - reference * scale
            parts.append(line(left, at, width, at, class_="reference"))
        y = base + 6
    x = float(left)
    for name, count in groups:
        parts.append(line(x, y, x, y + 10, class_="axis"))
        if text_width(name, 10) < count * step - 4:
            parts.append(text(x + 3, y + 10, name, class_="tick"))
        x += count * step
    return drawing(width, y + 18, "".join(parts), title=title, class_=class_)
