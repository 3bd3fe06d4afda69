"""What fine-tuning brings over the probe, and what decides whether it is kept, on the ELPV solar cells.

    python benchmarks/finetune.py

EfficientNet-Lite0, on the divisions of `benchmarks/probe.py`. Each seed fine-tunes from the stage that `headstart
train` takes and, with as many epochs, from the one below it. On images held out: accuracy and log loss of the probe and
of both networks, their temperatures fitted on validation. On validation: the p-value of the paired test on plain images
alone, and on all their views.

Expect about one point of accuracy from either stage, a smaller log loss from the one below in three to four times the
time, and more gains found with views. Half an hour on two cores.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from probe import BASE, SEEDS, divide, images
from recording import record, spread

from headstart.evaluation.calibration import softmax
from headstart.evaluation.comparison import SIGNIFICANCE, compare_paired
from headstart.evaluation.metrics import accuracy, log_loss
from headstart.features.boundary import suffix
from headstart.features.extract import FeatureSet, extract
from headstart.features.store import Store
from headstart.images.views import PLAIN, make_views
from headstart.learn.base_features import BaseFeatures
from headstart.learn.decide import Candidate
from headstart.learn.finetune import FineTuned, Recipe, finetune
from headstart.learn.labelled import Labelled
from headstart.learn.probe import fit_probe

VIEWS = make_views("flips", 4, seed=0)
EPOCHS = 15
STAGES = {"finetuned": BASE.stages[-2], "finetuned_a_stage_deeper": BASE.stages[-3]}


def main() -> None:
    """Computes all features once, measures every seed and records it."""
    paths, labels, strata = images()
    with tempfile.TemporaryDirectory(prefix="headstart-finetune-") as made, Store(Path(made)) as store:
        base = BaseFeatures(BASE, store)
        digests = extract(paths, base.pooled("f32")).digests
        for stage in STAGES.values():
            extract(paths, base.at(stage, "f32"), VIEWS)
        everything = Labelled([digests[path] for path in paths], labels)
        rows = [measure(store, everything, divide(seed, labels, strata), seed) for seed in SEEDS]
    record("finetune", {"command": "python benchmarks/finetune.py", "seeds": list(SEEDS), **summary(rows)})


def measure(store: Store, images: Labelled, division: tuple[np.ndarray, ...], seed: int) -> dict[str, Any]:
    """One division: the probe, and what is fine-tuned from it at both stages."""
    train, validation, held_out = (part(images, places) for places in division)
    pooled = BaseFeatures(BASE, store).pooled("f32")
    probe = fit_probe(vectors(pooled, train), train.labels, 2, seed)
    calibrated = Candidate.of(probe.logits(vectors(pooled, validation)), validation.labels)
    found: dict[str, Any] = {"probe": scores(calibrated, probe.logits(vectors(pooled, held_out)), held_out)}
    for kind, stage in STAGES.items():
        base = BaseFeatures(BASE, store)  # fine-tuning changes its layers
        features = base.at(stage, "f32")
        start = time.perf_counter()
        tuned = finetune(
            base.model, Recipe(stage, VIEWS, EPOCHS, BASE.detail, seed=seed), features, probe, train, validation
        )
        seconds = time.perf_counter() - start
        logits = predict(tuned, stage, features, held_out)
        challenger = Candidate.of(tuned.validation_logits[0], validation.labels, tuned.validation_logits[1:])
        incumbent = Candidate.of(tuned.start_logits[0], validation.labels, tuned.start_logits[1:])
        found[kind] = {
            **scores(challenger, logits, held_out),
            "p_on_plain_images": p_value(replace(incumbent, more=()), replace(challenger, more=()), seed),
            "p_on_views": p_value(incumbent, challenger, seed),
            "seconds": seconds,
        }
    return found


def part(images: Labelled, places: np.ndarray) -> Labelled:
    """Those of the images."""
    return Labelled([images.digests[place] for place in places], images.labels[places])


def vectors(pooled: FeatureSet, images: Labelled) -> np.ndarray:
    """Pooled features of the plain images, shape (images, features)."""
    return pooled.load([(digest, PLAIN) for digest in images.digests])


def predict(tuned: FineTuned, stage: str, features: FeatureSet, images: Labelled) -> np.ndarray:
    """Logits of images that a network hasn't seen, from their features at the cut."""
    inputs = vectors(features, images).astype(np.float32)
    return np.asarray(suffix(tuned.model, stage).predict(inputs, batch_size=64, verbose=0))


def scores(candidate: Candidate, logits: np.ndarray, images: Labelled) -> dict[str, float]:
    """Accuracy and log loss, with the temperature of the candidate."""
    probabilities = softmax(logits, candidate.temperature)
    return {"accuracy": accuracy(probabilities, images.labels), "log_loss": log_loss(probabilities, images.labels)}


def p_value(incumbent: Candidate, challenger: Candidate, seed: int) -> float:
    """Of the paired test that decides."""
    return compare_paired(incumbent.losses(), challenger.losses(), seed).p_value


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The spread of every figure over the seeds, and how often each form of the test finds a gain."""
    found = {kind: {name: spread([row[kind][name] for row in rows]) for name in rows[0][kind]} for kind in rows[0]}
    for kind in STAGES:
        for form in ("p_on_plain_images", "p_on_views"):
            found[kind][f"gains_found_by_{form}"] = sum(row[kind][form] < SIGNIFICANCE for row in rows)
    return found


if __name__ == "__main__":
    main()
