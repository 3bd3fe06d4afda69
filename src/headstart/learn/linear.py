"""Linear models with an L2 penalty on standardised features, one for each kind of thing to predict."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from headstart.evaluation.calibration import sigmoid
from headstart.learn.imbalance import Balance, adjustment, fitting_weights

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

# Of the gradient; below it, accuracy no longer changes.
TOLERANCE = 1e-3
MAX_ITERATIONS = 2000
# Likewise, by the square root of the images, where the loss has a curvature of about 1 in each direction: with a
# thousand directions, the mean loss is then right to about 1e-5.
SCALED_TOLERANCE = 1e-4
# Directions with a smaller share of the largest one's variance are rounding.
SMALLEST_VARIANCE = 1e-7
ROWS_AT_ONCE = 1000


class LinearFit(ABC):
    """A linear model on one set of images, for one strength after another.

    Args:
        features: pooled, float32, shape (images, features).
        weights: how much each image counts, float64, shape (images,): one of 2 as much as two images, one of 0 not at
            all; None for all alike.

    Attributes:
        mean: of each feature, float32, shape (features,).
        deviation: likewise, what it is divided by: the standard deviation; 1 where a feature never varies.
        smallest_share: the least that is divided by, as a share of the median deviation. A feature that hardly
            any training image has would be blown up: on a new image with it to thousands of deviations, and the
            prediction along with it.
        adjustment: what is taken off the scores afterwards.
    """

    smallest_share: ClassVar[float]

    def __init__(self, features: np.ndarray, weights: np.ndarray | None = None) -> None:
        # Summed in float64: float32 would miss the mean of what never varies, and take that for a deviation.
        self.mean = weighted_mean(features, weights).astype(np.float32)
        centred = features - self.mean
        deviation = np.sqrt(weighted_mean(np.square(centred), weights)).astype(np.float32)
        at_least = np.maximum(deviation, np.float32(self.smallest_share * np.median(deviation)))
        # What never varies is left at zero by subtracting the mean, and so gets no say.
        self.deviation = np.where(deviation > 1e-6, at_least, np.float32(1))
        centred /= self.deviation  # in place: with many images, a copy is what memory runs out on
        self.standardised = centred
        self.adjustment = np.zeros(1, np.float32)

    @final
    def fit(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        """Weights and bias for features that aren't standardised, float32.

        Args:
            strength: inverse, of the penalty.
        """
        coefficients, intercepts = self.solve(strength)
        weights = coefficients.T / self.deviation[:, None]
        bias = intercepts - self.mean @ weights - self.adjustment
        return weights.astype(np.float32), bias.astype(np.float32)

    @abstractmethod
    def solve(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients, shape (outputs, features), and intercepts, shape (outputs,), on standardised features."""


@cache
def _linear_algebra() -> ThreadpoolController:
    """The threads of NumPy's and SciPy's libraries.

    A step of the fit multiplies a matrix by a vector, which waits for memory rather than for arithmetic; threads that
    wait for each other at every step take longer than one, many times as long where something else runs (by hand).
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def weighted_mean(rows: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """The mean over images, float64; without weights, all count alike."""
    if weights is None:
        return np.asarray(rows.mean(axis=0, dtype=np.float64))
    total = np.zeros(rows.shape[1:])
    for start in range(0, len(rows), ROWS_AT_ONCE):  # in float64, a part at a time
        some = slice(start, start + ROWS_AT_ONCE)
        total += weights[some] @ rows[some].astype(np.float64)
    return np.asarray(total / weights.sum())


class ClassesFit(LinearFit):
    """Multinomial logistic regression with its classes balanced.

    Args:
        features: pooled, float32, shape (images, features).
        labels: int, shape (images,), values in 0…classes − 1.
        classes: how many there are.
        balance: what is done about classes of unequal size.
        weights: as of any fit.
    """

    # On the solar cells that took the held-out log loss from 0.68 to 0.50 with 38 training images a class, and from
    # 0.310 to 0.304 with all of them, at a little more accuracy (by hand, over eight and four divisions).
    smallest_share = 0.3

    def __init__(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        classes: int,
        balance: Balance,
        weights: np.ndarray | None = None,
    ) -> None:
        from sklearn.linear_model import LogisticRegression

        super().__init__(features, weights)
        self._labels = labels
        self._classes = classes
        self._sample_weights = fitting_weights(labels, balance, weights)
        self.adjustment = adjustment(labels, classes, balance, weights)
        # Each strength starts from the solution of the one before, which lies near.
        self._model = LogisticRegression(max_iter=MAX_ITERATIONS, tol=TOLERANCE, warm_start=True)

    def solve(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        with _linear_algebra().limit(limits=1, user_api="blas"):
            self._model.set_params(C=strength).fit(self.standardised, self._labels, self._sample_weights)
        coefficients, intercepts = self._model.coef_, self._model.intercept_
        if self._classes == 2:  # one column stands for both classes there
            coefficients = np.concatenate([-coefficients, coefficients]) / 2
            intercepts = np.concatenate([-intercepts, intercepts]) / 2
        return coefficients, intercepts


class SpectralFit(LinearFit):
    """A linear model that is fitted in the basis of the features' principal directions.

    In it a penalty does the same to every direction by itself, so that one eigendecomposition makes each further
    strength cheap, and with fewer images than features there are only as many directions as images. Where images have
    weights, the directions are those of the weighted sums of squares.
    """

    smallest_share = 0.03

    def __init__(self, features: np.ndarray, weights: np.ndarray | None = None) -> None:
        super().__init__(features, weights)
        self.weights = np.ones(len(features), np.float32) if weights is None else weights.astype(np.float32)
        rows = self.standardised if weights is None else self.standardised * np.sqrt(self.weights)[:, None]
        self._variances, self._directions = principal_directions(rows)
        del rows
        self._coordinates = self.standardised @ self._directions
        del self.standardised  # with many images, memory runs out on copies

    @final
    def solve(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        coefficients, intercepts = self.solve_in_basis(self._coordinates, self._variances, strength)
        return (self._directions @ coefficients).T, intercepts

    @abstractmethod
    def solve_in_basis(
        self, coordinates: np.ndarray, variances: np.ndarray, strength: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients and intercepts where the directions are the axes.

        Args:
            coordinates: of the images, float32, shape (images, directions); 0 on average, by `weights`.
            variances: sums of their squares, likewise, float64, shape (directions,).
            strength: inverse, of the penalty.

        Returns:
            Shapes (directions, outputs) and (outputs,).
        """


def principal_directions(standardised: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The directions in which features vary, each of length 1, and the sum of squares along each.

    Args:
        standardised: float32, shape (images, features); each feature is 0 on average. Rows of images that count more
            or less than one are multiplied by the root of their weight.

    Returns:
        Float64, shape (directions,), and float32, shape (features, directions).
    """
    images, features = standardised.shape
    rows = standardised if images >= features else standardised.T
    squares = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), ROWS_AT_ONCE):  # in float64, a part at a time
        some = rows[start : start + ROWS_AT_ONCE].astype(np.float64)
        squares += some.T @ some
    values, vectors = np.linalg.eigh(squares)
    kept = values > SMALLEST_VARIANCE * max(values[-1], 1.0)
    values, vectors = values[kept], vectors[:, kept].astype(np.float32)
    if images < features:
        vectors = standardised.T @ (vectors / np.sqrt(values).astype(np.float32))
    return values, vectors


class LabelsFit(SpectralFit):
    """A logistic regression a label, one against the rest, all of them at once.

    Minimised by L-BFGS (Liu and Nocedal 1989) with each axis scaled by the curvature that it would have if every image
    had the label with the probability that images have on average. That is nearly right under a strong penalty, so that
    few steps suffice.

    Args:
        features: pooled, float32, shape (images, features).
        targets: 0 or 1, shape (images, labels).
        weights: as of any fit.
    """

    def __init__(self, features: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> None:
        super().__init__(features, weights)
        self._targets = targets
        self._count = self.weights.sum(dtype=np.float64)
        # Half an image more on either side keeps a label finite that all images have, or none, such as in a fold.
        positives = (self.weights[:, None] * targets).sum(axis=0, dtype=np.float64)
        self._shares = (positives + 0.5) / (self._count + 1)
        self._found: np.ndarray | None = None

    def solve_in_basis(
        self, coordinates: np.ndarray, variances: np.ndarray, strength: float
    ) -> tuple[np.ndarray, np.ndarray]:
        from scipy.optimize import minimize

        spread, weights = self._shares * (1 - self._shares), self.weights[:, None].astype(np.float64)
        scale = np.sqrt(np.vstack([self._count * spread, variances[:, None] * spread + 1 / strength]))

        def loss_and_gradient(scaled: np.ndarray) -> tuple[float, np.ndarray]:
            found = scaled.reshape(scale.shape) / scale
            logits = (coordinates @ found[1:].astype(np.float32)).astype(np.float64) + found[0]
            losses = weights * (np.logaddexp(0, logits) - self._targets * logits)
            surplus = weights * (sigmoid(logits) - self._targets)
            slopes = np.asarray(coordinates.T @ surplus.astype(np.float32), np.float64) + found[1:] / strength
            gradient = np.vstack([surplus.sum(axis=0), slopes]) / scale
            return float(losses.sum() + np.square(found[1:]).sum() / (2 * strength)), gradient.ravel()

        start = self._start(scale.shape) * scale
        options = {"maxiter": MAX_ITERATIONS, "gtol": SCALED_TOLERANCE * np.sqrt(self._count), "ftol": 0.0}
        solved = minimize(loss_and_gradient, start.ravel(), jac=True, method="L-BFGS-B", options=options)
        self._found = solved.x.reshape(scale.shape) / scale
        return self._found[1:], self._found[0]

    def _start(self, shape: tuple[int, ...]) -> np.ndarray:
        """Each strength starts from the solution of the one before, which lies near; the first from the shares."""
        if self._found is not None:
            return self._found
        start = np.zeros(shape)
        start[0] = np.log(self._shares / (1 - self._shares))
        return start


class NumbersFit(SpectralFit):
    """Ridge regression (Hoerl and Kennard 1970).

    Args:
        features: pooled, float32, shape (images, features).
        targets: float32, shape (images,).
        weights: as of any fit.
    """

    def __init__(self, features: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> None:
        super().__init__(features, weights)
        self._mean = float(weighted_mean(targets, weights))
        self._products = np.asarray(self._coordinates.T @ (self.weights * (targets - self._mean)), np.float64)

    def solve_in_basis(
        self, coordinates: np.ndarray, variances: np.ndarray, strength: float
    ) -> tuple[np.ndarray, np.ndarray]:
        return (self._products / (variances + 1 / strength))[:, None], np.array([self._mean])
