"""How unevenly nonzeros are spread: five numbers fitted to real tensors, and tensors drawn by them.

In tensors of real training some channels, filters, samples and pixels hold far more nonzeros than
others, and clusters that were given those work longer. The log-odds of an element of a tensor of
shape (I, J, Y, X) to be nonzero are modelled as

    mean + first z[i] + second z[j] + both z[i,j] + position z[y,x] + pixel z[i,y,x]

with independent standard normal z, where i is the sample (of weights: the filter), j the channel
and (y, x) the pixel (of weights: the kernel's position). The mean follows from the density. Differs
from a real tensor: channels that are alike, and pixels that are neighbours, are drawn
independently.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from gscn.errors import InputError

MOST_FITTED = 1 << 19
"""Elements of a tensor that a fit looks at, about; samples and channels beyond are left out."""
_ROUNDS = 14
_EFFECTS: dict[str, tuple[int, ...]] = {
    "first": (0,),
    "second": (1,),
    "both": (0, 1),
    "position": (2, 3),
    "pixel": (0, 2, 3),
}
"""Axes that each effect varies along."""
_INSIDE = {"both": ("first", "second"), "pixel": ("first", "position")}
"""Effects that the mean over the other axes contains besides."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unevenness:
    """Standard deviations of the log-odds of being nonzero; all 0 is uniformly random.

    Raises
    ------
    InputError
        Naming every deviation that is negative.
    """

    first: float = 0.0
    """Between samples, or between filters of weights."""
    second: float = 0.0
    """Between channels."""
    both: float = 0.0
    """Between the maps of a (sample, channel), or the kernels of a (filter, channel)."""
    position: float = 0.0
    """Between pixels, the same for all samples and channels."""
    pixel: float = 0.0
    """Between the pixels of a sample, the same for all channels."""

    def __post_init__(self) -> None:
        """Check the signs."""
        negative = [name for name in _EFFECTS if not getattr(self, name) >= 0]
        if negative:
            raise InputError(f"unevenness must be at least 0: {', '.join(negative)}")


def draw_nonzeros(
    shape: tuple[int, ...], density: float, unevenness: Unevenness, rng: np.random.Generator
) -> np.ndarray:
    """Return a tensor of random nonzeros.

    Parameters
    ----------
    shape
        (I, J, Y, X).
    density
        Expected share of nonzeros, 0 to 1.
    unevenness
        Of the places.
    rng
        Source of the draws.

    Returns
    -------
    numpy.ndarray
        bool, of that shape.

    Raises
    ------
    InputError
        Density out of range.
    """
    if not 0 <= density <= 1:
        raise InputError(f"density must be from 0 to 1, not {density!r}")
    if density in (0.0, 1.0):
        return np.full(shape, density == 1.0)
    chances = _chances(shape, density, unevenness, rng)
    return rng.random(shape, dtype=np.float32) < chances


def variation(tensor: np.ndarray) -> dict[str, float]:
    """Return the squared coefficient of variation of the counts of nonzeros, effect by effect.

    What independent draws of one probability would show is taken off, as is what an effect of
    fewer axes explains. Below 0 the counts are more even than such draws.

    Parameters
    ----------
    tensor
        (I, J, Y, X), bool or probabilities; of probabilities nothing is taken off.
    """
    density = float(tensor.mean(dtype=np.float64))
    found: dict[str, float] = {}
    for name, axes in _EFFECTS.items():
        others = tuple(axis for axis in range(4) if axis not in axes)
        shares = tensor.mean(axis=others, dtype=np.float64)
        chance = 0.0
        if tensor.dtype == bool:
            chance = density * (1 - density) * shares.size / tensor.size
        found[name] = (float(shares.var()) - chance) / density**2
    return {
        name: value - sum(found[part] for part in _INSIDE.get(name, ()))
        for name, value in found.items()
    }


def fit_unevenness(nonzeros: np.ndarray, *, seed: int = 0) -> Unevenness:
    """Return the deviations with which drawn tensors vary as a given one does.

    They are found by repeated drawing: each deviation grows or shrinks until the probabilities vary
    along its axes as the counts do.

    Parameters
    ----------
    nonzeros
        bool (I, J, Y, X).
    seed
        Of the draws.
    """
    nonzeros = _cut(nonzeros)
    density = float(nonzeros.mean())
    if density in (0.0, 1.0):
        return Unevenness()
    wanted = variation(nonzeros)
    # an axis of length 1 has no variation, whatever the deviation
    deviations = {
        name: math.sqrt(max(value, 0.0)) if _varies(nonzeros.shape, name) else 0.0
        for name, value in wanted.items()
    }
    for _ in range(_ROUNDS):
        rng = np.random.default_rng(seed)
        found = variation(_chances(nonzeros.shape, density, Unevenness(**deviations), rng))
        for name, value in deviations.items():
            if value:
                ratio = max(wanted[name], 0.0) / max(found[name], 1e-9)
                deviations[name] = min(value * min(max(ratio, 0.25), 4.0) ** 0.4, 6.0)
    return Unevenness(**{name: round(value, 4) for name, value in deviations.items()})


def mean_unevenness(items: list[Unevenness]) -> Unevenness:
    """Return the mean of every deviation."""
    return Unevenness(
        **{
            field.name: round(sum(getattr(item, field.name) for item in items) / len(items), 4)
            for field in dataclasses.fields(Unevenness)
        }
    )


def _varies(shape: tuple[int, ...], name: str) -> bool:
    """Whether an effect can be told from those inside it: some axis of its own is over 1 long."""
    axes = [axis for axis in _EFFECTS[name] if shape[axis] > 1]
    inside = [[a for a in _EFFECTS[part] if shape[a] > 1] for part in _INSIDE.get(name, ())]
    return bool(axes) and axes not in inside


def _cut(tensor: np.ndarray) -> np.ndarray:
    """Return a part of a tensor that is quick to fit, samples and channels evenly chosen."""
    while tensor.size > MOST_FITTED and max(tensor.shape[:2]) > 8:
        tensor = tensor[::2] if tensor.shape[0] > tensor.shape[1] else tensor[:, ::2]
    return tensor


def _chances(
    shape: tuple[int, ...], density: float, unevenness: Unevenness, rng: np.random.Generator
) -> np.ndarray:
    """Return the probability of each element, float32, with `density` as their mean."""
    odds = np.zeros(shape, np.float32)
    for name, axes in _EFFECTS.items():
        deviation = getattr(unevenness, name)
        sizes = tuple(size if axis in axes else 1 for axis, size in enumerate(shape))
        if not deviation or math.prod(sizes) == 1:
            continue
        z = rng.standard_normal(sizes, np.float32)
        z -= z.mean()
        odds += deviation * z / max(float(z.std()), 1e-6)
    # A subset decides the mean, which need not be exacter than the draws; an odd step, so that no
    # column of the tensor is preferred.
    some = odds.ravel()[:: (odds.size >> 16) | 1].astype(np.float64)
    low, high = -30.0, 30.0
    for _ in range(40):
        middle = (low + high) / 2
        if float((1 / (1 + np.exp(-some - middle))).mean()) < density:
            low = middle
        else:
            high = middle
    odds += np.float32((low + high) / 2)
    np.negative(odds, out=odds)
    np.exp(odds, out=odds)
    odds += 1
    return np.reciprocal(odds, out=odds)
