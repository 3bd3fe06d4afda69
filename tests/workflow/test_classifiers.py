from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from headstart.evaluation.calibration import fit_temperature
from headstart.images.views import MIRRORED, PLAIN, UPSIDE_DOWN
from headstart.learn.finetune import Recipe
from headstart.learn.labelled import Labelled
from headstart.learn.probe import fit_probe, refit_to_views
from headstart.workflow.classifiers import FinetunedClassifier, ProbeClassifier, refit_in_views

VIEWS = (PLAIN, UPSIDE_DOWN, MIRRORED)


def test_a_fine_tuned_candidate_answers_for_every_view_and_is_calibrated_on_the_plain_one() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 40, 2)).astype(np.float32)
    labels = np.arange(40) % 2
    result: Any = SimpleNamespace(validation_logits=logits)
    images: Any = SimpleNamespace(part=lambda part: Labelled([], labels))
    recipe = Recipe("cut", VIEWS, epochs=1)
    candidate = FinetunedClassifier(recipe, result, images, SimpleNamespace(), ()).candidate
    np.testing.assert_array_equal(candidate.logits, logits[0])
    np.testing.assert_array_equal(candidate.more, logits[1:])
    assert candidate.temperature == fit_temperature(logits[0], labels)


def test_a_fine_tuned_candidate_that_averages_answers_with_the_mean_over_its_test_views_alone() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 40, 2)).astype(np.float32)
    labels = np.arange(40) % 2
    result: Any = SimpleNamespace(validation_logits=logits)
    images: Any = SimpleNamespace(part=lambda part: Labelled([], labels))
    recipe = Recipe("cut", VIEWS, epochs=1, test_views=(PLAIN, MIRRORED))
    found = FinetunedClassifier(recipe, result, images, SimpleNamespace(), ())
    wanted = (logits[0] + logits[2]) / 2
    np.testing.assert_allclose(found.candidate.logits, wanted, rtol=1e-6)
    assert list(found.candidate.more) == []
    assert found.candidate.temperature == fit_temperature(found.candidate.logits, labels)
    assert found.views == (PLAIN, MIRRORED)
    np.testing.assert_array_equal(found.in_one_view().logits, logits[0])
    assert found.in_one_view().temperature == fit_temperature(logits[0], labels)


def test_a_probe_is_fitted_again_to_every_view_of_every_image() -> None:
    """Each image's features are those of its digest's number, moved by its view."""
    rng = np.random.default_rng(1)
    labels = np.arange(30) % 2
    features = {view: rng.normal(size=(30, 4)).astype(np.float32) + labels[:, None] for view in VIEWS}
    pooled: Any = SimpleNamespace(load=lambda pairs: np.stack([features[view][int(digest)] for digest, view in pairs]))
    parts = [Labelled([str(number) for number in half], labels[half]) for half in np.split(np.arange(30), 2)]
    probe = fit_probe(features[PLAIN], labels, 2, seed=0)
    found = refit_in_views(probe, pooled, VIEWS, *parts)
    wanted = refit_to_views(probe, np.stack([features[view] for view in VIEWS]), labels)
    assert found.strength == probe.strength
    np.testing.assert_allclose(found.mean, wanted.mean, atol=1e-6)
    np.testing.assert_allclose(found.weights, wanted.weights, atol=1e-4)
    assert np.abs(found.weights - probe.weights).max() > 1e-3


def test_a_probe_that_learned_from_views_learns_from_them_again_and_answers_for_one() -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(30) % 2
    features = {view: rng.normal(size=(30, 4)).astype(np.float32) + labels[:, None] for view in VIEWS}
    pooled: Any = SimpleNamespace(load=lambda pairs: np.stack([features[view][int(digest)] for digest, view in pairs]))
    part = Labelled([str(number) for number in range(30)], labels)
    images: Any = SimpleNamespace(part=lambda _: part)
    session: Any = None
    probe = fit_probe(features[PLAIN], labels, 2, seed=0)
    found = ProbeClassifier(session, images, pooled, probe, taught=VIEWS)
    np.testing.assert_array_equal(found.validation_logits(images), probe.logits(features[PLAIN]))
    found.refit(part)
    np.testing.assert_array_equal(found.probe.weights, refit_in_views(probe, pooled, VIEWS, part).weights)


def test_a_probe_is_fitted_again_by_the_weights_of_all_images_without_those_of_weight_0() -> None:
    rng = np.random.default_rng(1)
    labels, weights = np.arange(30) % 2, rng.uniform(0.1, 4, 30)
    weights[[3, 17, 29]] = 0
    features = {view: rng.normal(size=(30, 4)).astype(np.float32) + labels[:, None] for view in VIEWS}
    pooled: Any = SimpleNamespace(load=lambda pairs: np.stack([features[view][int(digest)] for digest, view in pairs]))
    everything = Labelled([str(number) for number in range(30)], labels, weights=weights)
    probe = fit_probe(features[PLAIN], labels, 2, seed=0)
    found = refit_in_views(probe, pooled, VIEWS, everything.some(range(12)), everything.some(range(12, 30)))
    left = np.flatnonzero(weights)
    stacked = np.stack([features[view][left] for view in VIEWS])
    wanted = refit_to_views(probe, stacked, labels[left], weights[left])
    np.testing.assert_array_equal(found.weights, wanted.weights)
    assert np.abs(found.weights - refit_to_views(probe, stacked, labels[left]).weights).max() > 1e-3
