from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headstart.catalog.untrained import BASE
from headstart.features.boundary import size_at
from headstart.images.views import exact_views
from headstart.learn.finetune import Recipe
from headstart.learn.labelled import Labelled
from headstart.workflow import outset, train, tuning
from headstart.workflow.outset import Outset, room_for_views
from headstart.workflow.pace import CAUTION, Pace
from headstart.workflow.tuning_choice import TuningChoice
from headstart.workflow.view_choice import views_to_see

SIZES = {"train": 400, "validation": 200, "test": 100}
IMAGES: Any = SimpleNamespace(part=lambda part: Labelled([""] * SIZES[part], np.zeros(SIZES[part], np.int64)))
STAGES = ("bottom", "middle", "top", "last")


class Efforts:
    """Ten steps an epoch; the maps of a view take a second whatever the stage."""

    def of_training(self, stage: str, epochs: int) -> float:
        return 0.0

    def in_images(self, stage: str, views: int) -> float:
        return 100.0 * views

    def in_steps(self, recipe: Any, epochs: int) -> float:
        return 10 * epochs


def session(left: float) -> Any:
    """So many seconds are left, and the network takes a hundredth of one for an image."""
    return SimpleNamespace(
        features=SimpleNamespace(base=SimpleNamespace(stages=STAGES, spec=BASE.spec), model=None),
        seed=0,
        seconds_left=lambda looks: left - 0.01 * looks,
        seconds_an_image=lambda: 0.01,
    )


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Outset:
    """Ten epochs take 160, 40 and 10 seconds above the three stages, besides 16 that any takes."""
    monkeypatch.setattr(outset, "room_for_views", lambda session, images, stage: 100)
    effort: Any = Efforts()
    seconds = {"bottom": 1.6, "middle": 0.4, "top": 0.1, "input": 5.0}
    return Outset(10, "middle", False, Pace(effort, 0.01, lambda stage: seconds[stage] / CAUTION), None)


def likely(start: Outset, left: float, **said: Any) -> str | None:
    choice = TuningChoice(**({"seconds": 600.0} | said))
    return outset._likely(session(left), IMAGES, choice, start, views_to_see(choice, BASE.spec))


def test_stages_around_the_default_one_come_deepest_first(start: Outset) -> None:
    stages = ("stage0", "stage1", "stage2", "stage3")
    assert Outset(9, "stage1", False, start.pace, None).around(stages) == (("stage0",), ("stage2",))
    assert Outset(9, "stage0", True, start.pace, None).around(stages) == (("input",), ("stage1", "stage2"))


def test_the_likely_stage_is_the_deepest_that_fits_beside_the_views(start: Outset) -> None:
    """Eight views of 600 images take 48 seconds and of 100 test images another 8; the map of the plain one takes 1."""
    needed = {stage: 48 + 8 + 16 + 1 + seconds for stage, seconds in (("bottom", 112), ("middle", 28))}
    assert likely(start, needed["bottom"] + 1, test_views=8) == "bottom"
    assert likely(start, needed["bottom"] - 1, test_views=8) == "middle"
    assert likely(start, needed["middle"] - 1, test_views=8) == "top"
    assert likely(start, 60, test_views=8) is None


def test_what_was_supposed_of_maps_is_forgotten(start: Outset) -> None:
    recipe = Recipe("top", exact_views("orientation-free", is_square=True), 10)
    before = start.pace.fixed(recipe)
    likely(start, 600, test_views=8)
    assert start.pace.fixed(recipe) == before


def test_a_stage_that_was_asked_for_is_the_likely_one(start: Outset) -> None:
    asked = Outset(10, "top", False, start.pace, None)
    assert likely(asked, 600, test_views=8, stage="top") == "top"
    assert likely(asked, math.inf, test_views=8, seconds=None) == "top"


def test_maps_that_the_store_has_no_room_for_are_not_kept(start: Outset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outset, "room_for_views", lambda session, images, stage: 3 if stage == "middle" else 8)
    assert likely(start, 600, test_views=8) == "bottom"
    assert likely(start, math.inf, test_views=8, seconds=None) is None


def test_room_is_half_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    model = BASE.build()
    tools: Any = SimpleNamespace(
        store=SimpleNamespace(budget_bytes=4 * 3 * 600 * size_at(model, "stage1")),
        features=SimpleNamespace(model=model),
    )
    assert room_for_views(tools, IMAGES, "stage1") == 3


def test_views_are_passed_through_the_network_once(
    hard_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: Callable[..., Any]
) -> None:
    """Pooled features of eight views, and the maps of seven with them: only plain views take a pass of their own."""
    monkeypatch.setattr(tuning, "MOST_TRIALS", 1)
    monkeypatch.setattr(outset, "is_too_small", lambda images: False)
    options: dict[str, Any] = {"epochs": 3, "time": "1h", "augment": "orientation-free", "test_views": 8}
    run = train(hard_photos, tmp_path / "run", base="untrained", cache=tmp_path / "cache", **options)
    parts = Counter(row["part"] for row in table(run.folder / "split.csv"))
    looked_at = parts["train"] + parts["validation"]
    assert len(run.metrics["finetune"]["trials"]) == 1
    assert run.metrics["features"]["computed"] == sum(parts.values()) + 7 * looked_at + looked_at


def test_the_store_is_asked_which_maps_there_are(
    hard_photos: Path, fresh_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[tuple[int, str | None]] = []
    learn: Callable[..., None] = Pace.mapped
    monkeypatch.setattr(
        Pace,
        "mapped",
        lambda pace, views, cut=None: (learn(pace, views := list(views), cut), known.append((len(views), cut))),
    )
    options: dict[str, Any] = {"epochs": 1, "augment": "flips", "test_views": 4, "finetune_from": "stage1"}
    train(hard_photos, tmp_path / "run", base="untrained", cache=fresh_cache, **options)
    assert known == [(3, "stage1")]
