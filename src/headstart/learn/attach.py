"""Putting a head on any Keras base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, get_args

from headstart.errors import UnknownNameError, UsageError
from headstart.learn.heads import HEADS, Head, pool
from headstart.learn.losses import Task

if TYPE_CHECKING:
    import keras

HeadChoice = str | Any | Sequence[Any] | Callable[[Any], Any]

_ACTIVATIONS = {"multi-class": "softmax", "multi-label": "sigmoid", "regression": None}


def attach_head(
    base_model: keras.Model,
    classes: int | None = None,
    *,
    head: HeadChoice = "linear",
    task: Task = "multi-class",
    dropout: float | None = None,
    logits: bool = False,
    name: str | None = None,
) -> keras.Model:
    """A model from the base's inputs to answers: the base's own layers, with new ones on top.

    The base's layers are shared, so training the model trains the base, unless it was frozen:
    `hs.attach_head(hs.freeze(base), 5)`.

    Args:
        base_model: a Keras model with one output: maps, shape (batch, height, width, features), of which the average is
            taken; a sequence, shape (batch, steps, features), likewise; or vectors, shape (batch, features).
        classes: length of the answer; left out, a regression answers with one number.
        head: "linear" is one dense layer. "mlp" puts a dense layer of 256, LayerNorm and ReLU before it. "flatten-256"
            takes all numbers of the map, not their average, through a dense layer of 256. Or a Keras layer or a list
            of layers as the whole head: it gets the map where its first layer takes maps (or is a Flatten), else the
            average. Or a function from the base's output, as it is, to the answer's tensor.
        task: "multi-class" answers with a softmax, "multi-label" with a sigmoid, "regression" with plain numbers.
        dropout: share of the features dropped before the last layer in training; None for the head's own: 0 for
            "linear", 0.5 for the others.
        logits: leave the softmax or sigmoid out; then the loss has to know (`from_logits=True`).
        name: of the model.

    Returns:
        A functional model, not compiled; shape of its output (batch, classes).

    Raises:
        UsageError: the base's output has another form, or the settings make no sense together.
        UnknownNameError: there is no such head or task.
    """
    if task not in get_args(Task):
        raise UnknownNameError("task", task, get_args(Task))
    length = _checked_length(classes, task)
    output = _output(base_model)
    if isinstance(head, str):
        answer = _built(_named(head), base_model, length, dropout, None if logits else _ACTIVATIONS[task])
    else:
        _refuse("dropout and logits", dropout is not None or logits)
        answer = _own(head, base_model, output)
        _check_answer(answer, length)
    import keras

    # Keras warns where a model for one input, made from a list of one, is called on a single array.
    inputs = base_model.inputs[0] if len(base_model.inputs) == 1 else base_model.inputs
    return keras.Model(inputs, answer, name=name or f"{base_model.name}_with_head")


def _named(head: str) -> Head:
    if head not in HEADS:
        raise UnknownNameError("head", head, HEADS)
    return HEADS[head]


def _built(head: Head, base: keras.Model, length: int, dropout: float | None, activation: str | None) -> Any:
    import keras

    rate = head.dropout if dropout is None else dropout
    if not 0 <= rate < 1:
        raise UsageError(f"dropout is a share, not {dropout}", "give a number from 0 to below 1")
    x = head.hidden(base.outputs[0] if head.takes_map else _vectors(base), rate, _Names(base))
    # In mixed precision too: a softmax of 16-bit numbers would round probabilities near 0 and 1 away.
    return keras.layers.Dense(
        length, activation=activation, dtype=keras.config.floatx(), name=_Names(base)("head_output")
    )(x)


def _own(head: Any, base: keras.Model, output: Any) -> Any:
    import keras

    if not isinstance(head, keras.layers.Layer | Sequence):
        return head(output)
    layers = list(head) if isinstance(head, Sequence) else [head]
    if not layers:
        raise UsageError("the list of the head's layers is empty", "end it with the layer that gives the answer")
    x = output if _takes_map(layers[0], len(output.shape)) else _vectors(base)
    for layer in layers:
        x = layer(x)
    return x


def _takes_map(layer: Any, rank: int) -> bool:
    """Whether a layer asks for the base's output as it is, rather than for one vector an image."""
    import keras

    if isinstance(layer, keras.Sequential) and layer.layers:
        return _takes_map(layer.layers[0], rank)
    if isinstance(layer, keras.layers.Flatten):
        return True
    if isinstance(layer, keras.Model) and layer.inputs:
        return len(layer.inputs[0].shape) == rank
    spec = layer.input_spec
    return rank > 2 and rank in (getattr(spec, "ndim", None), getattr(spec, "min_ndim", None))


def _vectors(base: keras.Model) -> Any:
    """One vector an image: the base's own, or the average over places or steps."""
    from keras import layers

    output = base.outputs[0]
    if len(output.shape) == 4:
        return pool(base, None, _Names(base))
    if len(output.shape) == 3:
        return layers.GlobalAveragePooling1D(name=_Names(base)("pool"))(output)
    return output


class _Names:
    """Names for new layers that none of the base's layers has, as Keras demands."""

    def __init__(self, base: keras.Model) -> None:
        self._taken = {layer.name for layer in base._flatten_layers()}

    def __call__(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        return name


def _output(base: Any) -> Any:
    import keras

    if not isinstance(base, keras.Model):
        raise UsageError(f"attach_head takes a Keras model as base, not {type(base).__name__}", "build the base first")
    outputs: Any = getattr(base, "outputs", None) or ()
    if len(outputs) != 1:
        raise UsageError(
            f"the base {base.name!r} has no graph with one output, but a head is put on one",
            "build it with keras.Model(inputs, outputs); a Sequential needs its keras.Input first",
        )
    if len(outputs[0].shape) not in (2, 3, 4):
        raise UsageError(
            f"the base {base.name!r} gives an output of shape {tuple(outputs[0].shape)}",
            "a head takes maps, sequences or vectors: two to four axes",
        )
    return outputs[0]


def _checked_length(classes: int | None, task: Task) -> int:
    if classes is None and task == "regression":
        return 1
    least = 2 if task == "multi-class" else 1
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < least:
        mend = " (one yes-or-no question is task='multi-label' with 1)" if task == "multi-class" else ""
        raise UsageError(f"{task} needs a number of classes, not {classes!r}", f"give {least} or more{mend}")
    return classes


def _refuse(settings: str, is_given: bool) -> None:
    if is_given:
        raise UsageError(f"{settings} belong to the named heads, not to one of your own", "put them into your layers")


def _check_answer(answer: Any, length: int) -> None:
    shape = tuple(getattr(answer, "shape", ()))
    if len(shape) != 2 or shape[-1] != length:
        raise UsageError(
            f"the head gives shape {shape}, expected (None, {length})",
            "end it with a dense layer of that many, and pool or flatten maps first",
        )
