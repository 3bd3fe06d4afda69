"""What each thing that the probe is fitted to brings, on the ELPV solar cells: the choice was made with these figures.

    python benchmarks/probe.py

EfficientNet-Lite0. Each seed sets a quarter of the images aside, which `benchmarks/elpv.py` would test with and nothing
here looks at, and divides the rest 80 / 20, both stratified by grade and cell type; the seeds are none of that
benchmark's. Measured on the smaller part: the probe on the average of the last map, on the average and maximum of the
map below it as well, and that probe fitted again to four views, mirrored and upside down.

Expect accuracy to rise by about one point with the second map and hardly with the views, and log loss to fall by 0.02
and by another 0.004.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from recording import record, spread
from sklearn.model_selection import train_test_split

from headstart.catalog import get_base
from headstart.evaluation.calibration import softmax
from headstart.evaluation.metrics import accuracy, log_loss
from headstart.features.extract import FeatureSet, extract
from headstart.features.store import Store
from headstart.images.views import PLAIN, make_views
from headstart.learn.base_features import BaseFeatures
from headstart.learn.probe import Probe, fit_probe, refit_probe

SEEDS = range(104, 110)
VIEWS = make_views("flips", 4, seed=0)
BASE = get_base("efficientnet-lite0")


def main() -> None:
    """Computes all features once, measures every seed and records it."""
    paths, labels, strata = images()
    with tempfile.TemporaryDirectory(prefix="headstart-probe-") as made, Store(Path(made)) as store:
        found = [pooled(BaseFeatures(base, store).pooled("f32"), paths) for base in (replace(BASE, detail=None), BASE)]
    last, both = found
    rows = [measure(seed, last, both, labels, strata) for seed in SEEDS]
    kinds = {kind: {name: spread([row[kind][name] for row in rows]) for name in rows[0][kind]} for kind in rows[0]}
    record("probe", {"command": "python benchmarks/probe.py", "seeds": list(SEEDS), **kinds})


def images() -> tuple[list[Path], np.ndarray, np.ndarray]:
    """The installed images, whether each is defective, and what divisions are stratified by."""
    source = Path(next(iter(find_spec("elpv_dataset").submodule_search_locations)), "data")
    rows = [line.split() for line in (source / "labels.csv").read_text(encoding="utf-8").splitlines()]
    labels = np.array([float(grade) > 0.5 for _, grade, _ in rows], np.int64)
    return [source / name for name, _, _ in rows], labels, np.array([f"{grade} {kind}" for _, grade, kind in rows])


def pooled(features: FeatureSet, paths: list[Path]) -> np.ndarray:
    """Pooled features of every view, shape (views, images, features)."""
    digests = extract(paths, features, VIEWS).digests
    return np.stack([features.load([(digests[path], view) for path in paths]) for view in VIEWS])


def measure(
    seed: int, last: np.ndarray, both: np.ndarray, labels: np.ndarray, strata: np.ndarray
) -> dict[str, dict[str, float]]:
    """One division: accuracy and log loss of the three probes."""
    kept, _ = train_test_split(np.arange(len(labels)), test_size=0.25, stratify=strata, random_state=seed)
    train, held_out = train_test_split(kept, test_size=0.2, stratify=strata[kept], random_state=seed)
    plain = VIEWS.index(PLAIN)
    of_last, of_both = (fit_probe(some[plain, train], labels[train], 2, seed) for some in (last, both))
    every_view = np.concatenate(both[:, train])
    of_views = refit_probe(of_both, every_view, np.tile(labels[train], len(VIEWS)), len(VIEWS))
    probes = {"last_map": (of_last, last), "both_maps": (of_both, both), "both_maps_and_views": (of_views, both)}
    return {kind: scores(probe, some[plain, held_out], labels[held_out]) for kind, (probe, some) in probes.items()}


def scores(probe: Probe, features: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy and log loss on images that a probe hasn't seen."""
    probabilities = softmax(probe.logits(features))
    return {"accuracy": accuracy(probabilities, labels), "log_loss": log_loss(probabilities, labels)}


if __name__ == "__main__":
    main()
