from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headstart.catalog.untrained import BASE
from headstart.data.scan import scan
from headstart.features.store import Store
from headstart.learn.base_features import BaseFeatures
from headstart.progress import NoDisplay, Stopwatch
from headstart.workflow import preparing
from headstart.workflow.preparing import SAMPLE, prepare
from headstart.workflow.session import Session


@pytest.fixture
def photos_with_a_broken_one(make_images: Callable[..., Path], tmp_path: Path) -> Path:
    root = make_images(tmp_path / "photos", {"cat": 6, "dog": 6})
    (root / "cat" / "000.png").write_bytes(b"none")
    return root


def test_precision_is_tried_on_the_first_images_that_can_be_read(
    photos_with_a_broken_one: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[np.ndarray] = []
    monkeypatch.setattr(
        preparing, "choose_precision", lambda network, sample: tried.append(sample) or ("f32", "as the test says")
    )
    with Store(cache_dir) as store:
        session = Session(BaseFeatures(BASE, store), store, 0, Stopwatch(NoDisplay()))
        features = prepare(session, scan(photos_with_a_broken_one), "auto")
    assert tried[0].shape == (SAMPLE, BASE.spec.height, BASE.spec.width, 3)
    assert (features.precision, session.precision) == ("f32", "f32")
    assert {choice.what: choice.reason for choice in session.choices}["precision"] == "as the test says"
    assert session.network_seconds == 0


def test_with_a_time_the_network_is_timed(photos_with_a_broken_one: Path, cache_dir: Path) -> None:
    with Store(cache_dir) as store:
        session = Session(BaseFeatures(BASE, store), store, 0, Stopwatch(NoDisplay()), budget=60.0)
        prepare(session, scan(photos_with_a_broken_one), "f32")
    assert session.network_seconds > 0
