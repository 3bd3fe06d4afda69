from __future__ import annotations

from typing import Any

import numpy as np

from headstart.learn.freeze import freeze_batch_norm


def block(width: int, name: str) -> Any:
    import keras

    inputs = keras.Input((width,))
    x = keras.layers.Dense(width, name=f"{name}_dense")(inputs)
    return keras.Model(inputs, keras.layers.BatchNormalization(name=f"{name}_bn")(x), name=name)


def nested() -> Any:
    """A BatchNorm in the model, one in a model within it, and one in a model within that."""
    import keras

    inputs = keras.Input((4,))
    x = keras.layers.BatchNormalization(name="own_bn")(block(4, "inner")(inputs))
    deep_inputs = keras.Input((4,))
    deep = keras.Model(deep_inputs, block(4, "innermost")(deep_inputs), name="deep")
    return keras.Model(inputs, deep(x))


def train(model: Any) -> None:
    batch = np.random.default_rng(0).normal(5, 3, (16, 4)).astype(np.float32)
    model.compile("sgd", "mse")
    model.train_on_batch(batch, np.zeros((16, 4), np.float32))


def numbers(model: Any, kind: str) -> dict[str, np.ndarray]:
    return {variable.path: np.copy(variable.numpy()) for variable in model.variables if kind in variable.path}


def test_frozen_batch_norms_stay_as_they_are_and_the_rest_is_trained() -> None:
    model = nested()
    freeze_batch_norm(model)
    norms, kernels = numbers(model, "_bn/"), numbers(model, "kernel")
    train(model)
    assert len(norms) == 12
    for path, before in norms.items():
        np.testing.assert_array_equal(numbers(model, "_bn/")[path], before)
    assert len(kernels) == 2
    for path, before in kernels.items():
        assert np.abs(numbers(model, "kernel")[path] - before).max() > 0, path


def test_frozen_batch_norms_do_not_look_at_the_batch() -> None:
    model = nested()
    freeze_batch_norm(model)
    batch = np.random.default_rng(0).normal(5, 3, (16, 4)).astype(np.float32)
    np.testing.assert_allclose(model(batch, training=True), model(batch, training=False), rtol=1e-5)


def test_without_freezing_training_changes_the_statistics() -> None:
    model = nested()
    before = numbers(model, "own_bn/moving_mean")
    train(model)
    assert all(np.abs(numbers(model, path)[path] - mean).max() > 0 for path, mean in before.items())
