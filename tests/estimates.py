"""Estimates of small networks with made-up measurements, as rows of the report."""

from __future__ import annotations

import dataclasses
import json

from gscn.array import ARRAYS
from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.perf.estimate.buffer import BUFFERS
from gscn.perf.estimate.sampling import Measurement, Sampling
from gscn.perf.estimate.training_step import Mode, estimate, to_json
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import Method, Sparsification

UTILIZATION = 0.5
RIVAL_FACTORS = {"dense": None, "scnn+": 6.0, "ant": 2.0, "ideal": 0.5}
"""Cycles over ours; the dense array's own are kept."""


def measure(config, samples):
    """Every multiplier takes a useful product in every second cycle."""
    products = 1000 * config.multipliers
    cycles = int(products / config.multipliers / UTILIZATION)
    return [
        Measurement(useful_products=products, cycles=cycles, multipliers=config.multipliers)
        for _ in samples
    ]


def made_up_row(case, mode="statistical", config=ARRAYS["large"], *, counted=True):
    """Return a row as the estimate writes it, with bytes, rivals and accesses by simple rules.

    One that is not `counted` is like those of the analytic mode: without samples and rivals.
    """
    net = network(case.network, image_size=case.image_size, batch=case.batch)
    sparsification = Sparsification(method=Method(case.method), sparsity=case.sparsity)
    row = to_json(
        estimate(net, config, sparsification, mode=Mode.UNIFORM, sampling=Sampling(measure=measure))
    )
    row["mode"] = mode
    number = 0
    for fields in (fields for layer in row["layers"] for fields in layer["passes"]):
        if not counted:
            for work in fields["convolutions"]:
                work["sample"] = None
            continue
        cycles = fields["cycles"]
        fields["read_bytes"], fields["write_bytes"] = 16 * cycles, 4 * cycles
        fields["dram_read_bytes"] = {
            str(size): 16 * cycles / (1 + at) for at, size in enumerate(BUFFERS)
        }
        fields["rival_cycles"] = {
            name: fields["dense_cycles"] if factor is None else factor * cycles
            for name, factor in RIVAL_FACTORS.items()
        }
        for work in fields["convolutions"]:
            # Samples of a hundredth of the products; every third convolution has none.
            products = work["expected_useful_products"] / 100
            number += 1
            work["sample"] = None
            if number % 3:
                causes = dict.fromkeys(CLUSTER_COUNTER_NAMES, 0.0)
                idle = work["cycles"] / 100 * config.multipliers - products
                work["sample"] = {
                    "useful_products": products,
                    "accesses": {
                        "products": products, "words": products / 4,
                        "lookups": products / 3, "loaded_entries": products / 50,
                        "loaded_keys": products / 100, "loaded_bytes": products / 20,
                        "streamed_bytes": products / 2, "drained": products / 10,
                        "read_bytes": 1.0, "write_bytes": 1.0,
                    },
                    "causes": causes | {"busy": products, "idle": idle},
                }  # fmt: skip
    return json.loads(json.dumps(row))


def smaller(case, **changed):
    """Return a case with images and batches so small that a test can afford it."""
    return dataclasses.replace(case, **({"image_size": 32, "batch": 2} | changed))
