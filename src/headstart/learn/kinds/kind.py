"""What is predicted: one class an image, any number of labels, or a number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import numpy as np

from headstart.data.labels import Label, Task

if TYPE_CHECKING:
    import keras

    from headstart.learn.imbalance import Balance
    from headstart.learn.linear import LinearFit


class Kind(ABC):
    """Everything that differs between what can be predicted; the rest of the code asks a kind.

    A network gives `scores`, float32, shape (images, outputs); a kind's `predict` makes `predictions` of them, which
    are compared with `targets`. Their shapes are each kind's own.

    Attributes:
        task: its name.
        noun: what a network that predicts it is called.
        loss_name: what is made small, in words; `loss_key` is its name among the scores.
        goodness_name: what people judge by, in words; `goodness_key` is its name among the scores.
        unit_name: what `unit` is one of, in words.
        keeps_validation: whether nothing may ever be learned from the validation part.
        strengths: inverse L2 strengths of a probe that are tried, from the most cautious on.
    """

    task: ClassVar[Task]
    noun: ClassVar[str]
    loss_name: ClassVar[str]
    loss_key: ClassVar[str]
    goodness_name: ClassVar[str]
    goodness_key: ClassVar[str]
    unit_name: ClassVar[str]
    keeps_validation: ClassVar[bool]
    strengths: ClassVar[tuple[float, ...]]

    @classmethod
    @abstractmethod
    def of(cls, targets: np.ndarray, names: Sequence[str]) -> Self:
        """The kind for these training targets; `names` are those of the outputs.

        Raises:
            DataError: nothing can be learned from them.
        """

    @classmethod
    @abstractmethod
    def encode(cls, labels: Sequence[Label], names: Sequence[str]) -> np.ndarray:
        """Targets of labels."""

    @property
    @abstractmethod
    def unit(self) -> float:
        """What a difference of predictions is measured in."""

    @abstractmethod
    def predict(self, scores: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """Predictions, float64, from a network's scores."""

    @abstractmethod
    def losses(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Each image's loss, float64, shape (images,)."""

    @abstractmethod
    def goodness(self, predictions: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> float:
        """What people judge by; more is better. Only classes have weights."""

    def misses(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray | None:
        """Which images are answered wrongly, bool, shape (images,); None where no image alone is right or wrong."""
        return None

    @abstractmethod
    def show(self, goodness: float) -> str:
        """That as people read it."""

    @abstractmethod
    def calibrate(self, scores: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> float:
        """The temperature that makes the loss of images that weren't trained on smallest; 1 where there is none."""

    @abstractmethod
    def settle(self, predictions: np.ndarray, targets: np.ndarray) -> Self:
        """The kind with whatever is chosen by images that weren't trained on, once predictions are calibrated."""

    @abstractmethod
    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Every measure, by name."""

    @abstractmethod
    def confidence_intervals(
        self, predictions: np.ndarray, targets: np.ndarray, seed: int
    ) -> dict[str, tuple[float, float]]:
        """95 % intervals of measures, by name."""

    @abstractmethod
    def details(self, predictions: np.ndarray, targets: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
        """What more is told of the test part: of each class or label, or of intervals."""

    @abstractmethod
    def strata(self, targets: np.ndarray) -> np.ndarray:
        """What each fold of a cross-validation should have its share of; int, shape (images,)."""

    @abstractmethod
    def images_an_output(self, targets: np.ndarray, outputs: int) -> tuple[float, str]:
        """How many images there are to learn each output from, as a number and in words."""

    @abstractmethod
    def linear_fit(
        self,
        features: np.ndarray,
        targets: np.ndarray,
        outputs: int,
        balance: Balance,
        weights: np.ndarray | None = None,
    ) -> LinearFit:
        """The fit of a probe to pooled features, float32, shape (images, features), of images that count so much."""

    @abstractmethod
    def training_targets(self, targets: np.ndarray, outputs: int) -> np.ndarray:
        """What a network is trained to give, as `keras_loss` takes it; float32, shape (images, outputs)."""

    @abstractmethod
    def keras_loss(self, label_smoothing: float) -> keras.losses.Loss:
        """The loss of fine-tuning, from scores."""

    @final
    def loss(self, scores: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> float:
        """The mean loss of scores as they come, without calibration."""
        return float(np.average(self.losses(self.predict(scores), targets), weights=weights))


def merge_small(strata: np.ndarray, fewest: int) -> np.ndarray:
    """Strata with so many images at least, if there are so many: smaller ones are put together, or into the largest."""
    names, numbers, counts = np.unique(strata, return_inverse=True, return_counts=True)
    small = counts < fewest
    if not small.any():
        return np.asarray(numbers)
    merged = np.where(small[numbers], len(names), numbers)
    if counts[small].sum() < fewest:
        merged = np.where(small[numbers], counts.argmax(), numbers)
    return np.asarray(merged)
