from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headstart.features.frozen import Boundary, find_boundary
from headstart.learn.suffix_training import fit_suffix

SAMPLES = 16


def make_model(**settings: Any) -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    x = layers.Dense(6, activation="relu", trainable=False, name="frozen")(inputs)
    left, right = layers.Dense(3, name="left")(x), layers.Dense(3, name="right")(layers.Dropout(0.2)(x))
    model = keras.Model(inputs, layers.Dense(1, kernel_regularizer="l2", name="top")(layers.Add()([left, right])))
    model.compile(**({"optimizer": "adam", "loss": "mse", "metrics": ["mae"], "run_eagerly": True} | settings))
    return model


def parts(model: Any) -> tuple[Any, dict[str, Any]]:
    """The suffix, and what it is to be trained on."""
    found = find_boundary(model)
    assert isinstance(found, Boundary)
    assert found.layer == "frozen"
    x, y = data()
    features = np.asarray(found.prefix(x))
    return found.suffix, {"x": features, "y": y, "batch_size": 8, "epochs": 3, "initial_epoch": 0}


def data() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(SAMPLES, 4)).astype("float32")
    return x, x[:, :1]


def fit(model: Any, **settings: Any) -> Any:
    suffix, defaults = parts(model)
    return fit_suffix(model, suffix, settings.pop("callbacks", None), defaults | settings, 0, 2)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"run_eagerly": False, "jit_compile": False},
        {"run_eagerly": False, "jit_compile": False, "steps_per_execution": 2},
        {"loss": ["mse"], "loss_weights": [0.5]},
        {"weighted_metrics": ["mse"]},
    ],
    ids=str,
)
def test_it_trains_as_the_whole_model_would(settings: dict[str, Any]) -> None:
    import keras

    x, y = data()
    whole, model = make_model(**settings), make_model(**settings)
    keras.utils.set_random_seed(1)
    expected = whole.fit(x, y, batch_size=8, epochs=3, verbose=0)
    keras.utils.set_random_seed(1)
    found = fit(model)
    assert found is model.history
    assert found.history.keys() == expected.history.keys()
    for name, values in expected.history.items():
        np.testing.assert_allclose(found.history[name], values, rtol=1e-3, err_msg=name)
    for one, other in zip(model.optimizer.variables, whole.optimizer.variables, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other), rtol=1e-2, atol=1e-5
        )


def test_the_optimizer_keeps_what_it_had_learned() -> None:
    model = make_model()
    x, y = data()
    model.fit(x, y, epochs=2, batch_size=8, verbose=0)
    fit(model)
    assert int(model.optimizer.iterations) == 2 * 2 + 3 * 2
    model.fit(x, y, batch_size=8, verbose=0)
    assert int(model.optimizer.iterations) == 6 * 2


def test_the_optimizers_state_is_in_the_models_order() -> None:
    model = make_model()
    fit(model, epochs=1)
    velocities = [variable.shape for variable in model.optimizer.variables[2::2]]
    assert velocities == [variable.shape for variable in model.trainable_variables]


def test_what_is_frozen_stays_as_it_was() -> None:
    model = make_model()
    before = model.get_layer("frozen").get_weights()
    head = model.get_layer("left").get_weights()
    fit(model)
    assert all(map(np.array_equal, model.get_layer("frozen").get_weights(), before))
    assert not all(map(np.array_equal, model.get_layer("left").get_weights(), head))


def test_callbacks_may_be_none_one_or_many() -> None:
    import keras

    seen: list[Any] = []

    class Seeing(keras.callbacks.Callback):
        def on_train_end(self, logs: Any = None) -> None:
            seen.append(self.model)

    model = make_model()
    for callbacks in (None, Seeing(), [Seeing(), Seeing()], (Seeing(),)):
        fit(model, callbacks=callbacks, epochs=1)
    assert len(seen) == 4
    assert all(found is model for found in seen)


def test_an_error_passes_through_and_an_interruption_restores() -> None:
    import keras

    class Raising(keras.callbacks.Callback):
        def __init__(self, error: type[BaseException]) -> None:
            super().__init__()
            self._error = error

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            raise self._error

    for error, steps in ((RuntimeError, 1), (KeyboardInterrupt, 0)):
        model = make_model()
        with pytest.raises(error):
            fit(model, callbacks=Raising(error))
        assert int(model.optimizer.iterations) == steps
