from __future__ import annotations

import json
import math
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.run import Run
from headstart.workflow.account import test_metrics as measure  # under its own name, pytest would collect it

Rows = list[dict[str, str]]
ReadTable = Callable[[Path], Rows]
MEASURES = {"accuracy", "balanced_accuracy", "macro_f1", "log_loss", "ece", "n"}


def test_metrics_hold_all_that_is_promised(trained: Run) -> None:
    metrics = trained.metrics
    parts = {
        "chosen",
        "test",
        "probe",
        "finetune",
        "comparison",
        "balance",
        "views",
        "audit",
        "earlier",
        "seconds",
        "features",
    }
    assert set(metrics) == parts
    assert metrics["test"].keys() >= MEASURES | {"accuracy_ci95", "per_class", "confusion"}
    assert metrics["probe"].keys() >= MEASURES | {"strength", "folds"}
    assert metrics["seconds"].keys() >= {"total", "decode", "features", "probe", "finetune", "evaluate"}
    assert metrics["features"].keys() == {"computed", "reused"}
    assert (metrics["chosen"], metrics["finetune"], metrics["comparison"]) == ("probe", None, None)


def test_every_measure_is_within_its_range(trained: Run) -> None:
    for part in ("test", "probe"):
        scores = trained.metrics[part]
        assert all(0 <= scores[name] <= 1 for name in ("accuracy", "balanced_accuracy", "macro_f1", "ece"))
        assert 0 < scores["log_loss"] < 5
    test = trained.metrics["test"]
    low, high = test["accuracy_ci95"]
    assert 0 <= low <= test["accuracy"] <= high <= 1
    assert low < high


def test_the_parts_add_up(trained: Run) -> None:
    test, split = trained.metrics["test"], trained.manifest.split.images
    assert (test["n"], trained.metrics["probe"]["n"]) == (split["test"], split["validation"])
    assert sum(split.values()) == sum(trained.manifest.data.images.values()) == 72
    assert np.sum(test["confusion"]) == test["n"]
    assert np.trace(test["confusion"]) / test["n"] == pytest.approx(test["accuracy"])
    assert [scores["images"] for scores in test["per_class"].values()] == np.sum(test["confusion"], axis=1).tolist()
    assert list(test["per_class"]) == list(trained.labels)


def test_the_log_loss_is_that_of_the_probabilities_that_are_written(trained: Run, table: ReadTable) -> None:
    rows = table(trained.folder / "predictions.csv")
    losses = [-math.log(max(float(row[f"p:{row['label']}"]), 1e-12)) for row in rows]
    assert trained.metrics["test"]["log_loss"] == pytest.approx(np.mean(losses), rel=1e-3)


def test_times_are_told_and_within_the_total(trained: Run) -> None:
    seconds = trained.metrics["seconds"]
    assert all(value >= 0 for value in seconds.values())
    assert seconds["decode"] > 0
    assert seconds["features"] > 0
    stages = [
        seconds[stage]
        for stage in ("prepare", "features", "probe", "finetune", "evaluate", "report")
        if stage in seconds
    ]
    assert sum(stages) <= seconds["total"] + 0.01
    assert seconds["finetune"] == 0


def test_a_perfect_classifier_scores_one_everywhere() -> None:
    labels = np.array([0, 1, 1, 0])
    found: dict[str, Any] = measure(np.eye(2)[labels], labels, ("cat", "dog"), seed=0)
    assert (found["accuracy"], found["balanced_accuracy"], found["macro_f1"], found["n"]) == (1, 1, 1, 4)
    assert found["accuracy_ci95"] == [1, 1]
    assert found["confusion"] == [[2, 0], [0, 2]]
    assert found["per_class"]["dog"] == {"images": 2, "precision": 1, "recall": 1, "f1": 1}
    json.dumps(found, allow_nan=False)


def test_measures_of_a_part_that_lacks_a_class_are_numbers_still() -> None:
    labels = np.array([0, 0, 0])
    found = measure(np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), labels, ("cat", "dog"), seed=0)
    assert found["balanced_accuracy"] == pytest.approx(2 / 3)
    assert found["per_class"]["dog"] == {"images": 0, "precision": 0, "recall": 0, "f1": 0}
    json.dumps(found, allow_nan=False)


def test_the_manifest_tells_what_the_run_is(trained: Run, photos: Path) -> None:
    manifest = trained.manifest
    assert (manifest.format, manifest.headstart) == (1, version("headstart"))
    assert (manifest.base.name, manifest.base.weights) == ("untrained", "seed-0")
    assert manifest.data.root == str(photos)
    assert manifest.data.images == {"cat": 24, "dog": 24, "owl": 24}
    assert manifest.packages.keys() >= {"python", "headstart", "keras", "openvino", "tensorflow", "numpy"}
    assert manifest.packages["openvino"] == version("openvino")


def test_every_choice_has_a_reason(trained: Run) -> None:
    choices = {choice.what: choice for choice in trained.manifest.choices}
    assert set(choices) == {
        *("base", "features", "image size", "precision", "split", "class balance"),
        *("probe strength", "probe learns from", "classifier", "probe fitted to"),
    }
    assert all(choice.value and choice.reason for choice in choices.values())
    assert choices["classifier"].value == trained.metrics["chosen"] == trained.manifest.chosen
    assert "fewer than 50" in choices["classifier"].reason
    assert float(choices["probe strength"].value) == pytest.approx(trained.metrics["probe"]["strength"])


def test_report_and_model_card_are_there_and_name_the_classes(trained: Run) -> None:
    page = trained.report.read_text("utf-8")
    card = (trained.folder / "README.md").read_text("utf-8")
    for label in trained.labels:
        assert label in page
        assert label in card
    assert page.lstrip().lower().startswith("<!doctype html>")


def test_nothing_set_aside_is_an_empty_table(trained: Run) -> None:
    assert (trained.folder / "quarantine.csv").read_text("utf-8") == "file,reason,bytes\n"
