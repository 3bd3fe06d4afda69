from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from headstart.images.views import make_views
from headstart.learn.finetune import Recipe
from headstart.workflow.tuning_choice import TuningChoice
from headstart.workflow.tuning_plan import choose_deeper, choose_mixup

RECIPE = Recipe("top", make_views("flips", 4, seed=0), epochs=10)


@pytest.fixture
def said() -> dict[str, tuple[str, str]]:
    """What was chosen, with the value and the reason."""
    return {}


def chosen_deeper(said: dict[str, tuple[str, str]], loss: float, rate: float | None = None) -> Recipe:
    session: Any = SimpleNamespace(choose=lambda what, value, reason: said.update({what: (value, reason)}))
    probe: Any = SimpleNamespace(share_of_guessing=loss)
    given = RECIPE if rate is None else replace(RECIPE, learning_rate=rate)
    return choose_deeper(session, probe, TuningChoice(learning_rate=rate), given)


def test_labels_that_leave_doubt_are_smoothed(said: dict[str, tuple[str, str]]) -> None:
    assert chosen_deeper(said, 0.5).label_smoothing == 0.1
    assert said["label smoothing"] == (
        "0.1",
        "on held-out images the probe's log loss is 50% of that of guessing, so that labels leave doubt",
    )
    assert chosen_deeper(said, 0.2).label_smoothing == 0
    assert said["label smoothing"][1].endswith("20% of that of guessing, up to 25% nothing is smoothed")


def test_with_more_to_train_the_rate_is_higher_unless_one_was_asked_for(said: dict[str, tuple[str, str]]) -> None:
    found = chosen_deeper(said, 0.1)
    assert (found.learning_rate, found.dropout) == (4e-4, 0.2)
    assert said["learning rate with more to train"] == ("0.0004", "measured to do best there; above top it is 0.0002")
    said.clear()
    assert chosen_deeper(said, 0.1, rate=1e-3).learning_rate == 1e-3
    assert "learning rate with more to train" not in said


@pytest.mark.parametrize(("count", "expected"), [(19_999, 0.0), (20_000, 0.1)])
def test_many_images_are_blended(said: dict[str, tuple[str, str]], count: int, expected: float) -> None:
    session: Any = SimpleNamespace(choose=lambda what, value, reason: said.update({what: (value, reason)}))
    images: Any = SimpleNamespace(part=lambda part: SimpleNamespace(digests=[""] * count))
    assert choose_mixup(session, images) == expected
    assert said["MixUp"] == (f"{expected:g}", f"{count:,} training images; from 20,000 on it is 0.1")
