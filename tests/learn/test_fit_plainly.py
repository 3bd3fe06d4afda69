"""Where nothing can be stored: one line says why, and it is `model.fit` that trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart as hs
from headstart.errors import HeadstartWarning
from headstart.features.store import Store

# `pytest.warns` raises warnings that it wasn't told of once more, in its own name: the project's filter misses them.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

SAMPLES = 24


def base(*, frozen: bool = True) -> Any:
    import keras

    inputs = keras.Input((8,))
    model = keras.Model(inputs, keras.layers.Dense(6, activation="relu", name="low")(inputs), name="base")
    model.trainable = not frozen
    return model


def compiled(model: Any) -> Any:
    model.compile("adam", "mse", metrics=["mae"], run_eagerly=True)
    return model


def plain_model(frozen: bool = True) -> Any:
    import keras

    return compiled(keras.Sequential([base(frozen=frozen), keras.layers.Dense(1, name="head")]))


def two_inputs() -> Any:
    import keras

    low, one, other = base(), keras.Input((8,), name="one"), keras.Input((8,), name="other")
    return compiled(keras.Model([one, other], keras.layers.Dense(1)(low(one) + low(other))))


def two_outputs() -> Any:
    import keras

    inputs = keras.Input((8,))
    x = base()(inputs)
    model = keras.Model(inputs, [keras.layers.Dense(1, name="left")(x), keras.layers.Dense(1, name="right")(x)])
    model.compile("adam", ["mse", "mse"], run_eagerly=True)
    return model


def first_layer_trained() -> Any:
    import keras

    layers = [keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(4, trainable=False), keras.layers.Dense(1)]
    return compiled(keras.Sequential(layers))


def all_frozen() -> Any:
    model = plain_model()
    model.trainable = False
    return model


def subclassed() -> Any:
    import keras

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.base, self.head = base(), keras.layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.head(self.base(x))

    return compiled(Own())


def with_method(name: str) -> Callable[[], Any]:
    """A functional model of a subclass that has a method of its own; here that does what Keras' does."""

    def build() -> Any:
        import keras

        def method(self: Any, *args: Any, **settings: Any) -> Any:
            return getattr(keras.Model, name)(self, *args, **settings)

        inputs = keras.Input((8,))
        kind = type("Own", (keras.Model,), {name: method})
        return compiled(kind(inputs, keras.layers.Dense(1)(base()(inputs))))

    build.__name__ = f"with_{name}"
    return build


def x() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(SAMPLES, 8)).astype("float32")


def y() -> np.ndarray:
    return x()[:, :1]


def generator() -> Iterator[Any]:
    while True:
        yield x()[:8], y()[:8]


def dataset(*parts: Any) -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(parts)


PLAIN: dict[str, tuple[Callable[[], Any], Callable[[], tuple[Any, ...]], dict[str, Any], str]] = {
    "nothing frozen": (lambda: plain_model(frozen=False), lambda: (x(), y()), {}, "low is trained, and no frozen"),
    "first layer": (first_layer_trained, lambda: (x(), y()), {}, "dense.* is trained, and no frozen layer lies below"),
    "two inputs": (two_inputs, lambda: ([x(), x()], y()), {}, "there are several inputs"),
    "two inputs by name": (two_inputs, lambda: ({"one": x(), "other": x()}, y()), {}, "there are several inputs"),
    "two inputs in a dataset": (
        two_inputs,
        lambda: (dataset((x(), x()), y()).batch(8),),
        {"shuffle": False},
        "one input and one output",
    ),
    "two outputs": (two_outputs, lambda: (x(), (y(), y())), {}, "there are several targets"),
    "two outputs in a dataset": (
        two_outputs,
        lambda: (dataset(x(), (y(), y())).batch(8),),
        {"shuffle": False},
        "one input and one output",
    ),
    "two outputs in a list": (two_outputs, lambda: (x(), [y(), y()]), {}, "there are several targets"),
    "subclassed": (subclassed, lambda: (x(), y()), {}, "isn't a functional or Sequential one"),
    "train_step": (with_method("train_step"), lambda: (x(), y()), {}, "has a train_step of its own"),
    "compute_loss": (with_method("compute_loss"), lambda: (x(), y()), {}, "has a compute_loss of its own"),
    "a generator": (
        plain_model,
        lambda: (generator(),),
        {"steps_per_epoch": 3, "shuffle": False},
        "with steps_per_epoch an epoch isn't all of the data",
    ),
    "steps_per_epoch": (plain_model, lambda: (x(), y()), {"steps_per_epoch": 1, "batch_size": 8}, "steps_per_epoch"),
    "validation_steps": (
        plain_model,
        lambda: (x(), y()),
        {"validation_data": (x(), y()), "validation_steps": 1, "validation_batch_size": 8},
        "validation_steps",
    ),
    "an endless dataset": (
        plain_model,
        lambda: (dataset(x(), y()).batch(8).repeat(),),
        {"steps_per_epoch": 3, "shuffle": False},
        "steps_per_epoch",
    ),
    "endless validation": (
        plain_model,
        lambda: (x(), y()),
        {"validation_data": dataset(x(), y()).batch(8).repeat(), "validation_steps": 2},
        "validation_steps",
    ),
    "an axis that Keras adds": (
        lambda: compiled(one_number()),
        lambda: (x()[:, 0], y()),
        {},
        r"x has samples of shape \(\); the model takes \(1,\)",
    ),
}


def one_number() -> Any:
    import keras

    low = keras.layers.Dense(4, trainable=False)
    return keras.Sequential([keras.Input((1,)), low, keras.layers.Dense(1)])


@pytest.mark.parametrize("case", PLAIN)
def test_it_is_said_why_and_trained_as_keras_trains(case: str, cache_dir: Path) -> None:
    import keras

    build, arguments, settings, reason = PLAIN[case]
    histories = []
    for fit in (lambda model, *given, **more: model.fit(*given, **more), hs.fit):
        keras.utils.set_random_seed(1)
        model = build()
        keras.utils.set_random_seed(2)
        more = {"epochs": 2, "verbose": 0} | settings
        if fit is hs.fit:
            with pytest.warns(
                HeadstartWarning, match=f"^nothing can be stored: .*{reason}.*as model.fit does$"
            ) as said:
                histories.append(fit(model, *arguments(), store=cache_dir, **more))
            assert [warning.filename for warning in said if warning.category is HeadstartWarning] == [__file__]
        else:
            histories.append(fit(model, *arguments(), **more))
    expected, found = histories
    assert found.history == expected.history
    assert found.frozen_part is None
    assert model.history is found


def test_with_everything_frozen_keras_says_its_own(cache_dir: Path) -> None:
    with (
        pytest.warns(HeadstartWarning, match="every layer is frozen, so that there is nothing to train"),
        pytest.warns(UserWarning, match="does not have any trainable weights"),
    ):
        hs.fit(all_frozen(), x(), y(), store=cache_dir, verbose=0)


def test_a_generator_without_steps_is_not_touched(cache_dir: Path) -> None:
    taken = 0

    def counted() -> Iterator[Any]:
        nonlocal taken
        for start in range(0, SAMPLES, 8):
            taken += 1
            yield x()[start : start + 8], y()[start : start + 8]

    with (
        pytest.warns(HeadstartWarning, match="a generator can be read only once"),
        pytest.warns(UserWarning, match="ran out of data"),  # Keras looks for the end of the first epoch
    ):
        hs.fit(plain_model(), counted(), store=cache_dir, verbose=0, shuffle=False)
    assert taken == SAMPLES // 8


def test_a_budget_too_small_is_seen_before_anything_is_computed(tmp_path: Path) -> None:
    with (
        Store(tmp_path, budget_bytes=SAMPLES * 1 * 4 - 1) as store,
        pytest.warns(HeadstartWarning, match=r"0\.0 GB of features are more than the 0\.0 GB that the store may take"),
    ):
        history = hs.fit(plain_model(), x(), y(), store=store, engine="keras", verbose=0)
        assert store.info().values == 0
    assert history.frozen_part is None


def test_features_that_were_dropped_to_keep_to_the_budget_are_not_trained_on(tmp_path: Path) -> None:
    """The budget is more than the features take, and less than the database that holds them."""
    with (
        Store(tmp_path, budget_bytes=SAMPLES * 6 * 4 + 100) as store,
        pytest.warns(HeadstartWarning, match="the store dropped features to stay within its budget"),
    ):
        history = hs.fit(plain_model(), x(), y(), store=store, engine="keras", verbose=0)
    assert history.frozen_part is None


def test_images_of_several_sizes_are_left_to_keras(cache_dir: Path) -> None:
    import keras
    import tensorflow as tf

    inputs = keras.Input((None, None, 3))
    low = keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs))
    low.trainable = False
    model = compiled(keras.Sequential([low, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1)]))
    spec = (tf.TensorSpec((None, None, None, 3)), tf.TensorSpec((None, 1)))
    batches = tf.data.Dataset.from_generator(
        lambda: ((np.ones((2, size, size, 3)), np.ones((2, 1))) for size in (6, 8)), output_signature=spec
    )
    with (
        pytest.warns(HeadstartWarning, match=r"samples differ in shape: \(6, 6, 3\) and \(8, 8, 3\)"),
        pytest.warns(UserWarning, match="ran out of data"),  # Keras looks for the end of the first epoch
    ):
        hs.fit(model, batches, store=cache_dir, engine="keras", verbose=0, shuffle=False)


def test_inputs_that_are_text_are_left_to_keras(cache_dir: Path) -> None:
    import keras
    import tensorflow as tf

    vectorize = keras.layers.TextVectorization(output_sequence_length=4, vocabulary=["good", "bad"])
    embedding = keras.layers.Embedding(5, 3, trainable=False)
    layers = [keras.Input((), dtype="string"), vectorize, embedding]
    model = compiled(keras.Sequential([*layers, keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(1)]))
    texts = tf.data.Dataset.from_tensor_slices((["good one", "bad one"], [[1.0], [0.0]])).batch(2)
    with pytest.warns(HeadstartWarning, match="the inputs aren't numbers"):
        hs.fit(model, texts, store=cache_dir, engine="keras", verbose=0, shuffle=False)
