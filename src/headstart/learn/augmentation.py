"""Which views of an image still show its class: measured, not guessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headstart.images.views import MIRRORED, ON_ITS_SIDE, UPSIDE_DOWN, Preset, View

# Share of accuracy that a view may cost before it counts as showing something else.
TOLERATED_LOSS = 0.03
# Images that the question is asked of: enough to see a loss of a few points, few enough to take seconds.
MOST_IMAGES = 256


@dataclass(frozen=True)
class Augmentation:
    """A preset of views, and the measurement that led to it."""

    preset: Preset
    reason: str


def choose_augmentation(plain: float, accuracy_of: Callable[[View], float]) -> Augmentation:
    """The widest preset whose views the probe still recognises.

    A probe that has only seen upright images and is as good on turned ones shows that turning doesn't matter here.

    Args:
        plain: the probe's accuracy on validation images as they are, 0 to 1.
        accuracy_of: its accuracy on another view of the same images; asked for a view at a time.
    """

    def survives(view: View) -> bool:
        measured.append(accuracy_of(view))
        return measured[-1] >= plain - TOLERATED_LOSS

    measured: list[float] = []
    if not survives(MIRRORED):
        return _because("crops", plain, measured, "mirrored")
    if not survives(UPSIDE_DOWN):
        return _because("natural", plain, measured, "upside down")
    if not survives(ON_ITS_SIDE):
        return _because("flips", plain, measured, "turned on their side")
    return _because("orientation-free", plain, measured, "turned on their side")


def _because(preset: Preset, plain: float, measured: list[float], how: str) -> Augmentation:
    return Augmentation(
        preset, f"the probe is right for {plain:.1%} of validation images as they are and {measured[-1]:.1%} {how}"
    )
