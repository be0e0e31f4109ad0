"""What decides a training run. Without torch, so that it is quick to import."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from gscn.errors import raise_problems
from gscn.golden.methods.options import (
    ARITHMETICS,
    BUDGETS,
    SCALES,
    STRUCTURES,
    default_scales,
    is_share,
    plain_number,
    scales_of,
)

NETWORKS = (
    "digits", "resnet18", "resnet20", "resnet34", "resnet50", "wrn16-1", "wrn16-8", "wrn28-10",
    "wrn50-2", "vgg16", "densenet121",
)  # fmt: skip
"""`golden.networks`'; those with two forms have the small one for images under 64 pixels."""
SMALL_IMAGE_SIZE = 64
"""Pixels from which images are large to a network."""
DATASETS = ("digits", "composites", "cifar10", "cifar100", "imagefolder")
"""`golden.data.digits`, `golden.data.composites` and `golden.data`'."""
FILE_DATASETS = ("cifar10", "cifar100", "imagefolder")
"""Data sets that are read from a folder of the user's."""
METHODS = ("dense", "swat", "resprop", "swat+resprop", "dst")
FIRST_CONV_RULES = ("paper", "dense", "sparse")
"""First convolution: as published (SWAT leaves it dense, ReSprop takes it), dense, or sparse."""
LOSS_SCALES = ("none", "dynamic")

_DEFAULTS: Mapping[str, object] = MappingProxyType(
    {
        "sparsity": 0.8,
        "budget": "uniform",
        "structure": "unstructured",
        "refresh_period": 10,
        "warm_up": False,
        "first_conv": "paper",
        "dst_alpha": 1e-5,
    }
)
_SWAT = ("sparsity", "budget", "structure", "refresh_period", "first_conv")
METHOD_OPTIONS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        method: MappingProxyType({name: _DEFAULTS[name] for name in names})
        for method, names in (
            ("dense", ()),
            ("swat", _SWAT),
            ("resprop", ("sparsity", "warm_up", "first_conv")),
            ("swat+resprop", (*_SWAT, "warm_up")),
            ("dst", ("dst_alpha", "first_conv")),
        )
    }
)
"""Fields of `Recipe` that a method has, with their defaults; of other methods they are None."""
WIDE_NETWORKS = ("resnet18", "resnet34", "resnet50", "wrn50-2")
"""Networks that can be made of another width."""
DEFAULT_WIDTH = 64

PRESETS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "swat-u-80": {"method": "swat", "sparsity": 0.8},
        "swat-u-90": {"method": "swat", "sparsity": 0.9},
        "swat-erk-80": {"method": "swat", "sparsity": 0.8, "budget": "erk"},
        "swat-m-90": {"method": "swat", "sparsity": 0.9, "budget": "momentum"},
        "swat-kernels-80": {"method": "swat", "sparsity": 0.8, "structure": "kernel"},
        "resprop-90": {"method": "resprop", "sparsity": 0.9},
        "w-resprop-90": {"method": "resprop", "sparsity": 0.9, "warm_up": True},
        "swat+resprop-90": {"method": "swat+resprop", "sparsity": 0.9},
        "dst": {"method": "dst"},
    }
)
"""Fields of `Recipe` that the papers' configurations set: SWAT (NeurIPS 2020) at the sparsities of
its ResNet-50 results, thresholds refreshed every 10 iterations as on CIFAR; ReSprop (CVPR 2020)
without and with its warm-up; DST (ICLR 2020). Learning rates and lengths are the user's."""
MOST_WIDTH = 1 << 16
MOST_IMAGE_SIZE = 1 << 13
MOST_EPOCHS = 10**9
MOST_SEED = (1 << 36) - 1
"""Each seed has 2**20 generators of its own."""


Rule: TypeAlias = "tuple[Callable[[Any], bool], Callable[[Any], str]]"
"""Whether a value is right, and what it must be if it is not."""


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_finite(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value < math.inf


def _is_loss_scale(value: object) -> bool:
    if isinstance(value, str):
        return value in LOSS_SCALES
    exponents = range(-24, 25)
    return not isinstance(value, bool) and any(value == 2.0**exponent for exponent in exponents)


def _rule(holds: Callable[[Any], bool], requirement: str) -> Rule:
    return holds, lambda _: requirement


def _whole(least: int, most: int | None = None) -> Rule:
    def requirement(value: object) -> str:
        if _is_whole(value, least):
            return f"at most {most}"
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return f"{'' if is_whole else 'a whole number of '}at least {least}"

    return lambda v: _is_whole(v, least) and (most is None or v <= most), requirement


_TRUTH = _rule(lambda value: isinstance(value, bool), "True or False")
_FINITE = _rule(_is_finite, "at least 0 and finite")


def method_options(method: str, **options: object) -> dict[str, object]:
    """Return those of the options that a method has: for tables of several methods."""
    return {name: value for name, value in options.items() if name in METHOD_OPTIONS[method]}


def option_problems(method: str, given: Mapping[str, object]) -> list[str]:
    """Return which options were given that a method does not have.

    Parameters
    ----------
    method
        One of `METHODS`.
    given
        Values by the names of `Recipe`'s fields. What is None, or False, asks for nothing.
    """
    known = METHOD_OPTIONS[method]
    return [
        f"{name} is no option of the method {method}, which has "
        f"{', '.join(known) or 'none'}: it must not be given"
        for name in _DEFAULTS
        if name not in known and given.get(name) not in (None, False)
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Everything that decides a training run.

    Raises
    ------
    InputError
        Naming every field out of range, all at once.
    """

    network: str = "digits"
    """One of `NETWORKS`."""
    width: int | None = None
    """ResNets and WRN-50-2, and only these: channels of the first stage; at least 1, by default
    `DEFAULT_WIDTH`."""
    dataset: str | None = None
    """One of `DATASETS`; by default digits for the network of that name, else composites."""
    data: str | None = None
    """Folder of the data set, where it is one of `FILE_DATASETS`, and only there."""
    image_size: int | None = None
    """Pixels to which mini-batches are scaled each way; at least 8. By default the images' own."""
    augment: bool = False
    """Whether training images are mirrored and shifted by up to an eighth, at random."""
    method: str = "dense"
    """One of `METHODS`."""
    sparsity: float | None = None
    """SWAT and ReSprop: target sparsity; at least 0 and less than 1. This option and the others of
    methods may be given for methods that have them, and are None for the rest."""
    budget: str | None = None
    """SWAT: one of `golden.methods.options.BUDGETS`."""
    structure: str | None = None
    """SWAT: one of `golden.methods.options.STRUCTURES`."""
    dst_alpha: float | None = None
    """DST: weight of the penalty on thresholds; at least 0. The larger, the sparser."""
    epochs: int = 12
    """Passes over the training images; at least 1."""
    iterations_per_epoch: int | None = None
    """Mini-batches after which an epoch ends; at least 1. By default all that the images fill."""
    batch_size: int = 32
    """Images per mini-batch; at least 1. Images left over in an epoch are not used in it."""
    learning_rate: float = 0.05
    """At the start; positive. It falls to zero along a cosine."""
    momentum: float = 0.9
    """At least 0 and less than 1."""
    weight_decay: float = 5e-4
    """At least 0."""
    seed: int = 0
    """Of parameters, order of images, dropout, augmentation and ReSprop's draws; at least 0."""
    refresh_period: int | None = None
    """SWAT: iterations between exact thresholds; at least 1."""
    warm_up: bool | None = None
    """ReSprop: approach the sparsity over the first epochs (W-ReSprop)."""
    first_conv: str | None = None
    """All methods but dense: one of `FIRST_CONV_RULES`."""
    arithmetic: str = "float32"
    """One of `golden.methods.options.ARITHMETICS`."""
    loss_scale: str | float | None = None
    """What the loss is multiplied by: one of `LOSS_SCALES`, or a power of two from 2**-24 to 2**24
    that stays. "dynamic" is `torch.amp.GradScaler`; by default that for fp16, "none" for others."""
    scales: str | None = None
    """Of operands, one of `golden.methods.options.SCALES` that the arithmetic has; by default
    "amax" for formats of 8 bits, "none" for others."""

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, plain_number(getattr(self, field.name)))
        options = METHOD_OPTIONS.get(self.method) if isinstance(self.method, str) else None
        problems = []
        if options is None:
            problems.append(f"method must be one of {', '.join(METHODS)}, not {self.method!r}")
        else:
            given = {name: getattr(self, name) for name in _DEFAULTS}
            problems += option_problems(self.method, given)
            for name, value in given.items():
                if value is None and name in options:
                    object.__setattr__(self, name, options[name])
        if self.loss_scale is None:
            scale = "dynamic" if self.arithmetic == "fp16" else "none"
            object.__setattr__(self, "loss_scale", scale)
        if self.scales is None:
            object.__setattr__(self, "scales", default_scales(str(self.arithmetic)))
        elif self.arithmetic in ARITHMETICS:
            known = scales_of(self.arithmetic)
            if self.scales in SCALES and self.scales not in known:
                problems.append(
                    f"scales must be {' or '.join(known)} for {self.arithmetic}, not {self.scales}"
                )
        if self.network in WIDE_NETWORKS and self.width is None:
            object.__setattr__(self, "width", DEFAULT_WIDTH)
        elif self.network in NETWORKS and self.network not in WIDE_NETWORKS and self.width:
            problems.append(
                f"width is for the networks {', '.join(WIDE_NETWORKS)}, not for {self.network}: it "
                "must not be given"
            )

        def one_of(*names: str) -> Rule:
            return _rule(lambda v: isinstance(v, str) and v in names, f"one of {', '.join(names)}")

        rules: dict[str, Rule] = {
            "network": one_of(*NETWORKS),
            "width": _whole(1, MOST_WIDTH),
            "dataset": one_of(*DATASETS),
            "data": _rule(lambda v: isinstance(v, str | os.PathLike), "text"),
            "image_size": _whole(8, MOST_IMAGE_SIZE),
            "augment": _TRUTH,
            "sparsity": _rule(is_share, "at least 0 and less than 1"),
            "budget": one_of(*BUDGETS),
            "structure": one_of(*STRUCTURES),
            "dst_alpha": _FINITE,
            "epochs": _whole(1, MOST_EPOCHS),
            "iterations_per_epoch": _whole(1),
            "batch_size": _whole(1),
            "learning_rate": _rule(lambda v: _is_finite(v) and v > 0, "positive and finite"),
            "momentum": _rule(is_share, "at least 0 and less than 1"),
            "weight_decay": _FINITE,
            "seed": _whole(0, MOST_SEED),
            "refresh_period": _whole(1),
            "warm_up": _TRUTH,
            "first_conv": one_of(*FIRST_CONV_RULES),
            "arithmetic": one_of(*ARITHMETICS),
            "loss_scale": _rule(
                _is_loss_scale, f"{', '.join(LOSS_SCALES)} or a power of two from 2**-24 to 2**24"
            ),
            "scales": one_of(*SCALES),
        }
        unset = {"width", "dataset", "data", "image_size", "iterations_per_epoch", *_DEFAULTS}
        problems += [
            f"{name} must be {requirement(value)}, not {value!r:.80}"
            for name, (holds, requirement) in rules.items()
            if not ((value := getattr(self, name)) is None and name in unset) and not holds(value)
        ]
        if (self.dataset in FILE_DATASETS) != (self.data is not None):
            problems.append(
                f"data must be a folder for the data sets {', '.join(FILE_DATASETS)} and for no "
                f"others, not {self.data!r} for {self.dataset_name}"
            )
        if self.dataset == "imagefolder" and self.image_size is None:
            problems.append("image_size must be given for imagefolder, whose images differ")
        raise_problems("recipe", problems)
        for name in _DEFAULTS:
            if name not in METHOD_OPTIONS[self.method]:
                object.__setattr__(self, name, None)

    @classmethod
    def restored(cls, fields: Mapping[str, object]) -> Recipe:
        """Return the recipe of a checkpoint's fields.

        Checkpoints of earlier versions have every method's options, and a width of every network;
        those that a method or network does not have were never used.
        """
        known = METHOD_OPTIONS.get(str(fields.get("method")), {})
        unused = [name for name in _DEFAULTS if name not in known]
        if fields.get("network") not in WIDE_NETWORKS:
            unused.append("width")
        return cls(**{name: value for name, value in fields.items() if name not in unused})

    @property
    def dataset_name(self) -> str:
        """The data set, whether it was given or belongs to the network."""
        return self.dataset or ("digits" if self.network == "digits" else "composites")
