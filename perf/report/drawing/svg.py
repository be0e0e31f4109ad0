"""A few SVG elements with escaped text, and how wide a text will be."""

from __future__ import annotations

from html import escape

FONT_SIZE = 12
_CHARACTER_WIDTH = 0.6
"""Mean width of a character of the page's sans-serif fonts, in font sizes; a little generous."""


def text_width(text: str, size: float = FONT_SIZE) -> float:
    """Return about how wide a text is, pixels."""
    return _CHARACTER_WIDTH * size * len(text)


def number(value: float) -> str:
    """Write a coordinate shortly."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def element(name: str, content: str = "", **attributes: object) -> str:
    """Return an SVG element.

    Underscores in names of attributes become hyphens (`class_` becomes `class`); `content` is
    markup and not escaped, values of attributes are.
    """
    parts = [name]
    for key, value in attributes.items():
        if value is None:
            continue
        written = number(value) if isinstance(value, float) else escape(str(value))
        parts.append(f'{key.rstrip("_").replace("_", "-")}="{written}"')
    head = " ".join(parts)
    return f"<{head}>{content}</{name}>" if content else f"<{head}/>"


def text(x: float, y: float, words: str, **attributes: object) -> str:
    """Return a text anchored at (x, y): its start, or by `text_anchor` its middle or end."""
    return element("text", escape(words), x=float(x), y=float(y), **attributes)


def rect(
    x: float, y: float, width: float, height: float, *, tip: str = "", **attributes: object
) -> str:
    """Return a rectangle; `tip` is shown by a pointer that rests on it."""
    return element(
        "rect",
        element("title", escape(tip)) if tip else "",
        x=float(x),
        y=float(y),
        width=float(max(width, 0)),
        height=float(max(height, 0)),
        **attributes,
    )


def line(x1: float, y1: float, x2: float, y2: float, **attributes: object) -> str:
    """Return a line."""
    return element("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), **attributes)


def polyline(points: list[tuple[float, float]], **attributes: object) -> str:
    """Return a line through points."""
    joined = " ".join(f"{number(x)},{number(y)}" for x, y in points)
    return element("polyline", points=joined, **({"fill": "none"} | attributes))


MARKS = ("circle", "square", "triangle", "diamond")


def mark(
    shape: str, x: float, y: float, radius: float, *, tip: str = "", **attributes: object
) -> str:
    """Return a mark, one of `MARKS`, centred at (x, y)."""
    title = element("title", escape(tip)) if tip else ""
    if shape == "circle":
        return element("circle", title, cx=float(x), cy=float(y), r=float(radius), **attributes)
    corners = {
        "square": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
        "triangle": ((0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
        "diamond": ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)),
    }[shape]
    points = " ".join(f"{number(x + radius * dx)},{number(y + radius * dy)}" for dx, dy in corners)
    return element("polygon", title, points=points, **attributes)


def drawing(width: float, height: float, content: str, *, title: str, class_: str) -> str:
    """Return an SVG document to stand inside a page, scaled to the width that it is given."""
    return element(
        "svg",
        element("title", escape(title)) + content,
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=float(width),
        height=float(height),
        role="img",
        class_=class_,
        xmlns="http://www.w3.org/2000/svg",
    )
