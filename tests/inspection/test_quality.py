from __future__ import annotations

import numpy as np

from headstart.features.looks import Looks
from headstart.inspection.quality import flaws


def looks(**changed: dict[int, float]) -> Looks:
    rng = np.random.default_rng(0)
    measures = {
        "brightness": rng.uniform(0.4, 0.6, 30),
        "contrast": rng.uniform(0.1, 0.2, 30),
        "sharpness": rng.uniform(0.2, 0.3, 30),
    }
    for name, values in changed.items():
        for place, value in values.items():
            measures[name][place] = value
    return Looks(np.zeros((30, 48, 48), np.float32), **measures)


SIDES = np.full(30, 300)


def found(of: Looks, sides: np.ndarray = SIDES) -> dict[str, list[int]]:
    return {flaw: places.tolist() for flaw, places in flaws(of, sides).items() if len(places)}


def test_ordinary_pictures_have_no_flaw() -> None:
    assert found(looks()) == {}


def test_each_flaw_is_found_the_worst_first() -> None:
    assert found(looks(contrast={3: 0.004, 5: 0.002})) == {"blank": [5, 3]}
    assert found(looks(brightness={1: 0.05, 2: 0.02})) == {"very dark": [2, 1]}
    assert found(looks(brightness={1: 0.97, 2: 0.99})) == {"very bright": [2, 1]}
    assert found(looks(sharpness={9: 0.05, 4: 0.01})) == {"blurred": [4, 9]}
    assert found(looks(), np.where(np.arange(30) == 8, 16, 300)) == {"tiny": [8]}


def test_an_image_has_the_first_flaw_that_applies() -> None:
    assert found(looks(contrast={3: 0.0}, brightness={3: 0.0}, sharpness={3: 0.0})) == {"blank": [3]}


def test_where_all_are_tiny_or_soft_none_is() -> None:
    assert found(looks(), np.full(30, 8)) == {}
    assert found(looks(sharpness=dict.fromkeys(range(30), 0.01))) == {}
