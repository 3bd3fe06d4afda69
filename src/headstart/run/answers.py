"""What a run says of an image, made from its network's scores: classes, labels or a number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.data.labels import written
from headstart.learn.kinds import COVERAGE, Classes, Kind, MultiLabel, Regression
from headstart.run.records import ClassesRecord, MultiLabelRecord, RegressionRecord, TaskRecord


@dataclass(frozen=True)
class Prediction:
    """What a run says of one image.

    Attributes:
        source: the file's path.
        probabilities: calibrated, by class or label, the most probable first; empty where there is an error, and for a
            number.
        error: why the image couldn't be read; None if it could.
        labels: what it shows: the most probable class, or every label that is as probable as its threshold.
        value: the number, where one is predicted.
        interval: that holds the true number of 90 % of new images; None where there were too few images to tell.
    """

    source: str
    probabilities: dict[str, float]
    error: str | None = None
    labels: tuple[str, ...] = ()
    value: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def label(self) -> str | None:
        """The most probable class or label."""
        return next(iter(self.probabilities), None)

    @property
    def confidence(self) -> float | None:
        """The probability of that class or label."""
        return next(iter(self.probabilities.values()), None)


class Answers(ABC):
    """Makes answers of predictions, in one way for each kind of thing that is predicted."""

    @property
    @abstractmethod
    def record(self) -> TaskRecord:
        """What the manifest says of it."""

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Those of predictions.csv."""

    @abstractmethod
    def row(self, file: str, target: Any, found: Any) -> tuple[str, ...]:
        """A row of predictions.csv: a test image, what is true of it, and what was predicted."""

    @abstractmethod
    def answer(self, source: str, found: Any) -> Prediction:
        """What is said of an image, from its prediction."""


class ClassAnswers(Answers):
    """One class an image; the prediction is a probability a class, shape (classes,)."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels

    @property
    def record(self) -> TaskRecord:
        return ClassesRecord()

    @property
    def columns(self) -> tuple[str, ...]:
        return ("file", "label", "predicted", "confidence", *(f"p:{label}" for label in self._labels))

    def row(self, file: str, target: Any, found: Any) -> tuple[str, ...]:
        answer = self._labels[found.argmax()]
        return (file, self._labels[target], answer, f"{found.max():.6f}", *(f"{p:.6f}" for p in found))

    def answer(self, source: str, found: Any) -> Prediction:
        probabilities = _by_probability(self._labels, found)
        return Prediction(source, probabilities, labels=tuple(probabilities)[:1])


class LabelAnswers(Answers):
    """Any number of labels an image; the prediction is a probability a label, shape (labels,)."""

    def __init__(self, kind: MultiLabel, labels: Sequence[str]) -> None:
        self._kind = kind
        self._labels = labels

    @property
    def record(self) -> TaskRecord:
        return MultiLabelRecord(thresholds=self._kind.thresholds)

    @property
    def columns(self) -> tuple[str, ...]:
        return ("file", "label", "predicted", *(f"p:{label}" for label in self._labels))

    def row(self, file: str, target: Any, found: Any) -> tuple[str, ...]:
        return (file, written(self._named(target > 0)), written(self._given(found)), *(f"{p:.6f}" for p in found))

    def answer(self, source: str, found: Any) -> Prediction:
        given = set(self._given(found))
        probabilities = _by_probability(self._labels, found)
        return Prediction(source, probabilities, labels=tuple(label for label in probabilities if label in given))

    def _given(self, found: np.ndarray) -> tuple[str, ...]:
        return self._named(self._kind.given(found[None])[0])

    def _named(self, has: np.ndarray) -> tuple[str, ...]:
        return tuple(label for label, is_so in zip(self._labels, has, strict=True) if is_so)


class NumberAnswers(Answers):
    """A number an image; that is the prediction."""

    def __init__(self, kind: Regression) -> None:
        self._kind = kind

    @property
    def record(self) -> TaskRecord:
        kind = self._kind
        return RegressionRecord(mean=kind.mean, deviation=kind.deviation, coverage=COVERAGE, half_width=kind.half_width)

    @property
    def columns(self) -> tuple[str, ...]:
        return ("file", "label", "predicted", "low", "high")

    def row(self, file: str, target: Any, found: Any) -> tuple[str, ...]:
        bounds = self._kind.interval(float(found))
        low, high = ("", "") if bounds is None else (f"{bound:.9g}" for bound in bounds)
        return (file, written(float(target)), f"{found:.9g}", low, high)

    def answer(self, source: str, found: Any) -> Prediction:
        return Prediction(source, {}, value=float(found), interval=self._kind.interval(float(found)))


def answers_of(kind: Kind, labels: Sequence[str]) -> Answers:
    """The answers for a kind that is settled, whose outputs have these names."""
    if isinstance(kind, MultiLabel):
        return LabelAnswers(kind, labels)
    return NumberAnswers(kind) if isinstance(kind, Regression) else ClassAnswers(labels)


def kind_of(record: TaskRecord) -> Kind:
    """The kind that a manifest tells of."""
    if isinstance(record, MultiLabelRecord):
        return MultiLabel(record.thresholds)
    if isinstance(record, RegressionRecord):
        return Regression(record.mean, record.deviation, record.half_width)
    return Classes()


def _by_probability(labels: Sequence[str], found: np.ndarray) -> dict[str, float]:
    return {labels[place]: float(found[place]) for place in np.argsort(-found, kind="stable")}
