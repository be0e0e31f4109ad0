"""What decides a training run. Without torch, so that it is quick to import."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from golden.methods.options import BUDGETS, STRUCTURES
from gscn.errors import raise_problems

NETWORKS = (
    "digits", "resnet18", "resnet20", "resnet34", "resnet50", "wrn16-1", "wrn16-8", "wrn28-10",
    "wrn50-2", "vgg16", "densenet121",
)  # fmt: skip
"""`golden.networks`'; those with two forms have the small one for images under 64 pixels."""
SMALL_IMAGE_SIZE = 64
"""Pixels from which images are large to a network."""
DATASETS = ("digits", "composites", "cifar10", "cifar100", "imagefolder")
"""`golden.digits`, `golden.composites` and `golden.datasets`'."""
FILE_DATASETS = ("cifar10", "cifar100", "imagefolder")
"""Data sets that are read from a folder of the user's."""
METHODS = ("dense", "swat", "resprop", "swat+resprop", "dst")
ARITHMETICS = ("float32", "bf16")
"""Of the convolutions' passes: torch's in float32, or bf16 operands with exact sums in a window of
48 bits, rounded once to float32 (docs/floating-point.md)."""
FIRST_CONV_RULES = ("paper", "dense", "sparse")
"""First convolution: as published (SWAT leaves it dense, ReSprop takes it), dense, or sparse."""

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
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = MappingProxyType(
    {
        "str": ((str, os.PathLike), "text"),
        "int": ((int,), "a whole number"),
        "float": ((int, float), "a number"),
        "bool": ((bool,), "true or false"),
    }
)
"""Of the fields, as they are declared."""


def _between(value: int | None, low: int, high: int) -> str:
    return f"at least {low}" if value is not None and value < low else f"at most {high}"


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
    width: int = 64
    """ResNets and WRN-50-2: channels of the first stage; at least 1."""
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
    sparsity: float = 0.8
    """Target sparsity of the method; at least 0 and less than 1."""
    budget: str = "uniform"
    """SWAT: one of `golden.methods.options.BUDGETS`."""
    structure: str = "unstructured"
    """SWAT: one of `golden.methods.options.STRUCTURES`."""
    dst_alpha: float = 1e-5
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
    refresh_period: int = 10
    """SWAT: iterations between exact thresholds; at least 1."""
    warm_up: bool = False
    """ReSprop: approach the sparsity over the first epochs (W-ReSprop)."""
    first_conv: str = "paper"
    """One of `FIRST_CONV_RULES`."""
    arithmetic: str = "float32"
    """One of `ARITHMETICS`."""

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        raise_problems("recipe", self._type_problems())

        def one_of(names: tuple[str, ...]) -> str:
            return f"one of {', '.join(names)}"

        problems = [
            f"{field} must be {requirement}, not {getattr(self, field)!r}"
            for field, holds, requirement in (
                ("network", self.network in NETWORKS, one_of(NETWORKS)),
                ("width", 1 <= self.width <= MOST_WIDTH, _between(self.width, 1, MOST_WIDTH)),
                ("dataset", self.dataset in (None, *DATASETS), one_of(DATASETS)),
                (
                    "image_size",
                    self.image_size is None or 8 <= self.image_size <= MOST_IMAGE_SIZE,
                    _between(self.image_size, 8, MOST_IMAGE_SIZE),
                ),
                ("method", self.method in METHODS, one_of(METHODS)),
                ("sparsity", 0 <= self.sparsity < 1, "at least 0 and less than 1"),
                ("budget", self.budget in BUDGETS, one_of(BUDGETS)),
                ("structure", self.structure in STRUCTURES, one_of(STRUCTURES)),
                ("dst_alpha", 0 <= self.dst_alpha < math.inf, "at least 0 and finite"),
                ("epochs", 1 <= self.epochs <= MOST_EPOCHS, _between(self.epochs, 1, MOST_EPOCHS)),
                (
                    "iterations_per_epoch",
                    self.iterations_per_epoch is None or self.iterations_per_epoch >= 1,
                    "at least 1",
                ),
                ("batch_size", self.batch_size >= 1, "at least 1"),
                ("learning_rate", 0 < self.learning_rate < math.inf, "positive and finite"),
                ("momentum", 0 <= self.momentum < 1, "at least 0 and less than 1"),
                ("weight_decay", 0 <= self.weight_decay < math.inf, "at least 0 and finite"),
                ("seed", 0 <= self.seed <= MOST_SEED, _between(self.seed, 0, MOST_SEED)),
                ("refresh_period", self.refresh_period >= 1, "at least 1"),
                ("first_conv", self.first_conv in FIRST_CONV_RULES, one_of(FIRST_CONV_RULES)),
                ("arithmetic", self.arithmetic in ARITHMETICS, one_of(ARITHMETICS)),
            )
            if not holds
        ]
        if (self.dataset in FILE_DATASETS) != (self.data is not None):
            problems.append(
                f"data must be a folder for the data sets {', '.join(FILE_DATASETS)} and for no "
                f"others, not {self.data!r} for {self.dataset_name}"
            )
        if self.dataset == "imagefolder" and self.image_size is None:
            problems.append("image_size must be given for imagefolder, whose images differ")
        raise_problems("recipe", problems)

    def _type_problems(self) -> list[str]:
        """Return what is of another type: a checkpoint may hold anything."""
        problems = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            types, noun = _TYPES[field.type.removesuffix(" | None")]
            if value is None and field.type.endswith("None"):
                continue
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
                problems.append(f"{field.name} must be {noun}, not {value!r:.80}")
        return problems

    @property
    def dataset_name(self) -> str:
        """The data set, whether it was given or belongs to the network."""
        return self.dataset or ("digits" if self.network == "digits" else "composites")
