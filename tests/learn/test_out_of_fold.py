from __future__ import annotations

import numpy as np
import pytest

from headstart.learn import out_of_fold as module
from headstart.learn import probe as probe_module
from headstart.learn.kinds import CLASSES, KINDS
from headstart.learn.out_of_fold import fits_of, out_of_fold
from headstart.learn.probe import fit_probe, fold_places, refit_probe

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1], 60)
FEATURES = (RNG.normal(0, 1, (120, 8)) + 1.5 * LABELS[:, None]).astype(np.float32)


def test_no_image_has_had_a_say_in_what_is_said_of_it() -> None:
    scores = out_of_fold(FEATURES, LABELS, 2, 0, CLASSES)
    assert scores.shape == (120, 2)
    assert (scores.argmax(axis=1) == LABELS).mean() > 0.9
    wrong = LABELS.copy()
    wrong[7] = 1  # a single wrong label doesn't change what is said of the image
    assert out_of_fold(FEATURES, wrong, 2, 0, CLASSES)[7].argmax() == 0


def test_it_is_what_a_probe_of_the_same_strength_says_that_was_fitted_to_the_other_folds() -> None:
    rng = np.random.default_rng(1)
    features = (rng.normal(0, 1, (120, 40)) + 0.2 * LABELS[:, None] * (np.arange(40) < 8)).astype(np.float32)
    units = [f"{number // 2}" for number in range(120)]
    weights = np.linspace(0.5, 2, 120)
    scores = out_of_fold(features, LABELS, 2, 0, CLASSES, units, weights=weights)
    probe = fit_probe(features, LABELS, 2, 0, units=units, weights=weights)
    assert probe.strength != list(probe.cross_validated)[-1]  # a bolder one was tried, and did worse
    for fitted, held_out in fold_places(LABELS, 0, units):
        by_hand = refit_probe(probe, features[fitted], LABELS[fitted], weights[fitted]).logits(features[held_out])
        np.testing.assert_allclose(scores[held_out], by_hand, rtol=0.03, atol=0.01)  # from another start


def test_pure_chance_is_seen_as_such() -> None:
    """With more features than images, whoever learns from an image knows its label by heart."""
    features = RNG.normal(0, 1, (100, 300)).astype(np.float32)
    labels = np.repeat([0, 1], 50)
    right = (out_of_fold(features, labels, 2, 0, CLASSES).argmax(axis=1) == labels).mean()
    assert 0.3 < right < 0.7


def test_images_of_a_unit_are_held_out_together() -> None:
    """Each has a twin; with the twin among those learned from, chance would be beaten."""
    half = RNG.normal(0, 1, (60, 300)).astype(np.float32)
    features, labels = np.concatenate([half, half]), np.tile(np.repeat([0, 1], 30), 2)
    units = [f"{number % 60}" for number in range(120)]
    apart = (out_of_fold(features, labels, 2, 0, CLASSES).argmax(axis=1) == labels).mean()
    together = (out_of_fold(features, labels, 2, 0, CLASSES, units).argmax(axis=1) == labels).mean()
    assert apart > 0.75 > together


def test_too_few_images_are_never_held_out() -> None:
    scores = out_of_fold(FEATURES[[0, 60]], LABELS[[0, 60]], 2, 0, CLASSES)
    assert np.isnan(scores).all()


def test_numbers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = (3 * FEATURES[:, 0] + 50).astype(np.float64)
    kind = KINDS["regression"].of(targets, ["weight"])
    predicted = kind.predict(out_of_fold(FEATURES, targets, 1, 0, kind))
    assert np.abs(predicted - targets).mean() < 0.3 * targets.std()


def test_of_very_many_images_each_fold_learns_from_some(monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[int] = []
    real = module.refit_probe

    def counted(probe, features, *said):
        learned.append(len(features))
        return real(probe, features, *said)

    monkeypatch.setattr(module, "refit_probe", counted)
    monkeypatch.setattr(probe_module, "MOST_IMAGES_TO_CHOOSE", 40)
    done: list[int] = []
    scores = out_of_fold(FEATURES, LABELS, 2, 0, CLASSES, advance=done.append)
    assert learned == [40] * 5
    assert not np.isnan(scores).any()
    assert sum(done) <= fits_of(LABELS, CLASSES)
