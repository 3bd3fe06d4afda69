from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from headstart.images.views import make_views
from headstart.learn.finetune import Recipe
from headstart.workflow.tuning_plan import NEW_CUT_SECONDS, TRACING_SECONDS, Pace

RECIPE = Recipe("top", make_views("flips", 4, seed=0), epochs=10)


class Efforts:
    """A second an epoch above the top at the guessed pace, four above the middle; features take no time."""

    def of_training(self, stage: str, epochs: int) -> float:
        return epochs * {"top": 1, "middle": 4}[stage] * 4e12 / 60

    def of_features(self, stage: str, views: int) -> float:
        return 0.0


@pytest.fixture
def pace() -> Pace:
    effort: Any = Efforts()
    return Pace(effort)


def test_a_guess_holds_until_a_recipe_was_timed(pace: Pace) -> None:
    fixed = NEW_CUT_SECONDS + TRACING_SECONDS
    assert pace.seconds(RECIPE) == pytest.approx(fixed + 10)
    assert pace.seconds(replace(RECIPE, cut="middle")) == pytest.approx(fixed + 40)
    pace.timed(RECIPE, epochs=10, seconds=20 + TRACING_SECONDS)
    assert pace.seconds(RECIPE) == pytest.approx(TRACING_SECONDS + 20)
    assert pace.seconds(replace(RECIPE, cut="middle")) == pytest.approx(fixed + 80)


def test_what_fits_is_done_whole_and_what_nearly_fits_with_fewer_epochs(pace: Pace) -> None:
    fixed = NEW_CUT_SECONDS + TRACING_SECONDS
    assert pace.fitted(RECIPE, fixed + 11) == RECIPE
    shortened = pace.fitted(RECIPE, fixed + 7.5)
    assert shortened == replace(RECIPE, epochs=7)
    assert pace.fitted(RECIPE, fixed + 4.5) is None
    assert pace.fitted(RECIPE, -5.0) is None


def test_three_epochs_are_the_fewest(pace: Pace) -> None:
    fixed = NEW_CUT_SECONDS + TRACING_SECONDS
    short = replace(RECIPE, epochs=4)
    assert pace.fitted(short, fixed + 2.5) is None
    assert pace.fitted(short, fixed + 3.5) == replace(short, epochs=3)


def test_effort_counts_every_pass_and_every_view() -> None:
    from headstart.catalog import get_base
    from headstart.features.boundary import multiplications, prefix, suffix
    from headstart.workflow.tuning_plan import Effort

    model = get_base("untrained").build()
    parts = {"train": 30, "validation": 6}
    images: Any = SimpleNamespace(part=lambda part: SimpleNamespace(digests=[""] * parts[part]))
    effort = Effort(model, images)
    assert effort.of_training("stage1", 2) == 3 * 2 * 30 * multiplications(suffix(model, "stage1")) > 0
    assert effort.of_features("stage1", 4) == 4 * 36 * multiplications(prefix(model, "stage1")) > 0
    assert effort.of_training("stage0", 2) > effort.of_training("stage1", 2)
