"""Section that sets our figures beside the published ones, each with its baseline in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from gscn.perf.report.data import cases, published
from gscn.perf.report.data.estimated import BOUNDS, Estimated, bound_shares, product_limit
from gscn.perf.report.drawing.page import Items, Paragraph, Part, Section, Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """One of our figures beside a published one."""

    figure: published.Published
    ours: float
    baseline: str
    """What ours is a multiple of, in words."""
    terms: str
    """In what ours and the published figure are alike, and in what they cannot be."""
    bound: str
    """What keeps ours from being larger, with numbers; empty if that was said just before."""
    qualifier: str = ""
    """Under which of several conditions ours was computed."""

    @property
    def what(self) -> str:
        """Network, method, sparsity, passes and condition."""
        return f"{self.figure.what}, {self.qualifier}" if self.qualifier else self.figure.what

    @property
    def ratio(self) -> float:
        """Ours over the published."""
        return self.ours / self.figure.value


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean of positive numbers."""
    values = list(values)
    return math.exp(sum(map(math.log, values)) / len(values))


def describe_bound(result: Estimated, group: str) -> str:
    """Say how far a speed-up is from its limit, and what spends the cycles."""
    limit = product_limit(result.passes, result.config, group)
    reached = result.speedup(group) / limit
    shares = bound_shares(result.passes, result.config, group)
    ports = [f"{100 * shares[b]:.0f} % {b}" for b in BOUNDS[1:] if shares[b] >= 0.005]
    words = (
        f"the products left allow {limit:.2f}x with every multiplier always busy, "
        f"{100 * reached:.1f} % of which is reached"
    )
    return words + (f" (cycles bound by a port: {', '.join(ports)})" if ports else "")


_DENSE = "a dense array with as many multipliers, clock and port (`perf.dense_array`), at its best"


def swat_claims(results: dict[str, Estimated]) -> list[Claim]:
    """Return SWAT's published speed-ups of ResNet-50 beside ours."""
    claims = []
    for case, keys in (
        (cases.SWAT_80, ("training", "forward", "backward")),
        (cases.SWAT_90, ("forward", "backward")),
    ):
        if case.key not in results:
            continue
        result = results[case.key]
        claims += [
            Claim(
                figure=published.BY_KEY[f"swat-{group}-{100 * case.sparsity:.0f}"],
                ours=result.speedup(group),
                baseline=_DENSE,
                terms="like for like",
                bound=describe_bound(result, group),
            )
            for group in keys
        ]
    return claims


def scnn_claims(results: dict[str, Estimated]) -> list[Claim]:
    """Return the geometric mean over SCNN+ of ANT's five networks, if it was computed."""
    five = [results[case.key] for case in cases.ANT_CASES if case.key in results]
    ratios = [result.speedup("training", over="scnn+") for result in five]
    if len(five) < len(cases.ANT_CASES) or None in ratios:
        return []
    ant = [
        result.speedup("training", over="scnn+") / result.speedup("training", over="ant")
        for result in five
    ]
    over_ant = geometric_mean(result.speedup("training", over="ant") for result in five)
    words = ", ".join(
        f"{result.case.title} {ratio:.0f}x" for result, ratio in zip(five, ratios, strict=True)
    )
    return [
        Claim(
            figure=published.BY_KEY["ant-geomean-90"],
            ours=geometric_mean(ratios),
            baseline="our model of SCNN+ with as many multipliers and the same port "
            "(docs/results/rivals.md)",
            terms=f"same baseline, modelled; our ANT-style is {geometric_mean(ant):.1f}x there",
            bound="SCNN+ itself, most of whose products in weight gradients reach no result, the "
            f"more the larger the maps: our model of ANT is {geometric_mean(ant):.1f}x over it on "
            "the same layers (docs/results/rivals.md says under which mapping it is as published). "
            f"The plainer comparison is ours over ANT-style, {over_ant:.2f}x. Per network over "
            f"SCNN+: {words}",
        )
    ]


def claims_table(claims: Sequence[Claim]) -> Table:
    """All claims, baselines in words."""
    return Table(
        name="claims",
        caption="Ours beside the published figure. **Like for like**: both over the same kind of "
        "baseline, ours at equal multipliers, clock and port; ReSprop's over a GPU, by both. Each "
        "row names its baselines: rows of different ones are not to be compared.",
        header=(
            *("what", "ours", "published", "ours / published", "terms"),
            *("our baseline", "published baseline", "what bounds ours", "source", "caveat"),
        ),
        columns=5,
        rows=tuple(
            (
                *(claim.what, claim.ours, claim.figure.value, claim.ratio),
                *(claim.terms, claim.baseline, claim.figure.baseline, claim.bound),
                *(claim.figure.source, claim.figure.caveat or None),
            )
            for claim in claims
        ),
    )


def _sentences(claims: Sequence[Claim]) -> str:
    """Return one entry about the baselines and bounds of claims that share them."""
    first = claims[0]
    bounds = "; ".join(f"{claim.what}: {claim.bound}" for claim in claims if claim.bound)
    return (
        f"**{first.figure.system}**. Ours is over {first.baseline}; the published is over "
        f"{first.figure.baseline}. What bounds ours, {bounds}."
    )


def published_section(claims: Sequence[Claim], missing: Sequence[str]) -> Section:
    """Say in sentences, then in a table, how our figures stand beside the published ones.

    Parameters
    ----------
    claims
        What was computed.
    missing
        What was not, in words.
    """
    others = [f for f in published.FIGURES if f.key not in {c.figure.key for c in claims}]
    content: list[Part] = [
        claims_table(claims),
        Items(
            [
                _sentences(list(group))
                for _, group in groupby(claims, key=lambda c: (c.baseline, c.figure.system))
            ]
        ),
    ]
    if missing:
        content.append(Items([f"Not computed: {words}" for words in missing]))
    content += [
        Table(
            name="published",
            caption="Other published figures, for orientation: no two have the same baseline.",
            header=("system", "what", "times faster", "baseline", "source", "caveat"),
            rows=tuple(
                (f.system, f.what, f.value, f.baseline, f.source, f.caveat or None) for f in others
            ),
            folded=True,
        ),
        Paragraph(
            "GSCN is the accelerator for which the authors of ReSprop reported speed-ups. Neither "
            "its micro-architecture nor its size, clock, precision or batch were published: this "
            "is a GSCN-class design with parameters of its own, not a reproduction.",
            kind="note",
        ),
    ]
    return Section(key="published", title="Ours beside the published", content=tuple(content))
