"""What the report and the card say where any number of labels may apply to an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from markupsafe import Markup

from headstart.data.labels import written
from headstart.evaluation.metrics import ReliabilityBin, expected_calibration_error, reliability
from headstart.evaluation.multi_label import FEWEST_POSITIVES, log_losses, precision_recall
from headstart.report import findings
from headstart.report.charts import precision_recall_chart, reliability_chart
from headstart.report.evidence import LabelPredictions
from headstart.report.findings import FEW_IMAGES_OF_A_CLASS, FEW_TEST_IMAGES, Finding, Tone
from headstart.report.pictures import MOST_PICTURES, Picture, picture
from headstart.report.story import Column, Line, Story
from headstart.report.wording import counted, interval, percent, quoted, tidy

MOST_LABELS_OPEN = 30
MOST_CURVES = 9
# Of a label's average precision beyond what chance gives, as a share of what there is to gain.
STRONG_LABEL, WEAK_LABEL = 0.6, 0.3
MEASURES = {
    "mean_average_precision": (
        "Mean average precision",
        "how purely images with a label come first when sorted by its probability, averaged over labels",
    ),
    "micro_f1": ("Micro F1", "balance of finding labels and not giving them wrongly, over all answers together"),
    "macro_f1": ("Macro F1", "the same for each label, averaged over labels"),
    "exact_match": ("All labels right", "share of images with neither a label too many nor one too few"),
    "hamming_loss": ("Wrong answers", "share of all yes-or-no answers that are wrong (Hamming loss); lower is better"),
}


@dataclass(frozen=True)
class LabelRow:
    """A label's line in the table: images that have it, and its scores; no average precision without test images."""

    label: str
    train: int
    test: int
    average_precision: float | None
    threshold: float
    precision: float
    recall: float


class LabelStory(Story):
    """Any number of labels an image."""

    template = "labels.html"
    title = "an image classifier for several labels"
    first_sections = (("measures", "Measures"), ("labels", "Labels"), ("confidence", "Confidence"))
    last_sections = (("mistakes", "Mistakes"),)
    printed = "prediction.labels, prediction.probabilities"
    counted = "Label"
    meaning = (
        "The labels are those whose probability reaches their threshold, which was chosen on the validation images; so "
        "was the temperature that the probabilities are calibrated by."
    )

    @property
    def _predictions(self) -> LabelPredictions:
        return cast(LabelPredictions, self.evidence.predictions)

    @property
    def _per_label(self) -> dict[str, Any]:
        return dict(self.evidence.test["per_label"])

    @property
    def purpose(self) -> str:
        labels = counted(len(self.evidence.labels), "label")
        return f"says which of {labels} apply to an image: {findings.class_names(self.evidence)}"

    @property
    def verdict(self) -> str:
        test = self.evidence.test
        exact = f"{percent(test['exact_match'])} (95\u00a0% interval {interval(*test['exact_match_ci95'])})"
        return (
            f"On {counted(test['n'], 'image')} it had never seen, this classifier reached a mean average precision of "
            f"{percent(test['mean_average_precision'])} (95\u00a0% interval "
            f"{interval(*test['mean_average_precision_ci95'])}), and gave exactly the right labels to {exact} of them."
        )

    @property
    def headline(self) -> str:
        return percent(self.evidence.test["mean_average_precision"])

    @property
    def headline_note(self) -> str:
        return "mean average precision"

    @property
    def findings(self) -> list[Finding]:
        bins, probabilities, answers = self._reliability
        gap = expected_calibration_error(probabilities, answers)
        right = float((probabilities.argmax(axis=1) == answers).mean())
        found = [self._against_chance(), self._weakest(), findings.how_believable(bins, gap, right)]
        few = self.evidence.test["n"] < FEW_TEST_IMAGES
        return found + ([findings.few_images(self.evidence.test)] if few else [])

    @property
    def lines(self) -> list[Line]:
        test = self.evidence.test
        lines = [
            Line(name, meaning, percent(test[key]), interval(*test[f"{key}_ci95"]))
            for key, (name, meaning) in MEASURES.items()
        ]
        low, high = test["log_loss_ci95"]
        surprise = "surprise at the right answer, in nats an answer; lower is better"
        return [*lines, Line("Log loss", surprise, f"{test['log_loss']:.3f}", f"{low:.3f} to {high:.3f}")]

    @property
    def limits(self) -> list[str]:
        first, *others = findings.common_limits(self.evidence)
        rough = [label for label, score in self._per_label.items() if score["images"] < FEW_IMAGES_OF_A_CLASS]
        told = [first, "It knows of no other labels than these, whatever else an image shows.", *others]
        if not rough:
            return told
        have = f"{counted(len(rough), 'label has', 'labels have')} fewer than {FEW_IMAGES_OF_A_CLASS} test images"
        return [*told, f"{have}, so what is said of them one by one is rough."]

    @property
    def columns(self) -> Sequence[Column]:
        return (
            Column("Mean average precision", "mean_average_precision", percent),
            Column("Micro F1", "micro_f1", percent),
            Column("Macro F1", "macro_f1", percent),
            Column("All labels right", "exact_match", percent),
            Column("Log loss", "log_loss", "{:.3f}".format),
        )

    @property
    def loss_name(self) -> str:
        return "log loss"

    @property
    def loss_unit(self) -> str:
        return " nats"

    @property
    def curve(self) -> Column:
        return Column("Mean average precision", "validation_mean_average_precision", percent)

    @property
    def curves_note(self) -> str:
        return ""

    @property
    def settings(self) -> list[tuple[str, str]]:
        thresholds = ", ".join(f"{tidy(row.label)} {row.threshold:.3f}" for row in self._rows)
        return [("Temperature", f"{self.evidence.manifest.temperature:.3f}"), ("Thresholds", thresholds)]

    def facts(self) -> dict[str, Any]:
        bins, _, _ = self._reliability
        return {
            "label_rows": self._rows,
            "most_labels_open": MOST_LABELS_OPEN,
            "fewest_positives": FEWEST_POSITIVES,
            "curves_of_labels": self._curves(),
            "more_labels": max(len(self._rows) - MOST_CURVES, 0),
            "reliability_bins": bins,
            "reliability_chart": reliability_chart(bins),
            "mistakes": self._mistakes(),
        }

    @cached_property
    def _rows(self) -> list[LabelRow]:
        """The weakest label first, and last what no test image shows."""
        rows = [
            LabelRow(
                tidy(label),
                self.evidence.part_counts[label, "train"],
                score["images"],
                score["average_precision"],
                score["threshold"],
                score["precision"],
                score["recall"],
            )
            for label, score in self._per_label.items()
        ]
        return sorted(rows, key=lambda row: 2.0 if row.average_precision is None else row.average_precision)

    @cached_property
    def _reliability(self) -> tuple[list[ReliabilityBin], np.ndarray, np.ndarray]:
        """Every yes-or-no answer by how sure it was; the probabilities of no and yes, and which of them is true."""
        yes = self._predictions.probabilities.ravel()
        answers = self._predictions.targets.ravel().astype(int)
        probabilities = np.stack([1 - yes, yes], axis=1)
        return reliability(probabilities, answers), probabilities, answers

    def _curves(self) -> list[tuple[str, str, Markup]]:
        """Of the weakest labels the precision–recall curve, with the label's name and its average precision."""
        shown = []
        for row in self._rows[:MOST_CURVES]:
            if row.average_precision is not None:
                place = [tidy(label) for label in self.evidence.labels].index(row.label)
                targets = self._predictions.targets[:, place]
                precision, recall = precision_recall(self._predictions.probabilities[:, place], targets)
                share = float(targets.mean())
                chart = precision_recall_chart(precision, recall, (row.recall, row.precision), share, f"pr{place}")
                shown.append((row.label, percent(row.average_precision), chart))
        return shown

    def _mistakes(self) -> list[Picture]:
        """Images with a wrong answer, those that were the greatest surprise first."""
        predictions, labels = self._predictions, self.evidence.labels
        wrong = (predictions.given != predictions.targets).sum(axis=1)
        losses = np.where(wrong > 0, log_losses(predictions.probabilities, predictions.targets), -1)
        order = [i for i in np.argsort(-losses, kind="stable") if wrong[i]][:MOST_PICTURES]
        return [
            picture(
                self.evidence,
                predictions.files[i],
                self._in_words(predictions.targets[i], labels),
                self._in_words(predictions.given[i], labels),
                f"{counted(int(wrong[i]), 'wrong answer')}",
                is_right=False,
            )
            for i in order
        ]

    @staticmethod
    def _in_words(row: np.ndarray, labels: Sequence[str]) -> str:
        named = tuple(label for label, has in zip(labels, row, strict=True) if has)
        return written(named).replace("|", ", ") or "none"

    def _against_chance(self) -> Finding:
        test = self.evidence.test
        present = [score["images"] / test["n"] for score in self._per_label.values() if score["images"]]
        chance = float(np.mean(present))
        start = (
            f"Sorting images by chance would reach a mean average precision of {percent(chance)}, the mean share of "
            "images with a label"
        )
        if test["mean_average_precision"] <= chance:
            return Finding("Better than guessing?", f"No. {start}, and this classifier does no better.", "poor")
        if test["mean_average_precision_ci95"][0] <= chance:
            return Finding("Better than guessing?", f"Perhaps. {start}, which is within its interval.", "fair")
        gained = (test["mean_average_precision"] - chance) / (1 - chance)
        much = f"This classifier gains {percent(gained)} of what there is to gain."
        return Finding("Better than guessing?", f"Yes. {start}. {much}", "good")

    def _weakest(self) -> Finding:
        scores = {label: score for label, score in self._per_label.items() if score["images"]}
        label = min(scores, key=lambda label: scores[label]["average_precision"])
        score, share = scores[label], scores[label]["images"] / self.evidence.test["n"]
        gained = (score["average_precision"] - share) / (1 - share) if share < 1 else 1.0
        tone: Tone = "good" if gained >= STRONG_LABEL else "fair" if gained >= WEAK_LABEL else "poor"
        rough = " With so few images that is a rough figure." if score["images"] < FEW_IMAGES_OF_A_CLASS else ""
        answer = (
            f"{quoted(label)}: average precision {percent(score['average_precision'])}, where chance gives "
            f"{percent(share)}. Of its {counted(score['images'], 'test image')}, {percent(score['recall'])} were "
            f"found; of those it was given to, {percent(score['precision'])} have it.{rough}"
        )
        return Finding("Its weakest label?", answer, tone)
