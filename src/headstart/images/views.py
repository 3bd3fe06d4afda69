"""Views: deterministic renderings of an image, each with a number, so that their features can be kept.

Random augmentation and a store exclude each other: features of an image that is drawn anew each time would never be
found again, and features kept after one draw would replay it for ever. A fixed, numbered set of renderings gives the
variety of augmentation and is computed once.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Preset = Literal["none", "text", "natural", "flips", "orientation-free"]
PRESETS: tuple[Preset, ...] = ("none", "text", "natural", "flips", "orientation-free")

# How much of each side a natural view keeps at least: enough zoom to vary the scale, little enough to keep the subject.
SMALLEST_CROP = 0.75

WHOLE = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class View:
    """One rendering: a part of the image, then quarter turns, then a mirror image.

    Attributes:
        box: left, top, right and bottom of the part, as shares of width and height.
        quarter_turns: anticlockwise, 0 to 3.
        mirrored: left and right exchanged after turning.
    """

    box: tuple[float, float, float, float] = WHOLE
    quarter_turns: int = 0
    mirrored: bool = False

    @property
    def key(self) -> str:
        """The view as text, the same on every machine: part of a feature's key in the store."""
        return f"{','.join(f'{side:.4f}' for side in self.box)};{self.quarter_turns};{int(self.mirrored)}"

    @property
    def is_exact(self) -> bool:
        """Whether it shows the whole image: then it can be made of the plain view's pixels alone."""
        return self.box == WHOLE

    @property
    def flips(self) -> tuple[bool, bool, bool]:
        """Turns and mirroring in three steps: exchange rows and columns, reverse the rows, reverse the columns."""
        upside_down, backwards = self.quarter_turns in (1, 2), self.quarter_turns in (2, 3)
        return self.quarter_turns % 2 == 1, upside_down, backwards != self.mirrored


PLAIN = View()
MIRRORED = View(mirrored=True)
UPSIDE_DOWN = View(quarter_turns=2)
ON_ITS_SIDE = View(quarter_turns=1)

_FLIPS = (PLAIN, UPSIDE_DOWN, MIRRORED, View(quarter_turns=2, mirrored=True))
_TURNS = (
    ON_ITS_SIDE,
    View(quarter_turns=3),
    View(quarter_turns=1, mirrored=True),
    View(quarter_turns=3, mirrored=True),
)


def make_views(preset: Preset, count: int, seed: int) -> tuple[View, ...]:
    """The first `count` views of a preset; the plain one is always the first.

    Args:
        preset: "none" knows the plain view only. "text" moves and enlarges, for text and whatever else reads one
            way; "natural" mirrors as well, for photographs; both draw their crops. "flips" mirrors in both directions
            (four views), and "orientation-free" adds quarter turns (eight), for microscopes and satellites.
        count: how many are wanted; a preset that has fewer gives all it has.
        seed: draws the crops.
    """
    exact = {"none": (PLAIN,), "flips": _FLIPS, "orientation-free": _FLIPS + _TURNS}
    if preset in exact:
        return exact[preset][:count]
    rng = random.Random(seed)
    mirrors = preset == "natural"
    drawn = [View(box=_crop(rng), mirrored=mirrors and number % 2 == 0) for number in range(1, count)]
    return (PLAIN, *([MIRRORED, *drawn] if mirrors else drawn))[:count]


def exact_views(preset: Preset, *, is_square: bool) -> tuple[View, ...]:
    """The views of a preset that show the whole image, the plain one first.

    Args:
        preset: "none" and "text" have the plain one alone.
        is_square: whether the network's input is; turned by a quarter, another wouldn't fit.
    """
    if preset == "natural":
        return PLAIN, MIRRORED
    if preset == "flips" or (preset == "orientation-free" and not is_square):
        return _FLIPS
    return _FLIPS + _TURNS if preset == "orientation-free" else (PLAIN,)


def _crop(rng: random.Random) -> tuple[float, float, float, float]:
    side = rng.uniform(SMALLEST_CROP, 1.0)
    left, top = rng.uniform(0, 1 - side), rng.uniform(0, 1 - side)
    return (left, top, left + side, top + side)
