from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headstart.data.dataset import PART_NAMES, PARTS, Dataset, Part, Sample
from headstart.data.labels import Label

ROOT = Path("/photos")


def samples(*labels: Label) -> tuple[Sample, ...]:
    return tuple(Sample(ROOT / f"{place}.png", label) for place, label in enumerate(labels))


def test_classes_are_counted_in_their_order_and_with_those_that_have_none() -> None:
    dataset = Dataset(ROOT, samples("dog", "cat", "dog"), ("cat", "dog", "owl"))
    assert list(dataset.counts().items()) == [("cat", 1), ("dog", 2), ("owl", 0)]


def test_an_image_counts_for_each_of_its_labels() -> None:
    dataset = Dataset(ROOT, samples(("x", "y"), ("y",), ()), ("x", "y"), "multi-label", "table")
    assert dataset.counts() == {"x": 1, "y": 2}
    assert dataset.names_of(("x", "y")) == ("x", "y")


def test_numbers_count_for_their_one_name() -> None:
    dataset = Dataset(ROOT, samples(0.0, 1.5), ("weight",), "regression", "table")
    assert dataset.counts() == {"weight": 2}
    assert dataset.names_of(0.0) == ("weight",)


def test_some_samples_are_counted_alone_even_none() -> None:
    dataset = Dataset(ROOT, samples("cat", "dog"), ("cat", "dog"))
    assert dataset.counts(dataset.samples[:1]) == {"cat": 1, "dog": 0}
    assert dataset.counts([]) == {"cat": 0, "dog": 0}


@pytest.mark.parametrize("part", PARTS)
def test_one_sample_with_a_part_makes_it_divided(part: Part) -> None:
    undivided = samples("cat", "dog")
    assert not Dataset(ROOT, undivided, ("cat", "dog")).is_divided
    assert Dataset(ROOT, (*undivided, Sample(ROOT / "x.png", "cat", part)), ("cat", "dog")).is_divided


def test_each_part_has_a_name_and_each_name_a_part() -> None:
    assert set(PART_NAMES.values()) == set(PARTS)
    assert all(PART_NAMES[part] == part for part in PARTS)


def test_an_image_of_weight_0_is_not_learned_from() -> None:
    sample = Sample(Path("a.png"), "cat")
    assert sample.is_learned_from
    assert replace(sample, weight=0.1).is_learned_from
    assert not replace(sample, weight=0.0).is_learned_from
