"""Which views of an image still show its class: measured, not guessed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headstart.images.views import MIRRORED, ON_ITS_SIDE, UPSIDE_DOWN, Preset, View
from headstart.learn.kinds import CLASSES, Kind

# Share of accuracy, or of what else a probe is judged by, that a view may cost before it counts as showing something
# else.
TOLERATED_LOSS = 0.03
# Images that the question is asked of: enough to see a loss of a few points, few enough to take seconds.
MOST_IMAGES = 256
# What a preset may add to the log loss of a probe that learns from it before it counts as harm, as a share of it.
TOLERATED_RISE = 0.03


@dataclass(frozen=True)
class Augmentation:
    """A preset of views, and the measurement that led to it."""

    preset: Preset
    reason: str


def choose_augmentation(plain: float, accuracy_of: Callable[[View], float], kind: Kind = CLASSES) -> Augmentation:
    """The widest preset whose views the probe still recognises.

    A probe that has only seen upright images and is as good on turned ones shows that turning doesn't matter here.

    Args:
        plain: the probe's accuracy on validation images as they are, 0 to 1, or what else it is judged by.
        accuracy_of: its accuracy on another view of the same images; asked for a view at a time.
        kind: what it predicts.
    """

    def survives(view: View) -> bool:
        measured.append(accuracy_of(view))
        return measured[-1] >= plain - TOLERATED_LOSS

    measured: list[float] = []
    if not survives(MIRRORED):
        return _because(kind, "text", plain, measured, "mirrored")
    if not survives(UPSIDE_DOWN):
        return _because(kind, "natural", plain, measured, "upside down")
    if not survives(ON_ITS_SIDE):
        return _because(kind, "flips", plain, measured, "turned on their side")
    return _because(kind, "orientation-free", plain, measured, "turned on their side")


def choose_by_learning(
    presets: Sequence[Preset], loss_of: Callable[[Preset], float], kind: Kind = CLASSES
) -> Augmentation:
    """The widest preset that does no harm to a probe which learns from its views.

    That takes a fit a preset and features of all training images in its views, and is surer than `choose_augmentation`:
    what a probe that has only seen upright images doesn't recognise, it may learn easily.

    Args:
        presets: the narrowest first, which is what remains if all others do harm.
        loss_of: the loss of such a probe on validation; asked for a preset at a time.
        kind: what it predicts.
    """
    chosen, *wider = presets
    losses = {chosen: loss_of(chosen)}
    for preset in wider:
        losses[preset] = loss_of(preset)
        if losses[preset] > (1 + TOLERATED_RISE) * losses[presets[0]]:
            break
        chosen = preset
    measured = ", ".join(f"{loss:.3f} for {preset}" for preset, loss in losses.items())
    return Augmentation(chosen, f"validation {kind.loss_name} of a probe that learns from such views: {measured}")


def _because(kind: Kind, preset: Preset, plain: float, measured: list[float], how: str) -> Augmentation:
    before, after = kind.show(plain), kind.show(measured[-1])
    if kind.task == "classes":
        return Augmentation(
            preset, f"the probe is right for {before} of validation images as they are and {after} {how}"
        )
    return Augmentation(
        preset, f"on validation images the probe's {kind.goodness_name} is {before} as they are and {after} {how}"
    )
