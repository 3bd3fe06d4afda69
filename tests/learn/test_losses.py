from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from headstart.errors import UnknownNameError, UsageError
from headstart.learn.losses import class_weights, make_loss

LABELS = np.array([0, 2, 1, 2])
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]


@pytest.fixture(scope="module")
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def value(loss: Any, targets: np.ndarray, predictions: np.ndarray) -> float:
    return float(loss(targets, predictions))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def log_sigmoid(logits: np.ndarray) -> np.ndarray:
    return -np.log1p(np.exp(-logits))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("labels", ["one-hot", "integers"])
def test_multi_class_is_cross_entropy_with_either_kind_of_labels(
    smoothing: float, labels: Any, logits: np.ndarray
) -> None:
    targets = (1 - smoothing) * ONE_HOT + smoothing / 3
    expected = -(targets * log_softmax(logits)).sum(axis=1).mean()
    given = ONE_HOT if labels == "one-hot" else LABELS
    settings = {"labels": labels, "label_smoothing": smoothing}
    assert value(make_loss("multi-class", from_logits=True, **settings), given, logits) == pytest.approx(expected, 1e-5)
    probabilities = np.exp(log_softmax(logits))
    assert value(make_loss("multi-class", **settings), given, probabilities) == pytest.approx(expected, 1e-5)


@pytest.mark.parametrize("labels", ["one-hot", "integers"])
def test_a_focal_loss_counts_less_what_is_right_already(labels: Any, logits: np.ndarray) -> None:
    logs = (ONE_HOT * log_softmax(logits)).sum(axis=1)
    expected = -((1 - np.exp(logs)) ** 2 * logs).mean()
    loss = make_loss("multi-class", labels=labels, focal=2.0, from_logits=True)
    assert value(loss, ONE_HOT if labels == "one-hot" else LABELS, logits) == pytest.approx(expected, 1e-4)


def test_integer_labels_may_stand_in_a_column(logits: np.ndarray) -> None:
    loss = make_loss("multi-class", labels="integers", label_smoothing=0.1, from_logits=True)
    assert value(loss, LABELS[:, None], logits) == pytest.approx(value(loss, LABELS, logits))


def test_multi_label_is_binary_cross_entropy(logits: np.ndarray) -> None:
    targets = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 1], [1, 1, 1]], np.float32)
    losses = -(targets * log_sigmoid(logits) + (1 - targets) * log_sigmoid(-logits))
    assert value(make_loss("multi-label", from_logits=True), targets, logits) == pytest.approx(losses.mean(), 1e-5)
    focal = ((1 - np.exp(-losses)) ** 2 * losses).mean()
    found = value(make_loss("multi-label", focal=2.0, from_logits=True), targets, logits)
    assert found == pytest.approx(focal, 1e-4)


def test_regression_takes_squared_or_absolute_errors() -> None:
    targets, found = np.array([[1.0], [2.0]]), np.array([[2.0], [5.0]])
    assert value(make_loss("regression"), targets, found) == pytest.approx(5.0)
    assert value(make_loss("regression", error="absolute"), targets, found) == pytest.approx(2.0)


def test_the_loss_for_integers_is_saved_with_a_model_and_trains_on(tmp_path: Any) -> None:
    import keras

    from headstart.learn.saved import custom_objects

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, activation="softmax")])
    loss = make_loss("multi-class", labels="integers", focal=1.5, label_smoothing=0.1)
    model.compile("sgd", loss, metrics=["accuracy"])
    x = np.ones((4, 3), np.float32)
    model.fit(x, LABELS, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", custom_objects=custom_objects())
    assert loaded.loss.get_config() == loss.get_config()
    assert loaded.evaluate(x, LABELS, verbose=0) == pytest.approx(model.evaluate(x, LABELS, verbose=0))


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("multi-label", {"labels": "integers"}, "one integer can't name them; pass rows of 0 and 1"),
        ("regression", {"focal": 2.0, "from_logits": True}, "so focal and from_logits can't be had; leave it out"),
        ("regression", {"labels": "integers"}, "so labels can't be had"),
        ("multi-class", {"error": "absolute"}, "belongs to regression, not to multi-class"),
        ("multi-class", {"label_smoothing": 1.0}, "a share, not 1.0; give a number from 0 to below 1"),
        ("multi-class", {"focal": -1.0}, "gamma, not -1.0; give a number from 0 on"),
    ],
)
def test_what_makes_no_sense_is_refused(task: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        make_loss(task, **settings)


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("multiclass", {}, "no task named 'multiclass'; did you mean 'multi-class'?"),
        ("multi-class", {"labels": "integer"}, "no kind of labels named 'integer'; did you mean 'integers'?"),
        ("regression", {"error": "square"}, "no error named 'square'; did you mean 'squared'?"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(task: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownNameError, match=re.escape(message)):
        make_loss(task, **settings)


def test_class_weights_are_those_of_scikit_learn() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0] * 6 + [3] * 2 + [1])
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=labels)
    assert class_weights(labels) == pytest.approx(dict(zip((0, 1, 3), expected, strict=True)))
    assert class_weights(labels[:, None].tolist()) == class_weights(labels)
    assert class_weights(np.eye(4)[labels]) == class_weights(labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "there are no labels to weigh"),
        (["cat", "dog"], "labels are whole numbers from 0 on"),
        ([0.5, 1.0], "not float64 of shape (2,)"),
        ([-1, 1], "labels are whole numbers from 0 on"),
        ([[1, 1, 0], [0, 0, 1]], "one-hot, a single 1 in each row, and these aren't"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        class_weights(labels)
