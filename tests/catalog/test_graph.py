from __future__ import annotations

import numpy as np

from headstart.catalog.graph import without_numbers


def test_weights_have_no_numbers_and_never_get_any() -> None:
    import keras

    with without_numbers():
        graph = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
    (kernel, _) = graph.weights
    assert kernel.shape == (3, 3, 3, 4)

    class Noise(keras.layers.Layer):
        def call(self, inputs):
            return inputs + keras.random.normal((1,))

    # Keras works out the output's shape in a scope at whose end it gives numbers to whatever waits for some.
    x = keras.Input((4,))
    keras.Model(x, Noise()(x))
    assert kernel._value is None


def test_those_that_waited_before_still_get_theirs() -> None:
    import keras

    with keras.StatelessScope():
        layer = keras.layers.Dense(2)
        layer.build((None, 3))
        with without_numbers():
            inner = keras.layers.Dense(5)
            inner.build((None, 7))
    assert np.asarray(layer.kernel).shape == (3, 2)
    assert inner.kernel._value is None
