from __future__ import annotations

import numpy as np

from headstart.learn.kinds import CLASSES, Classes


def test_a_class_is_its_place_among_the_names() -> None:
    assert Classes.encode(["dog", "cat", "dog"], ("cat", "dog")).tolist() == [1, 0, 1]
    assert Classes.encode([], ("cat", "dog")).shape == (0,)


def test_classes_share_the_images() -> None:
    assert CLASSES.images_an_output(np.zeros(90, int), 3) == (30, "30 training images a class")
    assert CLASSES.show(0.8765) == "87.6%"


def test_training_targets_are_one_hot() -> None:
    assert CLASSES.training_targets(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_nothing_is_left_to_settle() -> None:
    assert CLASSES.settle(np.eye(2), np.array([0, 1])) is CLASSES
    assert not CLASSES.keeps_validation
