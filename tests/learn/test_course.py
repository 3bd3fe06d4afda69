"""That a course remembers the best epoch, and that a checkpoint brings all of it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.catalog.untrained import build
from headstart.evaluation.calibration import softmax
from headstart.evaluation.metrics import log_loss
from headstart.learn.checkpoint import Checkpoint, Checkpoints
from headstart.learn.course import Course, Epoch
from headstart.learn.kinds import CLASSES

LABELS = np.array([0, 1, 1])
RIGHT = np.array([[4.0, 0.0], [0.0, 4.0], [0.0, 4.0]], np.float32)


@pytest.fixture
def model() -> Any:
    model = build(classes=2)
    model.compile("adamw", "categorical_crossentropy")
    return model


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoints(tmp_path, lambda text: None).of("a", "course")


def start(model: Any, checkpoint: Checkpoint | None = None, weights: np.ndarray | None = None) -> Course:
    return Course(model, model, CLASSES, LABELS, weights, (2, 3, 2), checkpoint)


def set_all(model: Any, value: float) -> None:
    for variable in model.variables:
        variable.assign(np.full(variable.shape, value, variable.dtype))


def test_the_weights_of_the_epoch_with_the_smallest_loss_are_kept(model: Any) -> None:
    course = start(model)
    for epoch, (value, share) in enumerate([(0.5, 0.0), (1.5, 1.0), (2.5, 0.5)]):
        set_all(model, value)
        if epoch == 0:
            course.start(np.stack([RIGHT * share, -RIGHT]), lambda in_views: in_views[0])
        else:
            course.see(RIGHT * share, epoch, 0.1)
    assert (course.best_epoch, course.done) == (1, 2)
    assert all(np.all(array == 1.5) for array in course.best)
    np.testing.assert_array_equal(course.start_logits[1], -RIGHT)


def test_an_epoch_is_judged_by_the_logits_that_count_and_as_much_as_each_image_does(model: Any) -> None:
    weights = np.array([2.0, 0.5, 0.5])
    logits = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], np.float32)
    course = start(model, weights=weights)
    course.start(np.stack([RIGHT, logits]), lambda in_views: in_views[1])
    assert course.history == [Epoch(0, None, log_loss(softmax(logits), LABELS, weights), pytest.approx(2.5 / 3))]


def test_a_checkpoint_brings_everything_back(model: Any, checkpoint: Checkpoint) -> None:
    course = start(model, checkpoint)
    set_all(model, 0.5)
    course.start(np.stack([RIGHT, -RIGHT]), lambda in_views: in_views[0])
    set_all(model, 2.0)
    course.see(-RIGHT, 1, 0.25)
    model.optimizer.iterations.assign(7)

    other = build(classes=2)
    other.compile("adamw", "categorical_crossentropy")
    set_all(other, 9.0)
    again = start(other, checkpoint)
    assert again.resume()
    assert again.history == course.history
    assert again.history[1].loss == 0.25
    assert (again.best_epoch, again.done) == (0, 1)
    assert all(np.all(array == 0.5) for array in again.best)
    assert all(np.all(array == 2.0) for array in other.get_weights())
    assert int(other.optimizer.iterations) == 0  # as it was when the epoch was seen
    np.testing.assert_array_equal(again.start_logits, course.start_logits)


def test_without_a_checkpoint_there_is_nothing_to_resume(model: Any, checkpoint: Checkpoint) -> None:
    assert not start(model).resume()
    assert not start(model, checkpoint).resume()
