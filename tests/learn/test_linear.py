from __future__ import annotations

import numpy as np
import pytest

from headstart.learn.linear import ClassesFit, LabelsFit, LinearFit, NumbersFit, SpectralFit, principal_directions

shapes = pytest.mark.parametrize(("images", "features"), [(200, 20), (60, 150)], ids=["tall", "wide"])


def problem(images: int, features: int, seed: int = 0) -> np.ndarray:
    """Features of different sizes and offsets that go together, one of which never varies, and two hardly."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(images, 6)) @ rng.normal(size=(6, features)) + rng.normal(size=(images, features))
    x = x * 10.0 ** rng.uniform(-2, 2, features) + rng.uniform(0, 5, features)
    x[:, 3] = 7
    x[:, [4, 5]] = (1 + 1e-3 * rng.normal(size=(images, 2))) * np.median(x.std(axis=0))
    return x.astype(np.float32)


def standardised(x: np.ndarray) -> np.ndarray:
    deviation = x.astype(np.float64).std(axis=0)
    at_least = np.maximum(deviation, SpectralFit.smallest_share * np.median(deviation))
    return (x - x.mean(axis=0, dtype=np.float64)) / np.where(deviation > 1e-6, at_least, 1)


def labels_of(x: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(1)
    scores = standardised(x)[:, :5] @ rng.normal(size=(5, 3)) + rng.normal(size=(len(x), 3))
    return (scores > [-1, 0, 1]).astype(np.float32)


@shapes
@pytest.mark.parametrize("strength", [1e-2, 1e-1])
def test_each_label_is_a_logistic_regression(images: int, features: int, strength: float) -> None:
    from sklearn.linear_model import LogisticRegression

    x = problem(images, features)
    targets = labels_of(x)
    weights, bias = LabelsFit(x, targets).fit(strength)
    assert weights.dtype == bias.dtype == np.float32
    found = x @ weights + bias
    for label in range(3):
        model = LogisticRegression(C=strength, tol=1e-8, max_iter=10_000).fit(standardised(x), targets[:, label])
        expected = model.decision_function(standardised(x))
        assert expected.std() > 0.05
        np.testing.assert_allclose(found[:, label], expected, atol=0.02 * expected.std())


@shapes
@pytest.mark.parametrize("strength", [1e-4, 1e-2])
def test_numbers_are_a_ridge_regression(images: int, features: int, strength: float) -> None:
    from sklearn.linear_model import Ridge

    x = problem(images, features)
    targets = (3 + standardised(x)[:, :5].sum(axis=1)).astype(np.float32)
    weights, bias = NumbersFit(x, targets).fit(strength)
    expected = Ridge(alpha=1 / strength).fit(standardised(x), targets).predict(standardised(x))
    assert expected.std() > 0.02
    np.testing.assert_allclose((x @ weights + bias)[:, 0], expected, atol=2e-3 * expected.std() + 1e-4)


@pytest.mark.parametrize("has_it", [0, 1], ids=["none", "all"])
def test_a_label_that_all_or_none_have_is_only_common_or_rare(has_it: int) -> None:
    x = problem(50, 10)
    targets = np.stack([labels_of(x)[:, 0], np.full(50, has_it)], axis=1).astype(np.float32)
    weights, bias = LabelsFit(x, targets).fit(1e-2)
    scores = x @ weights + bias
    assert np.isfinite(scores).all()
    assert np.all(scores[:, 1] > 2) if has_it else np.all(scores[:, 1] < -2)


def test_one_strength_after_the_other_comes_to_the_same_as_each_alone() -> None:
    x = problem(120, 30)
    targets = labels_of(x)
    fit = LabelsFit(x, targets)
    found = [fit.fit(strength) for strength in (1e-3, 1e-2, 1e-1)]
    weights, bias = LabelsFit(x, targets).fit(1e-1)
    np.testing.assert_allclose(x @ found[-1][0] + found[-1][1], x @ weights + bias, atol=0.05)
    assert np.abs(found[0][0] - found[-1][0]).max() > 1e-3


@shapes
def test_the_directions_hold_all_that_varies(images: int, features: int) -> None:
    x = standardised(problem(images, features)).astype(np.float32)
    variances, directions = principal_directions(x)
    assert len(variances) == directions.shape[1] <= min(images, features)
    np.testing.assert_allclose(directions.T @ directions, np.eye(len(variances)), atol=1e-3)
    np.testing.assert_allclose(np.square(x @ directions).sum(axis=0), variances, rtol=1e-3)
    np.testing.assert_allclose(x @ directions @ directions.T, x, atol=1e-3)


def test_many_images_are_taken_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    x = standardised(problem(250, 20)).astype(np.float32)
    variances, _ = principal_directions(x)
    monkeypatch.setattr("headstart.learn.linear.ROWS_AT_ONCE", 99)
    np.testing.assert_allclose(principal_directions(x)[0], variances)


def test_a_feature_that_hardly_any_training_image_has_cant_blow_a_prediction_up() -> None:
    x = problem(200, 20)
    x[:, 4] = 0
    x[0, 4] = 1e-3
    targets = standardised(x)[:, 0].astype(np.float32)
    weights, bias = NumbersFit(x, targets).fit(1e-2)
    usual = x[1:2].copy()
    with_it = usual.copy()
    with_it[0, 4] = np.median(x.std(axis=0))
    assert abs(((with_it - usual) @ weights).item()) < 1
    assert np.abs(x @ weights + bias).max() < 10


@pytest.mark.parametrize("kind", [ClassesFit, SpectralFit])
def test_what_hardly_varies_is_divided_by_a_share_of_the_usual_deviation(kind: type[LinearFit]) -> None:
    x = problem(200, 20)
    fit = ClassesFit(x, np.arange(200) % 2, 2, "none") if kind is ClassesFit else NumbersFit(x, x[:, 0])
    usual, floor = x.std(axis=0), kind.smallest_share * np.median(x.std(axis=0))
    assert np.all(usual[4:6] < floor)
    np.testing.assert_allclose(fit.deviation, np.where(usual > 1e-6, np.maximum(usual, floor), 1), rtol=1e-3)


def test_classes_are_fitted_with_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_info

    threads: list[int] = []

    def fit(self: LogisticRegression, *arguments: object) -> LogisticRegression:
        threads.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return whole(self, *arguments)

    whole = LogisticRegression.fit
    monkeypatch.setattr(LogisticRegression, "fit", fit)
    rng = np.random.default_rng(0)
    ClassesFit(rng.normal(0, 1, (20, 5)).astype(np.float32), np.arange(20) % 2, 2, "none").fit(1e-2)
    assert threads
    assert set(threads) == {1}
