"""Probes of images that count more or less."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headstart.learn import linear
from headstart.learn import probe as probe_module
from headstart.learn.imbalance import Asked
from headstart.learn.kinds import CLASSES, Kind, MultiLabel, Regression
from headstart.learn.out_of_fold import out_of_fold
from headstart.learn.probe import (
    Probe,
    fit_probe,
    fold_places,
    loss_of_views,
    refit_probe,
    refit_to_views,
    sample_places,
)

IMAGES = 150
RNG = np.random.default_rng(0)
SAID = RNG.normal(size=(IMAGES, 3))
X = (SAID @ RNG.normal(size=(3, 12)) + RNG.normal(0, 2, (IMAGES, 12))).astype(np.float32)
WEIGHTS = RNG.uniform(0.1, 3, IMAGES)
RARE = (SAID[:, 0] > 1).astype(int)
LABELS = (SAID > [0, 0.5, 1]).astype(np.float32)
NUMBERS = 20 + 7 * SAID[:, 0]
PROBLEMS: dict[str, tuple[np.ndarray, int, Kind, Asked]] = {
    "classes": (SAID.argmax(axis=1), 3, CLASSES, "none"),
    "weights": (RARE, 2, CLASSES, "weights"),
    "logits": (RARE, 2, CLASSES, "logits"),
    "auto": (RARE, 2, CLASSES, "auto"),
    "labels": (LABELS, 3, MultiLabel.of(LABELS, ("a", "b", "c")), "none"),
    "numbers": (NUMBERS, 1, Regression.of(NUMBERS, ("n",)), "none"),
}
each_problem = pytest.mark.parametrize("name", PROBLEMS)


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Solved further than training needs."""
    monkeypatch.setattr(linear, "TOLERANCE", 1e-6)
    monkeypatch.setattr(linear, "SCALED_TOLERANCE", 1e-6)


def fitted(name: str, weights: np.ndarray | None, **more: Any) -> Probe:
    labels, outputs, kind, balance = PROBLEMS[name]
    return fit_probe(X, labels, outputs, 0, balance=balance, kind=kind, weights=weights, **more)


def assert_alike(found: Probe, expected: Probe) -> None:
    np.testing.assert_allclose(found.mean, expected.mean, atol=1e-5)
    np.testing.assert_allclose(found.deviation, expected.deviation, rtol=1e-5)
    scores = expected.logits(X)
    np.testing.assert_allclose(found.logits(X), scores, atol=2e-3 * scores.std())


def differ(one: Probe, other: Probe) -> bool:
    return bool(np.abs(one.logits(X) - other.logits(X)).max() > 0.05 * other.logits(X).std())


@each_problem
def test_a_weight_of_2_is_the_image_twice(name: str) -> None:
    """With the penalty that goes with so many more images: weights are 1 on average, so that it stays what it was."""
    labels = PROBLEMS[name][0]
    times = np.where(np.arange(IMAGES) % 3, 1, 2)
    often = np.repeat(np.arange(IMAGES), times)
    probe = fitted(name, times.astype(np.float64))
    assert_alike(probe, refit_probe(probe, X, labels, times))
    repeated = refit_probe(with_strength(probe, probe.strength / times.mean()), X[often], labels[often])
    assert_alike(probe, repeated)
    assert differ(probe, refit_probe(probe, X, labels))


def with_strength(probe: Probe, strength: float) -> Probe:
    return replace(probe, strength=strength)


@each_problem
def test_only_what_weights_are_to_each_other_matters(name: str) -> None:
    one, ten = fitted(name, WEIGHTS), fitted(name, 10 * WEIGHTS)
    assert ten.strength == one.strength
    assert ten.cross_validated == pytest.approx(one.cross_validated, rel=1e-4)
    assert_alike(ten, one)


@each_problem
def test_weights_that_are_all_alike_change_nothing(name: str) -> None:
    same, plain = fitted(name, np.full(IMAGES, 0.3)), fitted(name, None)
    assert (same.strength, same.balancing.kind) == (plain.strength, plain.balancing.kind)
    assert same.cross_validated == pytest.approx(plain.cross_validated, rel=1e-4)
    assert_alike(same, plain)


@each_problem
def test_cross_validation_learns_by_weights_and_measures_each_image_once(name: str) -> None:
    labels, _, kind, _ = PROBLEMS[name]
    probe = fitted(name, WEIGHTS)
    assert probe.cross_validated[probe.strength] != pytest.approx(
        fitted(name, None).cross_validated[probe.strength], 1e-4
    )
    assert loss_of_views(probe, X[None], labels, 0, weights=WEIGHTS) == pytest.approx(
        probe.cross_validated[probe.strength], rel=1e-3
    )
    if probe.balancing.kind == "none":
        by_hand = []
        for learned, held_out in fold_places(kind.strata(labels), 0, ()):
            again = refit_probe(probe, X[learned], labels[learned], WEIGHTS[learned])
            by_hand.append(kind.loss(again.logits(X[held_out]), labels[held_out]))
        assert probe.cross_validated[probe.strength] == pytest.approx(np.mean(by_hand), rel=1e-4)


@each_problem
def test_all_views_of_an_image_have_its_weight(name: str) -> None:
    labels, probe = PROBLEMS[name][0], fitted(name, WEIGHTS)
    views = np.stack([X, X + 0.5, X - 0.5])
    taught = refit_to_views(probe, views, labels, WEIGHTS)
    stacked, thrice = views.reshape(-1, X.shape[1]), np.concatenate([labels] * 3)
    weaker = with_strength(probe, probe.strength / np.sqrt(3))
    assert_alike(taught, refit_probe(weaker, stacked, thrice, np.concatenate([WEIGHTS] * 3)))
    assert taught.strength == probe.strength
    assert differ(taught, refit_to_views(probe, views, labels))


@pytest.mark.parametrize("most", [1000, 100])
def test_each_image_is_told_of_by_a_probe_that_learned_from_others_by_their_weights(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether there are so few that the strength is chosen on all, or so many that it is chosen on a sample."""
    monkeypatch.setattr(probe_module, "MOST_IMAGES_TO_CHOOSE", most)
    labels, outputs, kind, _ = PROBLEMS["classes"]
    scores = out_of_fold(X, labels, outputs, 0, kind, weights=WEIGHTS)
    some = sample_places(labels, 5, 0)
    assert (len(some) < len(X)) == (most < len(X))
    probe = fit_probe(X[some], labels[some], outputs, 0, kind=kind, weights=WEIGHTS[some])
    for fitted_to, held_out in fold_places(labels, 0, ()):
        learned = fitted_to[sample_places(labels[fitted_to], 1, 0)]
        expected = refit_probe(probe, X[learned], labels[learned], WEIGHTS[learned]).logits(X[held_out])
        np.testing.assert_allclose(scores[held_out], expected, rtol=1e-2, atol=1e-3)
