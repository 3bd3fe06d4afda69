from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headstart.catalog.untrained import BASE
from headstart.images.views import make_views
from headstart.learn.heads import (
    LOGITS,
    SMALLEST_VARIANCE,
    attach_linear_head,
    attach_training_head,
    average_over_views,
    fold_training_head,
    pool,
)
from headstart.learn.probe import Probe


@pytest.fixture
def base() -> Any:
    return BASE.build()


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (5, 32, 32, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def probe() -> Probe:
    """A probe whose features differ in size a thousandfold; one of them never varied."""
    rng = np.random.default_rng(1)
    deviation = (10.0 ** rng.uniform(-2, 1, 32)).astype(np.float32)
    deviation[3] = 1
    weights = (rng.normal(size=(32, 4)) / deviation[:, None]).astype(np.float32)
    bias, mean = rng.normal(size=4).astype(np.float32), rng.uniform(0, 3, 32).astype(np.float32)
    return Probe(weights, bias, mean, deviation, 0.01, 5, {})


def pooled(base: Any, inputs: np.ndarray) -> np.ndarray:
    return np.asarray(base(inputs, training=False)).mean(axis=(1, 2))


def run(model: Any, inputs: np.ndarray, *, training: bool = False) -> np.ndarray:
    return np.asarray(model(inputs, training=training))


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max() + 1e-6)


def test_a_linear_head_is_average_pooling_and_a_dense_layer(base: Any, inputs: np.ndarray, probe: Probe) -> None:
    model = attach_linear_head(base, 4)
    assert model.output.shape == (None, 4)
    assert {f"{LOGITS}/kernel", f"{LOGITS}/bias"} <= {variable.path for variable in model.variables}
    model.get_layer(LOGITS).set_weights([probe.weights, probe.bias])
    assert_same(run(model, inputs), pooled(base, inputs) @ probe.weights + probe.bias)


def test_a_head_shares_the_layers_of_the_base(base: Any, inputs: np.ndarray, probe: Probe) -> None:
    for model in (attach_linear_head(base, 4), attach_training_head(base, probe, seed=0)):
        assert set(base.layers) <= set(model.layers)


def test_a_head_on_two_maps_pools_both(base: Any, inputs: np.ndarray) -> None:
    import keras

    model = attach_linear_head(base, 4, "stage1")
    detail = run(keras.Model(base.input, base.get_layer("stage1").output), inputs)
    seen = run(keras.Model(model.input, model.get_layer(LOGITS).input), inputs)
    deviations = np.sqrt(detail.var(axis=(1, 2)) + SMALLEST_VARIANCE)
    of_detail = [detail.mean(axis=(1, 2)), detail.max(axis=(1, 2)), deviations]
    assert_same(seen, np.concatenate([*of_detail, pooled(base, inputs)], axis=1))


def test_a_map_that_never_varies_can_be_trained_through() -> None:
    """The root of a variance of 0 would have no gradient."""
    import keras
    import tensorflow as tf

    inputs = keras.Input((4, 4, 3))
    flat = keras.layers.Conv2D(3, 1, kernel_initializer="zeros", name="flat")(inputs)
    model = keras.Model(inputs, pool(keras.Model(inputs, flat), "flat"))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(np.ones((1, 4, 4, 3), np.float32)))
    assert all(np.isfinite(part).all() for part in tape.gradient(total, model.trainable_variables))


def test_a_training_head_on_two_maps_folds_into_a_linear_one(base: Any, inputs: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    weights, bias, mean = rng.normal(size=(80, 4)), rng.normal(size=4), rng.uniform(0, 3, 80)
    deviation = rng.uniform(0.1, 2, 80)
    probe = Probe(*(part.astype(np.float32) for part in (weights, bias, mean, deviation)), 0.01, 5, {})
    trained = attach_training_head(base, probe, 0, "stage1")
    folded = fold_training_head(trained, base, probe, "stage1")
    assert_same(run(folded, inputs), run(trained, inputs))
    assert_same(run(folded, inputs), run(attach_linear_head_of(base, probe), inputs))


def attach_linear_head_of(base: Any, probe: Probe) -> Any:
    model = attach_linear_head(base, 4, "stage1")
    model.get_layer(LOGITS).set_weights([probe.weights, probe.bias])
    return model


def test_a_training_head_gives_the_logits_of_the_probe(base: Any, inputs: np.ndarray, probe: Probe) -> None:
    found = run(attach_training_head(base, probe, seed=0), inputs)
    assert_same(found, probe.logits(pooled(base, inputs)))
    assert found.std(axis=0).min() > 1e-3


def test_a_training_head_drops_features_in_training_only(base: Any, inputs: np.ndarray, probe: Probe) -> None:
    model = attach_training_head(base, probe, seed=0, dropout=0.2)
    whole = run(model, inputs)
    np.testing.assert_array_equal(run(model, inputs), whole)
    assert np.abs(run(model, inputs, training=True) - whole).max() > 1e-3


def test_what_dropout_sees_is_standardised(base: Any, inputs: np.ndarray, probe: Probe) -> None:
    import keras

    model = attach_training_head(base, probe, seed=0)
    seen = run(keras.Model(model.input, model.get_layer(LOGITS).input), inputs)
    assert_same(seen, (pooled(base, inputs) - probe.mean) / probe.deviation)


def test_folding_gives_the_probe_back(base: Any, inputs: np.ndarray, probe: Probe) -> None:
    model = fold_training_head(attach_training_head(base, probe, seed=0), base, probe)
    kernel, bias = model.get_layer(LOGITS).get_weights()
    np.testing.assert_allclose(kernel, probe.weights, rtol=1e-5)
    np.testing.assert_allclose(bias, probe.bias, atol=1e-4 * np.abs(probe.mean @ probe.weights).max())


def test_folding_after_training_changes_no_answer(base: Any, inputs: np.ndarray, probe: Probe) -> None:
    trained = attach_training_head(base, probe, seed=0)
    before = run(trained, inputs)
    trained.compile("adam", "mse")
    for _ in range(5):
        trained.train_on_batch(inputs, np.zeros((5, 4), np.float32))
    folded = fold_training_head(trained, base, probe)
    assert np.abs(run(trained, inputs) - before).max() > 1e-3
    assert_same(run(folded, inputs), run(trained, inputs))
    assert [type(layer).__name__ for layer in folded.layers[-2:]] == ["GlobalAveragePooling2D", "Dense"]
    assert set(base.layers) <= set(folded.layers)


def test_a_model_averaged_over_views_gives_the_mean_of_what_it_gives_for_each(base: Any, inputs: np.ndarray) -> None:
    views = make_views("orientation-free", 8, seed=0)
    model = attach_linear_head(base, 4)
    turned = [np.rot90(inputs, view.quarter_turns, axes=(1, 2)) for view in views]
    seen = [images[:, :, ::-1] if view.mirrored else images for images, view in zip(turned, views, strict=True)]
    each = [run(model, np.ascontiguousarray(images)) for images in seen]
    assert np.abs(each[0] - np.mean(each, axis=0)).max() > 1e-4
    assert_same(run(average_over_views(model, views), inputs), np.mean(each, axis=0))


def test_a_model_averaged_over_views_has_the_same_weights(base: Any) -> None:
    model = attach_linear_head(base, 4)
    averaged = average_over_views(model, make_views("flips", 4, seed=0))
    assert [id(variable) for variable in averaged.weights] == [id(variable) for variable in model.weights]
