"""Reading SVG drawings back."""

from __future__ import annotations

from xml.etree import ElementTree

from gscn.perf.report.drawing import svg

NAMESPACE = "{http://www.w3.org/2000/svg}"


def parsed(drawing):
    return ElementTree.fromstring(drawing)


def tipped(root, tag):
    """Return the elements of a kind that carry a tip, with the tip."""
    pairs = [(e.findtext(f"{NAMESPACE}title"), e) for e in root.iter(NAMESPACE + tag)]
    return [(tip, e) for tip, e in pairs if tip]


def outside(root):
    """Return the texts of a drawing that begin or end outside it; widths are known roughly."""
    width = float(root.get("width"))
    found = []
    for element in root.iter(NAMESPACE + "text"):
        x, length = float(element.get("x")), svg.text_width(element.text, 11)
        left = x - {"middle": length / 2, "end": length}.get(element.get("text-anchor"), 0)
        if left < -2 or left + length > width + 8:
            found.append(element.text)
    return found
