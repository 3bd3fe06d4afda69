"""What each thing that the probe is fitted to brings, on the ELPV solar cells: the choice was made with these figures.

    python benchmarks/probe.py

EfficientNet-Lite0. Each seed sets a quarter of the images aside, which `benchmarks/elpv.py` would test with and nothing
here looks at, and another fifth of the rest to measure on, both stratified by grade and cell type; the seeds are none
of that benchmark's. What remains is divided into training and validation images as `headstart train` would. Measured:
the probe on the average of the last map; on the average and maximum of the map below it as well; on that map's standard
deviation too; this one fitted again to the training and validation images together; the same averaged over an image's
four flips, as it is and fitted to flips, which is what `--test-views 4` does.

Expect accuracy to rise by about one point with the second map, and by a quarter each with its deviation and with the
validation images, and log loss to fall from 0.36 to 0.32; averaging to bring half a point
and hardly a smaller log loss by itself, and to a probe that is fitted to flips one and a half points and a log loss of
0.30.
"""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from recording import record, spread
from sklearn.model_selection import train_test_split

from headstart.catalog import get_base
from headstart.catalog.efficientnet_lite import HEAD_FILTERS
from headstart.evaluation.calibration import softmax
from headstart.evaluation.metrics import accuracy, log_loss
from headstart.features.extract import FeatureSet, extract
from headstart.features.store import Store
from headstart.images.views import make_views
from headstart.learn.base_features import BaseFeatures
from headstart.learn.probe import Probe, fit_probe, refit_probe

SEEDS = range(104, 114)
BASE = get_base("efficientnet-lite0")
VIEWS = make_views("flips", 4, seed=0)
# Of all images but those to test and to measure with.
VALIDATION_SHARE = 0.15 / 0.85


def main() -> None:
    """Computes all features once, measures every seed and records it."""
    paths, labels, strata = images()
    with tempfile.TemporaryDirectory(prefix="headstart-probe-") as made, Store(Path(made)) as store:
        features = pooled(BaseFeatures(BASE, store).pooled("f32"), paths)
    rows = [measure(seed, features, labels, strata) for seed in SEEDS]
    kinds = {kind: {name: spread([row[kind][name] for row in rows]) for name in rows[0][kind]} for kind in rows[0]}
    record("probe", {"command": "python benchmarks/probe.py", "seeds": list(SEEDS), **kinds})


def images() -> tuple[list[Path], np.ndarray, np.ndarray]:
    """The installed images, whether each is defective, and what divisions are stratified by."""
    source = Path(next(iter(find_spec("elpv_dataset").submodule_search_locations)), "data")
    rows = [line.split() for line in (source / "labels.csv").read_text(encoding="utf-8").splitlines()]
    labels = np.array([float(grade) > 0.5 for _, grade, _ in rows], np.int64)
    return [source / name for name, _, _ in rows], labels, np.array([f"{grade} {kind}" for _, grade, kind in rows])


def pooled(features: FeatureSet, paths: list[Path]) -> np.ndarray:
    """Pooled features of each flip, the plain view first, shape (views, images, features)."""
    digests = extract(paths, features, VIEWS).digests
    return np.stack([features.load([(digests[path], view) for path in paths]) for view in VIEWS])


def measure(seed: int, in_views: np.ndarray, labels: np.ndarray, strata: np.ndarray) -> dict[str, dict[str, float]]:
    """One division: accuracy and log loss of each probe."""
    train, validation, held_out = divide(seed, labels, strata)
    known, plain, found = np.concatenate([train, validation]), in_views[0], {}
    for kind, columns in kinds_of_features().items():
        probe = fit_probe(plain[np.ix_(train, columns)], labels[train], 2, seed)
        found[kind] = scores(probe, plain[None][np.ix_([0], held_out, columns)], labels[held_out])
    again = refit_probe(probe, plain[known], labels[known])  # the last kind has all columns
    flips = refit_probe(probe, np.concatenate(list(in_views[:, known])), np.tile(labels[known], len(VIEWS)))
    return found | {
        "validation_images_too": scores(again, plain[None, held_out], labels[held_out]),
        "averaged_over_flips": scores(again, in_views[:, held_out], labels[held_out]),
        "fitted_to_flips_and_averaged": scores(flips, in_views[:, held_out], labels[held_out]),
    }


def divide(seed: int, labels: np.ndarray, strata: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The places of the images to train on, to decide by and to measure with."""
    kept, _ = train_test_split(np.arange(len(labels)), test_size=0.25, stratify=strata, random_state=seed)
    known, held_out = train_test_split(kept, test_size=0.2, stratify=strata[kept], random_state=seed)
    train, validation = train_test_split(known, test_size=VALIDATION_SHARE, stratify=labels[known], random_state=seed)
    return train, validation, held_out


def kinds_of_features() -> dict[str, np.ndarray]:
    """The columns of each kind; average, maximum and deviation of the map below come before the last map's average."""
    columns, below = np.arange(BASE.features), (BASE.features - HEAD_FILTERS) // 3
    of_last = columns[3 * below :]
    return {
        "last_map": of_last,
        "and_average_and_maximum_below": np.concatenate([columns[: 2 * below], of_last]),
        "and_deviation_below": columns,
    }


def scores(probe: Probe, in_views: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy and log loss on images that a probe hasn't seen, averaged over their views."""
    probabilities = softmax(np.mean([probe.logits(features) for features in in_views], axis=0))
    return {"accuracy": accuracy(probabilities, labels), "log_loss": log_loss(probabilities, labels)}


if __name__ == "__main__":
    main()
