"""That callbacks see the whole model, and that an interruption leaves it as the last epoch left it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart as hs

pytestmark = pytest.mark.backends

SAMPLES = 32


def make_model(**settings: Any) -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    inputs = keras.Input((8,))
    base = keras.Model(inputs, layers.Dense(6, activation="relu", name="frozen")(inputs), name="base")
    base.trainable = False
    model = keras.Sequential([base, layers.Dropout(0.2), layers.Dense(3, activation="softmax", name="head")])
    optimizer = keras.optimizers.Adam(0.05)
    defaults = {"optimizer": optimizer, "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    model.compile(**(defaults | {"run_eagerly": True} | settings))
    keras.utils.set_random_seed(2)
    return model


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).normal(size=(SAMPLES, 8)).astype("float32")
    return x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)


def fit(model: Any, store: Path, **settings: Any) -> Any:
    defaults = {"epochs": 4, "verbose": 0, "validation_data": data(1), "batch_size": 16}
    return hs.fit(model, *data(), store=store, engine="keras", **(defaults | settings))


def fit_with_keras(model: Any, **settings: Any) -> Any:
    defaults = {"epochs": 4, "verbose": 0, "validation_data": data(1), "batch_size": 16}
    return model.fit(*data(), **(defaults | settings))


def assert_equal_histories(one: Any, other: Any) -> None:
    assert one.history.keys() == other.history.keys()
    for name in one.history:
        np.testing.assert_allclose(one.history[name], other.history[name], rtol=1e-3, atol=1e-6, err_msg=name)


def recorder() -> Any:
    import keras

    class Recorder(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.calls: list[Any] = []
            self.models: list[Any] = []
            self.predictions: list[np.ndarray] = []

        def on_train_begin(self, logs: Any = None) -> None:
            self.calls.append(("train begins", sorted(self.params)))
            self.models.append(self.model)

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.calls.append(("epoch begins", epoch))

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.calls.append(("batch ends", batch, sorted(logs)))

        def on_test_end(self, logs: Any = None) -> None:
            self.calls.append(("test ends", sorted(logs)))

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.calls.append(("epoch ends", epoch, sorted(logs)))
            self.models.append(self.model)
            self.predictions.append(self.model.predict(data(1)[0], verbose=0))

        def on_train_end(self, logs: Any = None) -> None:
            self.calls.append(("train ends", sorted(logs)))

    return Recorder()


def test_a_callback_is_called_as_keras_calls_it_and_sees_the_whole_model(cache_dir: Path) -> None:
    ours, theirs = recorder(), recorder()
    model = make_model()
    assert_equal_histories(fit(model, cache_dir, callbacks=[ours]), fit_with_keras(make_model(), callbacks=[theirs]))
    assert ours.calls == theirs.calls
    assert ours.params == theirs.params
    assert all(seen is model for seen in ours.models)
    np.testing.assert_allclose(ours.predictions, theirs.predictions, rtol=1e-3)
    assert not np.allclose(ours.predictions[0], ours.predictions[-1], atol=1e-3)


def test_one_callback_needs_no_list_and_a_callback_list_is_taken(cache_dir: Path) -> None:
    import keras

    single, inside = recorder(), recorder()
    fit(make_model(), cache_dir, callbacks=single)
    model = make_model()
    listed = keras.callbacks.CallbackList([inside], model=model)
    fit(model, cache_dir, callbacks=listed)
    assert len(single.predictions) == len(inside.predictions) == 4


def test_a_checkpoint_holds_the_whole_model_with_its_optimizer(cache_dir: Path, tmp_path: Path) -> None:
    import keras

    path = tmp_path / "best.keras"
    model = make_model()
    fit(model, cache_dir, callbacks=[keras.callbacks.ModelCheckpoint(path, monitor="loss", save_best_only=True)])
    loaded = keras.models.load_model(path)
    x = data(1)[0]
    np.testing.assert_allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5)
    assert int(loaded.optimizer.iterations) == 8


def test_early_stopping_stops_and_restores_the_best_weights(cache_dir: Path) -> None:
    import keras

    def stopping() -> Any:
        return keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)

    settings = {"epochs": 30}
    model = make_model(optimizer=keras.optimizers.Adam(0.5))
    found = fit(model, cache_dir, callbacks=[stopping()], **settings)
    expected_model = make_model(optimizer=keras.optimizers.Adam(0.5))
    expected = fit_with_keras(expected_model, callbacks=[stopping()], **settings)
    assert_equal_histories(found, expected)
    assert len(found.epoch) < 30
    assert model.evaluate(*data(1), verbose=0)[0] == pytest.approx(min(found.history["val_loss"]), rel=1e-4)


def test_stopping_within_an_epoch_stops(cache_dir: Path) -> None:
    import keras

    class Stopping(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = True

    model = make_model()
    assert len(fit(model, cache_dir, callbacks=[Stopping()]).epoch) == 1
    assert int(model.optimizer.iterations) == 1
    assert len(fit(model, cache_dir).epoch) == 4, "the next fit starts anew"


def test_learning_rates_follow_their_schedule(cache_dir: Path) -> None:
    import keras

    def callbacks() -> list[Any]:
        return [
            keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
            keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=0, min_delta=10, cooldown=0),
        ]

    found = fit(make_model(), cache_dir, callbacks=callbacks())
    assert_equal_histories(found, fit_with_keras(make_model(), callbacks=callbacks()))
    assert found.history["learning_rate"][-1] < 0.01 * found.history["learning_rate"][0]


def test_a_schedule_of_the_optimizer_counts_steps(cache_dir: Path) -> None:
    import keras

    def model() -> Any:
        return make_model(optimizer=keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.5, 2, 0.5)))

    assert_equal_histories(fit(model(), cache_dir), fit_with_keras(model()))


def test_the_csv_log_has_a_row_an_epoch(cache_dir: Path, tmp_path: Path) -> None:
    import keras

    history = fit(make_model(), cache_dir, callbacks=[keras.callbacks.CSVLogger(tmp_path / "log.csv")])
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text(encoding="utf-8").splitlines()))
    np.testing.assert_allclose([float(row["val_loss"]) for row in rows], history.history["val_loss"])


def test_nan_stops_training(cache_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import keras

    model = make_model(optimizer=keras.optimizers.SGD(float("inf")))
    history = fit(model, cache_dir, callbacks=[keras.callbacks.TerminateOnNaN()], epochs=5)
    assert len(history.epoch) == 1
    assert np.isnan(history.history["loss"][0])
    assert "Invalid loss" in capsys.readouterr().out


def test_tensorboard_gets_its_events(cache_dir: Path, tmp_path: Path) -> None:
    import keras

    fit(make_model(), cache_dir, callbacks=[keras.callbacks.TensorBoard(tmp_path, histogram_freq=1)])
    assert list((tmp_path / "train").iterdir())
    assert list((tmp_path / "validation").iterdir())


def test_a_backup_is_gone_on_from(cache_dir: Path, tmp_path: Path) -> None:
    import keras

    class Crash(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise RuntimeError("crash")

    def backup() -> Any:
        return keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)

    with pytest.raises(RuntimeError, match="crash"):
        fit(make_model(), cache_dir, callbacks=[Crash(), backup()])
    resumed = make_model()
    history = fit(resumed, cache_dir, callbacks=[backup()])
    assert history.epoch == [2, 3]
    assert int(resumed.optimizer.iterations) == 8


class Interrupted:
    """Weights and optimizer at the end of each epoch, until Ctrl-C comes."""

    def __init__(self, epoch: int, *, in_batch: bool) -> None:
        import keras

        outer = self
        self.states: list[list[np.ndarray]] = []

        class Interrupting(keras.callbacks.Callback):
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                if in_batch and len(outer.states) == epoch:
                    raise KeyboardInterrupt

            def on_epoch_end(self, number: int, logs: Any = None) -> None:
                if not in_batch and number == epoch:
                    raise KeyboardInterrupt
                outer.states.append(state(self.model))

        self.callback = Interrupting()


def state(model: Any) -> list[np.ndarray]:
    import keras

    return [np.copy(keras.ops.convert_to_numpy(part)) for part in (*model.weights, *model.optimizer.variables)]


@pytest.mark.parametrize("in_batch", [True, False], ids=["within an epoch", "at its end"])
def test_an_interruption_leaves_the_last_finished_epoch(in_batch: bool, cache_dir: Path) -> None:
    model = make_model()
    interrupted = Interrupted(2, in_batch=in_batch)
    with pytest.raises(KeyboardInterrupt):
        fit(model, cache_dir, callbacks=[interrupted.callback])
    assert len(interrupted.states) == 2
    for now, then in zip(state(model), interrupted.states[-1], strict=True):
        np.testing.assert_array_equal(now, then)
    assert int(model.optimizer.iterations) == 4
    assert len(fit(model, cache_dir).epoch) == 4, "and training can go on"


def test_an_interruption_in_the_first_epoch_leaves_the_model_as_it_was(cache_dir: Path) -> None:
    model = make_model()
    before = model.get_weights()
    with pytest.raises(KeyboardInterrupt):
        fit(model, cache_dir, callbacks=[Interrupted(0, in_batch=True).callback])
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert int(model.optimizer.iterations) == 0
