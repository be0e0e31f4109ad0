"""The networks that the report is about, computed by the estimate and kept by content.

A result is kept in a file named by a digest of everything that it follows from: the case, the mode,
the configuration, and the sources of all packages that compute it. A run that changes nothing reads
them back. What other accelerators take does not depend on the mode, and is kept apart.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gscn.array import ArrayConfig
from gscn.system import sources
from gscn.system.cache import keep_result, kept_result

logger = logging.getLogger(__name__)

_ROOMS = ("gscn", "lowering", "cycles", "golden", "perf")
_DRAWN = ("perf/report/",)
"""Sources that change how results are shown, not what they are."""
_RIVALS = ("perf/rivals/",)
_ESTIMATES = (
    "perf/dense_array.py", "perf/workload/", "perf/estimate/training_step.py",
    "perf/estimate/result", "perf/estimate/calibration.py", "perf/estimate/closed_form",
    "perf/estimate/gpu.py", "perf/estimate/modes.py", "perf/estimate/dense_step.py",
    "perf/estimate/sampling.py", "perf/estimate/slices.py", "perf/estimate/recorded_step.py",
    "perf/estimate/step_costs.py", "perf/estimate/step_schedule.py", "perf/estimate/whole_step.py",
)  # fmt: skip
"""Sources of other accelerators, and of estimates."""

STATISTICAL, ANALYTIC = "statistical", "analytic"
RIVALS_ALONE = "rivals"
"""What is computed of a case: one of two modes, or the other accelerators."""
_MOST_SAMPLES = 24
Row = Mapping[str, object]
"""A network with one method, as `perf.estimate.training_step.to_json` returns it."""
Compute = Callable[["Case", str, ArrayConfig, Path], Row]


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One training step: network, image size, batch, method and sparsity."""

    key: str
    """Name in the report's files."""
    title: str
    """Name of the network in texts."""
    network: str
    """One of `perf.workload.networks.NETWORKS`."""
    image_size: int
    batch: int
    method: str
    """One of `perf.workload.sparsification.Method`."""
    sparsity: float
    rivals: bool = True
    """Whether other accelerators are computed too."""
    most_samples: int = _MOST_SAMPLES
    """Samples on the cycle model, at most, in the statistical mode."""

    @property
    def label(self) -> str:
        """What a figure calls it."""
        method = {"swat": "SWAT", "resprop": "ReSprop", "swat+resprop": "SWAT+ReSprop"}
        return f"{self.title}, {method.get(self.method, self.method)} {100 * self.sparsity:.0f} %"


def _case(title: str, network: str, method: str, sparsity: float, **changed: int) -> Case:
    sizes = {"image_size": 224, "batch": 32} | changed
    key = f"{network}-{method.replace('+', '-')}-{100 * sparsity:.0f}-{sizes['batch']}"
    return Case(key=key, title=title, network=network, method=method, sparsity=sparsity, **sizes)


SWAT_80 = _case("ResNet-50", "resnet50", "swat", 0.8)
SWAT_90 = _case("ResNet-50", "resnet50", "swat", 0.9)
RESPROP_CASES = (
    _case("ResNet-34", "resnet34", "resprop", 0.9, batch=16),
    _case("VGG-16", "vgg16", "resprop", 0.9, batch=16),
)
"""At the batch of the published times of the GTX 1080 Ti."""
ANT_CASES = (
    _case("DenseNet-121 32x32", "densenet121-small", "swat+resprop", 0.9, image_size=32),
    _case("ResNet-18 32x32", "resnet18-small", "swat+resprop", 0.9, image_size=32),
    _case("VGG-16 32x32", "vgg16-small", "swat+resprop", 0.9, image_size=32),
    _case("WRN-16-8 32x32", "wrn16-8", "swat+resprop", 0.9, image_size=32),
    _case("ResNet-50", "resnet50", "swat+resprop", 0.9),
)
"""ANT's five networks at the sizes of images that papers on sparse training use, as in
docs/results/rivals.md; all operands of the backward passes sparse."""
LARGE_CASES = tuple(
    dataclasses.replace(case, rivals=False)
    for case in (
        _case("DenseNet-121", "densenet121", "swat+resprop", 0.9),
        _case("ResNet-18", "resnet18", "swat+resprop", 0.9),
        _case("VGG-16", "vgg16", "swat+resprop", 0.9),
        _case("Wide ResNet-50-2", "wrn50-2", "swat+resprop", 0.9),
    )
)
"""The others of them at 224x224."""
CASES = (SWAT_80, SWAT_90, *RESPROP_CASES, *ANT_CASES, *LARGE_CASES)


def source_digest(*, root: Path | None = None, without: tuple[str, ...] = ()) -> str:
    """Return what changes with any source from which results follow.

    Parameters
    ----------
    root, without
        As in `system.sources.source_digest`; sources that only draw do not matter either.
    """
    return sources.source_digest(
        _ROOMS, root=root, suffixes=(".py", ".json"), without=(*_DRAWN, *without)
    )


def case_digest(case: Case, what: str, config: ArrayConfig, sources: str) -> str:
    """Return the name of a result: 16 hexadecimal digits of all that it follows from."""
    content = {
        "case": dataclasses.asdict(case),
        "what": what,
        "config": config.to_dict(),
        "sources": sources,
    }
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def launch_digest() -> str:
    """Return the digest of the sources from which cycles and bytes of a launch follow."""
    return source_digest(without=(*_RIVALS, *_ESTIMATES))


def compute_case(case: Case, what: str, config: ArrayConfig, cache: Path) -> Row:
    """Estimate one training step; see `perf.estimate.training_step`.

    Parameters
    ----------
    case, config
        The training step and the accelerator.
    what
        A mode: our cycles; or `RIVALS_ALONE`: cycles of the other accelerators by pass.
    cache
        Folder of kept measurements.
    """
    from gscn.golden.networks.catalogue import network_graph
    from gscn.perf.estimate.sampling import Sampling
    from gscn.perf.estimate.training_step import Mode, estimate, to_json
    from gscn.perf.report.data.kept_samples import Keeper
    from gscn.perf.rivals import RIVALS
    from gscn.perf.workload.networks import network
    from gscn.perf.workload.sparsification import Method, Sparsification

    net = network(case.network, image_size=case.image_size, batch=case.batch)
    sparsification = Sparsification(method=Method(case.method), sparsity=case.sparsity)
    keeper = Keeper(
        folder=cache,
        sources=launch_digest(),
        rival_sources=source_digest(without=_ESTIMATES),
    )
    if what != RIVALS_ALONE:
        result = estimate(
            net,
            config,
            sparsification,
            mode=Mode(what),
            sampling=Sampling(most=case.most_samples, measure=keeper.measure),
        )
        graph = network_graph(case.network, image_size=case.image_size, batch=case.batch)
        return to_json(dataclasses.replace(result, graph=graph))
    row = to_json(
        estimate(
            net,
            config,
            sparsification,
            mode=Mode.ANALYTIC,
            rivals=tuple(RIVALS),
            sampling=Sampling(measure_rivals=keeper.measure_rivals),
        )
    )
    passes = [fields for layer in row["layers"] for fields in layer["passes"]]
    return {"rival_cycles": [fields["rival_cycles"] for fields in passes]}


def compute_cases(
    cases: Sequence[Case],
    mode: str,
    config: ArrayConfig,
    cache: Path,
    *,
    compute: Compute = compute_case,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Row]:
    """Return the results of all cases by key, those that are kept in `cache` from there.

    Parameters
    ----------
    cases
        What to estimate.
    mode
        Of the estimate: `STATISTICAL` or `ANALYTIC`.
    config
        The accelerator.
    cache
        Folder of kept results; made if there is none.
    compute
        Estimates one case.
    progress
        Called with the label of each case that has to be computed.

    Raises
    ------
    InputError
        A result cannot be written.
    """

    def kept(case: Case, what: str, sources: str) -> Row:
        path = cache / f"{case.key}-{what}-{case_digest(case, what, config, sources)}.json"
        row = kept_result(path)
        if row is not None:
            return row
        logger.info("%s, %s: is computed", case.label, what)
        if progress is not None:
            progress(f"{case.label}, {what}")
        return keep_result(path, compute(case, what, config, cache))

    own, all_sources = source_digest(without=_RIVALS), source_digest()
    rows = {}
    for case in cases:
        rows[case.key] = kept(dataclasses.replace(case, rivals=False), mode, own)
        if case.rivals:
            # The same whatever the number of our own samples.
            alike = dataclasses.replace(case, most_samples=_MOST_SAMPLES)
            rivals = kept(alike, RIVALS_ALONE, all_sources)["rival_cycles"]
            passes = [fields for layer in rows[case.key]["layers"] for fields in layer["passes"]]
            for fields, cycles in zip(passes, rivals, strict=True):
                fields["rival_cycles"] = cycles
    return rows
