"""Scores that say without training how well features suit labels: k-nearest neighbours, LogME, H-score and NLEEP.

Each is a number that is larger for better features, comparable between bases on the same images alone. They are shown
beside what a probe comes to when cross-validated. Studies found the nearest neighbours and such a probe to predict
better than the others (arXiv:2503.18528).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from headstart.learn.probe import fold_places

NEIGHBOURS = 10
# Of the fixed point iteration: far more than it took on any features that were tried.
MOST_STEPS = 100
CLOSE = 1e-4
# Of principal components, the share of the variance that they keep, and the most of them.
VARIANCE_KEPT, MOST_COMPONENTS = 0.8, 64
# Clusters a class, and the fewest images a cluster.
CLUSTERS_A_CLASS, FEWEST_A_CLUSTER = 5, 5
SMALLEST = 1e-12


def nearest_neighbours(features: np.ndarray, labels: np.ndarray, seed: int, units: Sequence[str] = ()) -> float:
    """Accuracy of the 10 nearest neighbours' vote on held-out images; the nearer one is, the more it counts.

    How near, is the cosine of standardised features.

    Args:
        features: pooled, float32, shape (images, features).
        labels: int, shape (images,).
        seed: shuffles the folds.
        units: of each image, what is held out together, by name.

    Returns:
        0 to 1; NaN where there are too few images for two folds.
    """
    from sklearn.neighbors import KNeighborsClassifier

    right = []
    for fitted, held_out in fold_places(labels, seed, units):
        mean, deviation = features[fitted].mean(axis=0), features[fitted].std(axis=0)
        known, asked = ((features[places] - mean) / np.maximum(deviation, 1e-6) for places in (fitted, held_out))
        model = KNeighborsClassifier(
            min(NEIGHBOURS, len(fitted)), weights="distance", metric="cosine", algorithm="brute"
        )
        right.append(model.fit(known, labels[fitted]).predict(asked) == labels[held_out])
    return float(np.concatenate(right).mean()) if right else math.nan


def log_me(features: np.ndarray, targets: np.ndarray) -> float:
    """The logarithm of the evidence that a Bayesian linear model finds for the targets, an image (LogME).

    You, Liu, Wang and Long 2021, arXiv:2102.11005; the evidence is maximised by the fixed point iteration of You et
    al. 2022 (arXiv:2110.10545).

    Args:
        features: pooled, shape (images, features).
        targets: of each output, such as 0 or 1 for each class, shape (images, outputs); the mean over these is given.
    """
    rows = features.astype(np.float64)
    directions, values, _ = np.linalg.svd(rows, full_matrices=False)
    return float(np.mean([_evidence(directions, values**2, column) for column in targets.T.astype(np.float64)]))


def _evidence(directions: np.ndarray, variances: np.ndarray, target: np.ndarray) -> float:
    """Of one output.

    Args:
        directions: left singular vectors of the features, shape (images, directions).
        variances: squares of the singular values, shape (directions,).
        target: shape (images,).
    """
    along = (directions.T @ target) ** 2
    beyond = max(float(target @ target - along.sum()), 0.0)  # what no weights can give
    alpha = beta = 1.0
    for _ in range(MOST_STEPS):
        ratio = alpha / beta
        determined = float((variances / (ratio + variances)).sum())
        size = float((variances * along / (ratio + variances) ** 2).sum())
        error = float((along / (1 + variances / ratio) ** 2).sum()) + beyond
        alpha, beta = determined / (size + SMALLEST), (len(target) - determined) / (error + SMALLEST)
        if abs(alpha / beta - ratio) <= CLOSE * ratio:
            break
    fit = len(target) * math.log(beta) + len(variances) * math.log(alpha) - len(target) * math.log(2 * math.pi)
    fit -= float(np.log(alpha + beta * variances).sum()) + beta * error + alpha * size
    return fit / 2 / len(target)


def h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """How much of what features vary by is between classes (H-score), with a shrunk covariance.

    Bao et al. 2019 (An information-theoretic approach to transferability in task transfer learning); shrinkage by
    Ledoit and Wolf 2004, without which it fails where there are fewer images than features, after Ibrahim et al. 2021
    (arXiv:2110.06893).

    Args:
        features: pooled, shape (images, features).
        labels: int, shape (images,).
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    shrinkage = float(ledoit_wolf_shrinkage(centred, assume_centered=True))
    # In the basis of principal directions the covariance is diagonal, and outside of it nothing varies.
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    coordinates, variances = left * values, values**2 / len(centred)
    shrunk = (1 - shrinkage) * variances + shrinkage * variances.sum() / features.shape[1]
    between = np.zeros_like(variances)
    for label in np.unique(labels):
        of_it = coordinates[labels == label]
        between += len(of_it) / len(centred) * of_it.mean(axis=0) ** 2
    return float((1 - shrinkage) * (between / np.maximum(shrunk, SMALLEST)).sum())


def n_leep(features: np.ndarray, labels: np.ndarray, seed: int) -> float:
    """The mean log likelihood of labels given soft clusters of the features (N-LEEP), at most 0.

    Li et al. 2021 (Ranking neural checkpoints, arXiv:2011.11200): principal components, a mixture of Gaussians in
    place of the source's classes, and LEEP (Nguyen et al. 2020, arXiv:2002.12462) on it. Clusters have diagonal
    covariances here, since images are few.

    Args:
        features: pooled, shape (images, features).
        labels: int, shape (images,).
        seed: starts the clusters.
    """
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    classes, numbers = np.unique(labels, return_inverse=True)
    few = min(MOST_COMPONENTS, *features.shape)
    coordinates = PCA(few, svd_solver="full").fit(features.astype(np.float64))
    kept = int(np.searchsorted(np.cumsum(coordinates.explained_variance_ratio_), VARIANCE_KEPT)) + 1
    rows = coordinates.transform(features)[:, :kept]
    clusters = max(2, min(CLUSTERS_A_CLASS * len(classes), len(rows) // FEWEST_A_CLUSTER))
    mixture = GaussianMixture(min(clusters, len(rows)), covariance_type="diag", reg_covar=1e-3, random_state=seed)
    rows = rows / max(float(rows[:, 0].std()), SMALLEST)
    shares = mixture.fit(rows).predict_proba(rows)
    together = np.eye(len(classes))[numbers].T @ shares / len(rows)
    given = together / np.maximum(together.sum(axis=0), SMALLEST)
    likelihoods = np.einsum("ic,ic->i", given[numbers], shares)
    return float(np.log(np.clip(likelihoods, SMALLEST, 1)).mean())
