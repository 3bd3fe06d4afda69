"""What a run's files say, read once for the report and the card."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from headstart.data.labels import SEPARATOR, Task
from headstart.data.source import image_at
from headstart.errors import RunError
from headstart.images.file import ImageFile
from headstart.learn.imbalance import Balance, is_skewed
from headstart.learn.kinds import Kind
from headstart.run import CHANGES, METRICS, PREDICTIONS, QUARANTINE, SPLIT, Manifest, kind_of, read_placed, read_rows


@dataclass(frozen=True)
class Predictions:
    """The test images, in one order throughout.

    Attributes:
        files: relative to the data's root, with slashes.
        labels: the true classes, int, shape (images,).
        predicted: the most probable classes, int, shape (images,).
        probabilities: calibrated, float64, shape (images, classes), as rounded in the file.
    """

    files: tuple[str, ...]
    labels: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray

    @cached_property
    def confidence(self) -> np.ndarray:
        """The most probable classes' probabilities, shape (images,)."""
        return np.asarray(self.probabilities.max(axis=1))


@dataclass(frozen=True)
class LabelPredictions:
    """The test images where any number of labels may apply, in one order throughout.

    Attributes:
        files: relative to the data's root, with slashes.
        targets: whether each label applies, bool, shape (images, labels).
        given: whether it was given, likewise.
        probabilities: calibrated, float64, likewise, as rounded in the file.
    """

    files: tuple[str, ...]
    targets: np.ndarray
    given: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class NumberPredictions:
    """The test images where a number is predicted, in one order throughout.

    Attributes:
        files: relative to the data's root, with slashes.
        targets: the true numbers, float64, shape (images,).
        values: the predicted ones, likewise.
    """

    files: tuple[str, ...]
    targets: np.ndarray
    values: np.ndarray


AnyPredictions = Predictions | LabelPredictions | NumberPredictions


@dataclass(frozen=True)
class QuarantinedFile:
    """A file that was left out, and why."""

    file: str
    reason: str
    byte_size: int


@dataclass(frozen=True)
class Evidence:
    """All that the report is made from.

    Attributes:
        manifest: what the run is.
        metrics: what metrics.json says.
        predictions: of the test images, as the run's task has them.
        quarantined: the files that were left out.
        part_counts: images of each (label, part); of numbers none.
        changes: rows of changes.csv, where the run was compared with an earlier one.
        files: images at hand, by name; others are looked for in the data's root.
    """

    manifest: Manifest
    metrics: dict[str, Any]
    predictions: AnyPredictions
    quarantined: tuple[QuarantinedFile, ...]
    part_counts: Counter[tuple[str, str]]
    changes: tuple[dict[str, str], ...] = ()
    files: Mapping[str, ImageFile] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """What is predicted."""
        return kind_of(self.manifest.task)

    @property
    def test(self) -> dict[str, Any]:
        """The measures on the test part."""
        return dict(self.metrics["test"])

    @property
    def is_skewed(self) -> bool:
        """Whether the classes are so unequal in size that accuracy alone would mislead."""
        return is_skewed(self.metrics["balance"]["skew"])

    @property
    def balance(self) -> Balance:
        """What was done about that. Other than for "none", probabilities take all classes to be equally common."""
        return cast(Balance, self.metrics["balance"]["kind"])

    def score(self, scores: dict[str, Any], name: str) -> Any:
        """A measure that is to be read in the world that the probabilities are meant for: as it is or balanced."""
        return scores[name if self.balance == "none" else f"balanced_{name}"]

    @property
    def labels(self) -> tuple[str, ...]:
        return self.manifest.labels

    def image(self, name: str) -> ImageFile | None:
        """An image of the data; None where it is gone."""
        return self.files.get(name) or image_at(Path(self.manifest.data.root), name)

    @property
    def name(self) -> str:
        """What the images' folder is called, whichever system's slashes its path has."""
        return re.split(r"[/\\]", self.manifest.data.root.rstrip("/\\"))[-1] or "images"


def read_evidence(folder: Path, manifest: Manifest) -> Evidence:
    """Read a run's files.

    Raises:
        RunError: one is missing or isn't as `train` writes it.
    """
    try:
        return Evidence(
            manifest=manifest,
            metrics=json.loads((folder / METRICS).read_text(encoding="utf-8")),
            predictions=READERS[manifest.task.kind](folder / PREDICTIONS, manifest.labels),
            quarantined=tuple(_read_quarantine(folder / QUARANTINE)),
            part_counts=Counter(_labels_and_parts(folder / SPLIT, manifest)),
            changes=tuple(read_rows(folder / CHANGES)) if (folder / CHANGES).exists() else (),
        )
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise RunError(
            f"the files of the run {folder} can't be read for its report ({type(error).__name__}: {error})",
            "copy the whole run folder again, or train again",
        ) from error


def _read_predictions(path: Path, labels: tuple[str, ...]) -> Predictions:
    rows = list(read_rows(path))
    index = {label: number for number, label in enumerate(labels)}
    return Predictions(
        files=tuple(row["file"] for row in rows),
        labels=np.array([index[row["label"]] for row in rows], dtype=int),
        predicted=np.array([index[row["predicted"]] for row in rows], dtype=int),
        probabilities=np.array([[float(row[f"p:{label}"]) for label in labels] for row in rows]),
    )


def _read_labels(path: Path, labels: tuple[str, ...]) -> LabelPredictions:
    rows = list(read_rows(path))
    named = {column: [set(row[column].split(SEPARATOR)) for row in rows] for column in ("label", "predicted")}
    return LabelPredictions(
        files=tuple(row["file"] for row in rows),
        targets=np.array([[label in names for label in labels] for names in named["label"]]),
        given=np.array([[label in names for label in labels] for names in named["predicted"]]),
        probabilities=np.array([[float(row[f"p:{label}"]) for label in labels] for row in rows]),
    )


def _read_numbers(path: Path, labels: tuple[str, ...]) -> NumberPredictions:
    rows = list(read_rows(path))
    return NumberPredictions(
        files=tuple(row["file"] for row in rows),
        targets=np.array([float(row["label"]) for row in rows]),
        values=np.array([float(row["predicted"]) for row in rows]),
    )


READERS: dict[Task, Callable[[Path, tuple[str, ...]], AnyPredictions]] = {
    "classes": _read_predictions,
    "multi-label": _read_labels,
    "regression": _read_numbers,
}


def _labels_and_parts(path: Path, manifest: Manifest) -> Iterator[tuple[str, str]]:
    for row in read_placed(path):
        several = manifest.task.kind == "multi-label"
        for label in row.label.split(SEPARATOR) if several else [row.label]:
            yield label, row.part


def _read_quarantine(path: Path) -> Iterator[QuarantinedFile]:
    for row in read_rows(path):
        yield QuarantinedFile(row["file"], row["reason"], int(row["bytes"]))
