"""A problem that a probe can't solve and fine-tuning can, with its features in a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.catalog.untrained import BASE
from headstart.features.extract import FeatureSet, extract
from headstart.features.store import Store
from headstart.images.views import PLAIN, UPSIDE_DOWN
from headstart.learn.base_features import BaseFeatures
from headstart.learn.kinds import Kind, MultiLabel
from headstart.learn.labelled import Labelled
from headstart.learn.probe import Probe, fit_probe

IMAGES, TRAINED_ON = 240, 160
CUT = "stage0"


@dataclass(frozen=True)
class Problem:
    """Labelled images with features: pooled ones of the plain view, and at the cut in two views.

    Attributes:
        inputs: of the validation images, as the base takes them.
        pooled: features of the validation images, shape (images, features).
        trained_on: likewise, of the training images.
        cut: the layer that `features` come from.
    """

    train: Labelled
    validation: Labelled
    inputs: np.ndarray
    pooled: np.ndarray
    trained_on: np.ndarray
    probe: Probe
    features: FeatureSet
    cut: str = CUT


@pytest.fixture(scope="session")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Problem]:
    root = tmp_path_factory.mktemp("problem")
    labels = np.arange(IMAGES) % 2
    paths = _write(root, labels)
    with Store(root / "cache") as store:
        base = BaseFeatures(BASE, store)
        pooled, features = base.pooled("f32"), base.at(CUT, "f32")
        digests = [extract(paths, pooled).digests[path] for path in paths]
        extract(paths, features, (PLAIN, UPSIDE_DOWN))
        vectors = pooled.load([(digest, PLAIN) for digest in digests])
        yield Problem(
            Labelled(digests[:TRAINED_ON], labels[:TRAINED_ON]),
            Labelled(digests[TRAINED_ON:], labels[TRAINED_ON:]),
            np.stack([BASE.spec.render(path.read_bytes())[0] for path in paths[TRAINED_ON:]]),
            vectors[TRAINED_ON:],
            vectors[:TRAINED_ON],
            fit_probe(vectors[:TRAINED_ON], labels[:TRAINED_ON], 2, seed=0),
            features,
        )


@pytest.fixture(scope="session")
def as_kind(problem: Problem) -> Callable[[type[Kind]], Problem]:
    """The problem with its two classes as labels, one the other's opposite, or as a number: `as_kind(MultiLabel)`."""

    def make(kind: type[Kind]) -> Problem:
        encoded = {
            part: np.eye(2, dtype=np.float32)[found.labels] if kind is MultiLabel else 100 + 7.0 * found.labels
            for part, found in (("train", problem.train), ("validation", problem.validation))
        }
        names = ("even", "odd") if kind is MultiLabel else ("weight",)
        made = kind.of(encoded["train"], names)
        train = Labelled(problem.train.digests, encoded["train"], made)
        validation = Labelled(problem.validation.digests, encoded["validation"], made)
        probe = fit_probe(problem.trained_on, encoded["train"], len(names), seed=0, kind=made)
        return replace(problem, train=train, validation=validation, probe=probe)

    return make


def _write(root: Path, labels: np.ndarray) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [root / f"{number:03}.png" for number in range(len(labels))]
    for path, label in zip(paths, labels, strict=True):
        Image.fromarray(_stripes(int(label), rng)).save(path)
    return paths


def _stripes(label: int, rng: np.random.Generator) -> np.ndarray:
    """Faint stripes in noise. Neither colour nor direction says the class; only both together do."""
    is_red = int(rng.integers(0, 2))
    y, x = np.mgrid[:32, :32]
    stripes = np.sin(2 * np.pi * (x if is_red ^ label else y) / 6 + rng.uniform(0, 2 * np.pi))
    light = rng.uniform(0.35, 0.65) + 0.1 * stripes + 0.1 * rng.normal(size=(32, 32))
    colour = np.array([1, 0.45, 0.45] if is_red else [0.45, 0.45, 1])
    return (255 * np.clip(light[..., None] * colour, 0, 1)).astype(np.uint8)
