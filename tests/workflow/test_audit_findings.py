from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart.data.audit import Audit
from headstart.data.dataset import Dataset, Part, Sample
from headstart.features.looks import Looks
from headstart.inspection.findings import Finding
from headstart.inspection.near_duplicates import Pair
from headstart.workflow.audit_findings import Examined, find_all

ROOT = Path("/data")


def examined(samples: list[Sample], pairs: list[Pair]) -> Examined:
    """Images in which nothing but these pairs was found."""
    labels = tuple(sorted({str(sample.label) for sample in samples}))
    count = len(samples)
    left = Audit(tuple(samples), tuple(f"{number:03}" for number in range(count)), (), 0)
    even = np.full(count, 0.5)
    looks = Looks(np.zeros((count, 48, 48)), even, even, even)
    dataset = Dataset(ROOT, tuple(samples), labels)
    return Examined(dataset, left, tuple(range(count)), looks, (None,) * count, tuple(pairs), (), None, None, None)


def sample(name: str, part: Part | None = None, group: str | None = None) -> Sample:
    return Sample(ROOT / name, name.split("/")[0], part, group)


def found(of: Examined, key: str) -> Finding:
    return next(finding for finding in find_all(of)[0] if finding.key == key)


SAMPLES = [sample(name) for name in ("a/0", "a/1", "a/2", "a/3", "b/4", "b/5", "b/6")]


def test_groups_that_differ_come_first_each_with_its_own_least_likeness() -> None:
    pairs = [Pair(0, 1, 0.9961), Pair(1, 5, 0.9999), Pair(2, 3, 0.998), Pair(4, 6, 0.9971)]
    near = found(examined(SAMPLES, pairs), "near-duplicates")
    assert [(item.files, item.note) for item in near.items] == [
        (("a/0", "a/1", "b/5"), "alike to 0.9961, different labels"),
        (("a/2", "a/3"), "alike to 0.9980"),
        (("b/4", "b/6"), "alike to 0.9971"),
    ]
    reordered = found(examined(SAMPLES, [Pair(0, 1, 0.997), Pair(3, 4, 0.998)]), "near-duplicates")
    assert [item.files for item in reordered.items] == [("a/3", "b/4"), ("a/0", "a/1")]
    assert near.tone == "poor"
    assert near.sentence == "7 images are the same picture as another, in 3 groups. In 1 of them the labels differ."


def test_near_duplicates_of_one_label_are_to_be_looked_at_alone() -> None:
    near = found(examined(SAMPLES, [Pair(0, 1, 0.997)]), "near-duplicates")
    assert (near.tone, near.images) == ("fair", 2)
    assert "Training keeps each group on one side" in near.mend


def test_groups_in_several_parts_are_told() -> None:
    divided = [sample("a/0", "train", "ann"), sample("a/1", "test", "ann"), sample("b/2", "train", "bob")]
    leaks = found(examined(divided, []), "leaks")
    assert [(item.files, item.note) for item in leaks.items] == [(("a/0", "a/1"), "group ann in test and train")]
    assert leaks.tone == "poor"
