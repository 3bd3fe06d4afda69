from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from headstart.catalog.untrained import BASE
from headstart.features.extract import FeatureSet, extract
from headstart.features.store import Store
from headstart.learn.base_features import BaseFeatures
from headstart.learn.labelled import Labelled
from headstart.progress import Stopwatch
from headstart.workflow.session import Session
from headstart.workflow.short_tuning import ShortTuning, has_room, tune_briefly

Data = tuple[FeatureSet, list[Path], Labelled]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Store(tmp_path) as store:
        yield Session(BaseFeatures(BASE, store), store, 0, Stopwatch(None))


def data(session: Session, root: Path) -> Data:
    files = sorted(root.rglob("*.png"))
    names = sorted({file.parent.name for file in files})
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    pooled = session.features.pooled("f32")
    extract(files, pooled)
    return pooled, files, Labelled(digests, np.array([names.index(file.parent.name) for file in files]))


def tune(session: Session, found: Data, seconds: float = 300.0) -> ShortTuning:
    tuned = tune_briefly(session, BASE, *found, 2, seconds)
    assert tuned is not None
    return tuned


def test_a_few_epochs_make_the_loss_of_a_fifth_of_the_images_no_larger(session: Session, hard_photos: Path) -> None:
    tuned = tune(session, data(session, hard_photos))
    assert len(tuned.before) == len(tuned.after) == 80
    assert tuned.after.mean() < tuned.before.mean()
    assert 0 <= tuned.goodness_before <= 1
    assert 0 <= tuned.goodness_after <= 1


def test_the_same_again_goes_on_from_where_it_was(
    session: Session, hard_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = data(session, hard_photos)
    first = tune(session, found)
    monkeypatch.setattr("headstart.learn.finetune.fit_suffix", lambda *a, **o: pytest.fail("trained again"))
    np.testing.assert_array_equal(tune(session, found).after, first.after)


def test_a_base_with_few_stages_and_images_that_can_not_be_held_out_are_left(
    session: Session, hard_photos: Path
) -> None:
    pooled, files, part = data(session, hard_photos)
    assert tune_briefly(session, BASE.up_to("stage1"), pooled, files, part, 2, 60.0) is None
    together = Labelled(part.digests, part.labels, units=["one"] * len(files))
    assert tune_briefly(session, BASE, pooled, files, together, 2, 60.0) is None


@pytest.mark.parametrize(
    ("seconds", "images", "expected"), [(90, 100, True), (89, 100, False), (90, 98, False), (1e9, 98, False)]
)
def test_it_takes_time_and_images(seconds: float, images: int, expected: bool) -> None:
    part = Labelled([f"{number}" for number in range(images)], np.arange(images) % 2)
    assert has_room(seconds, 3, part, 2) is expected
