"""Linear models with an L2 penalty on standardised features, one for each kind of thing to predict."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, final

import numpy as np

from headstart.learn.imbalance import Balance, adjustment, fitting_weights

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

# Of the gradient; below it, accuracy no longer changes.
TOLERANCE = 1e-3
MAX_ITERATIONS = 2000


class LinearFit(ABC):
    """A linear model on one set of images, for one strength after another.

    Args:
        features: pooled, float32, shape (images, features).

    Attributes:
        mean: of each feature, float32, shape (features,).
        deviation: likewise, the standard deviation; 1 where a feature never varies.
        adjustment: what is taken off the scores afterwards.
    """

    def __init__(self, features: np.ndarray) -> None:
        # Summed in float64: float32 would miss the mean of what never varies, and take that for a deviation.
        self.mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = features - self.mean
        deviation = np.sqrt(np.square(centred).mean(axis=0, dtype=np.float64)).astype(np.float32)
        # What never varies is left at zero by subtracting the mean, and so gets no say.
        self.deviation = np.where(deviation > 1e-6, deviation, np.float32(1))
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


class ClassesFit(LinearFit):
    """Multinomial logistic regression with its classes balanced.

    Args:
        features: pooled, float32, shape (images, features).
        labels: int, shape (images,), values in 0…classes − 1.
        classes: how many there are.
        balance: what is done about classes of unequal size.
    """

    def __init__(self, features: np.ndarray, labels: np.ndarray, classes: int, balance: Balance) -> None:
        super().__init__(features)
        self._labels = labels
        self._classes = classes
        self._sample_weights = fitting_weights(labels, balance)
        self.adjustment = adjustment(labels, classes, balance)
        self._model = _logistic_regression()

    def solve(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        self._model.set_params(C=strength).fit(self.standardised, self._labels, self._sample_weights)
        coefficients, intercepts = self._model.coef_, self._model.intercept_
        if self._classes == 2:  # one column stands for both classes there
            coefficients = np.concatenate([-coefficients, coefficients]) / 2
            intercepts = np.concatenate([-intercepts, intercepts]) / 2
        return coefficients, intercepts


class LabelsFit(LinearFit):
    """A logistic regression a label, one against the rest.

    Args:
        features: pooled, float32, shape (images, features).
        targets: 0 or 1, shape (images, labels).
    """

    def __init__(self, features: np.ndarray, targets: np.ndarray) -> None:
        super().__init__(features)
        self._targets = targets
        self._models = [_logistic_regression() for _ in range(targets.shape[1])]

    def solve(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        found = [
            self._solve(model, targets, strength) for model, targets in zip(self._models, self._targets.T, strict=True)
        ]
        return np.stack([coefficients for coefficients, _ in found]), np.array([intercept for _, intercept in found])

    def _solve(self, model: LogisticRegression, targets: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
        with_label, images = float(targets.sum()), len(targets)
        if with_label in (0, images):  # in a fold; there is nothing to tell apart, so that only how rare it is counts
            return np.zeros(self.standardised.shape[1]), float(np.log((with_label + 0.5) / (images - with_label + 0.5)))
        model.set_params(C=strength).fit(self.standardised, targets)
        return model.coef_[0], float(model.intercept_[0])


class NumbersFit(LinearFit):
    """Ridge regression (Hoerl and Kennard 1970).

    Args:
        features: pooled, float32, shape (images, features).
        targets: float32, shape (images,).
    """

    def __init__(self, features: np.ndarray, targets: np.ndarray) -> None:
        super().__init__(features)
        self._targets = targets

    def solve(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        from sklearn.linear_model import Ridge

        model = Ridge(alpha=1 / strength).fit(self.standardised, self._targets)
        return model.coef_[None], np.array([model.intercept_])


def _logistic_regression() -> LogisticRegression:
    """Each strength starts from the solution of the one before, which lies near."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=MAX_ITERATIONS, tol=TOLERANCE, warm_start=True)
