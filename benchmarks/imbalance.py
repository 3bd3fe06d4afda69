"""What can be done about classes of unequal size, on the ELPV solar cells with the defective ones thinned out.

    python benchmarks/imbalance.py

EfficientNet-Lite0, the probe alone. Each seed sets a quarter of the images aside to test with, stratified by grade and
cell type and left whole. Of the others, defective cells are taken out at random until there are 5, 10 or 20 times as
many functional ones; the task of telling the four grades apart is skewed by itself. Measured on the test part are
accuracy, balanced accuracy and macro F1 of the probe as it is, with class weights, with logit adjustment, and with
whatever `--balance auto` chooses by cross-validation; for comparison, with the largest class as the answer to all.

Expect logit adjustment to be chosen throughout, and to raise balanced accuracy by 7, 11 and 14 points as the skew grows
and by 9 with the grades, in every division. Accuracy rises by up to 2 points where only the training images are
thinned out, since the test part is less skewed than they are; with the grades, where it is as skewed, it falls by 12.
Class weights come within 3 points of balanced accuracy, and are up to 2 better in accuracy. Ten minutes on two cores
that others compute on too, with OPENBLAS_NUM_THREADS=1, without which waiting threads took most of the time there.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from probe import BASE, images, pooled
from recording import record, spread
from sklearn.model_selection import train_test_split

from headstart.evaluation.calibration import softmax
from headstart.evaluation.metrics import accuracy, balanced_accuracy, macro_f1
from headstart.features.store import Store
from headstart.learn.base_features import BaseFeatures
from headstart.learn.imbalance import TRIED
from headstart.learn.probe import fit_probe

SEEDS = range(5)
SKEWS = (5, 10, 20)
MEASURES = {"accuracy": accuracy, "balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}


def main() -> None:
    """Computes all features once, measures every task and seed and records it."""
    paths, defective, strata = images()
    with tempfile.TemporaryDirectory(prefix="headstart-imbalance-") as made, Store(Path(made)) as store:
        features = pooled(BaseFeatures(BASE, store).pooled("f32"), paths)
    tasks = {f"defective_1_to_{skew}": (defective, skew) for skew in SKEWS} | {"four_grades": (grades(), None)}
    found = {task: of_task(features, labels, strata, skew) for task, (labels, skew) in tasks.items()}
    record("imbalance", {"command": "python benchmarks/imbalance.py", "seeds": list(SEEDS), **found})


def grades() -> np.ndarray:
    """How bad each cell is, from 0 to 3."""
    source = Path(next(iter(find_spec("elpv_dataset").submodule_search_locations)), "data")
    lines = (source / "labels.csv").read_text(encoding="utf-8").splitlines()
    return np.array([round(3 * float(line.split()[1])) for line in lines], np.int64)


def of_task(features: np.ndarray, labels: np.ndarray, strata: np.ndarray, skew: int | None) -> dict[str, Any]:
    """The spread over the seeds of what is measured, and how often each remedy was chosen."""
    rows = [measure(seed, features, labels, strata, skew) for seed in SEEDS]
    kinds = [kind for kind in rows[0] if kind not in ("chosen", "skew", "training_images")]
    return {
        "training_images": rows[0]["training_images"],
        "skew": spread([row["skew"] for row in rows]),
        "chosen": dict(Counter(row["chosen"] for row in rows)),
        **{kind: {name: spread([row[kind][name] for row in rows]) for name in MEASURES} for kind in kinds},
    }


def measure(
    seed: int, features: np.ndarray, labels: np.ndarray, strata: np.ndarray, skew: int | None
) -> dict[str, Any]:
    """One division."""
    kept, test = train_test_split(np.arange(len(labels)), test_size=0.25, stratify=strata, random_state=seed)
    train = kept if skew is None else thinned(kept, labels, skew, seed)
    counts = np.bincount(labels[train])
    auto = fit_probe(features[train], labels[train], len(counts), seed, balance="auto")
    probes = {
        kind: fit_probe(features[train], labels[train], len(counts), seed, balance=kind)
        for kind in TRIED
        if kind != auto.balancing.kind
    }
    probes |= {auto.balancing.kind: auto, "auto": auto}  # the very same as if it had been asked for
    always = np.tile(np.eye(len(counts))[counts.argmax()], (len(test), 1))
    return {
        "training_images": counts.tolist(),
        "skew": auto.balancing.skew,
        "chosen": auto.balancing.kind,
        **{kind: scores(softmax(probes[kind].logits(features[test])), labels[test]) for kind in (*TRIED, "auto")},
        "largest_class": scores(always, labels[test]),
    }


def thinned(places: np.ndarray, labels: np.ndarray, skew: int, seed: int) -> np.ndarray:
    """The places of all functional cells, and of so few defective ones."""
    functional, defective = (places[labels[places] == label] for label in (0, 1))
    few = np.random.default_rng(seed).choice(defective, round(len(functional) / skew), replace=False)
    return np.concatenate([functional, few])


def scores(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Every measure."""
    return {name: measure(probabilities, labels) for name, measure in MEASURES.items()}


if __name__ == "__main__":
    main()
