"""Pictures that hardly show anything: blank, very dark, very bright, blurred, or tiny."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from headstart.features.looks import Looks

Flaw = Literal["tiny", "blank", "very dark", "very bright", "blurred"]

# Of the grey values' range.
BLANK, DARK, BRIGHT = 0.01, 0.06, 0.96
# In pixels of the longer side: less than an icon.
TINY = 24
# Robust deviations of the logarithm of sharpness below the median; and no more than this share of the median.
UNSHARP, UNSHARP_SHARE = 4.0, 0.5


def flaws(looks: Looks, longer_sides: np.ndarray) -> Mapping[Flaw, np.ndarray]:
    """Places of the images with each flaw, the worst first; an image has the first that applies.

    Args:
        looks: of the images.
        longer_sides: of their files, in pixels; shape (images,).
    """
    sharpness = np.log(np.maximum(looks.sharpness, 1e-6))
    middle = float(np.median(sharpness)) if len(sharpness) else 0.0
    deviation = 1.4826 * float(np.median(np.abs(sharpness - middle))) if len(sharpness) else 0.0
    least_sharp = min(middle - UNSHARP * deviation, middle + np.log(UNSHARP_SHARE))
    # Where most images are tiny, that is what the data are like.
    small = longer_sides < TINY if np.median(longer_sides) >= TINY else np.zeros(len(longer_sides), bool)
    measured: dict[Flaw, tuple[np.ndarray, np.ndarray]] = {
        "tiny": (small, longer_sides),
        "blank": (looks.contrast < BLANK, looks.contrast),
        "very dark": (looks.brightness < DARK, looks.brightness),
        "very bright": (looks.brightness > BRIGHT, -looks.brightness),
        "blurred": (sharpness < least_sharp, sharpness),
    }
    found: dict[Flaw, np.ndarray] = {}
    left = np.ones(len(sharpness), bool)
    for flaw, (has, badness) in measured.items():
        places = np.flatnonzero(has & left)
        found[flaw] = places[np.argsort(badness[places], kind="stable")]
        left[places] = False
    return found
