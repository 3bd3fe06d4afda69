from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headstart.errors import UsageError
from headstart.learn.plain import fit_plainly

SAMPLES = 10


class Rendered:
    """Doubles a row and remembers how each came out."""

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def __call__(self, row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        self.seen.append(row + rng.random())
        return self.seen[-1]


def make_model() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.0), "mae", run_eagerly=True)
    return model


def arrays(**changes: Any) -> dict[str, Any]:
    x = np.arange(2.0 * SAMPLES).reshape(SAMPLES, 2).astype("float32")
    rest = {"sample_weight": None, "validation_data": None, "validation_split": 0.0, "batch_size": 4, "shuffle": False}
    return {"x": x, "y": x.sum(1), **rest, **changes}


def fit(augment: Any = None, epochs: int = 3, **changes: Any) -> Any:
    return fit_plainly(make_model(), augment, arrays(**changes), {"epochs": epochs, "verbose": 0})


def test_without_augmentation_it_is_what_keras_does() -> None:
    assert fit().history == make_model().fit(**arrays(), epochs=3, verbose=0).history


def test_each_sample_is_rendered_anew_in_every_epoch() -> None:
    rendered = Rendered()
    history = fit(rendered).history["loss"]
    epochs = np.array(rendered.seen[-3 * SAMPLES :])  # Keras may look at a batch beforehand
    assert len({row.tobytes() for row in epochs}) == 3 * SAMPLES
    assert len(set(history)) == 3
    assert all(0 < loss < 2 for loss in history), "targets must stay with their inputs"


@pytest.mark.parametrize("shuffle", [True, False])
def test_shuffling_keeps_targets_and_weights_with_their_inputs(shuffle: bool) -> None:
    weights = np.zeros(SAMPLES)
    weights[3] = 1
    rendered = Rendered()
    history = fit(rendered, shuffle=shuffle, sample_weight=weights, epochs=1).history["loss"]
    assert 0 < history[0] < 2 / SAMPLES
    order = [int(row[0] // 2) for row in rendered.seen[-SAMPLES:]]
    assert sorted(order) == list(range(SAMPLES))
    assert (order == list(range(SAMPLES))) is not shuffle


@pytest.mark.parametrize("split", [True, False])
def test_validation_is_not_rendered(split: bool) -> None:
    data = arrays()
    changes = {"validation_split": 0.2} if split else {"validation_data": (data["x"][8:], data["y"][8:])}
    history = fit(Rendered(), **changes).history
    assert history["val_loss"] == [0, 0, 0]
    assert history["loss"][0] > 0


def test_layers_augment_as_well() -> None:
    import keras

    assert fit(keras.layers.GaussianNoise(1.0)).history["loss"][0] > 0


def test_only_arrays_can_be_augmented() -> None:
    import tensorflow as tf

    data = arrays()
    batches = tf.data.Dataset.from_tensor_slices((data["x"], data["y"])).batch(4)
    with pytest.raises(UsageError, match="augment without views needs arrays; map the dataset yourself, or say views"):
        fit(Rendered(), x=batches, y=None)
    with pytest.raises(
        UsageError, match="augment needs one array of inputs; there are several inputs; augment the data"
    ):
        fit(Rendered(), x=[data["x"], data["x"]])
