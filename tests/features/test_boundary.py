from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headstart.errors import EngineError, UnknownNameError
from headstart.features.boundary import INPUT, Cut, find_cuts, multiplications, prefix, size_at, suffix


def names(model: Any) -> list[str]:
    return [cut.layer for cut in find_cuts(model)]


def dense(name: str, units: int = 4) -> Any:
    import keras

    return keras.layers.Dense(units, activation="tanh", name=name)


def model_of(build: Any, width: int = 4) -> Any:
    import keras

    inputs = keras.Input((width,), name="in")
    return keras.Model(inputs, build(inputs), name="toy")


def chain() -> Any:
    return model_of(lambda x: dense("c", 2)(dense("b")(dense("a", 6)(x))))


def run(model: Any, batch: np.ndarray) -> np.ndarray:
    return np.asarray(model(batch, training=False))


def batch_for(model: Any) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(3, *model.inputs[0].shape[1:])).astype(np.float32)


def assert_divides(model: Any, cut: str) -> None:
    batch = batch_for(model)
    np.testing.assert_allclose(run(suffix(model, cut), run(prefix(model, cut), batch)), run(model, batch), atol=1e-6)


def test_every_layer_of_a_chain_is_a_cut_with_its_shape() -> None:
    assert find_cuts(chain()) == (Cut("a", (6,)), Cut("b", (4,)), Cut("c", (2,)))


def test_the_size_of_a_cut_is_the_count_of_its_numbers() -> None:
    assert Cut("x", (7, 7, 16)).size == 784


def test_below_the_input_lies_nothing() -> None:
    model = chain()
    assert_divides(model, INPUT)
    assert (multiplications(prefix(model, INPUT)), size_at(model, INPUT), size_at(model, "a")) == (0, 4, 6)
    assert multiplications(suffix(model, INPUT)) == multiplications(model)
    assert INPUT not in names(model)


def test_a_shortcut_leaves_no_cut_beside_it() -> None:
    from keras import layers

    def build(x: Any) -> Any:
        x = dense("stem")(x)
        x = layers.Add(name="add")([x, dense("branch2")(dense("branch1")(x))])
        return dense("top")(x)

    model = model_of(build)
    assert names(model) == ["stem", "add", "top"]
    assert_divides(model, "stem")
    assert_divides(model, "add")


def test_a_shortcut_from_the_input_itself_leaves_no_cut_beside_it() -> None:
    from keras import layers

    assert names(model_of(lambda x: layers.Add(name="add")([x, dense("branch")(x)]))) == ["add"]


def test_parallel_branches_hold_no_cut() -> None:
    from keras import layers

    def build(x: Any) -> Any:
        x = dense("stem")(x)
        left, right = dense("left2")(dense("left1")(x)), dense("right3")(dense("right2")(dense("right1")(x)))
        return dense("top")(layers.Concatenate(name="join")([left, right]))

    model = model_of(build)
    assert names(model) == ["stem", "join", "top"]
    assert_divides(model, "join")


def test_a_layer_with_two_outputs_is_a_cut_where_only_one_of_them_is_used() -> None:
    import keras

    class Halves(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x[:, :2], x[:, 2:]

        def compute_output_shape(self, shape: Any) -> Any:
            return (shape[0], 2), (shape[0], 2)

    both = model_of(lambda x: keras.layers.Add(name="add")(Halves(name="halves")(dense("stem")(x))))
    assert names(both) == ["stem", "add"]
    for half in (0, 1):
        one = model_of(lambda x, half=half: dense("top")(Halves(name="halves")(dense("stem")(x))[half]))
        assert find_cuts(one)[1] == Cut("halves", (2,))
        assert_divides(one, "halves")


def test_a_layer_used_twice_is_no_cut_because_its_name_does_not_say_where() -> None:
    shared = dense("shared")
    model = model_of(lambda x: dense("top")(shared(dense("between")(shared(x)))))
    assert names(model) == ["between", "top"]
    assert_divides(model, "between")


def test_a_layer_that_another_model_used_first_divides_this_one() -> None:
    layer = dense("layer")
    model_of(lambda x: layer(x))
    model = model_of(lambda x: dense("top")(layer(dense("bottom")(x))))
    assert names(model) == ["bottom", "layer", "top"]
    assert_divides(model, "layer")


def test_a_suffix_can_be_divided_again() -> None:
    top = suffix(chain(), "a")
    assert names(top) == ["b", "c"]
    assert_divides(top, "b")


def test_an_operation_without_a_layer_is_a_cut_too() -> None:
    model = model_of(lambda x: dense("top")(dense("stem")(x) * 3.0))
    assert len(names(model)) == 3
    assert_divides(model, names(model)[1])


def test_a_nested_model_is_one_layer() -> None:
    inner = chain()
    model = model_of(lambda x: dense("top")(inner(x)))
    assert names(model) == ["toy", "top"]
    assert_divides(model, "toy")


def test_training_the_suffix_trains_the_model_and_leaves_the_prefix() -> None:
    model = chain()
    batch = batch_for(model)
    bottom, top = prefix(model, "a"), suffix(model, "a")
    features, before = run(bottom, batch), run(model, batch)
    top.compile("sgd", "mse")
    top.train_on_batch(features, np.ones((3, 2), np.float32))
    np.testing.assert_array_equal(run(bottom, batch), features)
    assert np.abs(run(model, batch) - before).max() > 1e-4
    np.testing.assert_allclose(run(model, batch), run(top, features), atol=1e-6)


def test_prefix_and_suffix_are_named_after_the_model() -> None:
    model = chain()
    assert (prefix(model, "b").name, suffix(model, "b").name) == ("toy_prefix", "toy_suffix")


@pytest.mark.parametrize("divide", [prefix, suffix])
def test_an_unknown_cut_is_named_with_the_nearest_one(divide: Any) -> None:
    model = model_of(lambda x: dense("logits")(dense("block_add")(x)))
    with pytest.raises(UnknownNameError, match=r"there is no cut named 'blok_add'; did you mean 'block_add'\?"):
        divide(model, "blok_add")


@pytest.mark.parametrize("divide", [prefix, suffix])
def test_a_layer_that_is_no_cut_cannot_be_divided_at(divide: Any) -> None:
    from keras import layers

    model = model_of(lambda x: layers.Add(name="sum")([x, dense("branch")(x)]))
    with pytest.raises(UnknownNameError, match="there is no cut named 'branch'"):
        divide(model, "branch")


def test_a_subclassed_model_has_no_cuts() -> None:
    import keras

    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(EngineError, match="the model 'own' has no graph with one input and one output; build it with"):
        find_cuts(Own(name="own"))


def test_a_model_with_two_inputs_has_no_cuts() -> None:
    import keras

    one, two = keras.Input((4,)), keras.Input((4,))
    with pytest.raises(EngineError, match="no graph with one input and one output"):
        find_cuts(keras.Model([one, two], keras.layers.Add()([one, two])))


def test_a_model_with_two_outputs_has_no_cuts() -> None:
    with pytest.raises(EngineError, match="no graph with one input and one output"):
        find_cuts(model_of(lambda x: [dense("a")(x), dense("b")(x)]))


def image_model(build: Any) -> Any:
    import keras

    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, build(inputs))


def test_multiplications_of_a_convolution_count_kernel_and_places() -> None:
    from keras import layers

    model = image_model(lambda x: layers.Conv2D(5, 3, strides=2, padding="same")(x))
    assert multiplications(model) == (3 * 3 * 3 * 5) * (4 * 4)


def test_multiplications_of_a_depthwise_convolution_do_not_mix_channels() -> None:
    from keras import layers

    assert multiplications(image_model(lambda x: layers.DepthwiseConv2D(3, padding="valid")(x))) == 3 * 3 * 3 * 6 * 6


def test_multiplications_of_a_grouped_convolution_stay_in_the_group() -> None:
    from keras import layers

    model = image_model(lambda x: layers.Conv2D(6, 1, groups=3)(x))
    assert multiplications(model) == 6 * 1 * 64


def test_multiplications_of_a_dense_layer_are_its_kernel() -> None:
    assert multiplications(model_of(lambda x: dense("d", 7)(x))) == 4 * 7


def test_multiplications_of_a_separable_convolution_are_those_of_both_its_steps() -> None:
    from keras import layers

    model = image_model(lambda x: layers.SeparableConv2D(5, 3, padding="valid")(x))
    assert multiplications(model) == (3 * 3 * 3 + 3 * 5) * 6 * 6


def test_multiplications_of_a_nested_model_count() -> None:
    inner = model_of(lambda x: dense("d", 7)(x))
    assert multiplications(model_of(lambda x: dense("e", 2)(inner(x)))) == 4 * 7 + 7 * 2


def test_layers_without_a_kernel_take_no_multiplications() -> None:
    from keras import layers

    model = image_model(lambda x: layers.GlobalAveragePooling2D()(layers.ReLU()(layers.BatchNormalization()(x))))
    assert multiplications(model) == 0


def test_a_layer_used_twice_multiplies_twice() -> None:
    shared = dense("shared")
    assert multiplications(model_of(lambda x: shared(shared(x)))) == 2 * 16


def test_prefix_and_suffix_share_the_multiplications_out() -> None:
    model = chain()
    assert multiplications(model) == 4 * 6 + 6 * 4 + 4 * 2
    for cut in ("a", "b"):
        assert multiplications(prefix(model, cut)) + multiplications(suffix(model, cut)) == multiplications(model)
