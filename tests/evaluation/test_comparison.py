from __future__ import annotations

import numpy as np
import pytest

from headstart.evaluation.comparison import PERMUTATIONS, SIGNIFICANCE, Comparison, compare_paired


def losses(seed: int, images: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).exponential(1.0, images)


def test_a_clear_difference_is_significant() -> None:
    incumbent = losses(0)
    found = compare_paired(incumbent, incumbent - 0.3 + 0.1 * losses(1), seed=0)
    assert found.gain == pytest.approx(0.3 - 0.1 * losses(1).mean())
    assert found.p_value == pytest.approx(1 / (PERMUTATIONS + 1))
    assert found.is_significant


def test_a_challenger_that_is_clearly_worse_is_not_significant() -> None:
    found = compare_paired(losses(0), losses(0) + 0.3, seed=0)
    assert found.gain == pytest.approx(-0.3)
    assert found.p_value > 0.99
    assert not found.is_significant


def test_equal_losses_give_no_gain_and_a_p_of_one() -> None:
    assert compare_paired(losses(0), losses(0), seed=0) == Comparison(gain=0.0, p_value=1.0)


def test_without_a_difference_p_is_spread_evenly() -> None:
    p_values = np.array([compare_paired(losses(seed), losses(1000 + seed), seed).p_value for seed in range(60)])
    assert 0.35 < p_values.mean() < 0.65
    assert (p_values < SIGNIFICANCE).mean() < 0.15
    assert p_values.max() > 0.85
    assert p_values.min() < 0.15


@pytest.mark.parametrize(("better", "worse"), [(1, 0), (4, 0), (6, 1), (9, 3)])
def test_p_of_wins_and_losses_by_one_image_each_is_the_binomial_one(better: int, worse: int) -> None:
    """A sign test: ties in the images change nothing, and ties among the permutations count."""
    incumbent = np.array([1.0] * better + [0.0] * worse + [0.5] * 20)
    challenger = np.array([0.0] * better + [1.0] * worse + [0.5] * 20)
    flips = np.random.default_rng(0).binomial(better + worse, 0.5, 200_000)
    assert compare_paired(incumbent, challenger, seed=0).p_value == pytest.approx((flips >= better).mean(), abs=0.02)


@pytest.mark.parametrize("step", [0.1, 0.7, 1 / 3, 1e-9, 1e9])
def test_ties_count_whatever_the_rounding_of_their_sum(step: float) -> None:
    """Three wins and a loss of the same size: 5 of the 16 signs give as much, though not to the last bit."""
    incumbent = step * np.array([1.0, 1.0, 1.0, 0.0])
    found = compare_paired(incumbent, step - incumbent, seed=0)
    assert found.p_value == pytest.approx(5 / 16, abs=0.02)


def test_the_seed_alone_decides_the_permutations() -> None:
    incumbent, challenger = losses(0), losses(1)
    assert compare_paired(incumbent, challenger, seed=7) == compare_paired(incumbent, challenger, seed=7)
    assert compare_paired(incumbent, challenger, seed=7) != compare_paired(incumbent, challenger, seed=8)


def test_losses_in_single_precision_give_nearly_the_same() -> None:
    double = compare_paired(losses(0), losses(1), seed=0)
    single = compare_paired(losses(0).astype(np.float32), losses(1).astype(np.float32), seed=0)
    assert (single.gain, single.p_value) == pytest.approx((double.gain, double.p_value), abs=1e-3)


def test_significance_is_strictly_below_one_in_twenty() -> None:
    assert Comparison(gain=0.1, p_value=0.049).is_significant
    assert not Comparison(gain=0.1, p_value=0.05).is_significant
