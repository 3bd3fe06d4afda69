"""Making a classifier's confidence mean what it says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from headstart.evaluation.metrics import log_loss

# Beyond these the logits carry no usable scale; a validation part without a single mistake would ask for 0.
COLDEST, HOTTEST = 0.05, 20.0


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities, float64, of logits divided by a temperature; both of shape (images, classes)."""
    scaled = np.asarray(logits, np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def sigmoid(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities, float64, of logits divided by a temperature, each by itself; both of the same shape."""
    # In this form nothing overflows: e^-x of a large negative x would.
    return np.asarray(0.5 * (1 + np.tanh(np.asarray(logits, np.float64) / (2 * temperature))))


def fit_temperature(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The temperature that makes the log loss of labelled images smallest.

    It changes no prediction, only how sure each one is. Guo et al. 2017, arXiv:1706.04599.

    Args:
        logits: of images that the classifier wasn't trained on, shape (images, classes).
        labels: int, shape (images,).
        weights: how much each image counts, float, shape (images,); None for all alike.
    """
    return best_temperature(lambda temperature: log_loss(softmax(logits, temperature), labels, weights))


def best_temperature(loss_of: Callable[[float], float]) -> float:
    """The temperature with the smallest loss.

    Args:
        loss_of: the loss of images that the classifier wasn't trained on, by the temperature.
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda exponent: loss_of(np.exp(exponent)),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
    )
    return float(np.exp(found.x))
