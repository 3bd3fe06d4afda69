from __future__ import annotations

import pytest

from headstart.images.views import MIRRORED, ON_ITS_SIDE, UPSIDE_DOWN, Preset, View
from headstart.learn.augmentation import (
    TOLERATED_LOSS,
    TOLERATED_RISE,
    Augmentation,
    choose_augmentation,
    choose_by_learning,
)
from headstart.learn.kinds import Regression

PLAIN_ACCURACY = 0.9
FINE, SPOILT = PLAIN_ACCURACY - TOLERATED_LOSS + 0.001, PLAIN_ACCURACY - TOLERATED_LOSS - 0.001


def choose(mirrored: float, upside_down: float, on_its_side: float) -> tuple[Augmentation, list[View]]:
    """The choice where the probe has these accuracies, and the views that were asked for."""
    accuracies = {MIRRORED: mirrored, UPSIDE_DOWN: upside_down, ON_ITS_SIDE: on_its_side}
    asked: list[View] = []

    def accuracy_of(view: View) -> float:
        asked.append(view)
        return accuracies[view]

    return choose_augmentation(PLAIN_ACCURACY, accuracy_of), asked


@pytest.mark.parametrize(
    ("accuracies", "preset", "measured", "asked"),
    [
        ((SPOILT, FINE, FINE), "text", "86.9% mirrored", 1),
        ((FINE, SPOILT, FINE), "natural", "86.9% upside down", 2),
        ((FINE, FINE, SPOILT), "flips", "86.9% turned on their side", 3),
        ((FINE, FINE, FINE), "orientation-free", "87.1% turned on their side", 3),
    ],
)
def test_the_widest_preset_whose_views_the_probe_recognises(
    accuracies: tuple[float, float, float], preset: Preset, measured: str, asked: int
) -> None:
    chosen, views = choose(*accuracies)
    assert chosen.preset == preset
    assert chosen.reason == f"the probe is right for 90.0% of validation images as they are and {measured}"
    assert views == [MIRRORED, UPSIDE_DOWN, ON_ITS_SIDE][:asked]


def test_a_view_that_the_probe_knows_better_is_welcome() -> None:
    assert choose(1.0, 1.0, 1.0)[0].preset == "orientation-free"


@pytest.mark.parametrize(
    ("losses", "preset", "asked"),
    [
        ((0.30, 0.29, 0.28, 0.27), "orientation-free", 4),
        ((0.30, 0.29, 0.28, 0.40), "flips", 4),
        ((0.30, 0.30 * (1 + TOLERATED_RISE) - 1e-4, 0.40, 0.20), "natural", 3),
        ((0.30, 0.30 * (1 + TOLERATED_RISE) + 1e-4, 0.20, 0.20), "text", 2),
    ],
)
def test_the_widest_preset_that_a_probe_learns_from_without_harm(
    losses: tuple[float, ...], preset: Preset, asked: int
) -> None:
    presets: tuple[Preset, ...] = ("text", "natural", "flips", "orientation-free")
    wanted: list[Preset] = []

    def loss_of(tried: Preset) -> float:
        wanted.append(tried)
        return losses[presets.index(tried)]

    found = choose_by_learning(presets, loss_of)
    assert found.preset == preset
    assert wanted == list(presets[:asked])
    assert found.reason.startswith("validation log loss of a probe that learns from such views: 0.300 for text, ")


def test_what_isnt_a_class_is_told_by_its_own_measure() -> None:
    found = choose_augmentation(0.5, lambda view: 0.4, Regression())
    assert (found.preset, found.reason) == (
        "text",
        "on validation images the probe's R² is 0.500 as they are and 0.400 mirrored",
    )
    learned = choose_by_learning(("text", "natural"), lambda preset: 1.0, Regression())
    assert learned.reason.startswith("validation squared error of a probe that learns from such views: 1.000 for text")
