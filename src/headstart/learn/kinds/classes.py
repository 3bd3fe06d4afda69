"""One class an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.data.labels import Label, written
from headstart.evaluation import metrics
from headstart.evaluation.calibration import fit_temperature, softmax
from headstart.learn.kinds.kind import Kind

if TYPE_CHECKING:
    import keras

    from headstart.learn.imbalance import Balance
    from headstart.learn.linear import LinearFit


@dataclass(frozen=True)
class Classes(Kind):
    """One class an image.

    Scores are logits, predictions their softmax, shape (images, classes); targets are int, shape (images,).
    """

    task = "classes"
    noun = "classifier"
    loss_name = "log loss"
    loss_key = "log_loss"
    goodness_name = "accuracy"
    goodness_key = "accuracy"
    unit_name = "probability"
    keeps_validation = False
    # Half-decades over what pooled features of networks ask for.
    strengths = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)

    @classmethod
    def of(cls, targets: np.ndarray, names: Sequence[str]) -> Classes:
        return cls()

    @classmethod
    def encode(cls, labels: Sequence[Label], names: Sequence[str]) -> np.ndarray:
        numbers = {name: number for number, name in enumerate(names)}
        return np.array([numbers[written(label)] for label in labels], np.int64)

    @property
    def unit(self) -> float:
        return 1.0

    def predict(self, scores: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        return softmax(scores, temperature)

    def losses(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return metrics.log_losses(predictions, targets)

    def goodness(self, predictions: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> float:
        return metrics.accuracy(predictions, targets, weights)

    def misses(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return np.asarray(predictions.argmax(axis=1) != targets)

    def show(self, goodness: float) -> str:
        return f"{goodness:.1%}"

    def calibrate(self, scores: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> float:
        return fit_temperature(scores, targets, weights)

    def settle(self, predictions: np.ndarray, targets: np.ndarray) -> Classes:
        return self

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        return metrics.score(predictions, targets)

    def confidence_intervals(
        self, predictions: np.ndarray, targets: np.ndarray, seed: int
    ) -> dict[str, tuple[float, float]]:
        return metrics.confidence_intervals(predictions, targets, seed)

    def details(self, predictions: np.ndarray, targets: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
        scores = zip(names, metrics.class_scores(predictions, targets), strict=True)
        return {
            "per_class": {label: asdict(found) for label, found in scores},
            "confusion": metrics.confusion_matrix(predictions, targets).tolist(),
        }

    def strata(self, targets: np.ndarray) -> np.ndarray:
        return targets

    def images_an_output(self, targets: np.ndarray, outputs: int) -> tuple[float, str]:
        images = len(targets) / outputs
        return images, f"{images:.0f} training images a class"

    def linear_fit(
        self,
        features: np.ndarray,
        targets: np.ndarray,
        outputs: int,
        balance: Balance,
        weights: np.ndarray | None = None,
    ) -> LinearFit:
        from headstart.learn.linear import ClassesFit

        return ClassesFit(features, targets, outputs, balance, weights)

    def training_targets(self, targets: np.ndarray, outputs: int) -> np.ndarray:
        return np.asarray(np.eye(outputs, dtype=np.float32)[targets])

    def keras_loss(self, label_smoothing: float) -> keras.losses.Loss:
        import keras

        return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)
