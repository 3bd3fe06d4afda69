from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.features.frozen import Boundary, Undivided, find_boundary, is_random, seed_generators, split_front

WIDTH = 4


def dense(name: str, units: int = WIDTH, **more: Any) -> Any:
    import keras

    return keras.layers.Dense(units, activation="tanh", name=name, **more)


def model_of(*layers: Any, name: str = "model", width: int = WIDTH) -> Any:
    """A functional chain."""
    import keras

    inputs = x = keras.Input((width,), name=f"{name}_in")
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x, name=name)


def freeze(model: Any, *names: str) -> Any:
    """Freeze the layers of these names, wherever they are nested."""
    for layer in model._flatten_layers():
        if layer.name in names:
            layer.trainable = False
    return model


def divided(model: Any) -> Boundary:
    """The boundary, once the parts have been tried: suffix after prefix is the model, which owns what is trained."""
    found = find_boundary(model)
    assert isinstance(found, Boundary), found
    batch = np.random.default_rng(1).normal(size=(3, *model.inputs[0].shape[1:])).astype(np.float32)
    whole = np.asarray(model(batch, training=False))
    np.testing.assert_allclose(np.asarray(found.suffix(found.prefix(batch, training=False))), whole, atol=1e-6)
    of_model = {id(variable) for variable in model.trainable_variables}
    assert {id(variable) for variable in found.suffix.trainable_variables} == of_model
    assert not found.prefix.trainable_variables
    return found


def undivided(model: Any) -> str:
    found = find_boundary(model)
    assert isinstance(found, Undivided), found
    return found.reason


def test_a_flat_chain_is_divided_below_its_lowest_trained_layer() -> None:
    found = divided(freeze(model_of(dense("a"), dense("b"), dense("c")), "a", "b"))
    assert (found.layer, found.reason, found.frozen_dropout) == ("b", "c is trained", False)


def test_a_frozen_layer_above_a_trained_one_is_not_stored() -> None:
    assert divided(freeze(model_of(dense("a"), dense("b"), dense("c")), "a", "c")).layer == "a"


def test_a_sequential_model_is_divided_as_well() -> None:
    import keras

    model = keras.Sequential([keras.Input((WIDTH,)), dense("a"), dense("b")])
    assert divided(freeze(model, "a")).layer == "a"


def test_layers_without_weights_count_as_frozen() -> None:
    import keras

    model = model_of(dense("a"), keras.layers.ReLU(name="relu"), keras.layers.Flatten(name="flatten"), dense("b"))
    assert divided(freeze(model, "a")).layer == "flatten"


@pytest.mark.parametrize("in_sequential", [True, False])
def test_a_nested_base_is_divided_inside(in_sequential: bool) -> None:
    import keras

    base = freeze(model_of(dense("a"), dense("b"), dense("c"), name="base"), "a", "b")
    model = keras.Sequential([base, dense("head")]) if in_sequential else model_of(base, dense("head"))
    found = divided(model)
    assert (found.layer, found.reason) == ("base/b", "c is trained")


def test_a_base_that_is_all_frozen_lies_below_as_a_whole() -> None:
    base = model_of(dense("a"), dense("b"), name="base")
    base.trainable = False
    found = divided(model_of(base, dense("head")))
    assert (found.layer, found.reason) == ("base", "head is trained")


def test_twice_nested_models_are_divided_at_the_bottom() -> None:
    import keras

    inner = freeze(model_of(dense("a"), dense("b"), name="inner"), "a")
    middle = keras.Sequential([dense("before", trainable=False), inner, dense("after")], name="middle")
    found = divided(model_of(dense("first", trainable=False), middle, dense("head")))
    assert (found.layer, found.reason) == ("middle/inner/a", "b is trained")


def test_a_nested_model_whose_first_layer_is_trained_is_divided_before_it() -> None:
    inner = model_of(dense("a"), dense("b"), name="inner")
    found = divided(model_of(dense("first", trainable=False), inner, dense("head")))
    assert found.reason == "a is trained"
    assert found.layer.startswith("first") or found.layer.startswith("inner")
    assert found.prefix.count_params() == WIDTH * (WIDTH + 1)


def test_nothing_below_the_first_trained_layer_is_worth_storing() -> None:
    import keras

    assert undivided(model_of(dense("a"), dense("b"))) == "a is trained, and no frozen layer lies below it"
    scaled = model_of(keras.layers.Rescaling(2.0), dense("a"))
    assert undivided(scaled) == "a is trained, and no frozen layer lies below it"


def test_with_everything_frozen_there_is_nothing_to_train() -> None:
    model = model_of(dense("a"), dense("b"))
    model.trainable = False
    assert undivided(model) == "every layer is frozen, so that there is nothing to train"


def test_several_inputs_or_outputs_and_subclasses_are_not_divided() -> None:
    import keras

    one, other = keras.Input((2,)), keras.Input((2,))
    both = keras.Model([one, other], dense("top")(keras.layers.Add()([one, other])))

    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    for model in (both, Own(), keras.Sequential([dense("unbuilt")])):
        assert undivided(model) == "the model isn't a functional or Sequential one with one input and one output"


def test_branches_are_divided_where_they_meet() -> None:
    import keras

    def build(*frozen: str) -> Any:
        inputs = keras.Input((WIDTH,))
        x = dense("stem")(inputs)
        x = keras.layers.Add(name="join")([dense("left")(x), dense("right2")(dense("right1")(x))])
        return freeze(keras.Model(inputs, dense("head")(x)), *frozen)

    assert divided(build("stem", "left", "right1", "right2")).layer == "join"
    assert divided(build("stem", "left", "right1")).layer == "stem"
    assert divided(build("stem")).layer == "stem"
    assert "left is trained" in undivided(build("right1", "right2")) or "stem is trained" in undivided(
        build("right1", "right2")
    )


def test_a_shared_layer_that_is_used_again_higher_up() -> None:
    shared = dense("shared", trainable=False)
    assert divided(model_of(shared, dense("between", trainable=False), shared, dense("head"))).layer == "between"


@pytest.mark.parametrize("join", ["Add", "Concatenate"])
def test_a_shortcut_past_a_nested_base_keeps_it_whole(join: str) -> None:
    """The tensor below the base is needed again above it, so that no single tensor crosses inside."""
    import keras

    inputs = keras.Input((WIDTH,))
    x = dense("stem", trainable=False)(inputs)
    base = freeze(model_of(dense("a"), dense("b"), name="base"), "a")
    joined = getattr(keras.layers, join)()([x, base(x)])
    found = divided(keras.Model(inputs, dense("head")(joined)))
    assert (found.layer, found.reason) == ("stem", "b is trained")


def test_a_nested_base_called_twice_on_the_same_tensor_is_kept_whole() -> None:
    import keras

    inputs = keras.Input((WIDTH,))
    x = dense("stem", trainable=False)(inputs)
    base = freeze(model_of(dense("a"), dense("b"), name="base"), "a")
    model = keras.Model(inputs, dense("head")(keras.layers.Add()([base(x), base(x)])))
    assert divided(model).layer == "stem"


def test_a_nested_base_called_again_on_its_own_output_is_kept_whole() -> None:
    base = freeze(model_of(dense("a"), dense("b"), name="base"), "a")
    assert divided(model_of(dense("stem", trainable=False), base, base, dense("head"))).layer == "stem"


def test_a_nested_base_that_other_models_used_first_is_divided_for_this_one() -> None:
    base = freeze(model_of(dense("a"), dense("b"), name="base"), "a")
    model_of(base, dense("other"))
    assert divided(model_of(base, dense("head"))).layer == "base/a"
    assert divided(model_of(base, dense("head"), name="third")).layer == "base/a"


def with_batch_norm(*, trainable: bool, **settings: Any) -> Any:
    import keras

    norm = keras.layers.BatchNormalization(name="norm", **settings)
    model = model_of(dense("a", trainable=False), norm, dense("head"))
    norm.trainable = trainable
    return model


def test_a_batch_norm_that_is_trained_lies_above() -> None:
    assert divided(with_batch_norm(trainable=True)).reason == "norm is trained"
    assert divided(with_batch_norm(trainable=False)).layer == "norm"


def test_a_batch_norm_without_weights_still_updates_its_statistics() -> None:
    found = divided(with_batch_norm(trainable=True, center=False, scale=False))
    assert (found.layer, found.reason) == ("a", "norm updates its statistics in training")


def test_spectral_normalization_changes_its_kernel_even_when_frozen() -> None:
    import keras

    layer = keras.layers.SpectralNormalization(dense("inside"), name="spectral")
    model = model_of(dense("a", trainable=False), layer, dense("head"))
    layer.trainable = False
    assert divided(model).layer == "a"


def test_what_adds_to_the_loss_lies_above() -> None:
    import keras

    regularized = dense("b", trainable=False, activity_regularizer="l2")
    found = divided(model_of(dense("a", trainable=False), regularized, dense("head")))
    assert (found.layer, found.reason) == ("a", "b adds to the loss")

    class AddsLoss(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            self.add_loss(keras.ops.mean(x))
            return x

    found = divided(model_of(dense("a", trainable=False), AddsLoss(name="adds"), dense("head")))
    assert (found.layer, found.reason) == ("a", "adds adds to the loss")


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_stateful_rnn_remembers(wrapped: bool) -> None:
    import keras

    inputs = keras.Input(batch_shape=(3, 5, WIDTH))
    rnn = keras.layers.GRU(3, stateful=True, name="rnn")
    rnn = keras.layers.Bidirectional(rnn, name="both") if wrapped else rnn
    low = keras.layers.Dense(WIDTH, trainable=False, name="low")
    model = keras.Model(inputs, dense("head")(rnn(low(inputs))))
    rnn.trainable = False
    found = find_boundary(model)
    assert isinstance(found, Boundary)
    assert (found.layer, found.reason) == ("low", f"{rnn.name} remembers earlier batches")


@pytest.mark.parametrize(
    ("rates", "is_stored"), [({}, True), ({"dropout": 0.5}, False), ({"recurrent_dropout": 0.1}, False)]
)
def test_an_rnn_is_random_where_it_drops(rates: dict[str, float], is_stored: bool) -> None:
    import keras

    inputs = keras.Input((5, WIDTH))
    low = keras.layers.Dense(WIDTH, trainable=False, name="low")
    rnn = keras.layers.LSTM(3, trainable=False, name="rnn", **rates)
    found = divided(keras.Model(inputs, dense("head")(rnn(low(inputs)))))
    assert found.layer == ("rnn" if is_stored else "low")


@pytest.mark.parametrize("kind", ["Dropout", "GaussianDropout", "AlphaDropout", "GaussianNoise"])
@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_a_random_layer_lies_above_unless_its_strength_is_zero(kind: str, strength: float) -> None:
    import keras

    layer = getattr(keras.layers, kind)(strength, name="random")
    found = divided(model_of(dense("a", trainable=False), layer, dense("head")))
    assert found.layer == ("a" if strength else "random")
    assert found.reason == ("random is random in training" if strength else "head is trained")
    assert is_random(layer) == bool(strength)


def test_stochastic_depth_of_convnext_is_random_unless_it_drops_no_path() -> None:
    from keras.src.applications.convnext import StochasticDepth

    assert is_random(StochasticDepth(0.1)), "though it has no generator of its own"
    assert not is_random(StochasticDepth(0.0))


def test_random_numbers_in_code_of_ones_own_are_seen() -> None:
    import keras

    class Noise(keras.layers.Layer):
        def call(self, x: Any, training: bool = False) -> Any:
            return x + keras.random.normal(keras.ops.shape(x)) if training else x

    for layer in (Noise(name="own"), keras.layers.Lambda(lambda x: x + keras.random.normal((1,)), name="own")):
        found = find_boundary(model_of(dense("a", trainable=False), layer, dense("head")))
        assert isinstance(found, Boundary)
        assert (found.layer, found.reason) == ("a", "own is random in training")


def test_dropout_of_a_frozen_base_is_said_to_be_the_reason() -> None:
    import keras

    base = model_of(dense("a"), keras.layers.Dropout(0.5, name="drop"), dense("b"), name="base")
    base.trainable = False
    found = divided(model_of(base, dense("head")))
    assert (found.layer, found.reason, found.frozen_dropout) == ("base/a", "drop is random in training", True)
    assert not divided(model_of(dense("a", trainable=False), keras.layers.Dropout(0.5), dense("b"))).frozen_dropout


def test_keras_passes_training_on_to_a_nested_model_called_without_it() -> None:
    """What the boundary relies on; should this change, dropout of such a base could be stored."""
    import keras

    base = model_of(keras.layers.Dropout(0.5), name="base")
    inputs = keras.Input((WIDTH,))
    model = keras.Model(inputs, base(inputs, training=False))
    assert (np.asarray(model(np.ones((20, WIDTH)), training=True)) == 0).any()


def embedding(*, nested: bool) -> Any:
    import keras
    from keras import layers

    layer = layers.Embedding(9, 4, mask_zero=True, name="embedding")
    if nested:
        inputs = keras.Input((6,), dtype="int32")
        layer = keras.Model(inputs, layers.ReLU(name="relu")(layer(inputs)), name="base")
    layer.trainable = False
    return layer


@pytest.mark.parametrize("nested", [False, True])
def test_no_mask_crosses_the_boundary(nested: bool) -> None:
    import keras
    from keras import layers

    def on_top(*above: Any) -> Any:
        inputs = x = keras.Input((6,), dtype="int32")
        for layer in (embedding(nested=nested), *above):
            x = layer(x)
        return keras.Model(inputs, x)

    # The loss sees the mask of what a layer gives for each step.
    reason = undivided(on_top(dense("head")))
    assert "passes on a mask, which wouldn't be stored, and no frozen layer lies below it" in reason
    assert "no frozen layer lies below it" in undivided(on_top(layers.LSTM(3)))
    pooled = find_boundary(on_top(layers.GlobalAveragePooling1D(name="pool"), dense("head")))
    if nested:  # cautious: whether the mask ends there isn't looked into
        assert isinstance(pooled, Undivided)
    else:
        assert isinstance(pooled, Boundary)
        assert pooled.layer == "pool"


@settings(deadline=None, max_examples=25, database=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=5))
def test_any_chain_of_layers_and_nested_models_is_divided_below_what_is_trained(drawn: list[tuple[bool, bool]]) -> None:
    """Each drawn item is a layer, or a model of two, and is frozen or isn't."""
    parts = []
    for number, (is_model, is_frozen) in enumerate(drawn):
        name = f"part{number}"
        part = model_of(dense(f"{name}a"), dense(f"{name}b"), name=name) if is_model else dense(name)
        part.trainable = not is_frozen
        parts.append(part)
    model = model_of(*parts)
    frozen = [is_frozen for _, is_frozen in drawn]
    if all(frozen):
        assert undivided(model).startswith("every layer is frozen")
    elif not frozen[0]:
        assert "no frozen layer lies below it" in undivided(model)
    else:
        first = frozen.index(False)
        stored = sum(part.count_params() for part in parts[:first])
        assert divided(model).prefix.count_params() == stored


def flip() -> Any:
    import keras

    return keras.layers.RandomFlip(name="flip")


def image_model(*front: Any) -> Any:
    import keras

    inputs = x = keras.Input((6, 6, 3))
    for layer in front:
        x = layer(x)
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.Conv2D(2, 3)(x))), name="toy")


def test_a_front_that_augments_is_split_off() -> None:
    import keras

    batch = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype(np.float32)
    nested = keras.Sequential([flip(), keras.layers.RandomRotation(0.1)], name="augmentation")
    for front in ([flip()], [keras.layers.Rescaling(0.1), flip(), keras.layers.RandomZoom(0.1)], [nested]):
        model = image_model(*front)
        found = split_front(model)
        assert found is not None
        below, above = found
        assert not below.count_params()
        assert not any(is_random(layer) for layer in above.layers)
        expected = np.asarray(model(batch, training=False))
        np.testing.assert_allclose(np.asarray(above(below(batch, training=False))), expected, atol=1e-5)


def test_a_model_without_a_front_that_augments_is_left_whole() -> None:
    import keras

    assert split_front(image_model()) is None
    assert split_front(image_model(keras.layers.Rescaling(0.1))) is None
    assert split_front(image_model(keras.layers.Dropout(0.1))) is None, "dropout isn't augmentation"
    assert split_front(image_model(keras.layers.Conv2D(3, 1), flip())) is None, "weights lie below"


def test_seed_generators_are_found_however_deep_they_are() -> None:
    import keras

    nested = keras.Sequential([keras.Sequential([flip()]), keras.layers.Dropout(0.1), keras.layers.Dense(2)])
    assert len(seed_generators(nested)) == 2
    assert seed_generators(keras.layers.Dense(2)) == []
