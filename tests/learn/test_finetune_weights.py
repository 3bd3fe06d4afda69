"""Fine-tuning on images that count more or less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headstart.catalog.untrained import BASE
from headstart.features.boundary import suffix
from headstart.images.views import PLAIN, UPSIDE_DOWN
from headstart.learn import finetune as module
from headstart.learn.finetune import FineTuned, Recipe, finetune
from headstart.learn.imbalance import Balance, adjustment
from headstart.learn.kinds import Classes, Kind, MultiLabel, Regression

AsKind = Callable[[type[Kind]], Any]
IMAGES = 40
WEIGHTS = np.random.default_rng(0).uniform(0.1, 5, IMAGES)


def with_weights(problem: Any, weights: np.ndarray | None, images: int = IMAGES) -> Any:
    """The problem with its first few training images, which count so much."""
    return replace(problem, train=replace(problem.train.some(range(images)), weights=weights))


def tune(problem: Any, **recipe: Any) -> FineTuned:
    settings = {"views": (PLAIN,), "epochs": 1, "batch_size": IMAGES, "dropout": 0.0} | recipe
    return finetune(
        BASE.build(),
        Recipe(problem.cut, **settings),
        problem.features,
        problem.probe,
        problem.train,
        problem.validation,
    )


def drawn(problem: Any, balance: Balance) -> tuple[np.ndarray, np.ndarray]:
    """Classes and weights of the images of an epoch."""
    recipe, sizes = Recipe(problem.cut, (PLAIN, UPSIDE_DOWN), epochs=1, balance=balance), (16, 16, 8)
    top = suffix(BASE.build(), problem.cut)
    batches = module._batches(recipe, problem.features, problem.train, top, sizes, 2, 0)
    found = [batches[number] for number in range(len(sizes))]
    return tuple(np.concatenate(parts) for parts in zip(*((y.argmax(1), w) for _, y, w in found), strict=True))


@pytest.mark.parametrize("kind", [Classes, MultiLabel, Regression])
def test_the_loss_is_the_mean_by_weights(problem: Any, as_kind: AsKind, kind: type[Kind]) -> None:
    """At a tiny rate, the first epoch's loss is that of the probe, here of one that is sure of itself."""
    found = problem if kind is Classes else as_kind(kind)
    sure = replace(found.probe, weights=20 * found.probe.weights, bias=20 * found.probe.bias)
    losses = found.train.kind.losses(found.train.kind.predict(sure.logits(found.trained_on)), found.train.labels)
    losses = losses[:IMAGES]
    weights = np.where(losses > np.median(losses), 5.0, 0.1)
    loss = tune(replace(with_weights(found, weights), probe=sure), learning_rate=1e-9).history[1].loss
    assert loss == pytest.approx(np.average(losses, weights=weights), rel=1e-3)
    assert loss > 1.02 * losses.mean()


def test_images_of_weight_0_are_as_good_as_not_there(problem: Any) -> None:
    weights = np.ones(IMAGES)
    weights[25:] = 0
    found = tune(with_weights(problem, weights), epochs=2, batch_size=16, dropout=0.5)
    without = tune(with_weights(problem, weights[:25], images=25), epochs=2, batch_size=16, dropout=0.5)
    assert found.history == without.history
    np.testing.assert_array_equal(found.validation_logits, without.validation_logits)
    assert found.history != tune(with_weights(problem, np.ones(IMAGES)), epochs=2, batch_size=16, dropout=0.5).history


def test_only_what_weights_are_to_each_other_matters(problem: Any) -> None:
    one, ten = (tune(with_weights(problem, factor * WEIGHTS)) for factor in (1, 16))
    assert one.history == ten.history


def test_weights_are_1_on_average(problem: Any) -> None:
    for balance in ("none", "logits"):
        _, weights = drawn(with_weights(problem, WEIGHTS), balance)
        np.testing.assert_allclose(np.sort(weights), np.sort(WEIGHTS / WEIGHTS.mean()))


def test_class_weights_are_multiplied_with_them_so_that_classes_count_alike(problem: Any) -> None:
    found = with_weights(problem, WEIGHTS)
    labels, weights = drawn(found, "weights")
    assert weights[labels == 0].sum() == pytest.approx(weights[labels == 1].sum())
    for label in (0, 1):
        of_class = WEIGHTS[found.train.labels == label]
        np.testing.assert_allclose(np.sort(weights[labels == label]), np.sort(of_class / of_class.mean()), rtol=1e-6)


def test_balanced_sampling_keeps_them_within_each_class(problem: Any) -> None:
    found = with_weights(problem, np.where(np.arange(IMAGES) % 2, 3.0, 1.0))
    labels, weights = drawn(found, "sampling")
    assert np.bincount(labels).tolist() == [20, 20]
    np.testing.assert_array_equal(weights, np.ones(IMAGES))
    _, uneven = drawn(with_weights(problem, WEIGHTS), "sampling")
    assert np.unique(uneven).size == IMAGES


def test_the_adjusted_loss_puts_on_what_the_probe_took_off(problem: Any) -> None:
    weighted = with_weights(problem, np.where(np.arange(IMAGES) % 2, 0.2, 1.8))
    train = weighted.train
    taken_off = adjustment(train.labels, 2, "logits", train.weights)
    assert taken_off[0] > 1
    adjusted = replace(weighted, probe=replace(weighted.probe, bias=weighted.probe.bias - taken_off))
    plain = tune(weighted, learning_rate=1e-9).history[1].loss
    assert plain is not None
    assert tune(adjusted, balance="logits", learning_rate=1e-9).history[1].loss == pytest.approx(plain, rel=1e-4)


def test_epochs_are_judged_by_each_image_once(problem: Any) -> None:
    plain = with_weights(problem, WEIGHTS)
    weights = np.random.default_rng(1).uniform(0, 9, len(problem.validation.labels))
    other = replace(plain, validation=replace(plain.validation, weights=weights))
    assert tune(plain).history == tune(other).history


def test_other_weights_are_another_fine_tuning(problem: Any) -> None:
    """A checkpoint of one must never be taken for the other's; without weights its name stays what it was."""
    recipe = Recipe(problem.cut, (PLAIN,), epochs=1)
    names = [
        module._identity(recipe, problem.features, problem.probe, found.train, problem.validation, [])
        for found in (with_weights(problem, weights) for weights in (None, np.ones(IMAGES), WEIGHTS))
    ]
    assert len({tuple(name) for name in names}) == 3
    assert [name.count("weights") for name in names] == [0, 1, 1]
    assert [word for word in names[1] if word in names[0]] == names[0]
