from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headstart.catalog.untrained import BASE
from headstart.images.views import MIRRORED, PLAIN, UPSIDE_DOWN, Preset, View, exact_views, make_views
from headstart.learn.labelled import Labelled
from headstart.learn.probe import fit_probe
from headstart.workflow import view_choice as module
from headstart.workflow.teaching import FEW_IMAGES
from headstart.workflow.tuning_choice import TuningChoice
from headstart.workflow.view_choice import ONE_VIEW, Averaging, choose_averaging, find_augmentation, views_to_see

FLIPS = make_views("flips", 4, seed=0)
SQUARE = BASE.spec


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
    images: Any = SimpleNamespace(part=lambda part: Labelled([""] * (FEW_IMAGES + 1), np.zeros(FEW_IMAGES + 1)))
    assert choose_averaging(session_with(), images, nothing, nothing, TuningChoice()) == ONE_VIEW
    assert (ONE_VIEW.asked_for, ONE_VIEW.views) == (1, (PLAIN,))


@pytest.mark.parametrize(
    ("augment", "count", "views"),
    [
        ("none", 4, (PLAIN,)),
        ("text", 4, (PLAIN,)),
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
        part=lambda part: Labelled([""] * 10, labels), files=lambda part: [Path(str(number)) for number in range(10)]
    )
    asked: list[View] = []
    found = find_augmentation(session_with(asked=asked), images, pooled, probe, TuningChoice())
    assert found.preset == preset
    assert PLAIN not in asked
    assert asked[:2] == [MIRRORED, UPSIDE_DOWN]


@pytest.mark.parametrize(("mirrors_matter", "preset"), [(True, "text"), (False, "flips")])
def test_where_time_is_given_a_probe_learns_from_views_to_find_out(mirrors_matter: bool, preset: str) -> None:
    """The stand-in for the store gives features at once: a class's own direction or, mirrored, the other class's."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    spread = rng.normal(0, 0.5, (60, 2))

    def load(pairs: list[tuple[str, View]]) -> np.ndarray:
        numbers = np.array([int(digest) for digest, _ in pairs])
        is_other = np.array([mirrors_matter and view.mirrored for _, view in pairs])
        return (np.eye(2)[labels[numbers] ^ is_other] + spread[numbers]).astype(np.float32)

    parts = {"train": np.arange(40), "validation": np.arange(40, 60), "test": np.arange(0)}
    images: Any = SimpleNamespace(
        part=lambda part: Labelled([str(number) for number in parts[part]], labels[parts[part]]),
        files=lambda part: [Path(str(number)) for number in parts[part]],
    )
    pooled: Any = SimpleNamespace(load=load)
    session = session_with()
    session.seconds_left, session.seconds_an_image = (lambda looks: 100.0), (lambda: 0.01)
    probe = fit_probe(load([(str(number), PLAIN) for number in range(40)]), labels[:40], 2, seed=0)
    found = find_augmentation(session, images, pooled, probe, TuningChoice(seconds=600))
    assert found.preset == preset
    assert found.reason.startswith("validation log loss of a probe that learns from such views: ")
    session.seconds_left = lambda looks: 1.0
    assert find_augmentation(session, images, pooled, probe, TuningChoice(seconds=60)).reason.startswith("the probe is")


@pytest.mark.parametrize(("test_views", "answered_for"), [(1, {PLAIN}), (4, set(FLIPS))])
def test_a_preset_is_judged_by_the_views_that_will_be_answered_for(
    test_views: int, answered_for: set[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[set[View]] = []
    monkeypatch.setattr(module, "refit_in_views", lambda probe, pooled, views, part: probe)
    monkeypatch.setattr(
        module, "logits_over_views", lambda probe, pooled, views, part: judged.append(set(views)) or np.zeros((10, 2))
    )
    images: Any = SimpleNamespace(part=lambda part: Labelled([""] * 10, np.arange(10) % 2), files=lambda part: [])
    session = session_with()
    session.seconds_left, session.seconds_an_image = (lambda looks: 100.0), (lambda: 0.01)
    probe: Any = SimpleNamespace(balancing=SimpleNamespace(kind="none"))
    find_augmentation(session, images, None, probe, TuningChoice(seconds=600, test_views=test_views))  # type: ignore[arg-type]
    assert judged[-1] == answered_for


@pytest.mark.parametrize(
    ("said", "preset", "count"),
    [
        ({}, "orientation-free", 1),
        ({"test_views": 2}, "flips", 4),
        ({"test_views": 8}, "orientation-free", 8),
        ({"seconds": 60.0}, "flips", 4),
        ({"seconds": 60.0, "views": 8}, "orientation-free", 8),
        ({"seconds": 60.0, "augment": "flips"}, "flips", 1),
        ({"augment": "flips", "test_views": 2}, "flips", 2),
    ],
)
def test_the_views_that_the_whole_network_sees(said: dict[str, Any], preset: Preset, count: int) -> None:
    seen = views_to_see(TuningChoice(**said), SQUARE)
    assert seen == exact_views(preset, is_square=True)[:count]
    assert len(seen) == count


def test_an_oblong_input_is_not_turned_by_a_quarter() -> None:
    assert len(views_to_see(TuningChoice(test_views=8), replace(SQUARE, width=2 * SQUARE.height))) == 4
