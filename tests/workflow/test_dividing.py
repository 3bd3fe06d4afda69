from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.catalog import get_base
from headstart.data.audit import audit
from headstart.data.table import TableChoice
from headstart.errors import UsageError
from headstart.features.store import Store
from headstart.learn.base_features import BaseFeatures
from headstart.progress import Stopwatch
from headstart.workflow.dividing import divide, read_labelled
from headstart.workflow.session import Session

MakeImages = Callable[..., Path]


def test_pairs_and_folders_become_a_data_set(make_images: MakeImages, tmp_path: Path) -> None:
    root = make_images(tmp_path / "photos", {"cat": 5, "dog": 5})
    assert read_labelled(root, TableChoice()).labels == ("cat", "dog")
    pairs = [(path, path.parent.name) for path in sorted(root.rglob("*.png"))]
    assert len(read_labelled(pairs, TableChoice()).samples) == 10
    with pytest.raises(UsageError, match="--group-column is about a table, and the images are a list; leave it out"):
        read_labelled(pairs, TableChoice(group_column="patient"))


def test_what_was_placed_and_what_is_alike_is_kept_together(
    make_images: MakeImages, tmp_path: Path, cache_dir: Path
) -> None:
    dataset = read_labelled(make_images(tmp_path / "photos", {"cat": 20, "dog": 20}), TableChoice())
    digests = {str(sample.file): f"{number:064}" for number, sample in enumerate(dataset.samples)}
    audited = audit(dataset, {sample.file: digests[str(sample.file)] for sample in dataset.samples}, {})
    with Store(cache_dir) as store:
        session = Session(BaseFeatures(get_base("untrained"), store), store, 0, Stopwatch())
        alike = [tuple(audited.digests[:6])]
        division = divide(session, dataset, audited, alike, {audited.digests[30]: "test"})
    assert len(set(division.parts[:6])) == 1
    assert division.parts[30] == "test"
    told = {choice.what: choice.value for choice in session.choices}
    assert told["near-duplicates"] == "6 images in 1 group"
    assert told["split"] == ", ".join(f"{count} {part}" for part, count in division.counts().items())
