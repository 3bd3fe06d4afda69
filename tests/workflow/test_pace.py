from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from headstart.images.views import PLAIN, UPSIDE_DOWN, make_views
from headstart.learn.finetune import Recipe
from headstart.workflow.pace import (
    CAUTION,
    FORWARD_SHARE,
    MULTIPLICATIONS_A_MINUTE,
    NEW_CUT_SECONDS,
    TRACING_SECONDS,
    Effort,
    Pace,
    deepest_fitting,
)

RECIPE = Recipe("top", make_views("flips", 4, seed=0), epochs=10)
FIXED = NEW_CUT_SECONDS + TRACING_SECONDS
SECONDS_A_STEP = {"bottom": 1.6, "middle": 0.4, "top": 0.1}  # with caution


class Efforts:
    """Ten steps an epoch and nothing else; features take no time."""

    def of_training(self, stage: str, epochs: int) -> float:
        return 0.0

    def in_images(self, stage: str, views: int) -> float:
        return 0.0

    def in_steps(self, recipe: Recipe, epochs: int) -> float:
        return 10 * epochs

    def look_in_steps(self, recipe: Recipe) -> float:
        return 2.0


@pytest.fixture
def measured() -> list[str]:
    """The stages above which steps were timed."""
    return []


@pytest.fixture
def pace(measured: list[str]) -> Pace:
    def measure(stage: str) -> float:
        measured.append(stage)
        return SECONDS_A_STEP[stage] / CAUTION

    effort: Any = Efforts()
    return Pace(effort, 0.01, measure)


def test_steps_are_timed_once_a_stage(pace: Pace, measured: list[str]) -> None:
    assert pace.seconds(RECIPE) == pytest.approx(FIXED + 10)
    assert pace.seconds(replace(RECIPE, epochs=5)) == pytest.approx(FIXED + 5)
    assert pace.seconds(replace(RECIPE, cut="middle")) == pytest.approx(FIXED + 40)
    assert measured == ["top", "middle"]


def test_a_recipe_that_was_run_says_more_than_timed_steps(pace: Pace) -> None:
    pace.timed(RECIPE, epochs=10, seconds=20 + TRACING_SECONDS)
    assert pace.seconds(RECIPE) == pytest.approx(TRACING_SECONDS + 20)
    assert pace.seconds(replace(RECIPE, cut="middle")) == pytest.approx(FIXED + 40)


def test_a_recipe_without_an_epoch_teaches_nothing(pace: Pace) -> None:
    pace.timed(RECIPE, epochs=0, seconds=1000)
    assert pace.seconds(RECIPE) == pytest.approx(TRACING_SECONDS + 10)


def test_what_fits_is_done_whole_and_what_nearly_fits_with_fewer_epochs(pace: Pace) -> None:
    assert pace.fitted(RECIPE, FIXED + 11) == RECIPE
    assert pace.fitted(RECIPE, FIXED + 7.5) == replace(RECIPE, epochs=7)
    assert pace.fitted(RECIPE, FIXED + 4.5) is None
    assert pace.fitted(RECIPE, -5.0) is None


def test_three_epochs_are_the_fewest_of_several(pace: Pace) -> None:
    short = replace(RECIPE, epochs=4)
    assert pace.fitted(short, FIXED + 2.5) is None
    assert pace.fitted(short, FIXED + 3.5) == replace(short, epochs=3)
    assert pace.fitted(replace(RECIPE, epochs=1), FIXED + 1.5) == replace(RECIPE, epochs=1)


def test_what_no_machine_could_do_in_time_is_not_timed(measured: list[str]) -> None:
    class Endless(Efforts):
        def of_training(self, stage: str, epochs: int) -> float:
            return epochs * MULTIPLICATIONS_A_MINUTE  # ten seconds an epoch on the fastest

    effort: Any = Endless()
    pace = Pace(effort, 0.01, lambda stage: measured.append(stage) or 0.1 / CAUTION)
    assert pace.fitted(RECIPE, FIXED + 49) is None
    assert measured == []
    assert pace.fitted(RECIPE, FIXED + 101) == RECIPE
    assert measured == ["top"]


def test_in_a_hurry_as_many_epochs_as_fit_are_trained_and_three_at_least(pace: Pace) -> None:
    assert pace.hurried(RECIPE, FIXED + 11) == RECIPE
    assert pace.hurried(RECIPE, FIXED + 4.5) == replace(RECIPE, epochs=4)
    assert pace.hurried(RECIPE, -5.0) == replace(RECIPE, epochs=3)
    assert pace.hurried(replace(RECIPE, epochs=1), 0.0) == replace(RECIPE, epochs=1)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (200, ("bottom", 10)),
        (120, ("bottom", 7)),
        (70, ("middle", 10)),
        (30, ("middle", 7)),
        (12, ("top", 10)),
        (4, None),
    ],
)
def test_the_deepest_stage_that_fits_is_found(pace: Pace, left: float, expected: tuple[str, int] | None) -> None:
    recipes = [replace(RECIPE, cut=cut) for cut in SECONDS_A_STEP]
    found = deepest_fitting(pace, recipes, FIXED + left)
    assert (found and (found.cut, found.epochs)) == expected


def test_few_stages_are_timed_to_find_the_deepest(measured: list[str]) -> None:
    cuts = [f"stage{number}" for number in range(16)]
    effort: Any = Efforts()
    pace = Pace(effort, 0.01, lambda stage: measured.append(stage) or 10.0 / CAUTION / (1 + cuts.index(stage)))
    found = deepest_fitting(pace, [replace(RECIPE, cut=cut) for cut in cuts], FIXED + 91)
    assert found == replace(RECIPE, cut="stage7", epochs=7)
    assert len(measured) <= 5


def test_there_may_be_none_to_choose_from(pace: Pace) -> None:
    assert deepest_fitting(pace, [], 1000) is None


def test_mixing_looks_at_every_member_with_the_slowest_of_them(pace: Pace) -> None:
    middle = replace(RECIPE, cut="middle")
    assert pace.mixing([RECIPE]) == 0  # nothing is known of it
    pace.seconds(RECIPE), pace.seconds(middle)
    assert pace.mixing([RECIPE, middle]) == pytest.approx(3 * 4 * 2.0 * SECONDS_A_STEP["middle"])


@pytest.fixture
def effort() -> Effort:
    from headstart.catalog import get_base

    parts = {"train": 30, "validation": 6}
    images: Any = SimpleNamespace(part=lambda part: SimpleNamespace(digests=[""] * parts[part]))
    return Effort(get_base("untrained").build(), images)


def test_effort_counts_every_pass_and_every_view(effort: Effort) -> None:
    from headstart.features.boundary import multiplications, prefix, suffix

    model = effort.model
    assert effort.of_training("stage1", 2) == 3 * 2 * 30 * multiplications(suffix(model, "stage1")) > 0
    assert effort.of_features("stage1", 4) == 4 * 36 * multiplications(prefix(model, "stage1")) > 0
    assert effort.of_training("stage0", 2) > effort.of_training("stage1", 2)
    assert 0 < effort.in_images("stage0", 4) < effort.in_images("stage1", 4) <= 4 * 36


def test_effort_in_steps_counts_what_is_looked_at_too(effort: Effort) -> None:
    """Four views at first and at last, one an epoch, and three times one on the way from the probe."""
    recipe = replace(RECIPE, test_views=(PLAIN, UPSIDE_DOWN), batch_size=10)
    look = FORWARD_SHARE * 6 / 10
    assert effort.look_in_steps(recipe) == pytest.approx(look)
    assert effort.in_steps(recipe, 5) == pytest.approx(5 * 3 + (4 + 5 * 1 + 3 + 4) * look)


def test_views_that_have_pooled_features_are_not_looked_at_first(effort: Effort) -> None:
    some, all_of_them = (replace(RECIPE, test_views=views) for views in (RECIPE.views[:3], RECIPE.views))
    saved = effort.in_steps(some, 5) - effort.in_steps(all_of_them, 5)
    assert saved == pytest.approx(3 * effort.look_in_steps(RECIPE))


def test_maps_that_are_there_take_no_time() -> None:
    class Maps(Efforts):
        def in_images(self, stage: str, views: int) -> float:
            return 100.0 * views

    effort: Any = Maps()
    pace = Pace(effort, 0.01, lambda stage: 0.1 / CAUTION)
    assert (pace.seconds_a_view("top"), pace.fixed(RECIPE)) == (1, FIXED + 4)
    pace.mapped(RECIPE.views[1:])
    assert pace.fixed(RECIPE) == pace.fixed(replace(RECIPE, cut="middle")) == FIXED + 1
    assert not pace.has_maps(RECIPE)  # supposed, and of no cut
    pace.mapped(RECIPE.views[1:], "middle")
    assert pace.has_maps(replace(RECIPE, cut="middle"))
    assert not pace.has_maps(RECIPE)
    pace.mapped(RECIPE.views[:2], "middle")
    assert not pace.has_maps(replace(RECIPE, cut="middle"))
    assert (pace.fixed(RECIPE), pace.fixed(replace(RECIPE, cut="middle"))) == (FIXED + 4, FIXED + 2)
    pace.mapped([])
    assert pace.fixed(RECIPE) == FIXED + 4
