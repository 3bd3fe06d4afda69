from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headstart.data.audit import Audit
from headstart.data.dataset import Dataset, Part, Sample
from headstart.data.split import Split
from headstart.errors import DataError
from headstart.workflow.images import Images, stratified

ROOT = Path("photos")
SAMPLES = (
    Sample(ROOT / "cat" / "a.png", "cat"),
    Sample(ROOT / "cat" / "b.png", "cat"),
    Sample(ROOT / "dog" / "c.png", "dog"),
)


@pytest.fixture
def images() -> Images:
    return Images(
        Dataset(ROOT, SAMPLES, ("cat", "dog")),
        Audit(SAMPLES, ("1" * 64, "2" * 64, "3" * 64), quarantined=(), duplicates=0),
        Split(("test", "train", "test"), "drawn"),
    )


def test_a_part_has_its_images_with_their_class_numbers(images: Images) -> None:
    part = images.part("test")
    assert part.digests == ["1" * 64, "3" * 64]
    assert part.labels.tolist() == [0, 1]
    assert images.files("test") == [SAMPLES[0].file, SAMPLES[2].file]


def test_an_empty_part_is_empty(images: Images) -> None:
    assert images.part("validation").labels.shape == (0,)
    assert images.files("validation") == []


def test_files_are_named_below_the_data_folder(images: Images) -> None:
    assert images.name(ROOT / "cat" / "deep" / "a.png") == "cat/deep/a.png"


def test_the_fingerprint_knows_content_and_labels_but_not_names(images: Images) -> None:
    moved = tuple(Sample(Path("elsewhere") / f"{number}.jpg", sample.label) for number, sample in enumerate(SAMPLES))
    backwards = Audit(moved[::-1], images.audit.digests[::-1], (), 0)
    assert replace(images, audit=backwards).fingerprint == images.fingerprint
    other_image = replace(images.audit, digests=("1" * 64, "2" * 64, "4" * 64))
    assert replace(images, audit=other_image).fingerprint != images.fingerprint
    relabelled = replace(images.audit, samples=(SAMPLES[0], replace(SAMPLES[1], label="dog"), SAMPLES[2]))
    assert replace(images, audit=relabelled).fingerprint != images.fingerprint


def weighed(images: Images, *weights: float, parts: tuple[Part, ...] = ("train", "train", "train")) -> Images:
    samples = tuple(replace(sample, weight=weight) for sample, weight in zip(SAMPLES, weights, strict=True))
    audit = replace(images.audit, samples=samples)
    return Images(replace(images.dataset, samples=samples), audit, Split(parts, "drawn", ("x", "y", "z")))


def test_images_of_weight_0_are_not_learned_from_but_measured_by(images: Images) -> None:
    found = weighed(images, 0, 2, 0.5)
    train = found.part("train")
    assert (train.digests, train.units) == (["2" * 64, "3" * 64], ["y", "z"])
    assert train.labels.tolist() == [0, 1]
    assert train.weights is not None
    assert train.weights.tolist() == [2, 0.5]
    assert found.files("train") == [SAMPLES[1].file, SAMPLES[2].file]
    measured = weighed(images, 1, 0, 1, parts=("train", "validation", "train")).part("validation")
    assert measured.digests == ["2" * 64]
    assert measured.weights is not None
    assert measured.weights.tolist() == [0]


def test_without_weights_there_are_none(images: Images) -> None:
    assert images.part("test").weights is None


def test_a_class_without_a_training_image_that_counts_is_an_error(images: Images) -> None:
    """Where the split was drawn, that shows only now."""
    found = weighed(images, 1, 0, 1, parts=("validation", "train", "train"))
    mend = "give one of them more, or leave weights alone with --weight-column none"
    with pytest.raises(DataError, match=f"class 'cat': none of its 1 training images has a weight above 0; {mend}"):
        found.part("train")


def test_some_images_have_a_rare_class_among_them_and_more_images_have_the_same() -> None:
    strata, names = np.repeat([0, 1], [1500, 6]), [f"{number * 7919 % 1506:04}" for number in range(1506)]
    chosen = stratified(strata, names, 1000)
    assert np.bincount(strata[chosen]).tolist() == [997, 5]
    assert set(chosen) < set(stratified(strata, names, 1200))
    assert [names[place] for place in chosen[:3]] == sorted(names[:1500])[:3]
    assert stratified(strata[:0], [], 10) == []


def test_some_images_of_a_part_come_with_their_files(images: Images) -> None:
    files, part = images.some("test", 1)
    assert [file.name for file in map(Path, map(str, files))] == ["a.png", "c.png"]
    assert part.digests == ["1" * 64, "3" * 64]
