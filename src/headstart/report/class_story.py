"""What the report and the card say where each image has one class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from headstart.report import findings
from headstart.report.charts import measures_chart, reliability_chart
from headstart.report.confusion import Matrix, Pair, confused_pairs, matrix
from headstart.report.evidence import Predictions
from headstart.report.findings import Finding
from headstart.report.pictures import MOST_PICTURES, Picture, picture
from headstart.report.story import Column, Line, Story
from headstart.report.wording import counted, percent, tidy

MOST_CLASSES_OPEN = 30


@dataclass(frozen=True)
class ClassRow:
    """A class's line in the table: images to train on and to test with, and scores from 0 to 1."""

    label: str
    train: int
    test: int
    precision: float
    recall: float
    f1: float


class ClassStory(Story):
    """One class an image."""

    template = "classes.html"
    title = "an image classifier"
    first_sections = (("accuracy", "Accuracy"), ("confusion", "Confusion"), ("confidence", "Confidence"))
    last_sections = (("classes", "Classes"), ("mistakes", "Mistakes"), ("uncertain", "Uncertain"))
    printed = "prediction.label, prediction.confidence"
    counted = "Class"
    meaning = "The confidence was calibrated on the validation images; how far it can be believed is said below."

    @property
    def purpose(self) -> str:
        classes = counted(len(self.evidence.labels), "class", "classes")
        return f"sorts images into {classes}: {findings.class_names(self.evidence)}"

    @property
    def verdict(self) -> str:
        return findings.verdict(self.evidence)

    @property
    def headline(self) -> str:
        return percent(self.evidence.test["balanced_accuracy" if self.evidence.is_skewed else "accuracy"])

    @property
    def headline_note(self) -> str:
        return "balanced accuracy" if self.evidence.is_skewed else ""

    @property
    def findings(self) -> list[Finding]:
        return findings.findings(self.evidence)

    @property
    def lines(self) -> list[Line]:
        shares = findings.measures(self.evidence)
        score, test = self.evidence.score, self.evidence.test
        low, high = score(test, "log_loss_ci95")
        alike = "" if self.evidence.balance == "none" else ", with every class counting alike"
        counting = alike.replace("with ", "")
        return [
            *(Line(found.name, found.meaning, percent(found.value), found.interval) for found in shares),
            Line(
                "Log loss",
                f"surprise at the right answer, in nats{alike}; lower is better",
                f"{score(test, 'log_loss'):.3f}",
                f"{low:.3f} to {high:.3f}",
                f"Log loss (nats{counting})",
            ),
            Line(
                "Calibration error",
                f"mean gap between how sure it was and how often it was right{alike} (ECE, 15 bins)",
                percent(score(test, "ece")),
                "–",
                f"Expected calibration error{counting}",
            ),
        ]

    @property
    def limits(self) -> list[str]:
        return findings.limits(self.evidence)

    @property
    def columns(self) -> Sequence[Column]:
        balanced = "" if self.evidence.balance == "none" else "balanced_"
        return (
            Column("Accuracy", "accuracy", percent),
            Column("Balanced accuracy", "balanced_accuracy", percent),
            Column("Macro F1", "macro_f1", percent),
            Column("Balanced log loss" if balanced else "Log loss", f"{balanced}log_loss", "{:.3f}".format),
            Column("Calibration error", f"{balanced}ece", percent),
        )

    @property
    def loss_name(self) -> str:
        return "log loss" if self.evidence.balance == "none" else "balanced log loss"

    @property
    def loss_unit(self) -> str:
        return " nats"

    @property
    def curve(self) -> Column:
        name = "Accuracy" if self.evidence.balance == "none" else "Balanced accuracy"
        return Column(name, "validation_accuracy", percent)

    @property
    def curves_note(self) -> str:
        if self.evidence.balance == "none":
            return ""
        if self.evidence.balance == "logits":
            return (
                "The training loss is that of images as they come, and the validation loss that of classes that count "
                "alike, so only the shapes of the two curves can be compared."
            )
        return "Every class counts alike in these curves."

    @property
    def settings(self) -> list[tuple[str, str]]:
        return [("Temperature", f"{self.evidence.manifest.temperature:.3f}")]

    def facts(self) -> dict[str, Any]:
        measures = findings.measures(self.evidence)
        bins = findings.reliability_bins(self.evidence)
        counts = np.array(self.evidence.test["confusion"])
        table: Matrix | None = matrix(self.evidence.labels, counts)
        pairs: list[Pair] = confused_pairs(self.evidence.labels, counts)
        return {
            "measures_chart": measures_chart(measures),
            "reliability_bins": bins,
            "reliability_chart": reliability_chart(bins),
            "class_rows": self._rows(),
            "most_classes_open": MOST_CLASSES_OPEN,
            "matrix": table,
            "pairs": pairs,
            **self._pictures(),
        }

    def _rows(self) -> list[ClassRow]:
        """The weakest class first."""
        rows = [
            ClassRow(
                tidy(label),
                self.evidence.part_counts[label, "train"],
                score["images"],
                score["precision"],
                score["recall"],
                score["f1"],
            )
            for label, score in self.evidence.test["per_class"].items()
        ]
        return sorted(rows, key=lambda row: row.recall)

    def _pictures(self) -> dict[str, list[Picture]]:
        predictions = cast(Predictions, self.evidence.predictions)
        order = sorted(range(len(predictions.files)), key=lambda i: (predictions.confidence[i], predictions.files[i]))
        wrong = [i for i in reversed(order) if predictions.predicted[i] != predictions.labels[i]]
        return {
            "mistakes": self._picture_each(wrong[:MOST_PICTURES]),
            "uncertain": self._picture_each(order[:MOST_PICTURES]),
        }

    def _picture_each(self, numbers: Iterable[int]) -> list[Picture]:
        predictions, labels = cast(Predictions, self.evidence.predictions), self.evidence.labels
        return [
            picture(
                self.evidence,
                predictions.files[i],
                labels[predictions.labels[i]],
                labels[predictions.predicted[i]],
                f"{percent(float(predictions.confidence[i]))} sure",
                is_right=bool(predictions.predicted[i] == predictions.labels[i]),
            )
            for i in numbers
        ]
