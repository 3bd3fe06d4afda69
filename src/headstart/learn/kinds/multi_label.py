"""Any number of labels an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.data.labels import Label, names_in
from headstart.errors import DataError
from headstart.evaluation import multi_label as metrics
from headstart.evaluation.calibration import best_temperature, sigmoid
from headstart.learn.kinds.kind import Kind, merge_small

if TYPE_CHECKING:
    import keras

    from headstart.learn.imbalance import Balance
    from headstart.learn.linear import LinearFit

FEWEST_A_STRATUM = 5


@dataclass(frozen=True)
class MultiLabel(Kind):
    """Any number of labels an image.

    Scores are logits, predictions the sigmoid of each, shape (images, labels); targets are 0 or 1, float32, likewise.

    Attributes:
        thresholds: from which probability on each label is given; empty for 0.5 throughout.
    """

    thresholds: tuple[float, ...] = ()

    task = "multi-label"
    noun = "classifier"
    loss_name = "log loss"
    loss_key = "log_loss"
    goodness_name = "mean average precision"
    goodness_key = "mean_average_precision"
    unit_name = "probability"
    keeps_validation = False
    # Half-decades over what pooled features of networks ask for.
    strengths = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)

    @classmethod
    def of(cls, targets: np.ndarray, names: Sequence[str]) -> MultiLabel:
        for name, positives in zip(names, targets.sum(axis=0), strict=True):
            if positives in (0, len(targets)):
                has = "no" if positives == 0 else "every"
                raise DataError(
                    f"{has} training image has the label {name!r}, so it can't be learned",
                    "add images with it and without it to the training part, or leave it out",
                )
        return cls()

    @classmethod
    def encode(cls, labels: Sequence[Label], names: Sequence[str]) -> np.ndarray:
        places = {name: place for place, name in enumerate(names)}
        targets = np.zeros((len(labels), len(names)), np.float32)
        for row, label in zip(targets, labels, strict=True):
            row[[places[name] for name in names_in(label)]] = 1
        return targets

    @property
    def unit(self) -> float:
        return 1.0

    def predict(self, scores: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        return sigmoid(scores, temperature)

    def losses(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return metrics.log_losses(predictions, targets)

    def goodness(self, predictions: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> float:
        return metrics.mean_average_precision(predictions, targets)

    def show(self, goodness: float) -> str:
        return f"{goodness:.1%}"

    def calibrate(self, scores: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> float:
        return best_temperature(
            lambda temperature: float(self.losses(self.predict(scores, temperature), targets).mean())
        )

    def settle(self, predictions: np.ndarray, targets: np.ndarray) -> MultiLabel:
        return replace(self, thresholds=tuple(metrics.choose_thresholds(predictions, targets).tolist()))

    def given(self, predictions: np.ndarray) -> np.ndarray:
        """Whether each label is given, bool, shape (images, labels)."""
        return np.asarray(predictions >= self._thresholds(predictions))

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        return metrics.score(predictions, targets, self._thresholds(predictions))

    def confidence_intervals(
        self, predictions: np.ndarray, targets: np.ndarray, seed: int
    ) -> dict[str, tuple[float, float]]:
        return metrics.confidence_intervals(predictions, targets, self._thresholds(predictions), seed)

    def details(self, predictions: np.ndarray, targets: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
        scores = metrics.label_scores(predictions, targets, self._thresholds(predictions))
        return {"per_label": {name: asdict(found) for name, found in zip(names, scores, strict=True)}}

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """The rarest of each image's labels: whoever divides these evenly divides what is hardest to divide."""
        rarity = targets.sum(axis=0)
        rarest = np.where(targets > 0, rarity, np.inf).argmin(axis=1)
        return merge_small(np.where(targets.any(axis=1), rarest, -1), FEWEST_A_STRATUM)

    def images_an_output(self, targets: np.ndarray, outputs: int) -> tuple[float, str]:
        images = float(targets.sum()) / outputs
        return images, f"{images:.0f} training images a label"

    def linear_fit(
        self,
        features: np.ndarray,
        targets: np.ndarray,
        outputs: int,
        balance: Balance,
        weights: np.ndarray | None = None,
    ) -> LinearFit:
        from headstart.learn.linear import LabelsFit

        return LabelsFit(features, targets, weights)

    def training_targets(self, targets: np.ndarray, outputs: int) -> np.ndarray:
        return targets

    def keras_loss(self, label_smoothing: float) -> keras.losses.Loss:
        import keras

        return keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=label_smoothing)

    def _thresholds(self, predictions: np.ndarray) -> np.ndarray:
        return np.array(self.thresholds or [metrics.USUAL_THRESHOLD] * predictions.shape[1])
