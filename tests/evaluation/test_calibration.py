from __future__ import annotations

import numpy as np
import pytest

from headstart.evaluation.calibration import COLDEST, HOTTEST, best_temperature, fit_temperature, sigmoid, softmax
from headstart.evaluation.metrics import expected_calibration_error, log_loss

RNG_SEED = 0


def overconfident(temperature: float, images: int = 4000, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are right as often as they say once they are divided by the temperature, and labels."""
    rng = np.random.default_rng(RNG_SEED)
    logits = rng.normal(0, 2, (images, classes))
    drawn = rng.random((images, 1)) > softmax(logits).cumsum(axis=1)
    return logits * temperature, np.minimum(drawn.sum(axis=1), classes - 1)


def test_softmax_gives_probabilities_in_double_precision() -> None:
    found = softmax(np.array([[0.0, np.log(3.0)], [5.0, 5.0]], np.float32))
    np.testing.assert_allclose(found, [[0.25, 0.75], [0.5, 0.5]])
    assert found.dtype == np.float64


def test_softmax_survives_logits_of_any_size() -> None:
    np.testing.assert_allclose(softmax(np.array([[1e4, -1e4], [-1e6, -1e6]])), [[1, 0], [0.5, 0.5]])


def test_a_temperature_divides_the_logits() -> None:
    logits = np.random.default_rng(1).normal(0, 3, (20, 5))
    np.testing.assert_allclose(softmax(logits, 2.5), softmax(logits / 2.5))


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5, 6.0])
def test_a_known_temperature_is_found_again(temperature: float) -> None:
    assert fit_temperature(*overconfident(temperature)) == pytest.approx(temperature, rel=0.06)


def test_the_temperature_found_is_the_best_there_is() -> None:
    logits, labels = overconfident(3.0, images=500)
    best = fit_temperature(logits, labels)
    loss = log_loss(softmax(logits, best), labels)
    for other in np.geomspace(COLDEST, HOTTEST, 200):
        assert loss <= log_loss(softmax(logits, other), labels) + 1e-9


def test_a_temperature_mends_confidence_and_changes_no_prediction() -> None:
    logits, labels = overconfident(3.0)
    before, after = softmax(logits), softmax(logits, fit_temperature(logits, labels))
    np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))
    assert expected_calibration_error(before, labels) > 0.1
    assert expected_calibration_error(after, labels) < 0.03


def test_a_validation_part_without_a_mistake_keeps_everything_finite() -> None:
    labels = np.arange(30) % 3
    logits = 4.0 * np.eye(3)[labels]
    temperature = fit_temperature(logits, labels)
    assert COLDEST <= temperature < 1
    assert np.isfinite(softmax(logits, temperature)).all()


def test_a_validation_part_of_mistakes_only_keeps_everything_finite() -> None:
    labels = np.arange(30) % 3
    temperature = fit_temperature(40.0 * np.eye(3)[(labels + 1) % 3], labels)
    assert 1 < temperature <= HOTTEST


def test_the_temperature_of_weighted_images_is_that_of_images_repeated_as_often() -> None:
    logits, labels = overconfident(2.0, images=200)
    times = 1 + 5 * (labels == 0)
    repeated = np.repeat(np.arange(len(labels)), times)
    found = fit_temperature(logits, labels, times.astype(float))
    assert found == pytest.approx(fit_temperature(logits[repeated], labels[repeated]), rel=1e-3)
    assert found != pytest.approx(fit_temperature(logits, labels), rel=1e-3)


def test_the_sigmoid_is_that_of_scipy_at_every_size() -> None:
    from scipy.special import expit

    logits = np.array([[-800.0, -3.0, 0.0], [1e-9, 3.0, 800.0]])
    np.testing.assert_allclose(sigmoid(logits), expit(logits), atol=1e-15)
    np.testing.assert_allclose(sigmoid(logits, 2.0), expit(logits / 2), atol=1e-15)


def test_the_best_temperature_is_where_the_loss_is_smallest() -> None:
    assert best_temperature(lambda temperature: (temperature - 3.0) ** 2) == pytest.approx(3.0, rel=1e-4)
