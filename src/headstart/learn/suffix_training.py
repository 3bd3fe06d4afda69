"""Training a suffix as if it were the whole model: its optimizer, losses, metrics and callbacks are the model's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


def fit_suffix(
    model: keras.Model, suffix: keras.Model, callbacks: Any, settings: dict[str, Any], verbose: Any, steps: int
) -> Any:
    """What `model.fit` would do, on the suffix's inputs.

    An interruption leaves the weights and the optimizer as they were after the last epoch that was finished.

    Args:
        model: compiled; callbacks get to see it.
        suffix: shares its layers with the model, and holds all that is trainable.
        callbacks: as `fit` takes them.
        settings: the other arguments of `fit`.
        verbose: as `fit` takes it.
        steps: batches an epoch.

    Returns:
        The History.
    """
    import keras

    trainer = _trainer(model, suffix)
    last_epoch = _last_epoch(trainer)
    seen = keras.callbacks.CallbackList(
        [*_as_list(callbacks), last_epoch],
        add_history=True,
        add_progbar=verbose != 0,
        model=model,
        verbose=verbose,
        epochs=settings["epochs"],
        steps=steps,
    )
    trainer.history = model.history
    with _state_in_step(model, trainer):
        try:
            trainer.fit(**settings, callbacks=seen, verbose=verbose)
        except KeyboardInterrupt:
            last_epoch.restore()
            raise
    return model.history


def _trainer(model: keras.Model, suffix: keras.Model) -> Any:
    """The suffix as a model that trains with what the whole model was compiled with."""
    trainer = _trainer_class(model)(suffix.inputs[0], suffix.outputs[0], name=model.name)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    trainer.compile(
        optimizer=model.optimizer,
        run_eagerly=model.run_eagerly,
        steps_per_execution=model.steps_per_execution,
        jit_compile=model.jit_compile,
        auto_scale_loss=False,  # the optimizer is scaled already where the model's is
    )
    trainer.loss = model.loss
    for name in ("_compile_loss", "_compile_metrics", "_loss_tracker"):
        setattr(trainer, name, getattr(model, name))
    return trainer


def _trainer_class(model: keras.Model) -> Any:
    """Models that share with the whole model what callbacks and the optimizer see of it."""
    import keras

    class Trainer(keras.Model):
        @property
        def stop_training(self) -> bool:
            """Callbacks ask the whole model to stop."""
            return bool(model.stop_training)

        @stop_training.setter
        def stop_training(self, value: bool) -> None:
            model.stop_training = value

        @property
        def _initial_epoch(self) -> int | None:
            """BackupAndRestore tells the whole model where to go on."""
            found: int | None = model._initial_epoch
            return found

        @_initial_epoch.setter
        def _initial_epoch(self, value: int | None) -> None:
            """Set by the constructor only, to None."""

        @property
        def trainable_variables(self) -> list[Any]:
            """In the whole model's order, which is that of its optimizer's state."""
            return list(model.trainable_variables)

        @property
        def trainable_weights(self) -> list[Any]:
            """Likewise: Keras on TensorFlow asks for these."""
            return list(model.trainable_weights)

    return Trainer


@contextmanager
def _state_in_step(model: keras.Model, trainer: Any) -> Iterator[None]:
    """On JAX a model's variables lag behind while it works, until somebody asks: then the trainer is asked as well."""
    if not hasattr(model, "jax_state_sync"):
        yield
        return

    def sync() -> None:
        trainer.jax_state_sync()
        type(model).jax_state_sync(model)  # what a callback made the whole model do, such as predict

    object.__setattr__(model, "jax_state_sync", sync)
    try:
        yield
    finally:
        object.__delattr__(model, "jax_state_sync")


def _last_epoch(trainer: Any) -> Any:
    """A callback that remembers weights and optimizer as they were at the end of the last epoch."""
    import keras

    class LastEpoch(keras.callbacks.Callback):
        def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
            self._remember()

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self._remember()

        def _remember(self) -> None:
            self.model  # noqa: B018 - on JAX, asking for the model brings its variables up to date
            self._values = [np.array(keras.ops.convert_to_numpy(part)) for part in self._variables()]

        def _variables(self) -> list[Any]:
            return [*trainer.variables, *trainer.optimizer.variables]

        def restore(self) -> None:
            for variable, value in zip(self._variables(), self._values, strict=True):
                variable.assign(value)

    return LastEpoch()


def _as_list(callbacks: Any) -> list[Callable[..., Any]]:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
