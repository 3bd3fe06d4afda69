"""That `fit` gives what `model.fit` gives, for every form of data and of model, and runs the frozen part once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart as hs
from headstart.features.store import Store

pytestmark = pytest.mark.backends

SIZE, CLASSES, SAMPLES = 8, 3, 24
RTOL = 1e-3


@pytest.fixture
def store(cache_dir: Path) -> Iterator[Store]:
    with Store(cache_dir) as opened:
        yield opened


def make_base(name: str = "base") -> Any:
    """Two convolutions; the BatchNorm's statistics are none of those that it starts with."""
    import keras
    from keras import layers

    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(6, 3, strides=2, activation="relu", kernel_initializer="he_normal", name="low")(inputs)
    x = layers.BatchNormalization(momentum=0.5, name="norm")(x)
    x = layers.Conv2D(8, 2, activation="relu", kernel_initializer="he_normal", name="high")(x)
    base = keras.Model(inputs, x, name=name)
    base(np.random.default_rng(5).normal(size=(8, SIZE, SIZE, 3)).astype("float32"), training=True)
    return base


def frozen_base() -> Any:
    base = make_base()
    base.trainable = False
    return base


def compiled(model: Any, **settings: Any) -> Any:
    import keras

    defaults = {
        "optimizer": keras.optimizers.Adam(0.01),
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
        "run_eagerly": True,  # tracing takes longer than a few steps do
    }
    model.compile(**(defaults | settings))
    return model


def head(units: int = CLASSES) -> list[Any]:
    from keras import layers

    return [layers.GlobalAveragePooling2D(), layers.Dropout(0.3), layers.Dense(units, activation="softmax")]


def sequential() -> Any:
    import keras

    return compiled(keras.Sequential([frozen_base(), *head()]))


def functional() -> Any:
    import keras

    base = frozen_base()
    inputs = keras.Input((SIZE, SIZE, 3))
    x = base(inputs, training=False)
    for layer in head():
        x = layer(x)
    return compiled(keras.Model(inputs, x))


def flat() -> Any:
    import keras

    base = frozen_base()
    x = base.output
    for layer in head():
        x = layer(x)
    return compiled(keras.Model(base.input, x))


def twice_nested() -> Any:
    import keras

    inner = keras.Sequential([keras.layers.Rescaling(2.0), frozen_base()], name="inner")
    return compiled(keras.Sequential([inner, *head()]))


def top_trained() -> Any:
    import keras

    base = frozen_base()
    base.trainable = True
    for name in ("low", "norm"):
        base.get_layer(name).trainable = False
    return compiled(keras.Sequential([base, *head()]))


def with_losses_and_state() -> Any:
    """What the part that is trained may hold besides: regularizers, and a BatchNorm that learns."""
    import keras
    from keras import layers

    dense = layers.Dense(CLASSES, kernel_regularizer="l2", activity_regularizer="l1", activation="softmax")
    return compiled(
        keras.Sequential([frozen_base(), layers.GlobalAveragePooling2D(), layers.BatchNormalization(), dense])
    )


BUILDERS: list[Callable[[], Any]] = [sequential, functional, flat, twice_nested, top_trained, with_losses_and_state]


def data(count: int = SAMPLES, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise whose mean gives the class away."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, count)
    return (rng.normal(size=(count, SIZE, SIZE, 3)) + y[:, None, None, None] - 1).astype("float32"), y


def trained(build: Callable[[], Any], fit: Callable[..., Any], *args: Any, **settings: Any) -> tuple[Any, Any]:
    import keras

    keras.utils.set_random_seed(1)
    model = build()
    keras.utils.set_random_seed(2)
    return model, fit(model, *args, **({"epochs": 2, "verbose": 0} | settings))


def plain_fit(model: Any, *args: Any, **settings: Any) -> Any:
    return model.fit(*args, **settings)


def assert_same(build: Callable[[], Any], store: Store, *args: Any, **settings: Any) -> Any:
    """Trains twice, checks that history and weights agree, and gives the second history."""
    expected_model, expected = trained(build, plain_fit, *args, **settings)
    model, found = trained(build, hs.fit, *args, store=store, engine="keras", **settings)
    assert found.history.keys() == expected.history.keys()
    assert found.epoch == expected.epoch
    for name, values in expected.history.items():
        np.testing.assert_allclose(found.history[name], values, rtol=RTOL, atol=1e-6, err_msg=name)
    assert np.ptp(expected.history["loss"]) > 3 * RTOL * max(expected.history["loss"]), (
        "the loss must move, or agreement means nothing"
    )
    for one, other in zip(model.get_weights(), expected_model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0.01, atol=1e-4)
    assert int(model.optimizer.iterations) == int(expected_model.optimizer.iterations) > 0
    assert found.frozen_part is not None
    return found


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_every_kind_of_model_learns_what_it_learns_with_keras(build: Callable[[], Any], store: Store) -> None:
    x, y = data()
    history = assert_same(build, store, x, y, validation_data=data(12, seed=1), shuffle=False, batch_size=16)
    assert history.frozen_part.computed == SAMPLES + 12
    assert history.frozen_part.reused == 0


@pytest.mark.parametrize(
    ("build", "layer"),
    [(sequential, "global_average_pooling2d"), (top_trained, "base/norm"), (twice_nested, "global_average_pooling2d")],
    ids=["sequential", "top_trained", "twice_nested"],
)
def test_the_frozen_part_reaches_as_high_as_it_can(build: Callable[[], Any], layer: str, store: Store) -> None:
    _, history = trained(build, hs.fit, *data(), store=store, engine="keras", epochs=1)
    assert history.frozen_part.layer.startswith(layer)
    assert history.frozen_part.engine.startswith("keras-")
    assert history.frozen_part.seconds > 0


@pytest.mark.parametrize("shuffle", [True, False, "batch"])
def test_arrays_are_shuffled_as_keras_does(shuffle: Any, store: Store) -> None:
    assert_same(flat, store, *data(), shuffle=shuffle, batch_size=8)


@pytest.mark.parametrize("eager", [True, False])
def test_ten_epochs_agree(eager: bool, store: Store) -> None:
    assert_same(lambda: compiled(sequential(), run_eagerly=eager), store, *data(), epochs=10)


def test_class_weights_sample_weights_and_weighted_metrics_count(store: Store) -> None:
    x, y = data()
    weights = np.linspace(0.1, 3, SAMPLES)
    x_val, y_val = data(12, seed=1)

    def build() -> Any:
        return compiled(flat(), weighted_metrics=["accuracy"])

    assert_same(
        build,
        store,
        x,
        y,
        sample_weight=weights,
        validation_data=(x_val, y_val, np.linspace(2, 0.5, 12)),
        shuffle=False,
    )
    assert_same(build, store, x, y, class_weight={0: 1.0, 1: 5.0, 2: 0.2}, shuffle=False)


@pytest.mark.parametrize("share", [0.2, 0.33])
def test_validation_split_takes_the_last_samples(share: float, store: Store) -> None:
    assert_same(flat, store, *data(), validation_split=share, shuffle=False)


def test_validation_runs_as_often_and_in_batches_as_large_as_asked_for(store: Store) -> None:
    val = data(12, seed=1)
    history = assert_same(
        flat, store, *data(), epochs=4, validation_data=val, validation_freq=2, validation_batch_size=7, shuffle=False
    )
    assert len(history.history["val_loss"]) == 2


def test_initial_epoch_is_where_it_goes_on(store: Store) -> None:
    assert assert_same(flat, store, *data(), initial_epoch=2, epochs=5, shuffle=False).epoch == [2, 3, 4]


@pytest.mark.parametrize("dtype", ["uint8", "float64", "float16"])
def test_inputs_of_other_types_count_as_keras_counts_them(dtype: str, store: Store) -> None:
    x, y = data()
    assert_same(flat, store, (x * 40 + 128).clip(0, 255).astype(dtype), y, shuffle=False)


def test_tensors_and_lists_count_as_arrays(store: Store) -> None:
    import keras

    x, y = data()
    assert_same(flat, store, keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y), shuffle=False)


def test_one_hot_targets_and_a_loss_object(store: Store) -> None:
    import keras

    x, y = data()

    def build() -> Any:
        metrics = ["accuracy", keras.metrics.AUC(name="auc"), "categorical_crossentropy"]
        return compiled(flat(), loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1), metrics=metrics)

    assert_same(build, store, x, np.eye(CLASSES)[y], shuffle=False)


def test_regression_with_a_loss_of_ones_own(store: Store) -> None:
    import keras

    def categorical_like(y: Any, predicted: Any) -> Any:
        return keras.ops.mean(keras.ops.abs(y - predicted), axis=-1)

    def build() -> Any:
        return compiled(
            keras.Sequential([frozen_base(), *head(1)[:-1], keras.layers.Dense(1)]),
            loss=categorical_like,
            metrics=["mae"],
        )

    x, y = data()
    assert_same(build, store, x, y.astype("float32"), shuffle=False)


def test_mixed_precision_agrees_as_far_as_it_is_precise(store: Store) -> None:
    import keras

    def build() -> Any:
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            return flat()
        finally:
            keras.config.set_dtype_policy("float32")

    x, y = data()
    expected, found = (
        trained(build, fit, x, y, shuffle=False)[1].history["loss"]
        for fit in (plain_fit, lambda *given, **more: hs.fit(*given, store=store, **more))
    )
    np.testing.assert_allclose(found, expected, rtol=0.02)


def tf_dataset(count: int = SAMPLES, seed: int = 0, weights: bool = False) -> Any:
    import tensorflow as tf

    x, y = data(count, seed)
    parts = (x, y, np.linspace(0.5, 2, count)) if weights else (x, y)
    return tf.data.Dataset.from_tensor_slices(parts)


def test_a_dataset_of_tensorflow(store: Store) -> None:
    assert_same(flat, store, tf_dataset().batch(10), validation_data=tf_dataset(12, 1).batch(6), shuffle=False)
    assert_same(flat, store, tf_dataset(weights=True).batch(10, drop_remainder=True), shuffle=False)


def make_sequence(sizes: tuple[int, ...] = (10, 10, 4), noise: float = 0.0) -> Any:
    import keras

    class Sequence(keras.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__()
            self._x, self._y = data(sum(sizes))
            self._ends = np.cumsum((0, *sizes))
            self._rng = np.random.default_rng(0)

        def __len__(self) -> int:
            return len(sizes)

        def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
            some = slice(self._ends[number], self._ends[number + 1])
            x = self._x[some]
            return x + noise * self._rng.normal(size=x.shape).astype("float32"), self._y[some]

    return Sequence()


def test_a_pydataset(store: Store) -> None:
    history = assert_same(flat, store, make_sequence(), validation_data=make_sequence(), shuffle=False)
    assert (history.frozen_part.computed, history.frozen_part.reused) == (SAMPLES, SAMPLES)


def test_batches_of_any_size(store: Store) -> None:
    assert_same(flat, store, make_sequence((3, 9, 1, 11)), shuffle=False)


def test_a_loader_of_torch(store: Store) -> None:
    """Torch isn't here, so that a class of the same name and place stands for its loader."""

    class DataLoader:
        def __iter__(self) -> Iterator[Any]:
            x, y = data()
            return ([x[start : start + 10], y[start : start + 10]] for start in range(0, SAMPLES, 10))

    DataLoader.__module__ = "torch.utils.data.dataloader"
    _, expected = trained(flat, plain_fit, *data(), batch_size=10, shuffle=False)
    _, found = trained(flat, hs.fit, DataLoader(), store=store, engine="keras")
    np.testing.assert_allclose(found.history["loss"], expected.history["loss"], rtol=RTOL)


def test_the_order_of_a_shuffling_dataset_is_not_a_change(store: Store) -> None:
    shuffled = tf_dataset().shuffle(SAMPLES, seed=3).batch(10)
    _, history = trained(flat, hs.fit, shuffled, store=store, engine="keras", epochs=8)
    assert history.frozen_part.computed == SAMPLES
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_targets_stay_with_their_inputs_when_shuffled(store: Store) -> None:
    """Only a head that is given the right target for each input can learn this."""
    shuffled = tf_dataset().shuffle(SAMPLES, seed=3).batch(10)
    model, _ = trained(flat, hs.fit, shuffled, store=store, engine="keras", epochs=40)
    assert model.evaluate(*data(), verbose=0)[1] > 0.75


def test_afterwards_the_model_simply_is_trained(store: Store) -> None:
    x, y = data()
    model, history = trained(sequential, hs.fit, x, y, store=store, engine="keras", epochs=5)
    assert model.history is history
    assert int(model.optimizer.iterations) == 5
    before = model.evaluate(x, y, verbose=0)[0]
    assert before < history.history["loss"][0]
    hs.fit(model, x, y, store=store, engine="keras", epochs=5, verbose=0)
    assert int(model.optimizer.iterations) == 10
    model.fit(x, y, epochs=5, verbose=0)
    assert int(model.optimizer.iterations) == 15
    assert model.evaluate(x, y, verbose=0)[0] < before


def test_two_fits_are_as_good_as_two_of_keras(store: Store) -> None:
    import keras

    x, y = data()

    def twice(model: Any, fit: Callable[..., Any]) -> list[float]:
        fit(model, x, y, epochs=2, verbose=0, shuffle=False)
        keras.utils.set_random_seed(3)
        return fit(model, x, y, epochs=2, verbose=0, shuffle=False).history["loss"]

    expected = trained(flat, lambda model, **_: twice(model, plain_fit))[1]
    ours = lambda *given, **more: hs.fit(*given, store=store, engine="keras", **more)  # noqa: E731
    np.testing.assert_allclose(trained(flat, lambda model, **_: twice(model, ours))[1], expected, rtol=RTOL)


def test_what_is_stored_is_not_computed_again(store: Store) -> None:
    parts = [trained(build, hs.fit, *data(), store=store, engine="keras")[1] for build in (sequential, sequential)]
    assert [(part.frozen_part.computed, part.frozen_part.reused) for part in parts] == [(SAMPLES, 0), (0, SAMPLES)]
    assert parts[0].history == parts[1].history
    grown = trained(sequential, hs.fit, *data(SAMPLES + 5), store=store, engine="keras")[1].frozen_part
    assert grown.computed + grown.reused == SAMPLES + 5


def test_other_weights_below_are_another_frozen_part(store: Store) -> None:
    model, _ = trained(sequential, hs.fit, *data(), store=store, engine="keras")
    model.layers[0].get_layer("low").kernel.assign_add(model.layers[0].get_layer("low").kernel)
    history = hs.fit(model, *data(), store=store, engine="keras", verbose=0)
    assert history.frozen_part.computed == SAMPLES


def test_an_image_that_comes_twice_is_run_once(store: Store) -> None:
    x, y = data(10)
    history = trained(flat, hs.fit, np.repeat(x, 2, axis=0), np.repeat(y, 2), store=store, engine="keras")[1]
    assert (history.frozen_part.computed, history.frozen_part.reused) == (10, 10)


def test_a_folder_or_the_environment_says_where_features_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "default"))
    for folder in (tmp_path / "path", str(tmp_path / "text"), None):
        trained(flat, hs.fit, *data(), store=folder, engine="keras", epochs=1)
    for name in ("path", "text", "default"):
        with Store(tmp_path / name) as opened:
            assert opened.info().values == SAMPLES


def test_a_model_built_by_its_first_input(store: Store) -> None:
    import keras

    def build() -> Any:
        low = keras.layers.Conv2D(4, 3, activation="relu", trainable=False)
        return compiled(keras.Sequential([low, *head()]))

    assert_same(build, store, *data(), shuffle=False)


def test_a_base_built_for_any_size(store: Store) -> None:
    import keras

    def build() -> Any:
        inputs = keras.Input((None, None, 3))
        base = keras.Model(inputs, keras.layers.Conv2D(4, 3, activation="relu")(inputs))
        base.trainable = False
        return compiled(keras.Sequential([base, *head()]))

    assert_same(build, store, *data(), shuffle=False)


@pytest.mark.parametrize(("dtype", "known"), [("int32", True), ("int64", False)])
def test_a_frozen_embedding_of_text(dtype: str, known: bool, store: Store) -> None:
    import keras
    from keras import layers

    def build() -> Any:
        embedding = layers.Embedding(50, 8, embeddings_initializer="normal", trainable=False)
        first = [keras.Input((12,), dtype=dtype)] if known else []
        return compiled(
            keras.Sequential(
                [*first, embedding, layers.GlobalAveragePooling1D(), layers.Dense(2, activation="softmax")]
            ),
            optimizer=keras.optimizers.Adam(0.1),
        )

    tokens = np.random.default_rng(0).integers(0, 50, (SAMPLES, 12)).astype(dtype)
    history = assert_same(build, store, tokens, (tokens[:, 0] > 25).astype("int32"), shuffle=False)
    assert history.frozen_part.layer.startswith("global_average_pooling1d")


def test_a_mask_is_not_lost_on_the_way(store: Store) -> None:
    """Padding doesn't count: the pooling that averages over the rest must lie below the boundary as well."""
    import keras
    from keras import layers

    def build() -> Any:
        embedding = layers.Embedding(50, 8, embeddings_initializer="normal", mask_zero=True, trainable=False)
        last = [layers.GlobalAveragePooling1D(), layers.Dense(2, activation="softmax")]
        return compiled(keras.Sequential([keras.Input((12,), dtype="int32"), embedding, *last]))

    tokens = np.random.default_rng(0).integers(1, 50, (SAMPLES, 12))
    tokens[:, 4:] *= np.random.default_rng(1).integers(0, 2, (SAMPLES, 1))
    assert_same(build, store, tokens, (tokens[:, 0] > 25).astype("int32"), shuffle=False, epochs=5)


def test_progress_is_shown_unless_it_is_switched_off(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    trained(flat, hs.fit, *data(), store=store, engine="keras")
    assert capsys.readouterr().out == ""
    trained(flat, hs.fit, *data(), store=store, engine="keras", verbose=2)
    shown = capsys.readouterr().out
    assert "Epoch 2/2" in shown
    assert "loss" in shown


@pytest.mark.parametrize("dtype", ["uint8", "float64", "int64"])
def test_openvino_takes_inputs_of_any_type(dtype: str, store: Store) -> None:
    x, y = data()
    x = (x * 40 + 128).clip(0, 255).astype(dtype)
    expected = trained(flat, plain_fit, x, y, shuffle=False)[1].history
    found = trained(flat, hs.fit, x, y, shuffle=False, store=store, engine="openvino")[1]
    assert found.frozen_part.engine.startswith("openvino-")
    np.testing.assert_allclose(found.history["loss"], expected["loss"], rtol=RTOL)
