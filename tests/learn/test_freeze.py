from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headstart.errors import UsageError
from headstart.learn.freeze import freeze, freeze_batch_norm, thaw, trainable_as_now, trainable_changed


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


def noisy(name: str = "noisy") -> Any:
    """Every kind of noise that Keras has, and a stochastic depth of one's own."""
    import keras

    class StochasticDepth(keras.layers.Layer):
        drop_path_rate = 0.5

        def call(self, inputs: Any, training: bool = False) -> Any:
            if not training:
                return inputs
            drawn = keras.random.uniform((keras.ops.shape(inputs)[0], 1, 1, 1))
            return inputs * keras.ops.floor(1 - self.drop_path_rate + drawn)

    inputs = x = keras.Input((8, 8, 3))
    for layer in (
        keras.layers.Conv2D(3, 1, name=f"{name}_conv"),
        keras.layers.Dropout(0.5),
        keras.layers.SpatialDropout2D(0.25),
        keras.layers.GaussianDropout(0.125),
        keras.layers.AlphaDropout(0.2),
        keras.layers.GaussianNoise(0.3),
        StochasticDepth(),
    ):
        x = layer(x)
    return keras.Model(inputs, x, name=name)


def noises(model: Any) -> list[float]:
    names = ("rate", "stddev", "drop_path_rate")
    return [getattr(layer, name) for layer in model.layers for name in names if hasattr(layer, name)]


def images(count: int = 16) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 8, 8, 3)).astype(np.float32)


def test_what_is_frozen_gives_the_same_output_in_training() -> None:
    model = noisy()
    alive = np.asarray(model(images(), training=True))
    assert np.abs(alive - np.asarray(model(images(), training=True))).max() > 0.1
    assert freeze(model) is model
    found = [np.asarray(model(images(), training=training)) for training in (True, True, False)]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_thawing_brings_each_rate_back_and_freezing_twice_forgets_none() -> None:
    model = noisy()
    rates = noises(model)
    assert rates == [0.5, 0.25, 0.125, 0.2, 0.3, 0.5]
    assert noises(freeze(freeze(model))) == [0.0] * 6
    thaw(model)
    assert noises(model) == rates
    assert model.trainable_variables


def test_freezing_reaches_what_is_nested_twice() -> None:
    import keras

    inner = noisy("inner")
    inputs = keras.Input((8, 8, 3))
    middle = keras.Model(inputs, keras.layers.BatchNormalization()(inner(inputs)), name="middle")
    outer = freeze(keras.Sequential([keras.Input((8, 8, 3)), middle]))
    assert outer.trainable_variables == []
    assert noises(inner) == [0.0] * 6
    np.testing.assert_array_equal(outer(images(), training=True), outer(images(), training=False))


def test_freezing_leaves_augmentation_alone() -> None:
    import keras

    model = freeze(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.RandomFlip(seed=0)]))
    assert np.abs(np.asarray(model(images(), training=True)) - images()).max() > 0.1


def test_a_frozen_model_is_saved_and_loaded_with_its_noise_off(tmp_path: Any) -> None:
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dropout(0.5)])
    freeze(model).save(tmp_path / "frozen.keras")
    loaded = keras.models.load_model(tmp_path / "frozen.keras")
    assert loaded.layers[-1].rate == 0
    x = np.ones((5, 4), np.float32)
    np.testing.assert_allclose(loaded(x, training=True), model(x))


def test_only_layers_and_models_can_be_frozen() -> None:
    with pytest.raises(UsageError, match="freeze takes a Keras model or layer, not str; build the model first"):
        freeze("resnet50")


def pair(**settings: Any) -> Any:
    """Two dense layers, the lower one frozen, compiled."""
    import keras

    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(4, name="low"), keras.layers.Dense(1, name="top")], name="pair"
    )
    model.get_layer("low").trainable = False
    model.compile("sgd", "mse", **settings)
    return model


def fit(model: Any) -> list[bool]:
    """Train a little; whether the lower and the upper kernel have moved."""
    rng = np.random.default_rng(0)
    before = [np.copy(layer.kernel.numpy()) for layer in model.layers]
    model.fit(rng.normal(size=(8, 4)), rng.normal(size=(8, 1)), verbose=0)
    return [bool((layer.kernel.numpy() != old).any()) for layer, old in zip(model.layers, before, strict=True)]


def test_a_change_before_the_first_training_counts_so_nothing_is_said() -> None:
    model = pair()
    model.get_layer("low").trainable = True
    assert trainable_changed(model) is None
    assert fit(model) == [True, True]


@pytest.mark.parametrize("unfrozen", [True, False])
def test_a_change_after_training_is_overlooked_by_keras_and_told(unfrozen: bool) -> None:
    model = pair()
    if not unfrozen:
        model.get_layer("low").trainable = True
    assert fit(model) == [not unfrozen, True]
    assert trainable_changed(model) is None
    model.get_layer("low").trainable = unfrozen
    said = trainable_changed(model)
    assert said is not None
    assert "`trainable` was changed after the model 'pair'" in said
    assert "(low); compile it again with a new optimizer, and then train" in said
    assert fit(model) == [not unfrozen, True], "Keras has learned to notice, so trainable_changed can go"
    model.compile("sgd", "mse")
    assert trainable_changed(model) is None
    assert fit(model) == [unfrozen, True]


def test_a_change_that_is_undone_is_none() -> None:
    model = pair()
    fit(model)
    for trainable in (True, False):
        model.get_layer("low").trainable = trainable
    assert trainable_changed(model) is None


def test_a_loaded_model_has_its_optimizer_built_so_a_change_is_told(tmp_path: Any) -> None:
    import keras

    pair().save(tmp_path / "pair.keras")
    model = keras.models.load_model(tmp_path / "pair.keras")
    assert trainable_changed(model) is None
    model.get_layer("low").trainable = True
    assert "low" in str(trainable_changed(model))
    with pytest.raises(ValueError, match="Unknown variable"):
        fit(model)


def test_freezing_is_noticed_by_what_runs_eagerly() -> None:
    model = pair(run_eagerly=True)
    model.get_layer("low").trainable = True
    fit(model)
    model.get_layer("low").trainable = False
    assert trainable_changed(model) is None
    assert fit(model) == [False, True]


def test_a_model_that_is_not_compiled_has_nothing_to_overlook() -> None:
    model = nested()
    model.trainable = False
    assert trainable_changed(model) is None


def test_layers_become_trainable_again_as_they_were() -> None:
    model = nested()
    model.layers[1].trainable = False
    restore = trainable_as_now(model)
    before = [variable.path for variable in model.trainable_variables]
    model.layers[1].trainable = True
    model.layers[-1].trainable = False
    assert [variable.path for variable in model.trainable_variables] != before
    restore()
    assert [variable.path for variable in model.trainable_variables] == before
