"""Models of rivals beside publications and public simulators: docs/results/rivals.md."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from benchmarks.markdown import Block, table_block, text_of
from benchmarks.pages import Page
from benchmarks.rivals_points import (
    DENSITY,
    LAYER,
    MORE_MULTIPLIERS,
    NETWORK_POINTS,
    POINTS,
    NetworkPoint,
    Point,
)
from benchmarks.rivals_text import CALIBRATION, CONCLUSION, INTRODUCTION, NETWORKS, REASONS, SHARES
from gscn.conv import ConvShape, Pass
from gscn.perf.rivals import RIVALS, VARIANTS, Resources, Rival
from gscn.perf.rivals.outer_products import ANT, SCNN_PLUS
from gscn.perf.workload.layers import Network
from gscn.perf.workload.networks import network
from gscn.perf.workload.work import passes

UNLIMITED = 1 << 40
"""Bytes per cycle of a memory that nothing ever waits for: what the simulators assume."""
SEED = 0
TOLERANCE = 0.1
"""Deviation from a simulator beyond which the report gives a reason."""
PUBLISHED_ANT = 3.71
"""Geometric mean of ANT's speed-up over SCNN+ on five networks, 90 % sparse."""

logger = logging.getLogger(__name__)

SMALL, LARGE = 32, 224
ANT_NETWORKS = {
    "as trained in papers on sparse training": (
        ("densenet121-small", SMALL),
        ("resnet18-small", SMALL),
        ("vgg16-small", SMALL),
        ("wrn16-8", SMALL),
        ("resnet50", LARGE),
    ),
    "all at 224x224": (
        ("densenet121", LARGE),
        ("resnet18", LARGE),
        ("vgg16", LARGE),
        ("wrn50-2", LARGE),
        ("resnet50", LARGE),
    ),
}
"""ANT's five networks; its abstract does not say on which images."""

MAP_SIZES = (56, 28, 14, 7)
"""Of ResNet's four stages."""
SHARE_CHANNELS = 64

STARTS = (0, 5)
"""Cycles to start a pair of planes, to see what they matter."""


def random_masks(
    shape: ConvShape, which: Pass, densities: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return masks of a pass, uniform random of `SEED`."""
    rng = np.random.default_rng(SEED)
    first, second = (
        rng.random(size) < density
        for size, density in zip(shape.operand_shapes(which), densities, strict=True)
    )
    return first, second


def known() -> dict[str, Rival]:
    """Return all models by name."""
    return {**RIVALS, **VARIANTS}


def _resources(multipliers: int) -> Resources:
    return Resources(multipliers=multipliers, port_bytes_per_cycle=UNLIMITED, value_bits=16)


def compute_calibration(points: Sequence[Point] = POINTS) -> list[dict[str, object]]:
    """Return the cycles of each point's model, and those of the model as it is compared."""
    rows = []
    for point in points:
        masks = random_masks(LAYER, point.which, (point.first_density, point.second_density))
        resources = _resources(point.multipliers)

        def cycles(name: str, resources=resources, which=point.which, masks=masks) -> float:
            return known()[name].cost(resources, LAYER, which, *masks).cycles

        compared = {"scnn (DNNsim)": "scnn+", "sigma (STONNE)": "sigma"}.get(point.rival)
        rows.append(
            {
                "tool": point.tool,
                "rival": point.rival,
                "case": point.label,
                "multipliers": point.multipliers,
                "theirs": point.cycles,
                "ours": cycles(point.rival),
                "compared": cycles(compared or point.rival),
            }
        )
        logger.info("%s %s: %s", point.tool, point.label, rows[-1]["ours"])
    return rows


def compute_network_calibration(
    points: Sequence[NetworkPoint] = NETWORK_POINTS,
) -> list[dict[str, object]]:
    """Return the cycles of each point's model on the convolutions of ResNet-18."""
    net = network("resnet18", image_size=LARGE, batch=1)
    rows = []
    for point in points:
        densities = {
            Pass.FORWARD: (point.weights, point.activations),
            Pass.INPUT_GRAD: (point.weights, point.grads),
            Pass.WEIGHT_GRAD: (point.grads, point.activations),
        }
        cycles = sum(
            count
            * known()[point.rival]
            .cost(
                _resources(MORE_MULTIPLIERS),
                shape,
                which,
                *random_masks(shape, which, densities[which]),
            )
            .cycles
            for (shape, which), count in convolutions(net).items()
            if which in point.passes
        )
        rows.append(
            {
                "tool": point.tool,
                "rival": point.rival,
                "case": point.label,
                "multipliers": MORE_MULTIPLIERS,
                "theirs": point.cycles,
                "ours": cycles,
            }
        )
        logger.info("%s %s: %s", point.tool, point.label, cycles)
    return rows


def convolutions(net: Network) -> Counter[tuple[ConvShape, Pass]]:
    """Return how often each pass of each shape occurs in a network's training step."""
    return Counter(
        (layer.shape, which) for layer in net.layers if not layer.linear for which in passes(layer)
    )


def compute_network(name: str, image_size: int, models: Sequence[Rival]) -> list[float]:
    """Return each model's cycles of a training step of one image, all operands 10 % nonzero."""
    totals = [0.0] * len(models)
    net = network(name, image_size=image_size, batch=1)
    for (shape, which), count in convolutions(net).items():
        masks = random_masks(shape, which, (DENSITY, DENSITY))
        for index, model in enumerate(models):
            cost = model.cost(_resources(MORE_MULTIPLIERS), shape, which, *masks)
            totals[index] += count * cost.compute_cycles
    logger.info("%s %d: %s", name, image_size, totals)
    return totals


def compute_shares(sizes: Sequence[int] = MAP_SIZES) -> list[dict[str, object]]:
    """Return the share of useful products of 3x3 layers, by the height and width of their maps."""
    rows = []
    for size in sizes:
        shape = dataclasses.replace(LAYER, c=SHARE_CHANNELS, k=SHARE_CHANNELS, h=size, w=size)
        row: dict[str, object] = {"size": size}
        for name in ("scnn+", "scnn+ matched", "ant"):
            for which in Pass:
                masks = random_masks(shape, which, (DENSITY, DENSITY))
                cost = known()[name].cost(_resources(MORE_MULTIPLIERS), shape, which, *masks)
                row[f"{name} {which}"] = cost.useful_products / cost.products
        rows.append(row)
    return rows


def compute_ant(
    settings: dict[str, Sequence[tuple[str, int]]] = ANT_NETWORKS,
) -> list[dict[str, object]]:
    """Return cycles of SCNN+ and ANT-style arrays on networks."""
    planes = [
        dataclasses.replace(model, mappings=("planes",), start=start)
        for start in STARTS
        for model in (SCNN_PLUS, ANT)
    ]
    models = [SCNN_PLUS, ANT, VARIANTS["scnn+ matched"], RIVALS["ideal"], *planes]
    cases = {case for cases in settings.values() for case in cases}
    totals = {case: compute_network(*case, models) for case in sorted(cases)}
    rows = []
    for setting, cases in settings.items():
        for name, image_size in cases:
            scnn, ant, matched, ideal, *pairs = totals[name, image_size]
            rows.append(
                {
                    "setting": setting,
                    "network": name,
                    "image_size": image_size,
                    "scnn+": scnn,
                    "ant": ant,
                    "scnn+ matched": matched,
                    "ideal": ideal,
                    "planes": {
                        str(start): {"scnn+": pairs[2 * index], "ant": pairs[2 * index + 1]}
                        for index, start in enumerate(STARTS)
                    },
                }
            )
    return rows


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean of positive numbers."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs))


def calibration_table(rows: Sequence[dict]) -> Block:
    """Return the calibration as a table, with the reason for every larger deviation."""
    lines = []
    for row in rows:
        ratio = row["ours"] / row["theirs"]
        reason = ""
        if abs(ratio - 1) > TOLERANCE:
            reason = REASONS[row["rival"], row["case"]]
        compared = row.get("compared")
        lines.append(
            (
                row["tool"],
                row["case"],
                str(row["multipliers"]),
                f"{row['theirs']:,}",
                f"{row['ours']:,.0f}",
                f"{ratio:.3f}",
                "-" if compared is None else f"{compared:,.0f}",
                reason,
            )
        )
    header = (
        "tool",
        "pass, nonzeros",
        "multipliers",
        "tool's cycles",
        "its model here",
        "ratio",
        "model compared with",
        "why not nearer",
    )
    return table_block(header, lines)


def shares_table(rows: Sequence[dict]) -> Block:
    """Return the shares of useful products as a table."""
    columns = (
        ("scnn+", Pass.FORWARD),
        ("scnn+", Pass.INPUT_GRAD),
        ("scnn+", Pass.WEIGHT_GRAD),
        ("scnn+ matched", Pass.WEIGHT_GRAD),
        ("ant", Pass.WEIGHT_GRAD),
    )
    header = ("maps", *(f"{known()[name].title}, {which}" for name, which in columns))
    lines = [
        (
            f"{row['size']}x{row['size']}",
            *(f"{100 * row[f'{name} {which}']:.2f} %" for name, which in columns),
        )
        for row in rows
    ]
    return table_block(header, lines)


def ratios(row: dict) -> dict[str, float]:
    """Return the speed-ups of one network, in the order of the report's columns."""
    return {
        "ant": row["scnn+"] / row["ant"],
        **{
            f"planes_{start}": row["planes"][str(start)]["scnn+"] / row["planes"][str(start)]["ant"]
            for start in STARTS
        },
        "matched": row["scnn+"] / row["scnn+ matched"],
        "ant_over_matched": row["scnn+ matched"] / row["ant"],
        "ant_to_ideal": row["ant"] / row["ideal"],
    }


def ant_means(rows: Sequence[dict]) -> dict[str, dict[str, float]]:
    """Return by setting the geometric means of `ratios` over the networks."""
    means = {}
    for setting in dict.fromkeys(row["setting"] for row in rows):
        chosen = [ratios(row) for row in rows if row["setting"] == setting]
        means[setting] = {name: geometric_mean(each[name] for each in chosen) for name in chosen[0]}
    return means


def ant_blocks(rows: Sequence[dict]) -> list[Block]:
    """Return SCNN+ and ANT on networks, a table for each setting."""
    header = (
        "network",
        "SCNN+ cycles",
        "ANT cycles",
        "SCNN+ / ANT",
        *(f"plane pairs, {start} cycles to start: SCNN+ / ANT" for start in STARTS),
        "SCNN+ / matched tiles",
        "matched tiles / ANT",
        "ANT / ideal",
    )
    parts: list[Block] = []
    for setting, means in ant_means(rows).items():
        lines = [
            (
                f"{row['network']}, {row['image_size']}x{row['image_size']}",
                f"{row['scnn+']:,.0f}",
                f"{row['ant']:,.0f}",
                *(f"{ratio:.2f}" for ratio in ratios(row).values()),
            )
            for row in rows
            if row["setting"] == setting
        ]
        lines.append(("*geometric mean*", "", "", *(f"*{m:.2f}*" for m in means.values())))
        parts += [f"{setting[0].upper()}{setting[1:]}:", table_block(header, lines)]
    return parts


def render_assumptions() -> str:
    """Return title, source and assumptions of every model as Markdown."""
    parts = []
    for name, rival in known().items():
        lines = "\n".join(f"* {line}" for line in rival.assumptions)
        parts.append(f"### `{name}`: {rival.title}\n\nSource: {rival.source}.\n\n{lines}")
    return "\n\n".join(parts)


def blocks(report: dict) -> list[Block]:
    """Return the whole document."""
    as_trained, large = ant_means(report["ant"]).values()
    return [
        INTRODUCTION,
        CALIBRATION,
        calibration_table([*report["calibration"], *report["network_calibration"]]),
        SHARES,
        shares_table(report["shares"]),
        NETWORKS,
        *ant_blocks(report["ant"]),
        CONCLUSION.format(published=PUBLISHED_ANT, small=as_trained, large=large),
        "## The models",
        render_assumptions(),
    ]


def make() -> dict[str, object]:
    """Return what the page shows, as plain JSON values."""
    return {
        "calibration": compute_calibration(),
        "network_calibration": compute_network_calibration(),
        "shares": compute_shares(),
        "ant": compute_ant(),
    }


PAGE = Page(
    name="rivals",
    make=make,
    render=lambda data: text_of(blocks(data)),
    parts=("rivals",),
)
