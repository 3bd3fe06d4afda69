"""Views: deterministic renderings of an image, each with a number, so that their features can be kept.

Random augmentation and a store exclude each other: features of an image that is drawn anew each time would never be
found again, and features kept after one draw would replay it for ever. A fixed, numbered set of renderings gives the
variety of augmentation and is computed once.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Preset = Literal["none", "natural", "orientation-free"]
PRESETS: tuple[Preset, ...] = ("none", "natural", "orientation-free")

# How much of each side a natural view keeps at least: enough zoom to vary the scale, little enough to keep the subject.
SMALLEST_CROP = 0.75


@dataclass(frozen=True)
class View:
    """One rendering: a part of the image, then quarter turns, then a mirror image.

    Attributes:
        box: left, top, right and bottom of the part, as shares of width and height.
        quarter_turns: anticlockwise, 0 to 3.
        mirrored: left and right exchanged after turning.
    """

    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    quarter_turns: int = 0
    mirrored: bool = False

    @property
    def key(self) -> str:
        """The view as text, the same on every machine: part of a feature's key in the store."""
        return f"{','.join(f'{side:.4f}' for side in self.box)};{self.quarter_turns};{int(self.mirrored)}"


PLAIN = View()


def make_views(preset: Preset, count: int, seed: int) -> tuple[View, ...]:
    """The first `count` views of a preset; the plain one is always the first.

    Args:
        preset: "none" knows the plain view only. "natural" mirrors and crops, for photographs with an up and a down.
            "orientation-free" turns and mirrors (eight views), for microscopes, satellites and solar cells.
        count: how many are wanted; a preset that has fewer gives all it has.
        seed: draws the crops of "natural".
    """
    if preset == "none":
        return (PLAIN,)
    if preset == "orientation-free":
        # Opposite poses first, so that the first few already span the group.
        turned = [View(quarter_turns=turns, mirrored=mirrored) for turns in (0, 2, 1, 3) for mirrored in (False, True)]
        return tuple(turned[:count])
    rng = random.Random(seed)
    crops = [View(box=_crop(rng), mirrored=number % 2 == 1) for number in range(2, max(count, 2))]
    return (PLAIN, View(mirrored=True), *crops)[:count]


def _crop(rng: random.Random) -> tuple[float, float, float, float]:
    side = rng.uniform(SMALLEST_CROP, 1.0)
    left, top = rng.uniform(0, 1 - side), rng.uniform(0, 1 - side)
    return (left, top, left + side, top + side)
