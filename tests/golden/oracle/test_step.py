"""Whole training steps: lists on the emulators equal the golden step, which is near torch's."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.encode_step import digits, resnet20
from gscn.conv import Pass
from gscn.golden.data.digits import load_digits
from gscn.golden.methods.dst import MaskedWeights
from gscn.golden.networks.residual import DigitsNetwork
from gscn.lowering.axes import MOST_STEP, kernel_geometries
from gscn.lowering.estimates import DENSE
from gscn.lowering.kernel_plan import plan_part
from gscn.lowering.plan import array_sizes
from gscn.lowering.step.layers import IMAGES, Conv, Norm, Pool, Training
from gscn.lowering.step.plans import DENSITIES
from gscn.step import Convolve
from tests.step_networks import Small, grouped, padding, small
from tests.step_runs import CONFIG, Runs

DENSITY = Fraction(1, 10)
REUSE = (0.15, 0.15)
PLAIN = {"plain": Training()}
SWAT = {
    "select": Training(density=DENSITY, refresh=True), "keep": Training(density=DENSITY),
}  # fmt: skip
BOTH = {
    "dense": Training(density=DENSITY, refresh=True, reuse=REUSE),
    "select": Training(density=DENSITY, refresh=True, reuse=REUSE, reuses=True),
    "keep": Training(density=DENSITY, reuse=REUSE, reuses=True),
}
FINE = {name: replace(how, step=32) for name, how in BOTH.items()}
RESPROP = {"dense": Training(reuse=REUSE), "reuse": Training(reuse=REUSE, reuses=True)}
DST = {"masks": Training(masks=True, decay=1e-3)}
METHODS = {
    "plain": (PLAIN, ["plain"] * 3), "swat": (SWAT, ["select", "keep", "select"]),
    "resprop": (RESPROP, ["dense", "reuse", "reuse"]),
    "both": (BOTH, ["dense", "keep", "select", "keep"]), "dst": (DST, ["masks"] * 3),
}  # fmt: skip


def batches(seed, size, count):
    """Yield images, labels, and a sample."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        images = generator.standard_normal(size).astype(np.float32)
        yield images, generator.integers(0, 10, size[0]), int(generator.integers(size[0]))


@pytest.mark.parametrize("method", METHODS)
def test_steps_with_layers_of_every_kind_equal_the_golden_ones(method):
    ways, order = METHODS[method]
    size = (3, 3, 8, 8)
    runs = Runs(small(), size, ways, penalty=1e-2)
    runs.set_weights(1)
    for way, batch in zip(order, batches(2, size, len(order)), strict=True):
        runs.run(way, *batch)
    assert not any(one.saturated or one.overflow or one.nonfinite for one in runs.flags)


@pytest.mark.parametrize(
    "method", ["both", pytest.param("dst", marks=pytest.mark.slow),
               pytest.param("resprop", marks=pytest.mark.slow)],
)  # fmt: skip
def test_steps_of_convolutions_of_groups_equal_the_golden_ones(method):
    ways, order = METHODS[method]
    size = (1, 3, 6, 6)
    runs = Runs(grouped(6), size, ways, penalty=1e-2)
    runs.set_weights(1)
    for way, batch in zip(order[:2], batches(2, size, 2), strict=True):
        runs.run(way, *batch)
    blocks = runs.golden.step.blocks
    assert list(blocks) == ["blocks.g", "blocks.d", "blocks.h", "blocks.e"]
    for name, one in blocks.items():
        for kind in "wm":
            left = runs.golden.tensors[f"{kind}.{name[7:]}"]
            assert not left[~one.there()].any()
            assert left[one.there()].any()


@st.composite
def networks(draw):
    """Return layers and the size of a batch."""
    rows = draw(st.sampled_from([4, 8]))
    cols = draw(st.sampled_from([4, 8]))
    channels = draw(st.sampled_from([3, 16, 20]))
    size = (draw(st.integers(1, 3)), channels, rows, cols)
    layers, source, added = [], IMAGES, ""
    for number in range(draw(st.integers(1, 3))):
        taps = draw(st.sampled_from([1, 3]))
        strided = channels in (3, 16, 32) and rows >= 4 and cols >= 4 and draw(st.booleans())
        stride = 2 if strided else 1
        kernels = draw(st.sampled_from([5, 16, 32]))
        name = f"c{number}"
        layers.append(Conv(name, source, kernels, taps, stride, taps // 2))
        alike = stride == 1 and kernels == channels and source != IMAGES
        added = source if alike and draw(st.booleans()) else ""
        layers.append(Norm(f"n{number}", name, added=added))
        source, channels = f"n{number}", kernels
        rows, cols = rows // stride, cols // stride
        if rows > 1 and cols > 1 and draw(st.booleans()):
            layers.append(Pool(f"p{number}", source, draw(st.booleans()), 2, 2))
            source, rows, cols = f"p{number}", rows // 2, cols // 2
    layers.append(Pool("last", source, draw(st.booleans()), rows, cols))
    return [*layers, Conv("fc", "last", 10, linear=True)], size


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(networks(), st.sampled_from(sorted(METHODS)), st.integers(0, 2**31))
def test_steps_of_any_network_equal_the_golden_ones(drawn, method, seed):
    layers, size = drawn
    ways, order = METHODS[method]
    runs = Runs(layers, size, ways, penalty=1e-2)
    runs.set_weights(seed)
    for way, batch in zip(order[:2], batches(seed, size, 2), strict=True):
        runs.run(way, *batch)


@pytest.mark.parametrize(("side", "channels"), [(16, 16), (32, 8)])
def test_maps_that_a_driver_would_cut_into_bands_are_left_whole(side, channels):
    layers = [
        Conv("c0", IMAGES, 16, 3, 1, 1), Norm("n0", "c0"),
        Conv("c1", "n0", 16, 3, 2, 1), Norm("n1", "c1"),
        Pool("last", "n1", False, side // 2, side // 2), Conv("fc", "last", 10, linear=True),
    ]  # fmt: skip
    size = (1, channels, side, side)
    runs = Runs(layers, size, METHODS["plain"][0])
    runs.set_weights(1)
    sizes = array_sizes(CONFIG, None)
    assert any(
        plan_part(sizes, op.shape, kernel_geometries(op.shape, op.which, MOST_STEP)[0],
                  DENSITIES, (2, 2), DENSE).bands > 1
        for op in runs.golden.step.operations
        if isinstance(op, Convolve) and op.which is not Pass.WEIGHT_GRAD
    )  # fmt: skip
    for batch in batches(1, size, 1):
        runs.run("plain", *batch)


@pytest.mark.parametrize(
    ("taps", "stride", "channels", "method"),
    [(7, 2, 3, "both"), (7, 2, 3, "dst"), (7, 1, 4, "plain")],
)
def test_weight_gradients_of_many_taps_are_put_together(taps, stride, channels, method):
    side = 12
    made = side // stride
    layers = [
        Conv("c", IMAGES, 20, taps, stride, taps // 2), Norm("n", "c"),
        Pool("last", "n", False, made, made), Conv("fc", "last", 10, linear=True),
    ]  # fmt: skip
    ways, order = METHODS[method]
    size = (2, channels, side, side)
    runs = Runs(layers, size, ways, penalty=1e-2)
    assert "dw.c/1" in runs.lists[order[0]].records
    runs.set_weights(1)
    for way, batch in zip(order[:2], batches(2, size, 2), strict=True):
        runs.run(way, *batch)


@pytest.mark.parametrize("method", METHODS)
def test_strided_layers_of_ragged_channels_and_dilated_ones_equal_the_golden_ones(method):
    layers = [
        Conv("c", IMAGES, 20, 3, 1, 1), Norm("n", "c"), Conv("d", "n", 20, 3, 2, 1),
        Norm("dn", "d"), Conv("e", "dn", 16, 3, 1, 2, dilation=2), Norm("en", "e"),
        Pool("last", "en", False, 4, 4), Conv("fc", "last", 10, linear=True),
    ]  # fmt: skip
    ways, order = METHODS[method]
    size = (2, 3, 8, 8)
    runs = Runs(layers, size, ways, penalty=1e-2)
    runs.set_weights(1)
    for way, batch in zip(order[:2], batches(2, size, 2), strict=True):
        runs.run(way, *batch)


def trained_by_torch(model, weights, images, labels, *, steps, rate, momentum=0.9):
    """Return losses of torch in float32, from the same weights."""
    with torch.no_grad():
        for name, value in weights.items():
            own = model.get_parameter(f"{name}.weight")
            own.copy_(torch.from_numpy(value.copy()).reshape(own.shape))
        model.get_parameter(f"{list(weights)[-1]}.bias").zero_()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)
    losses = []
    for step in range(steps):
        loss = torch.nn.functional.cross_entropy(model(images[step]), labels[step])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def compared(runs, model, images, labels, rate):
    """Run steps and torch's; return losses of both, and weights of both by layer."""
    names = [name for name in runs.golden.tensors if name.startswith("w.")]
    weights = {name[2:]: runs.weights(name) for name in names}
    wanted = trained_by_torch(model, weights, images, labels, steps=len(images), rate=rate)
    for own, label in zip(images, labels, strict=True):
        runs.run("plain", own.numpy(), label.numpy(), 0)
    after = {
        name: (runs.weights(f"w.{name}"), model.get_parameter(f"{name}.weight").detach().numpy())
        for name in weights
    }
    return runs.host.losses, wanted, after


def test_a_dense_step_is_near_torchs_in_float32():
    size = (4, 3, 8, 8)
    generator = torch.Generator().manual_seed(5)
    images = list(torch.randn(3, *size, generator=generator))
    labels = list(torch.randint(10, (3, 4), generator=generator))
    runs = Runs(small(), size, {"plain": Training(rate=0.02)})
    runs.set_weights(3)
    before = {name: runs.weights(f"w.{name}").copy() for name in ("c1", "s", "c2", "c3", "fc")}
    found, wanted, after = compared(runs, Small(), images, labels, 0.02)
    # Results of convolutions and normalisations are rounded to 8 bits.
    assert np.allclose(found, wanted, rtol=0.01)
    for name, (own, theirs) in after.items():
        own, theirs = own.reshape(-1), theirs.reshape(-1)
        moved = np.linalg.norm(theirs - before[name].reshape(-1))
        assert np.linalg.norm(own - theirs) < 0.2 * moved, name


@pytest.mark.slow
@pytest.mark.parametrize("method", ["plain", "both"])
def test_the_digits_network_trains_as_the_golden_one_does(method):
    data = load_digits()
    ways = PLAIN if method == "plain" else BOTH
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randint(len(data.train_images), (12, 32), generator=generator)
    images, labels = data.train_images[chosen], data.train_labels[chosen]
    runs = Runs(digits(), (32, 1, 8, 8), ways)
    runs.set_weights(7)
    if method == "plain":
        found, wanted, _ = compared(runs, DigitsNetwork(), images, labels, 0.1)
        assert np.allclose(found, wanted, rtol=0.05, atol=0.02)
        return
    for step, (own, label) in enumerate(zip(images, labels, strict=True)):
        way = "select" if step % 10 == 0 else "keep"
        runs.run(way if step else "dense", own.numpy(), label.numpy(), step % 32)
    assert np.mean(runs.host.losses[-3:]) < 0.9 * runs.host.losses[0]


@pytest.mark.slow
def test_resnet20_takes_steps_as_the_golden_one_does():
    size = (2, 3, 16, 16)
    runs = Runs(resnet20(16), size, BOTH)
    runs.set_weights(11)
    for stage, channels in ((2, 16), (3, 32)):
        runs.put_weights(f"w.stage{stage}.0.shortcut", padding(2 * channels, channels))
    for way, batch in zip(("dense", "keep"), batches(4, size, 2), strict=True):
        runs.run(way, *batch)


def test_the_host_touches_scalars_images_and_logits_alone():
    size = (8, 3, 32, 32)
    runs = Runs(resnet20(32, 1), size, PLAIN)
    tensors = sum(place.end - place.addr for place in runs.lists["plain"].memory.dense.values())
    runs.run("plain", *next(iter(batches(0, size, 1))))
    touched = runs.host.touched
    assert set(touched) == {"images", "logits", "sums", "coefficients", "states"}
    assert sum(touched.values()) - touched["images"] < tensors / 100


def tiny():
    """Return one convolution of few channels, and a linear layer."""
    return [
        Conv("c", IMAGES, 5, 3, 1, 1), Norm("n", "c"), Pool("p", "n", False, 4, 4),
        Conv("fc", "p", 10, linear=True),
    ]  # fmt: skip


def test_gradients_of_masked_weights_and_thresholds_are_those_of_torch():
    size = (4, 3, 4, 4)
    runs = Runs(tiny(), size, DST, penalty=0.0)
    runs.set_weights(2)
    generator = np.random.default_rng(3)
    for step, batch in enumerate(batches(1, size, 3)):
        weights = runs.weights("w.c").copy()
        threshold = runs.golden_host.thresholds.get("c", np.zeros(5))
        if step == 1:
            # Some weights beyond each piece of the slope.
            threshold = generator.uniform(0.1, 0.4, 5)
            for host in (runs.host, runs.golden_host):
                host.thresholds["c"] = threshold
            rows = {"bias": (-threshold).astype(np.float32)}
            runs.golden.rows["t.c"] |= rows
            runs.host.memory = runs.memory
            runs.host._rows("t.c", c0=1.0, **rows)
        runs.run("masks", *batch)
        own = torch.from_numpy(weights).requires_grad_()
        limit = torch.from_numpy(threshold.astype(np.float32)).requires_grad_()
        masked = MaskedWeights.apply(own, limit, limit.detach())
        assert np.array_equal(masked.detach().numpy(), runs.weights("wm.c"))
        masked.backward(torch.from_numpy(runs.weights("dw.c").copy()))
        # A product's coefficient has 16 bits.
        assert np.allclose(runs.weights("dm.c"), own.grad.numpy(), rtol=1e-3, atol=1e-6)
        found = -runs.golden.sums["dt.c"].values(0)
        assert np.allclose(found, limit.grad.numpy(), rtol=1e-3, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["both", "fine", "dst"])
def test_thresholds_are_the_golden_ones_over_200_iterations(method):
    ways = {"both": BOTH, "fine": FINE, "dst": DST}[method]
    size = (4, 3, 4, 4)
    runs = Runs(tiny(), size, ways, penalty=0.05)
    runs.set_weights(9)
    thresholds, kept = set(), []
    for step, batch in enumerate(batches(13, size, 200)):
        way = "masks" if method == "dst" else "select" if step % 10 == 0 else "keep"
        runs.run("dense" if method != "dst" and step == 0 else way, *batch)
        thresholds.add(runs.golden.states["sg.c"]["threshold_a"])
        name, field = ("st.c", "nonzeros") if method == "dst" else ("sg.c", "kept_a")
        kept.append(runs.golden.states[name][field])
    if method == "dst":
        assert min(kept) < 5 * 3 * 9
    else:
        # Thresholds rise to where about the share aimed at is kept, and go up and down there.
        assert 0.05 < np.mean(kept[100:]) / (4 * 5 * 16) < 0.5
        assert len(thresholds) > 5
