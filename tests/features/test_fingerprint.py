from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.features.fingerprint import fingerprint

WIDTH = 3
LONG = np.linspace(0, 1, 3000, dtype="float32")


def kernel(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(WIDTH, WIDTH)).astype("float32")


def dense(values: np.ndarray | None = None, **more: Any) -> Any:
    import keras

    layer = keras.layers.Dense(WIDTH, **more)
    layer.build((None, WIDTH))
    layer.kernel.assign(kernel() if values is None else values)
    return layer


def model_of(build: Callable[[Any], Any], width: int = WIDTH) -> Any:
    import keras

    inputs = keras.Input((width,))
    return keras.Model(inputs, build(inputs))


def chain(values: np.ndarray | None = None, **more: Any) -> Any:
    return model_of(lambda x: dense(kernel(1))(dense(values, **more)(x)))


def test_a_fingerprint_is_a_sha256() -> None:
    found = fingerprint(chain())
    assert len(found) == 64
    assert int(found, 16) >= 0


def test_names_and_what_is_trained_and_seeds_do_not_matter() -> None:
    import keras

    expected = fingerprint(chain())
    assert fingerprint(chain()) == expected, "the second one's layers have other numbers in their names"
    assert fingerprint(chain(name="own", kernel_initializer=keras.initializers.GlorotUniform(seed=3))) == expected
    frozen = chain()
    frozen.trainable = False
    assert fingerprint(frozen) == expected


@pytest.mark.parametrize("nested", [False, True])
def test_a_sequential_model_is_what_it_computes(nested: bool) -> None:
    import keras

    def build() -> Any:
        inner = keras.Sequential([keras.Input((WIDTH,)), dense()])
        return keras.Sequential([inner, dense(kernel(1))]) if nested else inner

    assert fingerprint(build()) == fingerprint(build())
    assert fingerprint(keras.Sequential([keras.Input((WIDTH,)), dense(kernel(2))])) != fingerprint(build())


@pytest.mark.parametrize("place", [(0, 0), (1, 2), (2, 2)])
def test_every_weight_matters(place: tuple[int, int]) -> None:
    changed = kernel()
    changed[place] = np.nextafter(changed[place], np.float32(9))
    assert fingerprint(chain(changed)) != fingerprint(chain())


def test_settings_matter() -> None:
    found = {
        fingerprint(chain(**more)) for more in ({}, {"activation": "relu"}, {"use_bias": False}, {"dtype": "float64"})
    }
    assert len(found) == 4


def test_statistics_of_a_batch_norm_matter() -> None:
    import keras

    model = model_of(lambda x: keras.layers.BatchNormalization()(x))
    before = fingerprint(model)
    model.layers[1].moving_mean.assign(np.ones(WIDTH))
    assert fingerprint(model) != before


def test_the_input_shape_matters() -> None:
    import keras

    found = {fingerprint(model_of(lambda x: keras.layers.ReLU()(x), width=width)) for width in (2, 3)}
    assert len(found) == 2


def test_wiring_matters() -> None:
    import keras

    def build(wire: Callable[[Any, Any, Any], Any]) -> str:
        one, other = dense(kernel(1)), dense(kernel(2))
        return fingerprint(model_of(lambda x: wire(x, one(x), other(x))))

    def subtract(a: Any, b: Any) -> Any:
        return keras.layers.Subtract()([a, b])

    found = {
        build(lambda x, one, other: subtract(one, other)),
        build(lambda x, one, other: subtract(other, one)),
        build(lambda x, one, other: subtract(one, x)),
        build(lambda x, one, other: keras.layers.Add()([one, other])),
        build(lambda x, one, other: keras.layers.Concatenate()([one, other])),
    }
    assert len(found) == 5


def test_numbers_within_the_graph_matter_wherever_they_stand() -> None:
    def shifted(place: int | None) -> Any:
        import keras

        constant = LONG.copy()
        if place is not None:
            constant[place] += 1e-3
        return fingerprint(model_of(lambda x: keras.ops.add(x, constant), width=len(LONG)))

    assert shifted(None) == shifted(None)
    assert len({shifted(place) for place in (None, 0, 1500, 2999)}) == 4


def test_arguments_of_a_call_matter() -> None:
    import keras

    def build(axis: int) -> str:
        return fingerprint(model_of(lambda x: keras.ops.repeat(keras.ops.expand_dims(x, 1), 2, axis=axis)))

    assert build(1) == build(1) != build(2)


def layer_that(code: str) -> Any:
    """A layer of one's own: both versions have the same name and the same settings."""
    import keras

    def twice(x: Any) -> Any:
        return x * 2

    def thrice(x: Any) -> Any:
        return x * 3

    thrice.__name__ = thrice.__qualname__ = twice.__name__
    return keras.layers.Lambda({"twice": twice, "thrice": thrice}[code], output_shape=(WIDTH,))


def test_code_of_ones_own_matters() -> None:
    def build(code: str) -> str:
        return fingerprint(model_of(lambda x: layer_that(code)(x)))

    assert build("twice") == build("twice") != build("thrice")


def test_a_layer_class_of_ones_own_counts_with_its_code() -> None:
    import keras

    def first() -> Any:
        class Own(keras.layers.Layer):
            def call(self, x: Any) -> Any:
                return x + 1

        return Own()

    def second() -> Any:
        class Own(keras.layers.Layer):
            def call(self, x: Any) -> Any:
                return x + 2

        return Own()

    one, again, other = (fingerprint(model_of(lambda x, make=make: make()(x))) for make in (first, first, second))
    assert one == again != other


@settings(deadline=None, max_examples=20, database=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.lists(st.integers(0, 3), min_size=1, max_size=4))
def test_chains_of_layers_are_told_apart(one: list[int], other: list[int]) -> None:
    def build(drawn: list[int]) -> str:
        def wire(x: Any) -> Any:
            for number in drawn:
                x = dense(kernel(number))(x)
            return x

        return fingerprint(model_of(wire))

    assert (build(one) == build(other)) == (one == other)
