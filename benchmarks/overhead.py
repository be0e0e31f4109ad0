"""What the sparse-training methods cost on a CPU, against dense training and against torch's top-k.

A training step of networks for 32x32 images, batch 32, by each method, and the selection of a
threshold in tensors of 1e4 to 1e7 elements: docs/results/overhead.md. To be taken on an idle
machine.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Sequence

from benchmarks.markdown import table
from benchmarks.pages import Page

THREADS = (1, 2)
STEPS = {
    "swat": {"sparsity": 0.9, "refresh_period": 10},
    "resprop": {"sparsity": 0.9},
    "swat+resprop": {"sparsity": 0.9, "refresh_period": 10},
    "dst": {},
}
"""Options by method."""
NETWORKS = ("resnet18", "resnet20", "wrn16-1", "vgg16")
BATCH, IMAGE_SIZE = 32, 32
ROUNDS = 10
"""Of steps, one of each method in turn: SWAT's refresh period, with one refresh."""
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
KEPT_SHARES = (0.1, 0.5)
REPEATS = 7
ALPHA = 1e-6
"""Of the DST penalty."""


def _measured(functions: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Return the CPU seconds of each function in each round, after one round to warm up."""
    seconds: list[list[float]] = [[] for _ in functions]
    for index in range(rounds + 1):
        for function, taken in zip(functions, seconds, strict=True):
            # CPU time of this process: other processes may share the cores.
            start = time.process_time()
            function()
            if index:
                taken.append(time.process_time() - start)
    return seconds


def compute_steps(
    networks: Sequence[str] = NETWORKS, rounds: int = ROUNDS, width: int = 64
) -> list[dict[str, object]]:
    """Measure a training step by each method on one thread; return plain JSON values.

    `ratio` is the median over rounds of a sparse step's time by the dense step's of the round,
    `total_ratio` that of all rounds together, the refresh of SWAT's thresholds included.

    Parameters
    ----------
    networks
        Names of `golden.networks.catalogue.make_network`.
    rounds
        Steps of each method that count.
    width
        Channels of the first stage of a ResNet; 64 is ResNet-18's.
    """
    return [row for network in networks for row in _compute_steps(network, rounds, width)]


def _compute_steps(network: str, rounds: int, width: int) -> list[dict[str, object]]:
    import torch

    from gscn import golden
    from gscn.golden.networks.catalogue import make_network

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(BATCH, 3, IMAGE_SIZE, IMAGE_SIZE, generator=generator)
    labels = torch.randint(10, (BATCH,), generator=generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        dense = make_network(network, image_size=IMAGE_SIZE, classes=10, width=width)

    def step_of(method: str | None) -> Callable[[], object]:
        model = copy.deepcopy(dense)
        if method is not None:
            golden.sparsify(model, method, **STEPS[method])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

        def step() -> None:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(images), labels)
            if method == "dst":
                loss = loss + ALPHA * golden.dst_penalty(model)
            loss.backward()
            optimizer.step()

        return step

    try:
        base, *others = _measured([step_of(None), *map(step_of, STEPS)], rounds)
    finally:
        torch.set_num_threads(threads)
    return [
        {
            "network": network,
            "method": method,
            "dense_seconds": statistics.median(base),
            "seconds": statistics.median(taken),
            "ratio": statistics.median(t / b for t, b in zip(taken, base, strict=True)),
            "total_ratio": sum(taken) / sum(base),
        }
        for method, taken in zip(STEPS, others, strict=True)
    ]


def compute_selection(
    sizes: Sequence[int] = SIZES, repeats: int = REPEATS
) -> list[dict[str, object]]:
    """Measure the selection of a threshold beside torch's ways; return plain JSON values.

    Times are medians of wall-clock seconds, because torch may use several threads. Half of the
    elements of "relu" tensors are zero.
    """
    import torch

    from gscn.golden.methods.selection import magnitude_threshold

    def by_kthvalue(values: torch.Tensor, count: int) -> torch.Tensor:
        return torch.kthvalue(values.abs(), values.numel() - count + 1).values

    def by_topk(values: torch.Tensor, count: int) -> torch.Tensor:
        return torch.topk(values.abs(), count, sorted=False).values.min()

    ways = {"ours": magnitude_threshold, "kthvalue": by_kthvalue, "topk": by_topk}
    rows, before = [], torch.get_num_threads()
    for threads in THREADS:
        torch.set_num_threads(threads)
        for size in sizes:
            normal = torch.randn(size, generator=torch.Generator().manual_seed(0))
            for kind, values in (("normal", normal), ("relu", normal.relu())):
                for share in KEPT_SHARES:
                    count = int(share * size)
                    row: dict[str, object] = {
                        "threads": threads,
                        "elements": size,
                        "values": kind,
                        "kept": share,
                    }
                    found = {name: float(way(values, count)) for name, way in ways.items()}
                    row["equal"] = len(set(found.values())) == 1
                    for name, way in ways.items():
                        taken = []
                        for _ in range(repeats):
                            start = time.perf_counter()
                            way(values, count)
                            taken.append(time.perf_counter() - start)
                        row[f"{name}_seconds"] = statistics.median(taken)
                    rows.append(row)
    torch.set_num_threads(before)
    return rows


def render(steps: Sequence[dict], selection: Sequence[dict]) -> str:
    """Return both tables as Markdown."""
    first = table(
        ("network", "method", "dense step, ms", "sparse step, ms", "ratio", "ratio of all rounds"),
        [
            (
                row["network"],
                row["method"],
                f"{1e3 * row['dense_seconds']:.0f}",
                f"{1e3 * row['seconds']:.0f}",
                f"{row['ratio']:.2f}",
                f"{row['total_ratio']:.2f}",
            )
            for row in steps
        ],
    )
    names = ("ours", "kthvalue", "topk")
    second = table(
        ("threads", "elements", "values", "kept", *(f"{name}, ms" for name in names), "equal"),
        [
            (
                str(row["threads"]),
                str(row["elements"]),
                row["values"],
                f"{row['kept']:g}",
                *(f"{1e3 * row[f'{name}_seconds']:.2f}" for name in names),
                str(row["equal"]),
            )
            for row in selection
        ],
    )
    return (
        f"CPU time of a training step on {IMAGE_SIZE}x{IMAGE_SIZE} images, batch {BATCH}, one "
        "thread, zeros computed with (SWAT's thresholds refreshed every 10 steps); medians of "
        f"{ROUNDS} rounds:\n\n{first}\n\n"
        f"Time to select the threshold of the largest magnitudes, float32, medians:\n\n{second}"
    )


def make() -> dict[str, object]:
    """Return what the page shows, as plain JSON values."""
    return {"steps": compute_steps(), "selection": compute_selection()}


def render_page(data: dict) -> str:
    """Return the document."""
    text = render(data["steps"], data["selection"])
    return f"# What sparse training costs on a CPU\n\n{text}"


PAGE = Page(name="overhead", make=make, render=render_page, parts=("training",))
