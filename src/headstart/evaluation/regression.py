"""Measures of predicted numbers, in NumPy, and the interval around a prediction.

Throughout, `predictions` and `targets` are float, shape (images,), in the targets' own unit.
"""

from __future__ import annotations

import math

import numpy as np

from headstart.evaluation.metrics import RESAMPLES

RESAMPLES_AT_ONCE = 100


def squared_errors(predictions: np.ndarray, targets: np.ndarray, deviation: float) -> np.ndarray:
    """Each image's squared error in units of the variance of the training targets, shape (images,).

    Whoever always says the training targets' mean has about 1 on average.
    """
    return np.asarray(np.square((predictions - targets) / deviation))


def r2(predictions: np.ndarray, targets: np.ndarray) -> float:
    """The share of the targets' variance that is explained: 1 for all of it, 0 for none; 0 where they don't vary."""
    return float(_r2(predictions[None], targets[None])[0])


def spearman(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Spearman's rank correlation, −1 to 1; 0 where either doesn't vary."""
    return float(_spearman(predictions[None], targets[None])[0])


def score(predictions: np.ndarray, targets: np.ndarray, deviation: float) -> dict[str, float]:
    """Every measure that is reported, by its name.

    Mean absolute error and root mean squared error, in the targets' unit; the explained share of the variance (R²);
    Spearman's rank correlation; and the mean squared error in units of the training targets' variance.
    """
    return {name: float(value[0]) for name, value in _scores(predictions[None], targets[None], deviation).items()}


def confidence_intervals(
    predictions: np.ndarray, targets: np.ndarray, deviation: float, seed: int
) -> dict[str, tuple[float, float]]:
    """95 % intervals of every measure, by the percentile bootstrap over images (Efron 1979), 2,000 resamples."""
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(RESAMPLES // RESAMPLES_AT_ONCE):
        chosen = rng.integers(0, len(targets), (RESAMPLES_AT_ONCE, len(targets)))
        draws.append(_scores(predictions[chosen], targets[chosen], deviation))
    bounds = {name: np.percentile(np.concatenate([draw[name] for draw in draws]), [2.5, 97.5]) for name in draws[0]}
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}


def _scores(predictions: np.ndarray, targets: np.ndarray, deviation: float) -> dict[str, np.ndarray]:
    """Every measure of several sets of images, each of shape (sets, images)."""
    errors = predictions - targets
    return {
        "mae": np.abs(errors).mean(axis=1),
        "rmse": np.sqrt(np.square(errors).mean(axis=1)),
        "r2": _r2(predictions, targets),
        "spearman": _spearman(predictions, targets),
        "squared_error": squared_errors(predictions, targets, deviation).mean(axis=1),
    }


def _r2(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    variance = targets.var(axis=1)
    error = np.square(predictions - targets).mean(axis=1)
    return np.asarray(np.where(variance > 0, 1 - error / np.where(variance > 0, variance, 1), 0))


def _spearman(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    a, b = (
        ranks - ranks.mean(axis=1, keepdims=True)
        for ranks in (rankdata(predictions, axis=1), rankdata(targets, axis=1))
    )
    spread = np.sqrt(np.square(a).sum(axis=1) * np.square(b).sum(axis=1))
    return np.asarray((a * b).sum(axis=1) / np.where(spread > 0, spread, 1))


def conformal_half_width(errors: np.ndarray, coverage: float) -> float | None:
    """Half the width of an interval around a prediction that holds the truth of so large a share of new images.

    Split conformal prediction (Vovk et al. 2005; Lei et al. 2018, arXiv:1604.04173; Angelopoulos and Bates 2021,
    arXiv:2107.07511): the ⌈(n + 1) · coverage⌉-th smallest of n absolute errors. Whatever the
    model, if all images come from the same source, the share is right on average over the draw of these n and the new
    ones.

    Args:
        errors: predictions − targets of images that weren't trained on, shape (n,).
        coverage: the share, between 0 and 1.

    Returns:
        None where n is too small for that coverage.
    """
    rank = math.ceil((len(errors) + 1) * coverage)
    return float(np.sort(np.abs(errors))[rank - 1]) if rank <= len(errors) else None


def covered(predictions: np.ndarray, targets: np.ndarray, half_width: float) -> float:
    """The share of images whose target lies within their prediction's interval."""
    return float((np.abs(predictions - targets) <= half_width).mean())
