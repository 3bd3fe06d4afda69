from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headstart.learn.input_shift import SHIFTED, low_level_shift


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(0.1, 0.5, (16, 12, 12, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def model(images: np.ndarray) -> Any:
    """A network whose first BatchNorm has seen these very images."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(8, 3, name="first")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="first_bn")(x))
    made = keras.Model(inputs, layers.BatchNormalization(name="second_bn")(layers.Conv2D(4, 3)(x)))
    given = np.asarray(made.get_layer("first")(images))
    norm = made.get_layer("first_bn")
    norm.moving_mean.assign(given.mean((0, 1, 2)))
    norm.moving_variance.assign(given.var((0, 1, 2)))
    return made


def test_the_images_of_pretraining_are_no_shift(model: Any, images: np.ndarray) -> None:
    assert low_level_shift(model, images) == pytest.approx(0, abs=1e-5)
    assert low_level_shift(model, images[::2]) < SHIFTED / 4


def test_it_is_the_divergence_between_normal_distributions(model: Any, images: np.ndarray) -> None:
    """At a third of the contrast around their own mean, deviations are a third and means stay."""
    mean = images.mean((0, 1, 2))
    paler = mean + (images - mean) / 3
    assert low_level_shift(model, paler) == pytest.approx((1 / 9 - 1 + np.log(9)) / 2, rel=0.05)


def test_brighter_images_are_a_shift(model: Any, images: np.ndarray) -> None:
    shifts = [low_level_shift(model, images + offset) for offset in (0, 0.5, 2)]
    assert shifts[0] < shifts[1] < shifts[2]
    assert shifts[2] > SHIFTED


def test_images_of_one_colour_are_a_shift_of_some_size(model: Any, images: np.ndarray) -> None:
    found = low_level_shift(model, np.zeros_like(images))
    assert found is not None
    assert SHIFTED < found < np.inf


def test_without_a_batch_norm_nothing_is_known(images: np.ndarray) -> None:
    import keras

    inputs = keras.Input((12, 12, 3))
    assert low_level_shift(keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs)), images) is None


@pytest.mark.real
def test_photographs_are_like_those_of_pretraining_and_pale_ones_are_not() -> None:
    from PIL import Image
    from skimage import data

    from headstart.catalog import get_base

    base = get_base("efficientnet-lite0")
    photos = [Image.fromarray(photo).convert("RGB") for photo in (data.astronaut(), data.cat(), data.coffee())]
    squares = [np.asarray(photo.resize((224, 224)), np.float32) for photo in photos]
    inputs = (np.stack(squares) - 127) / 128
    model = base.build()
    assert low_level_shift(model, inputs) < SHIFTED
    assert low_level_shift(model, inputs / 5) > 3 * SHIFTED
