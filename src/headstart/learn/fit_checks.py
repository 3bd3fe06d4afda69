"""What `hs.fit` looks at before it trains: whether the call makes sense, and whether the recipe does harm."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from headstart.catalog import base_called
from headstart.errors import DataError, HeadstartWarning, UsageError
from headstart.features.boundary import graph_of, nodes_in_order
from headstart.images.spec import ImageSpec
from headstart.learn.own_base import scales_inside
from headstart.learn.recompile import FINE_TUNING_RATE
from headstart.learn.samples import Unstorable

if TYPE_CHECKING:
    import keras

# Adam's default rate is 1e-3; from here on it tears pretrained weights apart.
HARMFUL_RATE = 5e-4
_ADAPTIVE = ("adam", "adamw", "nadam", "adamax", "rmsprop", "lion")
# A batch this many times narrower than the range that a network expects was scaled otherwise; photographs fill more.
NARROWEST = 60

# Losses that take one-hot targets, as `_loss_name` gives them.
_ONE_HOT = ("categoricalcrossentropy", "categoricalfocalcrossentropy", "categoricalhinge")

# The layers of each model that were frozen in an earlier fit, and the models that have been warned about.
_frozen_before: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()
_warned: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


def check_compiled(model: Any) -> None:
    """Refuses what isn't a compiled Keras model.

    Raises:
        UsageError: it isn't one.
    """
    import keras

    if not isinstance(model, keras.Model):
        raise UsageError(f"model is {type(model).__name__}, not a keras.Model", "give the compiled model first")
    if not model.compiled:
        raise UsageError(
            f"the model {model.name!r} isn't compiled", "call model.compile(optimizer, loss, metrics) first"
        )


def check_inputs(model: keras.Model, x: np.ndarray) -> None:
    """Refuses inputs that don't fit the model.

    Raises:
        DataError: it says what came and what was expected.
        Unstorable: they fit only once Keras has added or dropped a last axis of length 1.
    """
    expected = tuple(model.inputs[0].shape)[1:]
    came = x.shape[1:]
    if _fits(came, expected):
        return
    problem = f"x has samples of shape {came}; the model takes {expected}"
    if _fits((*came, 1), expected) or (came[-1:] == (1,) and _fits(came[:-1], expected)):
        raise Unstorable(problem)
    raise DataError(problem, "resize them, or rebuild the model")


def _fits(came: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(came) == len(expected) and all(want in (None, have) for want, have in zip(expected, came, strict=True))


def check_targets(model: keras.Model, y: np.ndarray) -> None:
    """Refuses labels that don't fit the loss and the model's output.

    Raises:
        DataError: it says what came and what was expected.
    """
    loss, classes = _loss_name(model), model.outputs[0].shape[-1]
    if loss == "sparsecategoricalcrossentropy":
        labels = y[y != getattr(model.loss, "ignore_class", None)]
        if labels.size and (labels.min() < 0 or labels.max() >= classes):
            raise DataError(
                f"y holds labels from {labels.min():g} to {labels.max():g}; "
                f"the model's outputs stand for 0 to {classes - 1}",
                "number the classes from 0 on, or give the last layer more units",
            )
    elif loss in _ONE_HOT and y.shape[1:][-1:] != (classes,):
        called = model.loss if isinstance(model.loss, str) else type(model.loss).__name__
        raise DataError(
            f"y has shape {('n', *y.shape[1:])}; {called} with {classes} outputs takes one-hot rows of {classes}",
            "use keras.utils.to_categorical(y), or compile with sparse_categorical_crossentropy",
        )


def _loss_name(model: keras.Model) -> str:
    """As Keras' class is called, in small letters; of somebody's own loss whatever it is called."""
    loss = model.loss
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    return name.lower().replace("_", "")


def warn_of_harm(model: keras.Model, inputs: np.ndarray) -> None:
    """Warn, once a model, where the classic recipe does harm; with the figure to use instead.

    Args:
        model: compiled.
        inputs: the first batch.
    """
    _warn_once(model, "rate", _harmful_rate(model))
    _warn_once(model, "inputs", _wrong_inputs(model, inputs))
    _frozen_before.setdefault(model, set()).update(layer.path for layer in _layers(model) if not layer.trainable)


def _warn_once(model: keras.Model, about: str, message: str | None) -> None:
    warned = _warned.setdefault(model, set())
    if message and about not in warned:
        warned.add(about)
        warnings.warn(message, HeadstartWarning, stacklevel=6)


def _layers(model: keras.Model) -> list[Any]:
    return [layer for layer in model._flatten_layers() if layer.weights and not layer._layers]


def _harmful_rate(model: keras.Model) -> str | None:
    """Layers that were frozen and now are trained, at a rate that destroys what they know."""
    before = _frozen_before.get(model, set())
    thawed = [layer for layer in _layers(model) if layer.path in before and layer.trainable_variables]
    kind = type(model.optimizer).__name__.lower()
    rate = float(model.optimizer.learning_rate)
    if not thawed or kind not in _ADAPTIVE or rate < HARMFUL_RATE:
        return None
    return (
        f"{len(thawed)} layers that were frozen are trained now at {kind}'s rate of {rate:g}, which destroys what they "
        f"were pretrained for; compile again with learning_rate={FINE_TUNING_RATE:g}"
    )


def _wrong_inputs(model: keras.Model, inputs: np.ndarray) -> str | None:
    """A base of the catalog, known by its network's name, whose input isn't scaled as its weights expect."""
    import keras

    graph = graph_of(model)
    if graph is None or inputs.ndim != 4:
        return None
    for node in nodes_in_order(graph):
        nested = graph_of(node.operation)
        base = base_called(node.operation.name) if nested is not None else None
        if base is None or (_takes_pixels(base.spec) and not scales_inside(nested)):
            continue
        given = node.input_tensors[0]
        seen = inputs if given is graph.inputs[0] else np.asarray(keras.Model(graph.inputs[0], given)(inputs))
        if not _looks_right(base.spec, float(seen.min()), float(seen.max())):
            return (
                f"{node.operation.name} gets values from {seen.min():.3g} to {seen.max():.3g}; "
                f"its ImageNet weights expect {_advice(base.spec)}"
            )
    return None


def _takes_pixels(spec: ImageSpec) -> bool:
    return (spec.offset, spec.divisor) == (0, 1)


def _advice(spec: ImageSpec) -> str:
    if _takes_pixels(spec):
        return "pixels of 0 to 255, since the network rescales them itself"
    order = "channels in the order BGR, " if spec.channels == "bgr" else ""
    scale = "" if spec.divisor == 1 else f", divided by {spec.divisor}"
    return f"{order}pixels of 0 to 255 less {spec.offset}{scale}"


def _looks_right(spec: ImageSpec, low: float, high: float) -> bool:
    """Whether a batch's range can be that of scaled photographs; a batch of one colour can't be judged."""
    if high - low < 1e-3:
        return True
    offset, divisor = np.asarray(spec.offset), np.asarray(spec.divisor)
    lowest, highest = float(np.min(-offset / divisor)), float(np.max((255 - offset) / divisor))
    width = highest - lowest
    same_sign = (low < -1e-3) == (lowest < 0)
    # Augmentation may go beyond what photographs have.
    return same_sign and high - low > width / NARROWEST and high < highest + width / 2
