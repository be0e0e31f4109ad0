"""Whole passes: lowering, generated Verilog and torch agree; results survive the disk."""

from dataclasses import replace

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.cosim.builds.simulator import build
from gscn.cosim.conditions import Conditions
from gscn.cosim.layer import PassInput, check_passes, oracle
from gscn.cosim.saved import load_result, save_result
from gscn.errors import InputError
from gscn.golden.oracle.synthetic import random_operands

pytestmark = pytest.mark.cosim

SHAPES = {
    "3x3": ConvShape(n=2, c=4, h=7, w=6, k=4, r=3, s=3, padding=(1, 1)),
    "strided": ConvShape(n=1, c=3, h=9, w=8, k=5, r=3, s=3, stride=(2, 2), padding=(1, 1)),
    "uneven": ConvShape(
        n=1, c=2, h=12, w=11, k=3, r=4, s=2, stride=(3, 1), padding=(2, 0), dilation=(1, 2)
    ),
    "1x1": ConvShape(n=2, c=9, h=5, w=5, k=7, r=1, s=1),
    "groups": ConvShape(n=1, c=6, h=6, w=5, k=9, r=3, s=3, padding=(1, 1), groups=3),
    "depthwise": ConvShape(
        n=2, c=17, h=6, w=5, k=17, r=3, s=2, stride=(2, 1), padding=(1, 0), groups=17
    ),
    "one output": ConvShape(n=1, c=70, h=1, w=1, k=1, r=1, s=1),
}


def inputs_of(config, densities=(0.3, 0.4), *, extreme=False):
    return [
        PassInput(
            layer=name,
            shape=shape,
            which=which,
            **dict(
                zip(
                    ("first", "second"),
                    random_operands(shape, which, *densities, config.format, 11, extreme=extreme),
                    strict=True,
                )
            ),
        )
        for name, shape in SHAPES.items()
        for which in Pass
    ]


@pytest.fixture(
    scope="module",
    # `small` behind AXI is another simulator, which slow tests of random layers build.
    params=[
        pytest.param((name, axi), id=f"{name}{', AXI' * axi}")
        for name, axi in (("tiny", False), ("tiny", True), ("small", False))
    ],
)
def simulator(request):
    name, axi = request.param
    return build(ARRAYS[name], axi=axi)


def assert_all_good(outcomes):
    for outcome in outcomes:
        label = f"{outcome.source.layer} {outcome.source.which}"
        assert outcome.comparison.good, f"{label}: {outcome.comparison.details}"
        assert outcome.comparison.outputs == outcome.result.size
        assert not any(outcome.run.flags.values()), label
        assert sum(outcome.shares().values()) == pytest.approx(1)
        if outcome.model is not None:
            assert outcome.model.cycles == outcome.run.cycles, label
            for index, (name, values) in enumerate(outcome.run.counters.items()):
                assert outcome.model.counters[:, index].tolist() == values, f"{label}: {name}"
            for index, (name, values) in enumerate(outcome.run.events.items()):
                assert outcome.model.events[:, index].tolist() == values, f"{label}: {name}"


@pytest.mark.parametrize(
    ("densities", "output_width", "stalls"), [((0.3, 0.4), 32, 0.0), ((0.1, 0.6), 16, 0.4)]
)
def test_every_pass_equals_torch(simulator, densities, output_width, stalls):
    config = simulator.config
    outcomes = check_passes(
        config,
        inputs_of(config, densities),
        Conditions(stall_probability=stalls),
        output_width=output_width,
        simulator=simulator,
    )
    assert len(outcomes) == len(SHAPES) * len(Pass)
    assert all((outcome.model is None) == (stalls > 0) for outcome in outcomes)
    assert_all_good(outcomes)
    for outcome in outcomes:
        if outcome.source.layer != "one output":  # whose only output gradient may be a zero
            assert outcome.useful_products > 0
            assert 0 < outcome.utilization(config) <= 1


def test_dense_and_extreme_operands_equal_torch(simulator):
    inputs = inputs_of(simulator.config, (1.0, 1.0), extreme=True)
    assert_all_good(check_passes(simulator.config, inputs, simulator=simulator))


def test_operands_without_nonzeros_give_zeros(simulator):
    outcomes = check_passes(
        simulator.config, inputs_of(simulator.config, (0.0, 0.5)), simulator=simulator
    )
    assert_all_good(outcomes)
    assert all(outcome.useful_products == 0 for outcome in outcomes)
    assert not any(outcome.result.any() for outcome in outcomes)


@pytest.fixture(scope="module")
def outcome():
    config = ARRAYS["tiny"]
    return check_passes(config, inputs_of(config)[:1], simulator=build(config))[0]


def test_a_saved_result_is_read_back_whole(tmp_path, outcome):
    config = ARRAYS["tiny"]
    path = save_result(tmp_path / "new", outcome, config)
    saved = load_result(path)
    assert path.name == "3x3.forward.npz"
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert saved.config == config
    assert saved.source.shape == outcome.source.shape
    assert (saved.source.which, saved.shift) == (Pass.FORWARD, outcome.shift)
    for one, other in (
        (saved.result, outcome.result),
        (saved.source.first, outcome.source.first),
        (saved.source.second, outcome.source.second),
    ):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    assert np.array_equal(
        saved.result,
        oracle(
            saved.source,
            output_width=saved.output_width,
            shift=saved.shift,
            result_format=saved.result_format,
            acc_width=saved.config.acc_width,
        ),
    )


@pytest.mark.parametrize("keep", [0, 10, 0.3, 0.9, -1])
def test_a_result_cut_short_is_refused(tmp_path, outcome, keep):
    path = save_result(tmp_path, outcome, ARRAYS["tiny"])
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(InputError, match="must be a saved result, whole and unchanged"):
        load_result(path)


def test_a_changed_byte_is_found(tmp_path, outcome):
    path = save_result(tmp_path, outcome, ARRAYS["tiny"])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(InputError, match="must be a saved result, whole and unchanged"):
        load_result(path)


def test_operands_outside_the_format_are_refused():
    one = inputs_of(ARRAYS["tiny"])[0]
    large = replace(one, first=one.first.astype(np.int64) * 100_000)
    with pytest.raises(InputError, match=r"first operand of 3x3 forward must lie in \[-32768"):
        check_passes(ARRAYS["tiny"], [large])
