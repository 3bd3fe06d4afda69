from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from headstart.learn.transferability import h_score, log_me, n_leep, nearest_neighbours


def problem(spread: float, images: int = 120, features: int = 20, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Classes whose centres are so many deviations apart."""
    rng = np.random.default_rng(0)
    labels = np.arange(images) % classes
    centres = rng.normal(0, 1, (classes, features))
    rows = spread * centres[labels] + rng.normal(0, 1, (images, features))
    return rows.astype(np.float32), labels


def one_hot(labels: np.ndarray) -> np.ndarray:
    return np.eye(labels.max() + 1)[labels]


def scores(rows: np.ndarray, labels: np.ndarray) -> list[float]:
    kept = log_me(rows, one_hot(labels)), h_score(rows, labels), n_leep(rows, labels, 0)
    return [nearest_neighbours(rows, labels, 0), *kept]


def test_features_that_tell_classes_apart_score_higher() -> None:
    for worse, better in zip(scores(*problem(0.2)), scores(*problem(2.0)), strict=True):
        assert better > worse


def test_more_features_than_images_are_no_trouble() -> None:
    for worse, better in zip(scores(*problem(0.1, 40, 300)), scores(*problem(1.5, 40, 300)), strict=True):
        assert np.isfinite(worse)
        assert better > worse


def test_log_me_is_the_largest_evidence_of_a_bayesian_linear_model() -> None:
    """The evidence by its definition: targets are normal with covariance rows rowsᵀ / alpha + 1 / beta."""
    rows, labels = problem(0.5, images=30, features=4, classes=2)
    target = (labels == 1).astype(float)

    def evidence(alpha: float, beta: float) -> float:
        covariance = rows.astype(float) @ rows.T / alpha + np.eye(30) / beta
        return float(multivariate_normal(np.zeros(30), covariance).logpdf(target)) / 30

    grid = np.geomspace(1e-2, 1e3, 60)
    largest = max(evidence(alpha, beta) for alpha in grid for beta in grid)
    assert log_me(rows, target[:, None]) == pytest.approx(largest, abs=2e-3)
    assert log_me(rows, target[:, None]) >= largest


def test_log_me_of_several_outputs_is_their_mean() -> None:
    rows, labels = problem(1.0)
    targets = one_hot(labels)
    each = [log_me(rows, targets[:, [column]]) for column in range(3)]
    assert log_me(rows, targets) == pytest.approx(np.mean(each))


def test_log_me_survives_targets_that_are_exactly_linear_or_absent() -> None:
    rows, _ = problem(1.0)
    assert np.isfinite(log_me(rows, rows[:, :1]))
    assert np.isfinite(log_me(rows, np.zeros((len(rows), 1))))


def test_the_h_score_of_many_images_is_that_without_shrinkage() -> None:
    rows, labels = problem(1.0, images=30_000, features=5)
    centred = rows.astype(float) - rows.mean(axis=0, dtype=float)
    means = np.stack([centred[labels == label].mean(axis=0) for label in range(3)])[labels]
    expected = np.trace(np.linalg.pinv(np.cov(centred.T)) @ np.cov(means.T))
    assert h_score(rows, labels) == pytest.approx(expected, rel=0.01)


def test_n_leep_of_clusters_that_are_the_classes_is_nearly_0_and_never_above() -> None:
    assert -0.05 < n_leep(*problem(20.0), 0) <= 0
    shuffled = np.random.default_rng(1).permutation(problem(0.0)[1])
    assert n_leep(problem(0.0)[0], shuffled, 0) < -0.5


def test_neighbours_are_looked_for_outside_the_own_unit() -> None:
    rows, _ = problem(0.0, images=60)
    labels = np.random.default_rng(2).integers(0, 2, 30).repeat(2)
    twins = rows[::2].repeat(2, axis=0) + 0.01 * rows
    units = [str(number // 2) for number in range(60)]
    assert nearest_neighbours(twins, labels, 0) > 0.75
    assert nearest_neighbours(twins, labels, 0, units) < 0.65


def test_a_class_with_a_single_image_leaves_no_folds() -> None:
    rows, _ = problem(1.0, images=4)
    assert np.isnan(nearest_neighbours(rows, np.array([0, 0, 0, 1]), 0))
