"""The report: facts are put into words and charts here, and into a page by `template.html` and `style.css`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from headstart.report import findings
from headstart.report.averaging import looks
from headstart.report.charts import accuracy_chart, loss_chart, measures_chart, reliability_chart
from headstart.report.confusion import Matrix, Pair, confused_pairs, matrix
from headstart.report.evidence import Evidence, QuarantinedFile
from headstart.report.thumbnails import thumbnail
from headstart.report.wording import counted, day, duration, file_size, percent, quoted, tidy

MOST_PICTURES = 12
MOST_QUARANTINED = 50
MOST_CLASSES_OPEN = 30
LONGEST_PATH, LONGEST_NAME = 96, 32
CANDIDATES = {"probe": "Probe", "finetune": "Fine-tuned"}
STAGES = {
    "prepare": "Preparing the base",
    "features": "Features",
    "probe": "Probe",
    "finetune": "Fine-tuning",
    "evaluate": "Evaluation",
}


@dataclass(frozen=True)
class Picture:
    """A test image with what it is and what was said of it; its data is None where the original is gone."""

    data: str | None
    file: str
    name: str
    label: str
    predicted: str
    confidence: str
    is_right: bool


@dataclass(frozen=True)
class ClassRow:
    """A class's line in the table: images to train on and to test with, and scores from 0 to 1."""

    label: str
    train: int
    test: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Stage:
    """A stage of the work: its time, and its share of the longest stage's, from 0 to 1."""

    name: str
    time: str
    share: float


def render_page(evidence: Evidence) -> str:
    """The report as HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("headstart", "report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "tidy": tidy,
        "path": _path,
        "quoted": quoted,
        "percent": percent,
        "file_size": file_size,
        "day": day,
    }
    return environment.get_template("template.html").render(_facts(evidence))


def _facts(evidence: Evidence) -> dict[str, Any]:
    return {
        "evidence": evidence,
        "manifest": evidence.manifest,
        "test": evidence.test,
        "counted": counted,
        "limits": findings.limits(evidence),
        **_summary(evidence),
        **_decision(evidence),
        **_scores(evidence),
        **_training(evidence),
        **_pictures(evidence),
        **_images(evidence),
        **_time(evidence),
    }


def _summary(evidence: Evidence) -> dict[str, Any]:
    return {
        "name": tidy(evidence.name),
        "classes": findings.class_names(evidence),
        "trained_on": findings.trained_on(evidence),
        "verdict": findings.verdict(evidence),
        "headline": percent(evidence.test["balanced_accuracy" if evidence.is_skewed else "accuracy"]),
        "findings": findings.findings(evidence),
    }


def _decision(evidence: Evidence) -> dict[str, Any]:
    """The two candidates on the validation part, where there were two."""
    metrics = evidence.metrics
    candidates = [(key, name, metrics[key]) for key, name in CANDIDATES.items() if metrics[key] is not None]
    return {
        "candidates": candidates,
        "chosen": metrics["chosen"],
        "comparison": metrics["comparison"],
        "looks": looks(evidence),
    }


def _scores(evidence: Evidence) -> dict[str, Any]:
    measures = findings.measures(evidence)
    bins = findings.reliability_bins(evidence)
    return {
        "measures": measures,
        "measures_chart": measures_chart(measures),
        "reliability_bins": bins,
        "reliability_chart": reliability_chart(bins),
        "class_rows": _class_rows(evidence),
        "most_classes_open": MOST_CLASSES_OPEN,
        **_confusion(evidence),
    }


def _confusion(evidence: Evidence) -> dict[str, Matrix | list[Pair] | None]:
    counts = np.array(evidence.test["confusion"])
    return {"matrix": matrix(evidence.labels, counts), "pairs": confused_pairs(evidence.labels, counts)}


def _class_rows(evidence: Evidence) -> list[ClassRow]:
    """The weakest class first."""
    rows = [
        ClassRow(
            tidy(label),
            evidence.part_counts[label, "train"],
            score["images"],
            score["precision"],
            score["recall"],
            score["f1"],
        )
        for label, score in evidence.test["per_class"].items()
    ]
    return sorted(rows, key=lambda row: row.recall)


def _training(evidence: Evidence) -> dict[str, Any]:
    finetune = evidence.metrics["finetune"]
    if finetune is None:
        return {"finetune": None, "no_training_reason": findings.no_training_reason(evidence)}
    history, best = finetune["history"], finetune["best_epoch"]
    name = "Accuracy" if evidence.balance == "none" else "Balanced accuracy"
    return {"finetune": finetune, "curves": [loss_chart(history, best), accuracy_chart(history, best, name)]}


def _pictures(evidence: Evidence) -> dict[str, list[Picture]]:
    predictions = evidence.predictions
    order = sorted(range(len(predictions.files)), key=lambda i: (predictions.confidence[i], predictions.files[i]))
    wrong = [i for i in reversed(order) if predictions.predicted[i] != predictions.labels[i]]
    return {
        "mistakes": _picture_each(evidence, wrong[:MOST_PICTURES]),
        "uncertain": _picture_each(evidence, order[:MOST_PICTURES]),
    }


def _picture_each(evidence: Evidence, numbers: Iterable[int]) -> list[Picture]:
    predictions, labels = evidence.predictions, evidence.labels
    root = Path(evidence.manifest.data.root)
    return [
        Picture(
            data=thumbnail(root, predictions.files[i]),
            file=tidy(predictions.files[i], LONGEST_PATH),
            name=tidy(PurePosixPath(predictions.files[i]).name, LONGEST_NAME),
            label=tidy(labels[predictions.labels[i]]),
            predicted=tidy(labels[predictions.predicted[i]]),
            confidence=percent(float(predictions.confidence[i])),
            is_right=bool(predictions.predicted[i] == predictions.labels[i]),
        )
        for i in numbers
    ]


def _images(evidence: Evidence) -> dict[str, list[QuarantinedFile] | int]:
    found = evidence.quarantined
    return {"quarantined": list(found[:MOST_QUARANTINED]), "quarantined_more": len(found[MOST_QUARANTINED:])}


def _time(evidence: Evidence) -> dict[str, Any]:
    seconds = evidence.metrics["seconds"]
    spent = {name: seconds[key] for key, name in STAGES.items() if seconds.get(key)}
    spent["The rest"] = max(seconds["total"] - sum(spent.values()), 0.0)
    longest = max(spent.values()) or 1.0
    return {
        "stages": [Stage(name, duration(time), time / longest) for name, time in spent.items()],
        "total_time": duration(seconds["total"]),
        "decode_time": duration(seconds["decode"]),
        "features": evidence.metrics["features"],
    }


def _path(text: str) -> str:
    return tidy(text, LONGEST_PATH)
