"""An image of weight 2 is what the image would be twice, and one of weight 0 what it would be if it weren't there."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.learn import linear
from headstart.learn.imbalance import Balance
from headstart.learn.linear import ClassesFit, LabelsFit, LinearFit, NumbersFit, weighted_mean

TIMES = np.array([1, 2, 0, 3, 1, 1, 4, 1, 0, 1] * 16)
KINDS = ["classes", "two classes", "weights", "sampling", "logits", "labels", "numbers"]
shapes = pytest.mark.parametrize("features", [20, 250], ids=["tall", "wide"])
STRENGTH = 0.03


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Solved further than training needs."""
    monkeypatch.setattr(linear, "TOLERANCE", 1e-6)
    monkeypatch.setattr(linear, "SCALED_TOLERANCE", 1e-6)


def problem(features: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of different sizes, one of which varies in images of weight 0 alone, and what they say.

    They are float64, since in float32 rounding, which differs between processors, would end a fit before it is exact.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(len(TIMES), 5)) @ rng.normal(size=(5, features)) + rng.normal(size=(len(TIMES), features))
    x = x * 10.0 ** rng.uniform(-1, 1, features) + rng.uniform(0, 5, features)
    x[:, 3] = np.where(TIMES, 7, rng.normal(size=len(TIMES)))
    said = (x[:, :3] - x[:, :3].mean(axis=0)) / x[:, :3].std(axis=0) + rng.normal(size=(len(TIMES), 3))
    return x, said


def fit(kind: str, x: np.ndarray, said: np.ndarray, weights: np.ndarray | None) -> LinearFit:
    if kind == "labels":
        return LabelsFit(x, (said > [-1, 0, 1]).astype(np.float32), weights)
    if kind == "numbers":
        return NumbersFit(x, (said[:, 0] + 3).astype(np.float32), weights)
    classes = 3 if kind == "classes" else 2
    labels = said.argmax(axis=1) if classes == 3 else (said[:, 0] > 0.7).astype(int)
    balance: Balance = kind if kind in ("weights", "sampling", "logits") else "none"  # type: ignore[assignment]
    return ClassesFit(x, labels, classes, balance, weights)


@shapes
@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_is_how_often_an_image_is_there(kind: str, features: int) -> None:
    x, said = problem(features)
    often = np.repeat(np.arange(len(TIMES)), TIMES)
    weighted, repeated = fit(kind, x, said, TIMES.astype(np.float64)), fit(kind, x[often], said[often], None)
    np.testing.assert_allclose(weighted.mean, repeated.mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(weighted.deviation, repeated.deviation, rtol=1e-5)
    np.testing.assert_allclose(weighted.adjustment, repeated.adjustment, atol=1e-6)
    scores, expected = ((x @ found[0] + found[1]) for found in (weighted.fit(STRENGTH), repeated.fit(STRENGTH)))
    tolerance = 1e-3 * expected.std()
    np.testing.assert_allclose(scores[TIMES > 0], expected[TIMES > 0], atol=tolerance)
    plain, bias = fit(kind, x, said, None).fit(STRENGTH)
    assert np.abs((x @ plain + bias - expected)[TIMES > 0]).max() > 20 * tolerance


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_1_change_nothing(kind: str) -> None:
    x, said = problem(20)
    ones, plain = fit(kind, x, said, np.ones(len(x))), fit(kind, x, said, None)
    for found, expected in zip(ones.fit(STRENGTH), plain.fit(STRENGTH), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("kind", KINDS)
def test_weights_a_tenth_as_large_are_a_penalty_ten_times_as_strong(kind: str) -> None:
    x, said = problem(20)
    small, plain = fit(kind, x, said, np.full(len(x), 0.1)), fit(kind, x, said, None)
    for found, expected in zip(small.fit(10 * STRENGTH), plain.fit(STRENGTH), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("shape", [(250,), (250, 3)])
def test_a_weighted_mean_is_taken_a_part_at_a_time(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows, weights = rng.normal(1000, 1, shape).astype(np.float32), rng.uniform(size=250)
    monkeypatch.setattr(linear, "ROWS_AT_ONCE", 99)
    found = weighted_mean(rows, weights)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, np.average(rows.astype(np.float64), axis=0, weights=weights), rtol=1e-12)
    np.testing.assert_allclose(weighted_mean(rows, None), rows.mean(axis=0, dtype=np.float64), rtol=1e-12)
