"""What an estimate takes for granted: the densities of its method, and what is behind the ports."""

from __future__ import annotations

import pytest

from gscn.perf.estimate.assumptions import assumptions
from gscn.perf.estimate.memory import Dram
from gscn.perf.estimate.training_step import Mode, estimate
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import Sparsification
from tests.perf.estimate.test_training_step import LARGE, constant, estimated


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("dense", []),
        ("swat", ["SWAT: weights 0.1 dense", "output gradients are dense"]),
        (
            "resprop",
            [
                (
                    "differences of output gradients 0.15 dense in every convolution (what "
                    "training aims at, 5 points above 1 - sparsity)"
                ),
                "1/N of the batch",
            ],
        ),
        ("swat+resprop", ["SWAT: weights 0.1 dense", "differences of output gradients 0.15 dense"]),
    ],
)
def test_assumptions_name_the_densities_of_the_method(method, words):
    text = "\n".join(assumptions(estimated(method, 0.9, measure=constant(0.5))))
    assert "uniform random" in text
    assert all(word in text for word in words)
    assert ("SWAT" in text) == method.startswith("swat")
    assert ("ReSprop" in text) == method.endswith("resprop")


def test_what_is_behind_the_ports_is_said():
    net = network("resnet18", image_size=64, batch=4)
    swat = Sparsification(method="swat", sparsity=0.9)

    def words(dram):
        return "\n".join(assumptions(estimate(net, LARGE, swat, mode=Mode.ANALYTIC, dram=dram)))

    assert "What is behind the memory ports is no limit." in words(None)
    text = words(Dram(bytes_per_cycle=5.46, buffer_bytes=1 << 20))
    assert "a buffer of 1024 KiB" in text
    assert "a DRAM of 5.46 bytes per cycle" in text
    assert "a launch takes the longer of the array's cycles and of DRAM's" in text
    assert "no buffer and a DRAM of 1e+06 bytes" in words(Dram(bytes_per_cycle=1e6))
    assert " 0 % of the cycles are in passes that DRAM bounds" in words(Dram(bytes_per_cycle=1e6))
