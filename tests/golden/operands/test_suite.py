"""What is published."""

from __future__ import annotations

from gscn.golden.data.composites import TRAIN_COPIES
from gscn.golden.data.digits import load_digits
from gscn.golden.operands.suite import METHODS, STEPS, TRAININGS


def test_each_of_five_networks_has_a_step_of_each_method():
    assert len(TRAININGS) == 5
    assert list(STEPS) == [f"{network}-{method}" for network in TRAININGS for method in METHODS]


def test_no_step_is_the_dense_first_or_last_of_its_epoch():
    digits = len(load_digits().train_labels)
    for step in STEPS.values():
        images = digits * (1 if step.recipe.dataset_name == "digits" else TRAIN_COPIES)
        per_epoch = images // step.recipe.batch_size
        assert 0 < step.iterations % per_epoch < per_epoch - 1
        assert step.images_seen == step.iterations * step.recipe.batch_size
