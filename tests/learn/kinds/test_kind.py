"""What must hold for every kind."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from headstart.learn.kinds import KINDS, Kind
from headstart.learn.kinds.kind import merge_small

IMAGES, OUTPUTS = 60, 3


@dataclass(frozen=True)
class Case:
    """Scores of a kind that say something of its targets."""

    kind: Kind
    scores: np.ndarray
    targets: np.ndarray
    names: tuple[str, ...]


def case(task: str) -> Case:
    rng = np.random.default_rng(0)
    if task == "regression":
        targets = rng.normal(5, 2, IMAGES)
        kind = KINDS["regression"].of(targets, ("weight",))
        scores = ((targets - 5) / 2 + rng.normal(0, 0.5, IMAGES))[:, None]
        return Case(kind, scores.astype(np.float32), targets, ("weight",))
    names = ("a", "b", "c")
    if task == "classes":
        targets = np.arange(IMAGES) % OUTPUTS
        scores = 2 * np.eye(OUTPUTS)[targets]
    else:
        targets = (rng.uniform(size=(IMAGES, OUTPUTS)) < 0.4).astype(np.float32)
        scores = 2 * targets - 1
    scores = (scores + rng.normal(0, 1, (IMAGES, OUTPUTS))).astype(np.float32)
    return Case(KINDS[task].of(targets, names), scores, targets, names)


each_kind = pytest.mark.parametrize("found", [case(task) for task in KINDS], ids=list(KINDS))


@each_kind
def test_the_loss_is_the_mean_of_the_images_losses_and_what_its_score_says(found: Case) -> None:
    predictions = found.kind.predict(found.scores)
    losses = found.kind.losses(predictions, found.targets)
    assert losses.shape == (IMAGES,)
    assert predictions.dtype == losses.dtype == np.float64
    assert found.kind.loss(found.scores, found.targets) == pytest.approx(losses.mean())
    scores = found.kind.score(predictions, found.targets)
    assert scores[found.kind.loss_key] == pytest.approx(losses.mean())
    assert scores[found.kind.goodness_key] == pytest.approx(found.kind.goodness(predictions, found.targets))


@each_kind
def test_better_scores_have_a_smaller_loss_and_more_goodness(found: Case) -> None:
    worse = np.random.default_rng(1).permutation(found.scores)
    assert found.kind.loss(found.scores, found.targets) < found.kind.loss(worse, found.targets)
    good, bad = (found.kind.goodness(found.kind.predict(some), found.targets) for some in (found.scores, worse))
    assert good > bad


@each_kind
def test_calibration_never_makes_the_loss_larger(found: Case) -> None:
    temperature = found.kind.calibrate(found.scores, found.targets)
    assert temperature > 0
    losses = found.kind.losses(found.kind.predict(found.scores, temperature), found.targets)
    assert losses.mean() <= found.kind.loss(found.scores, found.targets) + 1e-9


@each_kind
def test_every_measure_has_an_interval_or_is_an_error_of_calibration(found: Case) -> None:
    predictions = found.kind.predict(found.scores)
    settled = found.kind.settle(predictions, found.targets)
    scores = settled.score(predictions, found.targets)
    intervals = settled.confidence_intervals(predictions, found.targets, 0)
    assert {name for name in scores if "ece" not in name} == intervals.keys()
    json.dumps([scores, intervals, settled.details(predictions, found.targets, found.names)], allow_nan=False)


@each_kind
def test_the_keras_loss_is_the_one_that_is_measured(found: Case) -> None:
    targets = found.kind.training_targets(found.targets, found.scores.shape[1])
    assert targets.dtype == np.float32
    assert targets.shape == found.scores.shape
    loss = found.kind.keras_loss(0.0)(targets, found.scores)
    assert float(loss) == pytest.approx(found.kind.loss(found.scores, found.targets), rel=1e-4)


@each_kind
def test_strata_have_images_for_every_fold(found: Case) -> None:
    strata = found.kind.strata(found.targets)
    assert strata.shape == (IMAGES,)
    assert np.bincount(strata - strata.min()).max() < IMAGES
    assert min(np.unique(strata, return_counts=True)[1]) >= 5


@each_kind
def test_a_kind_tells_itself_apart(found: Case) -> None:
    """The name of a checkpoint depends on it."""
    settled = found.kind.settle(found.kind.predict(found.scores), found.targets)
    assert repr(found.kind) == repr(type(found.kind).of(found.targets, found.names))
    assert (repr(settled) == repr(found.kind)) == (found.kind.task == "classes")


@pytest.mark.parametrize(
    ("strata", "expected"),
    [
        ([0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]),
        ([7, 7, 7, 9, 9, 9], [0, 0, 0, 1, 1, 1]),
        ([0, 0, 0, 1, 2, 3], [0, 0, 0, 4, 4, 4]),
        ([0, 0, 0, 0, 1, 2], [0, 0, 0, 0, 0, 0]),
        ([0, 1], [0, 0]),
    ],
)
def test_small_strata_are_put_together(strata: list[int], expected: list[int]) -> None:
    assert merge_small(np.array(strata), 3).tolist() == expected
