from __future__ import annotations

import numpy as np
import pytest

from headstart.errors import DataError
from headstart.learn.kinds import Regression

KIND = Regression(mean=10, deviation=4)


def test_scores_are_in_units_of_the_training_targets() -> None:
    kind = Regression.of(np.array([6.0, 14.0]), ("weight",))
    assert (kind.mean, kind.deviation, kind.half_width) == (10, 4, None)
    assert kind.predict(np.array([[0.0], [1.0], [-2.0]])).tolist() == [10, 14, 2]
    np.testing.assert_allclose(kind.training_targets(np.array([10.0, 14.0, 2.0]), 1), [[0], [1], [-2]])


def test_losses_are_in_variances() -> None:
    assert KIND.losses(np.array([12.0]), np.array([10.0])).tolist() == [0.25]
    assert KIND.unit == 4


@pytest.mark.parametrize(
    ("targets", "problem"), [([3.0, 3.0], "don't vary"), ([1e308, -1e308], "are too large to compute with")]
)
def test_numbers_that_cant_be_learned_are_refused(targets: list[float], problem: str) -> None:
    with pytest.raises(DataError, match=f"the numbers of the training images {problem}; give others"):
        Regression.of(np.array(targets), ("weight",))


def test_the_interval_is_settled_by_images() -> None:
    settled = KIND.settle(np.arange(19.0), np.zeros(19))
    assert settled.half_width == 17
    assert settled.interval(3.0) == (-14, 20)
    details = settled.details(np.array([1.0, 18.0]), np.zeros(2), ("weight",))
    assert details == {"interval": {"coverage": 0.9, "half_width": 17, "covered": 0.5}}


def test_too_few_images_settle_no_interval() -> None:
    settled = KIND.settle(np.arange(5.0), np.zeros(5))
    assert (settled.half_width, settled.interval(3.0)) == (None, None)
    assert settled.details(np.zeros(2), np.zeros(2), ("weight",)) == {"interval": None}


def test_validation_stays_unseen() -> None:
    assert KIND.keeps_validation


def test_strata_are_bins_with_about_as_many_images() -> None:
    targets = np.random.default_rng(0).exponential(size=1000)
    counts = np.bincount(KIND.strata(targets))
    assert len(counts) == 10
    assert counts.min() > 90


def test_few_different_numbers_are_few_strata() -> None:
    strata = KIND.strata(np.array([0.0] * 50 + [1.0] * 50))
    assert np.bincount(strata).tolist() == [50, 50]


def test_there_are_as_many_images_as_for_two_classes() -> None:
    assert KIND.images_an_output(np.zeros(60), 1) == (30, "60 training images, which is as 30 a class")
