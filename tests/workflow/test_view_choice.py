from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headstart.images.views import MIRRORED, PLAIN, UPSIDE_DOWN, View, make_views
from headstart.learn.finetune import Labelled
from headstart.workflow.tuning_choice import TuningChoice
from headstart.workflow.view_choice import ONE_VIEW, Averaging, choose_averaging, find_augmentation

FLIPS = make_views("flips", 4, seed=0)


def session_with(width: int = 32, asked: list[Any] | None = None) -> Any:
    base = SimpleNamespace(spec=SimpleNamespace(height=32, width=width))
    extract = lambda stage, title, paths, pooled, views: (asked if asked is not None else []).extend(views)  # noqa: E731
    return SimpleNamespace(features=SimpleNamespace(base=base), extract=extract)


def choose(augment: str, test_views: int, width: int = 32) -> Averaging:
    nothing: Any = None
    return choose_averaging(
        session_with(width), nothing, nothing, nothing, TuningChoice(augment=augment, test_views=test_views)
    )


def test_nobody_who_does_not_ask_has_anything_measured() -> None:
    nothing: Any = None
    assert choose_averaging(nothing, nothing, nothing, nothing, TuningChoice()) == ONE_VIEW
    assert (ONE_VIEW.asked_for, ONE_VIEW.views) == (1, (PLAIN,))


@pytest.mark.parametrize(
    ("augment", "count", "views"),
    [
        ("none", 4, (PLAIN,)),
        ("crops", 4, (PLAIN,)),
        ("natural", 4, (PLAIN, MIRRORED)),
        ("flips", 2, (PLAIN, UPSIDE_DOWN)),
        ("flips", 8, FLIPS),
        ("orientation-free", 8, make_views("orientation-free", 8, seed=0)),
    ],
)
def test_as_many_whole_views_as_are_asked_for_and_the_preset_has(
    augment: str, count: int, views: tuple[View, ...]
) -> None:
    found = choose(augment, count)
    assert (found.views, found.asked_for) == (views, count)
    assert (found.augmentation.preset, found.augmentation.reason) == (augment, "as asked")


def test_an_input_that_is_not_square_is_not_turned_by_quarters() -> None:
    assert choose("orientation-free", 8, width=48).views == FLIPS


def test_those_among_others_keep_their_order() -> None:
    averaging = Averaging(4, FLIPS)
    assert averaging.among((MIRRORED, View(box=(0, 0, 0.8, 0.8)), PLAIN)) == (PLAIN, MIRRORED)
    assert ONE_VIEW.among(FLIPS) == (PLAIN,)


@pytest.mark.parametrize(("upside_down_is_right", "preset"), [(False, "natural"), (True, "flips")])
def test_the_probe_is_asked_where_nobody_says(upside_down_is_right: bool, preset: str) -> None:
    """The stand-in for the store gives logits at once; on their side, images look like the other class."""
    labels = np.arange(10) % 2
    right, wrong = np.eye(2)[labels], np.eye(2)[1 - labels]
    of_view = {PLAIN: right, MIRRORED: right, UPSIDE_DOWN: right if upside_down_is_right else wrong}
    pooled: Any = SimpleNamespace(load=lambda pairs: of_view.get(pairs[0][1], wrong))
    probe: Any = SimpleNamespace(logits=lambda features: features)
    images: Any = SimpleNamespace(
        part=lambda part: Labelled([""] * 10, labels), paths=lambda part: [Path(str(number)) for number in range(10)]
    )
    asked: list[View] = []
    found = find_augmentation(session_with(asked=asked), images, pooled, probe, TuningChoice())
    assert found.preset == preset
    assert PLAIN not in asked
    assert asked[:2] == [MIRRORED, UPSIDE_DOWN]
