"""What `fit` refuses, and what it says."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart as hs
from headstart.errors import DataError, EngineError, HeadstartWarning, StoreError, UnknownNameError, UsageError
from headstart.features.store import FILE_NAME, Store

# `pytest.warns` raises warnings that it wasn't told of once more, in its own name: the project's filter misses them.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

SAMPLES, CLASSES = 40, 3


def make_model(loss: Any = "sparse_categorical_crossentropy", low: Any = None) -> Any:
    import keras
    from keras import layers

    low = low or layers.Conv2D(4, 3, activation="relu", name="low")
    low.trainable = False
    last = [layers.GlobalAveragePooling2D(), layers.Dense(CLASSES, activation="softmax")]
    model = keras.Sequential([keras.Input((6, 6, 3)), low, *last], name="toy")
    if loss:
        model.compile("sgd", loss, run_eagerly=True)
    return model


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(SAMPLES, 6, 6, 3)).astype("float32"), np.arange(SAMPLES) % CLASSES


def refused(error: type[Exception], message: str, store: Path, x: Any, y: Any = None, **settings: Any) -> None:
    model = settings.pop("model", None) or make_model()
    before = model.get_weights() if hasattr(model, "get_weights") else None
    with pytest.raises(error, match=message):
        hs.fit(model, x, y, store=store, **({"engine": "keras", "verbose": 0} | settings))
    if before is not None:
        assert all(map(np.array_equal, model.get_weights(), before)), "nothing may be trained"


def test_a_model_that_is_not_compiled(cache_dir: Path) -> None:
    refused(UsageError, r"'toy' isn't compiled; call model\.compile", cache_dir, *data(), model=make_model(loss=None))


def test_a_layer_that_was_unfrozen_after_compiling(cache_dir: Path) -> None:
    model = make_model()
    hs.fit(model, *data(), store=cache_dir, engine="keras", verbose=0)
    model.get_layer("low").trainable = True
    message = r"`trainable` was changed after the model 'toy' was compiled.*\(low\); compile it again"
    refused(UsageError, message, cache_dir, *data(), model=model)
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    with pytest.warns(HeadstartWarning, match="low is trained"):
        hs.fit(model, *data(), store=cache_dir, verbose=0)


@pytest.mark.parametrize("model", ["model.keras", 3, object()], ids=["str", "int", "object"])
def test_what_is_no_model(model: Any, cache_dir: Path) -> None:
    message = f"model is {type(model).__name__}, not a keras.Model; give the compiled model first"
    refused(UsageError, message, cache_dir, *data(), model=model)


@pytest.mark.parametrize("shape", [(SAMPLES, 7, 6, 3), (SAMPLES, 6, 6, 1), (SAMPLES, 6, 6), (SAMPLES, 108)])
def test_inputs_of_another_shape(shape: tuple[int, ...], cache_dir: Path) -> None:
    message = re.escape(f"x has samples of shape {shape[1:]}; the model takes (6, 6, 3); resize them")
    refused(DataError, message, cache_dir, np.zeros(shape), data()[1])
    refused(DataError, message, cache_dir, *data(), validation_data=(np.zeros(shape), data()[1]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_inputs_that_are_no_numbers(value: float, cache_dir: Path) -> None:
    x, y = data()
    x[37, 2, 3, 1] = value
    refused(DataError, r"x\[37\] holds NaN or infinity; remove such samples", cache_dir, x, y)


@pytest.mark.parametrize(("place", "label"), [(0, 3), (39, 7), (39, -1)])
def test_labels_out_of_range(place: int, label: int, cache_dir: Path) -> None:
    import tensorflow as tf

    x, y = data()
    y[place] = label
    low, high = min(label, 0), max(label, 2)
    message = f"y holds labels from {low} to {high}; the model's outputs stand for 0 to 2; number the classes from 0"
    refused(DataError, message, cache_dir, x, y)
    refused(DataError, message, cache_dir, *data(), validation_data=(x, y))
    refused(DataError, message, cache_dir, tf.data.Dataset.from_tensor_slices((x, y)).batch(8))


def test_a_label_that_the_loss_ignores_may_be_any(cache_dir: Path) -> None:
    import keras

    x, y = data()
    y[::4] = 255
    model = make_model(keras.losses.SparseCategoricalCrossentropy(ignore_class=255))
    assert hs.fit(model, x, y, store=cache_dir, engine="keras", verbose=0).frozen_part is not None


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "CategoricalHinge"])
@pytest.mark.parametrize("one_hot", [None, 5])
def test_targets_that_are_not_one_hot(loss: str, one_hot: int | None, cache_dir: Path) -> None:
    x, y = data()
    y = y[:CLASSES] if one_hot is None else np.eye(one_hot)[y]
    shape = "('n',)" if one_hot is None else "('n', 5)"
    message = re.escape(f"y has shape {shape}; {loss} with 3 outputs takes one-hot rows of 3; use keras.utils.to_cat")
    refused(DataError, message, cache_dir, x[: len(y)], y, model=make_model(loss))


def test_parts_of_unequal_length(cache_dir: Path) -> None:
    x, y = data()
    message = "x, y and sample_weight need one row a sample each; x has 40, y has 39; give arrays of equal length"
    refused(DataError, message, cache_dir, x, y[:-1])
    refused(DataError, "x has 40, y has 40, sample_weight has 2", cache_dir, x, y, sample_weight=[1.0, 2.0])
    refused(DataError, "x has 5, y has 40", cache_dir, x, y, validation_data=(x[:5], y))


def test_no_samples(cache_dir: Path) -> None:
    import tensorflow as tf

    x, y = data()
    refused(DataError, "there are no samples in x; give at least one", cache_dir, x[:0], y[:0])
    empty = tf.data.Dataset.from_tensor_slices((x, y)).take(0).batch(4)
    refused(DataError, "there are no samples", cache_dir, empty)
    refused(DataError, "there are no samples", cache_dir, x, y, validation_data=empty)


@pytest.mark.parametrize("share", [1.0, -0.5, 0.999])
def test_a_split_that_leaves_nothing(share: float, cache_dir: Path) -> None:
    refused(DataError, f"validation_split={share:g} leaves", cache_dir, *data(), validation_split=share)


def test_a_split_of_a_dataset(cache_dir: Path) -> None:
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensor_slices(data()).batch(4)
    message = "validation_split needs arrays; give validation_data with a dataset"
    refused(UsageError, message, cache_dir, batches, validation_split=0.2)


@pytest.mark.parametrize(
    ("argument", "name", "hint"),
    [
        ("engine", "opnvino", "did you mean 'openvino'?"),
        ("engine", "tensorrt", "there are: auto, keras, openvino"),
        ("precision", "f23", "did you mean 'f32'?"),
    ],
)
def test_names_that_are_not_offered(argument: str, name: str, hint: str, cache_dir: Path) -> None:
    message = re.escape(f"there is no {argument} named {name!r}; ") + ".*" + re.escape(hint.partition(":")[0])
    refused(UnknownNameError, message, cache_dir, *data(), **{argument: name})


def test_fewer_views_than_none(cache_dir: Path) -> None:
    refused(UsageError, "views is -1; give the number of renderings", cache_dir, *data(), views=-1)


def test_a_store_of_another_version(tmp_path: Path) -> None:
    with Store(tmp_path):
        pass
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    refused(StoreError, "is a store of version 99; this Headstart reads version 1", tmp_path, *data())


def test_a_store_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(StoreError, "can't be made", tmp_path / "file", *data())


def fourier() -> Any:
    """A layer that OpenVINO has no operation for."""
    import keras
    import tensorflow as tf

    class Fourier(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(shape=(1,), initializer="ones")

        def call(self, x: Any) -> Any:
            turned = tf.numpy_function(lambda array: np.flip(array, 1).copy(), [x * self.scale], tf.float32)
            return tf.ensure_shape(turned, x.shape)

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    return Fourier(name="fourier")


def test_what_openvino_cannot_express_runs_in_keras(cache_dir: Path) -> None:
    expected = make_model(low=fourier()).fit(*data(), verbose=0).history
    with pytest.warns(HeadstartWarning, match="so the frozen part runs in Keras, which is slower") as said:
        history = hs.fit(make_model(low=fourier()), *data(), store=cache_dir, verbose=0)
    assert [warning.filename for warning in said if warning.category is HeadstartWarning] == [__file__]
    assert history.frozen_part.engine.startswith("keras-")
    assert history.history.keys() == expected.keys()


def test_openvino_asked_for_by_name_or_nothing(cache_dir: Path) -> None:
    refused(EngineError, "can't be converted", cache_dir, *data(), model=make_model(low=fourier()), engine="openvino")
