"""What tables of layers by other tools leave open: padding, names, fully connected layers.

Such a table has the sizes of maps and kernels, but not how maps are padded. Authors write sizes
without the padding, or with it, or mean that there is none; one reading of three makes a network of
the list: that by which most layers take a map that a layer before them makes, or a pooling of it.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gscn.conv import ConvShape
from gscn.perf.workload.layers import Layer, Network

_Map = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A layer as another tool lists it."""

    name: str
    shape: ConvShape
    """With the height and width that are listed, or the least that fit the outputs listed."""
    where: str
    """Its place in the file, in words; tells layers of one name apart."""
    padded: bool = False
    """Whether the file says how the map is padded, so that `shape` stands."""
    slack: _Map = (0, 0)
    """Rows and columns by which the map may be larger, with the same outputs."""
    linear: bool = False
    """Whether it is a product of matrices in the file."""
    weight_density: float | None = None


def network_of_list(name: str, listed: Sequence[Listed], *, notes: Iterable[str] = ()) -> Network:
    """Return a network of layers in order, the first one fed by the image.

    Layers with a kernel as large as their map are fully connected ones. Each is a layer of its own:
    such lists do not say which share weights, nor what is normalised.

    Parameters
    ----------
    name
        Of the network.
    listed
        The layers, at least one.
    notes
        What else the reader took for granted, in sentences.
    """
    shapes, reading = _padded(listed)
    counts = Counter(one.name for one in listed)
    layers = []
    for index, (one, shape) in enumerate(zip(listed, shapes, strict=True)):
        covers = (shape.p, shape.q) == (1, 1) and shape.padding == (0, 0) and shape.groups == 1
        if covers and not one.linear:
            size = shape.c * shape.h * shape.w
            shape = ConvShape(n=shape.n, c=size, h=1, w=1, k=shape.k, r=1, s=1)
        layers.append(
            Layer(
                name=one.name if counts[one.name] == 1 else f"{one.name} ({one.where})",
                shape=shape,
                linear=covers or one.linear,
                first=index == 0,
                weight_density=one.weight_density,
            )
        )
    return Network(name=name, layers=tuple(layers), notes=(*reading, *notes))


def _padded(listed: Sequence[Listed]) -> tuple[list[ConvShape], list[str]]:
    """Return the shapes by the reading that explains most layers, and what it is in words."""
    readings: dict[str, Callable[[Listed], list[ConvShape]]] = {
        "as they are, without padding": _plain,
        "as with padding by half of the kernel": _included,
        "as before padding by half of the kernel": _excluded,
    }
    found = {words: _read(listed, options) for words, options in readings.items()}
    plain, others = next(iter(found)), len(listed) - 1
    if all(one.padded or one.linear for one in listed):
        return found[plain][0], []
    most = max(explained for _, explained in found.values())
    best = plain
    if 2 * most > others:
        # Of readings that explain as many, images have sizes that can be halved most often.
        best = max(
            (words for words in found if found[words][1] == most),
            key=lambda words: _halvings(found[words][0][0].h),
        )
    shapes, explained = found[best]
    words = f"Sizes of maps are taken {best}"
    if others:
        words += (
            f": then {explained} of the {others} layers after the first take a map that a layer "
            "before them makes, or a pooling of one"
        )
    return shapes, [f"{words}."]


def _halvings(size: int) -> int:
    return (size & -size).bit_length()


def _read(
    listed: Sequence[Listed], options: Callable[[Listed], list[ConvShape]]
) -> tuple[list[ConvShape], int]:
    """Return shapes by one reading, and how many layers it explains."""
    known: set[_Map] = set()
    shapes, explained = [], 0
    for index, one in enumerate(listed):
        choices = [one.shape] if one.padded or one.linear else options(one)
        fitting = [shape for shape in choices if (shape.h, shape.w) in known]
        explained += bool(index and fitting)
        if not fitting:
            # Nothing makes an image; of sizes with the same outputs, it has one to be halved.
            fitting = choices[:1] if options is _plain else choices
        shape = max(fitting, key=lambda choice: (_halvings(choice.h), _halvings(choice.w)))
        shapes.append(shape)
        known |= _followers(shape)
    return shapes, explained


def _followers(shape: ConvShape) -> set[_Map]:
    """Return the sizes of the outputs, of poolings of them, and of them twice as large."""

    def sizes(size: int) -> tuple[int, ...]:
        return (size, size // 2, (size + 1) // 2, max(1, (size - 1) // 2), 1, 2 * size)

    return set(zip(sizes(shape.p), sizes(shape.q), strict=True))


def _plain(one: Listed) -> list[ConvShape]:
    """Return the shape that is listed, and those that give the same outputs."""
    shape = one.shape
    return [
        dataclasses.replace(shape, h=shape.h + rows, w=shape.w + columns)
        for rows in range(one.slack[0] + 1)
        for columns in range(one.slack[1] + 1)
    ]


def _half(shape: ConvShape) -> _Map:
    """Return the rows and columns that keep a map's size at a stride of 1; none of even kernels."""
    pairs = ((shape.r, shape.dilation[0]), (shape.s, shape.dilation[1]))
    high, wide = (dilation * (taps - 1) // 2 if taps % 2 else 0 for taps, dilation in pairs)
    return high, wide


def _included(one: Listed) -> list[ConvShape]:
    """Return shapes without the padding that is in the sizes."""
    rows, columns = _half(one.shape)
    return [
        dataclasses.replace(
            shape, h=shape.h - 2 * rows, w=shape.w - 2 * columns, padding=(rows, columns)
        )
        for shape in _plain(one)
        if shape.h > 2 * rows and shape.w > 2 * columns
    ] or [one.shape]


def _excluded(one: Listed) -> list[ConvShape]:
    """Return the shape with the padding that is not in the sizes."""
    covers = (one.shape.r, one.shape.s) == (one.shape.h, one.shape.w)
    if one.slack != (0, 0) or covers:
        return _plain(one)
    return [dataclasses.replace(one.shape, padding=_half(one.shape))]
