from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from headstart.catalog.untrained import BASE
from headstart.errors import UnknownNameError, UsageError
from headstart.learn.attach import attach_head
from headstart.learn.freeze import freeze
from headstart.learn.heads import HEADS
from headstart.learn.losses import make_loss

OUTPUTS = {"multi-class": "softmax", "multi-label": "sigmoid", "regression": "linear"}


@pytest.fixture
def base() -> Any:
    return BASE.build()


def small(shape: tuple[int, ...]) -> Any:
    """A base whose features are its inputs."""
    import keras

    inputs = keras.Input(shape)
    return keras.Model(inputs, keras.layers.Activation("linear", name="features")(inputs), name="small")


def kinds(model: Any, base: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers if layer not in base.layers]


@pytest.mark.parametrize("task", OUTPUTS)
@pytest.mark.parametrize("head", HEADS)
def test_every_head_is_trained_saved_and_loaded(head: str, task: Any, tmp_path: Any) -> None:
    import keras

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 3
    features = (
        rng.normal(size=(48, 2, 2, 3)).astype(np.float32) + 3 * np.eye(3, dtype=np.float32)[labels][:, None, None]
    )
    targets = labels[:, None].astype(np.float32) if task == "regression" else np.eye(3, dtype=np.float32)[labels]
    model = attach_head(small((2, 2, 3)), 1 if task == "regression" else 3, head=head, task=task)
    model.compile(keras.optimizers.Adam(0.02), make_loss(task))
    losses = model.fit(features, targets, epochs=15, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(features), model(features), rtol=1e-5, atol=1e-6)
    assert model.layers[-1].activation.__name__ == OUTPUTS[task]
    if task == "multi-class":
        assert (np.asarray(model(features)).argmax(axis=1) == labels).mean() > 0.9


def test_the_heads_are_what_they_are_called(base: Any) -> None:
    found = {head: kinds(attach_head(base, 5, head=head), base) for head in HEADS}
    assert found == {
        "linear": ["GlobalAveragePooling2D", "Dense"],
        "mlp": ["GlobalAveragePooling2D", "Dense", "LayerNormalization", "ReLU", "Dropout", "Dense"],
        "flatten-256": ["Flatten", "Dense", "Dropout", "Dense"],
    }
    flat = attach_head(base, 5, head="flatten-256")
    assert [flat.get_layer(name).units for name in ("head_hidden", "head_output")] == [256, 5]
    assert flat.get_layer("head_dropout").rate == 0.5


def test_a_head_shares_the_layers_of_the_base_and_leaves_frozen_ones_frozen(base: Any) -> None:
    model = attach_head(freeze(base), 5)
    assert set(base.layers) <= set(model.layers)
    assert [variable.path for variable in model.trainable_variables] == ["head_output/kernel", "head_output/bias"]
    assert model.output.shape == (None, 5)


def test_a_sequential_base_is_made_flat_too(base: Any) -> None:
    import keras

    wrapped = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3, name="conv")])
    model = attach_head(wrapped, 2, name="mine")
    assert model.name == "mine"
    assert wrapped.get_layer("conv") in model.layers


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((4,), ["Dense"]),
        ((6, 4), ["GlobalAveragePooling1D", "Dense"]),
        ((2, 3, 4), ["GlobalAveragePooling2D", "Dense"]),
    ],
)
def test_maps_and_sequences_are_averaged_and_vectors_are_not(shape: tuple[int, ...], expected: list[str]) -> None:
    base = small(shape)
    model = attach_head(base, 3)
    assert kinds(model, base) == expected
    x = np.random.default_rng(0).normal(size=(5, *shape)).astype(np.float32)
    import keras

    seen = keras.Model(model.input, model.get_layer("head_output").input)(x)
    np.testing.assert_allclose(seen, x.mean(axis=tuple(range(1, x.ndim - 1))), rtol=1e-5, atol=1e-6)


def test_dropout_and_logits_can_be_asked_for(base: Any) -> None:
    model = attach_head(base, 3, dropout=0.3, logits=True)
    assert model.get_layer("head_dropout").rate == 0.3
    assert model.get_layer("head_output").activation.__name__ == "linear"
    assert "Dropout" not in kinds(attach_head(base, 3, head="mlp", dropout=0), base)


def test_a_regression_answers_with_one_number_unless_told_otherwise(base: Any) -> None:
    assert attach_head(base, task="regression").output.shape == (None, 1)
    assert attach_head(base, 4, task="regression").output.shape == (None, 4)


def test_a_head_of_ones_own_layers_gets_the_map_only_if_it_takes_maps(base: Any) -> None:
    from keras import Sequential, layers

    for head, expected in (
        (layers.Dense(3), ["GlobalAveragePooling2D", "Dense"]),
        ([layers.Dense(8), layers.Dense(3)], ["GlobalAveragePooling2D", "Dense", "Dense"]),
        ([layers.GlobalMaxPooling2D(), layers.Dense(3)], ["GlobalMaxPooling2D", "Dense"]),
        ([layers.Conv2D(8, 1), layers.Flatten(), layers.Dense(3)], ["Conv2D", "Flatten", "Dense"]),
        ([layers.Flatten(), layers.Dense(3)], ["Flatten", "Dense"]),
        (Sequential([layers.Flatten(), layers.Dense(3)]), ["Sequential"]),
        (lambda output: layers.Dense(3)(layers.Flatten()(output)), ["Flatten", "Dense"]),
    ):
        model = attach_head(base, 3, head=head)
        assert kinds(model, base) == expected
        assert model.output.shape == (None, 3)


def test_names_that_the_base_has_taken_are_avoided() -> None:
    import keras

    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(4, 1, name="pool")(inputs)
    x = keras.layers.Conv2D(4, 1, name="head_output")(x)
    model = attach_head(keras.Model(inputs, x), 2)
    assert [layer.name for layer in model.layers[-2:]] == ["pool_1", "head_output_1"]


def test_a_head_gives_full_precision_under_mixed_precision() -> None:
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = attach_head(small((4,)), 2, head="mlp")
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("head_hidden").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": 1}, "multi-class needs a number of classes, not 1; give 2 or more (one yes-or-no question is"),
        ({"classes": None}, "multi-class needs a number of classes, not None"),
        ({"classes": 0, "task": "multi-label"}, "multi-label needs a number of classes, not 0; give 1 or more"),
        ({"dropout": 1.0}, "dropout is a share, not 1.0; give a number from 0 to below 1"),
        ({"head": [], "dropout": 0.1}, "dropout and logits belong to the named heads, not to one of your own"),
        ({"head": []}, "the list of the head's layers is empty"),
        ({"head": lambda output: output}, "the head gives shape (None, 4, 4, 32), expected (None, 3); end it with"),
    ],
)
def test_what_makes_no_sense_is_refused(base: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        attach_head(base, **({"classes": 3} | settings))


def test_a_misspelt_name_is_answered_with_the_nearest(base: Any) -> None:
    with pytest.raises(UnknownNameError, match="there is no head named 'flatten256'; did you mean 'flatten-256'"):
        attach_head(base, 3, head="flatten256")
    with pytest.raises(UnknownNameError, match="there is no task named 'regress'; did you mean 'regression'"):
        attach_head(base, 3, task="regress")


def test_a_base_needs_one_output_of_two_to_four_axes() -> None:
    import keras

    inputs = keras.Input((4,))
    with pytest.raises(UsageError, match="has no graph with one output"):
        attach_head(keras.Model(inputs, [inputs, inputs]), 3)
    with pytest.raises(UsageError, match="has no graph with one output"):
        attach_head(keras.Sequential([keras.layers.Dense(3)]), 3)
    with pytest.raises(UsageError, match=re.escape("gives an output of shape (None, 2, 2, 2, 2)")):
        attach_head(small((2, 2, 2, 2)), 3)
    with pytest.raises(UsageError, match="takes a Keras model as base, not str; build the base first"):
        attach_head("resnet50", 3)
