"""Augmentation: numbered renderings, each of which goes through the frozen part once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart as hs
from headstart.errors import HeadstartWarning, UsageError

# `pytest.warns` raises warnings that it wasn't told of once more, in its own name: the project's filter misses them.
pytestmark = [
    pytest.mark.backends,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
]

SIZE, SAMPLES = 6, 12


def random_layers() -> list[Any]:
    import keras

    keras.utils.set_random_seed(5)
    return [keras.layers.RandomFlip("horizontal"), keras.layers.RandomTranslation(0.3, 0.3)]


def base() -> Any:
    import keras

    inputs = keras.Input((SIZE, SIZE, 2))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3, activation="relu", name="low")(inputs), name="base")
    model.trainable = False
    return model


def make_model(*front: Any) -> Any:
    import keras

    layers = [keras.Input((SIZE, SIZE, 2)), *front, base(), keras.layers.Flatten()]
    keras.utils.set_random_seed(1)
    model = keras.Sequential([*layers, keras.layers.Dense(1, name="head")])
    model.get_layer("base").get_layer("low").kernel.assign(
        np.random.default_rng(3).normal(size=(3, 3, 2, 4)).astype("float32")
    )
    model.compile(keras.optimizers.SGD(0.01), "mse", run_eagerly=True)
    return model


def plain() -> Any:
    return make_model()


def flat_front() -> Any:
    return make_model(*random_layers())


def nested_front() -> Any:
    import keras

    return make_model(keras.layers.Rescaling(0.5), keras.Sequential(random_layers(), name="augmentation"))


def functional_front() -> Any:
    import keras

    inputs = keras.Input((SIZE, SIZE, 2))
    x = inputs
    for layer in random_layers():
        x = layer(x)
    outputs = keras.layers.Dense(1)(keras.layers.Flatten()(base()(x)))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse", run_eagerly=True)
    return model


def mirror(row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return row[:, ::-1] if rng.random() < 0.5 else row


def shift(row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return row + rng.normal(size=row.shape)


def data(count: int = SAMPLES, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).normal(size=(count, SIZE, SIZE, 2)).astype("float32")
    return x, x.mean((1, 2))[:, :1]


def fit(model: Any, store: Path, *given: Any, **settings: Any) -> Any:
    import keras

    keras.utils.set_random_seed(2)
    return hs.fit(model, *(given or data()), store=store, **({"engine": "keras", "epochs": 3, "verbose": 0} | settings))


@pytest.mark.parametrize("build", [flat_front, nested_front, functional_front], ids=lambda build: build.__name__)
def test_random_layers_at_the_front_are_rendered(build: Any, cache_dir: Path) -> None:
    part = fit(build(), cache_dir, views=3, epochs=1).frozen_part
    assert (part.computed, part.reused) == (3 * SAMPLES, 0)


@pytest.mark.parametrize("augment", [shift, random_layers], ids=["function", "layers"])
def test_augment_is_rendered(augment: Any, cache_dir: Path) -> None:
    import keras

    given = keras.Sequential(augment()) if augment is random_layers else augment
    part = fit(plain(), cache_dir, views=3, epochs=1, augment=given).frozen_part
    assert (part.computed, part.reused) == (3 * SAMPLES, 0)


def test_epochs_draw_among_the_renderings_and_compute_none(cache_dir: Path) -> None:
    first = fit(flat_front(), cache_dir, views=4, epochs=2)
    again = fit(flat_front(), cache_dir, views=4, epochs=9)
    assert (again.frozen_part.computed, again.frozen_part.reused) == (0, 4 * SAMPLES)
    assert again.history["loss"][:2] == first.history["loss"]
    more = fit(flat_front(), cache_dir, views=6, epochs=1).frozen_part
    assert (more.computed, more.reused) == (2 * SAMPLES, 4 * SAMPLES)


def test_each_epoch_sees_other_renderings(cache_dir: Path) -> None:
    """With a rate of 0 nothing is learned, so that only the inputs can change the loss."""
    model = plain()
    model.optimizer.learning_rate = 0.0
    losses = fit(model, cache_dir, views=5, augment=shift, epochs=6, shuffle=False).history["loss"]
    assert np.diff(sorted(losses)).min() > 1e-5
    assert np.ptp(fit(model, cache_dir, views=1, augment=shift, epochs=4).history["loss"]) < 1e-5


def test_one_rendering_is_what_training_on_it_gives(cache_dir: Path) -> None:
    """The first rendering by hand, then `model.fit`."""
    from headstart.features.arrays import digest_of
    from headstart.learn.renderings import FunctionRenderer

    x, y = data()
    rendered = np.stack([FunctionRenderer(shift).render(row, digest_of(row), 0) for row in x])
    expected = plain().fit(rendered, y, epochs=3, verbose=0, shuffle=False)
    found = fit(plain(), cache_dir, views=1, augment=shift, shuffle=False)
    np.testing.assert_allclose(found.history["loss"], expected.history["loss"], rtol=1e-3)


@pytest.mark.parametrize("build", [nested_front, plain], ids=lambda build: build.__name__)
def test_validation_is_not_augmented(build: Any, cache_dir: Path) -> None:
    model = build()
    augment = shift if build is plain else None
    history = fit(model, cache_dir, views=3, augment=augment, validation_data=data(10, seed=1))
    assert history.frozen_part.computed == 3 * SAMPLES + 10
    assert history.history["val_loss"][-1] == pytest.approx(model.evaluate(*data(10, seed=1), verbose=0), rel=1e-4)


def test_views_work_with_weights_datasets_and_odd_batches(cache_dir: Path) -> None:
    import tensorflow as tf

    x, y = data()
    batches = tf.data.Dataset.from_tensor_slices((x, y, np.ones(SAMPLES))).batch(5)
    part = fit(plain(), cache_dir, batches, views=2, augment=shift).frozen_part
    assert part.computed == 2 * SAMPLES
    history = fit(plain(), cache_dir, x, y, views=2, augment=shift, sample_weight=np.zeros(SAMPLES), batch_size=5)
    assert history.history["loss"] == [0, 0, 0]
    assert history.frozen_part.reused == 2 * SAMPLES


def test_views_without_augmentation_are_one(cache_dir: Path) -> None:
    assert fit(plain(), cache_dir, views=5).frozen_part.computed == SAMPLES


@pytest.mark.parametrize("build", [flat_front, plain], ids=lambda build: build.__name__)
def test_without_views_it_is_said_what_they_would_cost(build: Any, cache_dir: Path) -> None:
    augment = shift if build is plain else None
    message = (
        "inputs are augmented at random; with views=8 the frozen part would run 8 times on each of the 12 training"
    )
    with pytest.warns(HeadstartWarning, match=message):
        history = fit(build(), cache_dir, augment=augment, validation_data=data(10, seed=1))
    assert history.frozen_part is None
    assert len(history.history["val_loss"]) == 3


def test_a_front_without_views_trains_as_keras_does(cache_dir: Path) -> None:
    import keras

    model = flat_front()
    keras.utils.set_random_seed(2)
    expected = model.fit(*data(), epochs=3, verbose=0).history
    with pytest.warns(HeadstartWarning, match="augmented at random"):
        found = fit(flat_front(), cache_dir)
    assert found.history == expected


def test_layers_of_deterministic_preprocessing_need_no_views(cache_dir: Path) -> None:
    import keras

    front = [keras.layers.Rescaling(0.5), keras.layers.Resizing(SIZE, SIZE)]
    assert fit(make_model(*front), cache_dir).frozen_part.computed == SAMPLES


def test_both_a_front_and_augment_are_one_too_many(cache_dir: Path) -> None:
    with pytest.raises(UsageError, match="the model augments its input itself, and augment is given too; leave out"):
        fit(flat_front(), cache_dir, augment=mirror, views=2)


def test_augment_that_is_no_function_or_changes_the_shape(cache_dir: Path) -> None:
    with pytest.raises(UsageError, match="augment is int, which can't be called; give Keras layers or a function"):
        fit(plain(), cache_dir, augment=3, views=2)
    with pytest.raises(UsageError, match=r"augment made shape \(5, 6, 2\) of an input of shape \(6, 6, 2\); let it"):
        fit(plain(), cache_dir, augment=lambda row, rng: row[1:], views=2)


def test_a_dataset_that_augments_is_found_out(cache_dir: Path) -> None:
    import tensorflow as tf

    noise = tf.random.Generator.from_seed(1)  # tf.random.normal would give every epoch the same noise once seeded
    noisy = tf.data.Dataset.from_tensor_slices(data()).map(lambda x, y: (x + noise.normal(x.shape), y)).batch(4)
    with pytest.warns(HeadstartWarning, match="the dataset gives other samples each time it is read; augment with"):
        assert fit(plain(), cache_dir, noisy, shuffle=False).frozen_part is None


@pytest.mark.parametrize("is_validation", [False, True])
def test_a_pydataset_that_adds_noise_is_found_out(is_validation: bool, cache_dir: Path) -> None:
    import keras

    class Noisy(keras.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__()
            self._rng = np.random.default_rng(0)

        def __len__(self) -> int:
            return 3

        def __getitem__(self, number: int) -> Any:
            x, y = (part[4 * number : 4 * number + 4] for part in data())
            return x + self._rng.normal(size=x.shape), y

    given = data() if is_validation else (Noisy(),)
    settings = {"validation_data": Noisy()} if is_validation else {}
    with pytest.warns(HeadstartWarning, match="the dataset gives other samples each time it is read"):
        assert fit(plain(), cache_dir, *given, **settings).frozen_part is None


def test_frozen_dropout_is_warned_about_and_stays_random(cache_dir: Path) -> None:
    """Keras passes training on to every layer of a functional model, frozen or not."""
    import keras
    from keras import layers

    def build(rate: float) -> Any:
        keras.utils.set_random_seed(1)
        inputs = keras.Input((8,))
        x = layers.Dense(16, activation="relu", name="below")(inputs)
        x = layers.Dense(16, activation="relu", name="above")(layers.Dropout(rate, name="random")(x))
        inner = keras.Model(inputs, x, name="inner")
        inner.trainable = False
        again = keras.Input((8,))
        model = keras.Model(again, layers.Dense(1)(inner(again, training=False)))
        model.compile("sgd", "mse", run_eagerly=True)
        keras.utils.set_random_seed(2)
        return model

    x = np.random.default_rng(0).normal(size=(SAMPLES, 8)).astype("float32")
    expected = build(0.5).fit(x, x[:, :1], epochs=3, verbose=0).history
    with pytest.warns(
        HeadstartWarning, match="random is random in training although it is frozen.*up to inner/below"
    ) as said:
        found = fit(build(0.5), cache_dir, x, x[:, :1])
    assert [warning.filename for warning in said if warning.category is HeadstartWarning] == [__file__]
    assert found.frozen_part.layer == "inner/below"
    np.testing.assert_allclose(found.history["loss"], expected["loss"], rtol=1e-3)
    assert fit(build(0), cache_dir, x, x[:, :1]).frozen_part.layer == "inner"
