from __future__ import annotations

import numpy as np
import pytest

from headstart.evaluation.regression import (
    confidence_intervals,
    conformal_half_width,
    covered,
    r2,
    score,
    spearman,
    squared_errors,
)


def problem(images: int = 80, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Predictions that say something of targets, both rounded so that some are equal."""
    rng = np.random.default_rng(seed)
    targets = rng.normal(10, 3, images).round(1)
    return (targets + rng.normal(0, 2, images)).round(1), targets


def test_the_measures_are_those_of_scikit_learn_and_scipy() -> None:
    from scipy.stats import spearmanr
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    predictions, targets = problem()
    found = score(predictions, targets, deviation=2.0)
    assert found["mae"] == pytest.approx(mean_absolute_error(targets, predictions))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(targets, predictions))
    assert found["r2"] == pytest.approx(r2_score(targets, predictions))
    assert found["spearman"] == pytest.approx(spearmanr(targets, predictions).statistic)
    assert found["squared_error"] == pytest.approx(found["rmse"] ** 2 / 4)


def test_whoever_always_says_the_mean_loses_one_and_explains_nothing() -> None:
    _, targets = problem()
    always = np.full_like(targets, targets.mean())
    assert squared_errors(always, targets, targets.std()).mean() == pytest.approx(1)
    assert r2(always, targets) == pytest.approx(0)
    assert spearman(always, targets) == 0


def test_targets_that_dont_vary_are_no_division_by_zero() -> None:
    assert r2(np.array([1.0, 2.0]), np.array([3.0, 3.0])) == 0
    assert spearman(np.array([1.0, 2.0]), np.array([3.0, 3.0])) == 0


@pytest.mark.parametrize(
    ("images", "coverage", "rank"), [(9, 0.9, 9), (19, 0.9, 18), (99, 0.9, 90), (100, 0.9, 91), (100, 0.5, 51)]
)
def test_the_half_width_is_the_error_of_the_conformal_rank(images: int, coverage: float, rank: int) -> None:
    errors = np.random.default_rng(0).permutation(np.arange(1, images + 1)) * np.where(np.arange(images) % 2, 1, -1)
    assert conformal_half_width(errors, coverage) == rank


def test_too_few_images_give_no_interval() -> None:
    assert conformal_half_width(np.ones(8), 0.9) is None
    assert conformal_half_width(np.zeros(0), 0.9) is None


def test_the_interval_covers_what_it_promises_whatever_the_errors_look_like() -> None:
    """The mean coverage over many draws lies between the promise and the promise plus 1 / (n + 1)."""
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(2000):
        errors = rng.standard_cauchy(59)
        half_width = conformal_half_width(errors[:39], 0.9)
        assert half_width is not None
        shares.append(covered(errors[39:], np.zeros(20), half_width))
    assert 0.895 < np.mean(shares) < 0.93


def test_a_number_at_the_edge_of_its_interval_is_covered() -> None:
    assert covered(np.array([1.0, 2.0]), np.array([0.0, 0.0]), 1.0) == 0.5


def test_intervals_hold_the_measures_and_narrow_with_more_images() -> None:
    widths = []
    for images in (50, 800):
        predictions, targets = problem(images)
        found = confidence_intervals(predictions, targets, 3.0, seed=0)
        values = score(predictions, targets, 3.0)
        assert found.keys() == values.keys()
        assert all(low <= values[name] <= high for name, (low, high) in found.items())
        widths.append({name: high - low for name, (low, high) in found.items()})
    assert all(widths[1][name] < 0.5 * widths[0][name] for name in widths[0])


def test_the_interval_of_the_mean_error_is_the_one_that_statistics_gives() -> None:
    predictions, targets = problem(500)
    errors = np.abs(predictions - targets)
    half = 1.96 * errors.std() / np.sqrt(500)
    found = confidence_intervals(predictions, targets, 3.0, seed=1)["mae"]
    assert found == pytest.approx((errors.mean() - half, errors.mean() + half), abs=0.02)
