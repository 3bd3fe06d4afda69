"""What is settled on validation images where labels or numbers are predicted, on the ELPV solar cells.

    python benchmarks/kinds.py

EfficientNet-Lite0, and divisions as in `benchmarks/probe.py`, of which this takes images and features. The number is a
cell's grade, 0 to 1. Measured on held-out images: R² and mean absolute error of the probe, and the share of images that
its interval holds, meant to be 90 %; then the same for the probe fitted once more to training and validation images
together, with the width that the first one had on validation images. The labels are defective (a grade above 0.5),
doubtful (neither 0 nor 1) and mono (the cell's type). Measured: mean average precision, and macro F1 with thresholds of
0.5 and with those that validation images choose.

Expect about 90 % to be held either way, 87 to 95 % in single divisions, and an R² of 0.53 that rises by less than 0.01
with the validation images; and a macro F1 that thresholds take from 68 to 74 %, since few cells are so surely doubtful
that 0.5 would do, at the cost of six points of images with all labels right.
"""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from probe import BASE, divide, images, pooled
from recording import record, spread

from headstart.evaluation.regression import covered
from headstart.features.store import Store
from headstart.learn.base_features import BaseFeatures
from headstart.learn.decide import Candidate
from headstart.learn.kinds import MultiLabel, Regression
from headstart.learn.probe import Probe, fit_probe, refit_probe

SEEDS = range(104, 114)
NAMES = ("defective", "doubtful", "mono")


def main() -> None:
    """Computes all features once, measures every seed and records it."""
    paths, labels, strata = images()
    with tempfile.TemporaryDirectory(prefix="headstart-kinds-") as made, Store(Path(made)) as store:
        features = pooled(BaseFeatures(BASE, store).pooled("f32"), paths)[0]
    grades, tags = targets()
    rows = []
    for seed in SEEDS:
        parts = divide(seed, labels, strata)
        rows.append(numbers(seed, features, grades, parts) | several_labels(seed, features, tags, parts))
    found = {what: {name: spread([row[what][name] for row in rows]) for name in rows[0][what]} for what in rows[0]}
    record("kinds", {"command": "python benchmarks/kinds.py", "seeds": list(SEEDS), **found})


def targets() -> tuple[np.ndarray, np.ndarray]:
    """Each cell's grade, and its labels as 0 or 1."""
    source = Path(next(iter(find_spec("elpv_dataset").submodule_search_locations)), "data")
    rows = [line.split() for line in (source / "labels.csv").read_text(encoding="utf-8").splitlines()]
    grades = np.array([float(grade) for _, grade, _ in rows])
    mono = np.array([kind == "mono" for *_, kind in rows])
    return grades, np.stack([grades > 0.5, (grades > 0) & (grades < 1), mono], axis=1).astype(np.float32)


def numbers(seed: int, features: np.ndarray, grades: np.ndarray, parts: tuple[np.ndarray, ...]) -> dict[str, Any]:
    """One division: the probe that validation images are kept from, and the one that they aren't."""
    train, validation, held_out = parts
    kind = Regression.of(grades[train], ("grade",))
    probe = fit_probe(features[train], grades[train], 1, seed, kind=kind)
    settled = Candidate.of(probe.logits(features[validation]), grades[validation], kind=kind).kind
    known = np.concatenate([train, validation])
    again = refit_probe(probe, features[known], grades[known])
    return {
        "grade": number_scores(probe, settled, features[held_out], grades[held_out]),
        "grade_validation_images_too": number_scores(again, settled, features[held_out], grades[held_out]),
    }


def number_scores(probe: Probe, kind: Regression, features: np.ndarray, grades: np.ndarray) -> dict[str, float]:
    """R², mean absolute error and coverage on images that a probe hasn't seen."""
    predictions = kind.predict(probe.logits(features))
    scores = kind.score(predictions, grades)
    held = covered(predictions, grades, kind.half_width)
    return {"r2": scores["r2"], "mae": scores["mae"], "covered": held, "half_width": kind.half_width}


def several_labels(seed: int, features: np.ndarray, tags: np.ndarray, parts: tuple[np.ndarray, ...]) -> dict[str, Any]:
    """One division: the probe with thresholds of 0.5, and with those that were chosen."""
    train, validation, held_out = parts
    kind = MultiLabel.of(tags[train], NAMES)
    probe = fit_probe(features[train], tags[train], len(NAMES), seed, kind=kind)
    candidate = Candidate.of(probe.logits(features[validation]), tags[validation], kind=kind)
    predictions = kind.predict(probe.logits(features[held_out]), candidate.temperature)
    usual, chosen = (found.score(predictions, tags[held_out]) for found in (kind, candidate.kind))
    return {
        "labels": {
            "mean_average_precision": chosen["mean_average_precision"],
            "macro_f1_at_half": usual["macro_f1"],
            "macro_f1": chosen["macro_f1"],
            "exact_match_at_half": usual["exact_match"],
            "exact_match": chosen["exact_match"],
        }
    }


if __name__ == "__main__":
    main()
