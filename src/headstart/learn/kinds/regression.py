"""A number an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.data.labels import Label
from headstart.errors import DataError
from headstart.evaluation import regression as metrics
from headstart.learn.kinds.kind import Kind, merge_small

if TYPE_CHECKING:
    import keras

    from headstart.learn.imbalance import Balance
    from headstart.learn.linear import LinearFit

COVERAGE = 0.9
BINS, FEWEST_A_BIN = 10, 5
# What takes as many images to learn as two classes do.
AS_CLASSES = 2


@dataclass(frozen=True)
class Regression(Kind):
    """A number an image.

    Scores are numbers in units of the training targets' deviation from their mean, shape (images, 1); predictions and
    targets are in the targets' own unit, float64, shape (images,).

    Attributes:
        mean: of the training targets.
        deviation: their standard deviation.
        half_width: of the interval around a prediction that holds the truth of 90 % of new images; None where there
            were too few images to tell, or nobody has yet.
    """

    mean: float = 0.0
    deviation: float = 1.0
    half_width: float | None = None

    task = "regression"
    noun = "predictor"
    loss_name = "squared error"
    loss_key = "squared_error"
    goodness_name = "R²"
    goodness_key = "r2"
    unit_name = "standard deviations"
    # The intervals hold for a network that has never seen the images that they were measured on.
    keeps_validation = True
    # Half-decades; a ridge regression asks for more caution than a logistic one, whose loss is flatter.
    strengths = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)

    @classmethod
    def of(cls, targets: np.ndarray, names: Sequence[str]) -> Regression:
        with np.errstate(over="ignore", invalid="ignore"):
            mean, deviation = float(targets.mean()), float(targets.std())
        if not 0 < deviation < math.inf:
            problem = "don't vary" if deviation == 0 else "are too large to compute with"
            raise DataError(f"the numbers of the training images {problem}", "give others, or in another unit")
        return cls(mean, deviation)

    @classmethod
    def encode(cls, labels: Sequence[Label], names: Sequence[str]) -> np.ndarray:
        return np.array(labels, np.float64)

    @property
    def unit(self) -> float:
        return self.deviation

    def predict(self, scores: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        return np.asarray(self.mean + self.deviation * np.asarray(scores, np.float64)[:, 0])

    def losses(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return metrics.squared_errors(predictions, targets, self.deviation)

    def goodness(self, predictions: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> float:
        return metrics.r2(predictions, targets)

    def show(self, goodness: float) -> str:
        return f"{goodness:.3f}"

    def calibrate(self, scores: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> float:
        return 1.0

    def settle(self, predictions: np.ndarray, targets: np.ndarray) -> Regression:
        return replace(self, half_width=metrics.conformal_half_width(predictions - targets, COVERAGE))

    def interval(self, prediction: float) -> tuple[float, float] | None:
        """Around a prediction; None where there were too few images to tell how wide it must be."""
        return None if self.half_width is None else (prediction - self.half_width, prediction + self.half_width)

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        return metrics.score(predictions, targets, self.deviation)

    def confidence_intervals(
        self, predictions: np.ndarray, targets: np.ndarray, seed: int
    ) -> dict[str, tuple[float, float]]:
        return metrics.confidence_intervals(predictions, targets, self.deviation, seed)

    def details(self, predictions: np.ndarray, targets: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
        if self.half_width is None:
            return {"interval": None}
        share = metrics.covered(predictions, targets, self.half_width)
        return {"interval": {"coverage": COVERAGE, "half_width": self.half_width, "covered": share}}

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """Ten bins with about as many images each."""
        edges = np.unique(np.quantile(targets, np.linspace(0, 1, BINS + 1)[1:-1]))
        return merge_small(np.searchsorted(edges, targets, side="right"), FEWEST_A_BIN)

    def images_an_output(self, targets: np.ndarray, outputs: int) -> tuple[float, str]:
        images = len(targets)
        return images / AS_CLASSES, f"{images} training images, which is as {images // AS_CLASSES} a class"

    def linear_fit(
        self,
        features: np.ndarray,
        targets: np.ndarray,
        outputs: int,
        balance: Balance,
        weights: np.ndarray | None = None,
    ) -> LinearFit:
        from headstart.learn.linear import NumbersFit

        return NumbersFit(features, self._standardised(targets), weights)

    def training_targets(self, targets: np.ndarray, outputs: int) -> np.ndarray:
        return self._standardised(targets)[:, None]

    def keras_loss(self, label_smoothing: float) -> keras.losses.Loss:
        import keras

        return keras.losses.MeanSquaredError()

    def _standardised(self, targets: np.ndarray) -> np.ndarray:
        return np.asarray((targets - self.mean) / self.deviation, np.float32)
