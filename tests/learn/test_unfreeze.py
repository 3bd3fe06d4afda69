from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from headstart.errors import UnknownNameError, UsageError
from headstart.learn.freeze import freeze
from headstart.learn.unfreeze import unfreeze


def make_base(name: str = "base") -> Any:
    """Three stages, at 8, 4 and 2 pixels; the lower two have BatchNorm and dropout."""
    import keras
    from keras import layers

    inputs = x = keras.Input((8, 8, 3))
    for stage, pool in (("low", "halve"), ("middle", "halve_again")):
        x = layers.Conv2D(4, 3, padding="same", name=stage)(x)
        x = layers.BatchNormalization(name=f"{stage}_bn")(x)
        x = layers.Dropout(0.5, name=f"{stage}_noise")(x)
        x = layers.MaxPooling2D(name=pool)(x)
    return keras.Model(inputs, layers.Conv2D(4, 3, padding="same", name="high")(x), name=name)


def flat(base: Any) -> Any:
    from headstart.learn.attach import attach_head

    return attach_head(base, 2)


def nested(base: Any) -> Any:
    import keras

    pool, dense = keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, "softmax", name="head_output")
    return keras.Sequential([keras.Input((8, 8, 3)), base, pool, dense])


def nested_twice(base: Any) -> Any:
    import keras

    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, nested(base)(inputs))


SHAPES = [flat, nested, nested_twice]
Build = Callable[[Any], Any]
each_shape = pytest.mark.parametrize("build", SHAPES)


def trained(model: Any) -> set[str]:
    return {variable.path.split("/")[-2] for variable in model.trainable_variables}


def data(count: int = 16) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(1, 2, (count, 8, 8, 3)).astype(np.float32), np.eye(2, dtype=np.float32)[np.arange(count) % 2]


def values(model: Any, kind: str = "") -> dict[str, np.ndarray]:
    return {v.path: np.copy(v.numpy()) for v in model.variables if kind in v.path and "seed" not in v.path}


@each_shape
@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        ({}, {"low", "middle", "high", "head_output"}),
        ({"stages": 1}, {"high", "head_output"}),
        ({"stages": 2}, {"middle", "high", "head_output"}),
        ({"stages": "high"}, {"high", "head_output"}),
        ({"stages": ["high", "middle_noise"]}, {"middle", "high", "head_output"}),
        ({"layers": 1}, {"head_output"}),
        ({"layers": 3}, {"high", "head_output"}),
        ({"layers": "middle"}, {"middle", "high", "head_output"}),
        ({"layers": ("head_output", "high")}, {"high", "head_output"}),
        ({"fraction": 1.0}, {"low", "middle", "high", "head_output"}),
        ({"fraction": 0.25}, {"high", "head_output"}),
    ],
)
def test_what_lies_above_the_depth_is_trained_but_for_batch_norm(
    build: Build, depth: dict[str, Any], expected: set[str]
) -> None:
    model = build(freeze(make_base()))
    assert unfreeze(model, **depth) is model
    assert trained(model) == expected


@each_shape
def test_unfreezing_less_freezes_again(build: Build) -> None:
    model = unfreeze(build(make_base()))
    unfreeze(model, stages=1)
    assert trained(model) == {"high", "head_output"}
    unfreeze(model, layers=1)
    assert trained(model) == {"head_output"}


def test_a_nested_model_s_name_is_a_depth() -> None:
    model = unfreeze(nested(freeze(make_base())), layers="base")
    assert trained(model) == {"low", "middle", "high", "head_output"}


@each_shape
def test_batch_norm_stays_as_it_is_while_the_rest_is_trained(build: Build) -> None:
    model = build(freeze(make_base()))
    unfreeze(model)
    norms, others = values(model, "_bn/"), values(model, "kernel")
    model.compile("sgd", "categorical_crossentropy")
    model.fit(*data(), verbose=0)
    for path, before in norms.items():
        np.testing.assert_array_equal(values(model)[path], before)
    assert len(norms) == 8
    assert all(np.abs(values(model)[path] - before).max() > 0 for path, before in others.items())


@each_shape
def test_dropout_is_dead_where_frozen_and_alive_where_unfrozen(build: Build) -> None:
    def differs() -> bool:
        return bool((np.asarray(model(x, training=True)) != np.asarray(model(x, training=True))).any())

    base = make_base()
    model, (x, _) = build(freeze(base)), data()
    assert not differs()
    unfreeze(model, stages=1)
    assert not differs()
    unfreeze(model, stages=2)
    assert differs()
    assert [base.get_layer(f"{stage}_noise").rate for stage in ("low", "middle")] == [0.0, 0.5]
    unfreeze(model, stages=1)
    assert not differs()


def test_a_compiled_model_is_compiled_again_as_it_was() -> None:
    import keras

    model = nested(freeze(make_base()))
    optimizer = keras.optimizers.SGD(0.05, momentum=0.8, clipnorm=2.0)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(
        optimizer, loss, metrics=["accuracy"], weighted_metrics=["mae"], run_eagerly=True, steps_per_execution=2
    )
    model.fit(*data(), verbose=0)
    unfreeze(model, stages=2)
    assert type(model.optimizer) is keras.optimizers.SGD
    assert model.optimizer is not optimizer
    assert model.optimizer.get_config() == optimizer.get_config()
    assert (model.loss, model.run_eagerly, model.steps_per_execution) == (loss, True, 2)
    before = values(model, "middle/kernel")
    assert {"loss", "accuracy", "mae"} <= set(model.fit(*data(), verbose=0).history)
    assert all(np.abs(values(model)[path] - old).max() > 0 for path, old in before.items())


def test_an_unfrozen_model_is_saved_loaded_and_trained_on(tmp_path: Any) -> None:
    import keras

    model = nested_twice(freeze(make_base()))
    model.compile(keras.optimizers.Adam(1e-4), "categorical_crossentropy")
    unfreeze(model, stages=2)
    model.fit(*data(), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert trained(loaded) == trained(model)
    assert int(loaded.optimizer.iterations) == int(model.optimizer.iterations) == 1
    norms = values(loaded, "_bn/")
    assert np.isfinite(loaded.fit(*data(), verbose=0).history["loss"][0])
    for path, before in norms.items():
        np.testing.assert_array_equal(values(loaded)[path], before)


@pytest.mark.parametrize(
    ("depth", "message"),
    [
        ({"stages": 1, "layers": 2}, "unfreeze was given stages and layers; give one of stages, layers and fraction"),
        (
            {"stages": 4},
            "there are 3 stages (low_noise, middle_noise, high), so 4 of them can't be unfrozen; give a number",
        ),
        ({"stages": 0}, "so 0 of them can't be unfrozen; give a number from 1 to 3"),
        ({"layers": 99}, "there are 11 layers, so 99 of them can't be unfrozen; give a number from 1 to 11"),
        ({"layers": True}, "so True of them can't be unfrozen"),
        ({"layers": []}, "unfreeze was given an empty list of names"),
        ({"fraction": 0.0}, "fraction is a share of the layers, not 0.0; give a number above 0 and at most 1"),
        ({"fraction": 1.5}, "fraction is a share of the layers, not 1.5"),
        ({"learning_rates": 1e-4}, "has no optimizer yet whose learning rates could be set; compile it first"),
    ],
)
def test_a_depth_that_does_not_fit_is_refused(depth: dict[str, Any], message: str) -> None:
    model = flat(freeze(make_base()))
    with pytest.raises(UsageError, match=re.escape(message)):
        unfreeze(model, **depth)
    assert trained(model) == {"head_output"}


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    model = nested(make_base())
    for depth, message in (
        ({"stages": "hihg"}, "there is no stage named 'hihg'; did you mean 'high'?"),
        ({"layers": "midle"}, "there is no layer named 'midle'; did you mean 'middle'?"),
        ({"layers": "bases"}, "there is no layer named 'bases'; did you mean 'base'?"),
    ):
        with pytest.raises(UnknownNameError, match=re.escape(message)):
            unfreeze(model, **depth)


def test_a_part_without_weights_has_nothing_to_unfreeze() -> None:
    base = make_base()
    for model, depth in ((base, {"stages": 1}), (nested(base), {"layers": 1})):
        unfreeze(model, **depth)
    import keras

    model = keras.Sequential([base, keras.layers.GlobalAveragePooling2D(name="average")])
    with pytest.raises(UsageError, match=re.escape("only layers without weights, or BatchNorm (average); go deeper")):
        unfreeze(model, layers=1)


def test_without_maps_stages_cannot_be_told_apart() -> None:
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)], name="vectors")
    with pytest.raises(UsageError, match=r"no stages can be told apart in 'vectors'.*; say layers= or fraction="):
        unfreeze(model, stages=1)


def test_only_models_can_be_unfrozen() -> None:
    with pytest.raises(UsageError, match="unfreeze takes a Keras model, not Dense"):
        import keras

        unfreeze(keras.layers.Dense(3))
