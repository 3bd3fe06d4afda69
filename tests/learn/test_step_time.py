from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headstart.catalog.untrained import BASE
from headstart.learn import step_time
from headstart.learn.step_time import TIMED_STEPS, WARM_UP_STEPS, seconds_a_step


def test_the_median_of_the_steps_after_the_first_ones_counts(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([60.0] * WARM_UP_STEPS + [0.5, 9.0, 0.1, 0.3, 0.4])
    monkeypatch.setattr(step_time, "_seconds", lambda top, inputs, targets: next(seconds))
    assert seconds_a_step(BASE.build(), problem.probe, problem.cut, None, 8) == 0.4
    assert TIMED_STEPS == 5


def test_a_step_trains_what_lies_above_the_cut(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[tuple[int, ...], tuple[int, ...], int]] = []

    def seconds(top: Any, inputs: np.ndarray, targets: np.ndarray) -> float:
        steps.append((inputs.shape, targets.shape, len(top.trainable_variables)))
        return 1.0

    monkeypatch.setattr(step_time, "_seconds", seconds)
    for cut, shape in (("stage0", (16, 16, 8)), ("stage1", (8, 8, 16))):
        steps.clear()
        seconds_a_step(BASE.build(), problem.probe, cut, None, 8)
        # Convolutions without bias, and the head's weights and bias.
        assert set(steps) == {((8, *shape), (8, 2), 4 - int(cut[-1]))}


def test_weights_stay_as_they_were(problem: Any) -> None:
    base = BASE.build()
    before = [np.copy(weights) for weights in base.get_weights()]
    assert seconds_a_step(base, problem.probe, problem.cut, None, 8) > 0
    for old, new in zip(before, base.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
