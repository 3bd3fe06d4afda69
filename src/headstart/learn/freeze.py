"""What stays fixed while the rest of a network is trained.

Frozen means that a layer's output for an image never changes: its weights stay, BatchNorm runs in inference mode, and
what is random while training, such as dropout, is switched off. Only then can a frozen part be computed once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from headstart.errors import UsageError
from headstart.features.boundary import prefix

if TYPE_CHECKING:
    import keras

Layer = TypeVar("Layer", bound=Any)

_REMEMBERED = "_headstart_rate"
# Keras has no public layer for stochastic depth: ConvNeXt brings one, and so do other libraries, each in its own words.
_STOCHASTIC_DEPTH = ("StochasticDepth", "DropPath")
_DEPTH_RATES = ("drop_path_rate", "drop_rate", "drop_prob", "rate")


def freeze(model: Layer) -> Layer:
    """Keep a model or layer exactly as it is, with all that is nested in it: its output for an image never changes.

    Nothing in it is trainable any more, so Keras runs its BatchNorm layers in inference mode. Dropout, noise and
    stochastic depth in it are switched off until `unfreeze` brings them back; data augmentation, such as
    `keras.layers.RandomFlip`, is left alone. A model that was compiled before has to be compiled again to notice.

    Saving a model in this state saves the dropout rates as they are, at 0.

    Args:
        model: any Keras model or layer.

    Returns:
        The same one, so that calls can be chained.

    Raises:
        UsageError: it is something else.
    """
    _require_layer(model)
    model.trainable = False
    for layer in model._flatten_layers():  # those of nested models too
        _switch_off(layer)
    return model


def thaw(layer: Any) -> None:
    """Undo `freeze` for a layer and what is nested in it."""
    layer.trainable = True
    for part in layer._flatten_layers():
        _switch_on(part)


def freeze_batch_norm(model: keras.Model) -> None:
    """Keep every BatchNorm layer in inference mode, whatever else is trained.

    Its statistics were gathered on millions of images; a few batches of other ones would spoil them, and with them
    the features. Keras runs a BatchNorm that isn't trainable in inference mode. Compile the model afterwards.
    """
    for layer in model._flatten_layers():
        if is_batch_norm(layer):
            layer.trainable = False


def freeze_below(model: keras.Model, cut: str) -> None:
    """Leave only what lies above a cut of a model to be trained. Compile the model afterwards.

    Args:
        model: a functional model.
        cut: one of its layers, which is frozen too.
    """
    for layer in prefix(model, cut).layers:
        layer.trainable = False


def trainable_as_now(model: keras.Model) -> Callable[[], None]:
    """What makes each layer of a model trainable, or not, as it is at this moment."""
    remembered = [(layer, layer.trainable) for layer in model.layers]

    def restore() -> None:
        for layer, trainable in remembered:
            layer.trainable = trainable

    return restore


def is_batch_norm(layer: Any) -> bool:
    """Whether it is a BatchNorm layer of Keras."""
    import keras

    return isinstance(layer, keras.layers.BatchNormalization)


def trainable_changed(model: keras.Model) -> str | None:
    """What Keras would overlook: `trainable` was changed after training had begun, and would go on as it was.

    Keras 3 reads `trainable` when it traces the training step, at the first `fit` after `compile`, and gives the
    optimizer its variables then. What is changed between the two counts. What is changed afterwards doesn't: the traced
    step goes on training what was frozen since, and leaves alone what was unfrozen. Where no step is kept (when run
    eagerly, or just loaded), what was frozen is left alone, but on what was unfrozen the optimizer, built with other
    variables, stops with "Unknown variable".

    Returns:
        A sentence with the mend, or None if all that was changed will count.
    """
    optimizer: Any = getattr(model, "optimizer", None)
    if not getattr(model, "compiled", False) or not getattr(optimizer, "built", False):
        return None
    known = set(map(id, optimizer._trainable_variables))
    wanted = set(map(id, model.trainable_variables))
    is_traced = model.train_function is not None and not model.run_eagerly
    names = _owners(model, (wanted - known) | (known - wanted if is_traced else set()))
    if not names:
        return None
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (
        f"`trainable` was changed after the model {model.name!r} was compiled, and Keras would not notice "
        f"({', '.join(names[:3])}{more}); compile it again with a new optimizer, and then train"
    )


def _owners(model: keras.Model, variables: set[int]) -> list[str]:
    """The names of the layers that hold some of these variables."""
    layers = model._flatten_layers()
    return sorted(layer.name for layer in layers if not variables.isdisjoint(map(id, layer._trainable_variables)))


def _require_layer(model: Any) -> None:
    import keras

    if not isinstance(model, keras.layers.Layer):
        raise UsageError(
            f"freeze takes a Keras model or layer, not {type(model).__name__}", "build the model first, then pass it"
        )


def _switch_off(layer: Any) -> None:
    name = _noise(layer)
    if name is not None and getattr(layer, name) > 0:
        setattr(layer, _REMEMBERED, getattr(layer, name))
        setattr(layer, name, 0.0)


def _switch_on(layer: Any) -> None:
    name = _noise(layer)
    if name is not None and hasattr(layer, _REMEMBERED):
        setattr(layer, name, getattr(layer, _REMEMBERED))
        delattr(layer, _REMEMBERED)


def _noise(layer: Any) -> str | None:
    """The attribute that says how much noise a layer adds while training; None if it adds none."""
    from keras import layers

    if isinstance(layer, layers.Dropout | layers.GaussianDropout | layers.AlphaDropout):
        return "rate"
    if isinstance(layer, layers.GaussianNoise):
        return "stddev"
    if any(word in type(layer).__name__ for word in _STOCHASTIC_DEPTH):
        return next((name for name in _DEPTH_RATES if hasattr(layer, name)), None)
    return None
