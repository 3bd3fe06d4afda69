"""The frozen boundary: the highest cut of a model below which nothing changes while it is trained.

Below the boundary every layer is frozen and deterministic in training, so that its output for an input is always the
same and need be computed only once. Nested models are looked into: a Sequential that holds a pretrained base is
divided inside the base where that is where the boundary lies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.features.boundary import graph_of, nodes_in_order, tensors_at_cuts

if TYPE_CHECKING:
    import keras

# What the strength of a random layer's randomness is called; where all that it has are 0, it does nothing.
_STRENGTHS = ("rate", "stddev", "drop_path_rate", "dropout", "recurrent_dropout")


@dataclass(frozen=True)
class Boundary:
    """A model divided at its frozen boundary. Both parts share their layers with the model.

    Attributes:
        layer: the highest layer of the frozen part, as people know it: "block5_pool" or "vgg16/block5_pool".
        prefix: the frozen part, from the model's input on.
        suffix: what is trained, from the frozen part's output to the model's.
        reason: why the boundary lies no higher, such as "dense is trained".
        frozen_dropout: whether that is because a layer that was frozen is random nevertheless.
    """

    layer: str
    prefix: keras.Model
    suffix: keras.Model
    reason: str
    frozen_dropout: bool


@dataclass(frozen=True)
class Undivided:
    """There is no frozen part worth computing once, and why, in words that complete "nothing can be stored: …"."""

    reason: str


@dataclass(frozen=True)
class _Obstacle:
    """A layer whose output may change in training, and why."""

    layer: Any
    reason: str


@dataclass(frozen=True)
class _Level:
    """One model on the way down through nested ones.

    Attributes:
        graph: the functional model.
        cut: the layer whose output is the boundary here; None where that is the graph's input.
        tensor: that output.
        inside: the node that calls the next nested model, whose input the tensor is; None at the innermost level.
    """

    graph: Any
    cut: str | None
    tensor: Any
    inside: Any | None


def find_boundary(model: keras.Model) -> Boundary | Undivided:
    """Divide a model at the highest cut below which it is frozen and deterministic in training.

    Args:
        model: a functional or Sequential model, already built.
    """
    graph = graph_of(model)
    if graph is None:
        return Undivided("the model isn't a functional or Sequential one with one input and one output")
    levels, obstacle = _descend(graph)
    if obstacle is None:
        return Undivided("every layer is frozen, so that there is nothing to train")
    prefix = _prefix(levels)
    if prefix is None or not prefix.count_params():
        return Undivided(f"{obstacle.reason}, and no frozen layer lies below it")
    frozen_dropout = is_random(obstacle.layer) and not obstacle.layer.trainable
    return Boundary("/".join(_names(levels)), prefix, _suffix(levels, model.name), obstacle.reason, frozen_dropout)


def split_front(model: keras.Model) -> tuple[keras.Model, keras.Model] | None:
    """Divide a model above the layers that augment its input, such as RandomFlip.

    Returns:
        The part that augments and the rest, or None where nothing at the model's front does, or no cut lies above it.
    """
    graph = graph_of(model)
    if graph is None:
        return None
    nodes = nodes_in_order(graph)
    augmenting = [position for position, node in enumerate(nodes) if _augments(node.operation)]
    if not augmenting:
        return None
    above = [cut for cut in tensors_at_cuts(graph) if cut.position >= augmenting[-1]]
    if not above:
        return None
    import keras

    tensor = above[0].tensor
    front = keras.Model(graph.inputs[0], tensor, name=f"{model.name}_front")
    if front.count_params():  # what lies there isn't only augmentation
        return None
    return front, keras.Model(tensor, graph.outputs[0], name=f"{model.name}_rest")


def seed_generators(layer: Any) -> list[Any]:
    """Every seed generator of a layer and of the layers inside it."""
    import keras

    parts = layer._flatten_layers() if isinstance(layer, keras.layers.Layer) else [layer]
    values = (value for part in parts for value in vars(part).values())
    return [value for value in values if isinstance(value, keras.random.SeedGenerator)]


def _descend(graph: Any) -> tuple[list[_Level], _Obstacle | None]:
    """The levels down to the boundary, and what keeps it from lying higher; None where everything is frozen."""
    nodes = nodes_in_order(graph)
    found = ((position, _obstacle(node)) for position, node in enumerate(nodes))
    stop = next(((position, obstacle) for position, obstacle in found if obstacle), None)
    if stop is None:
        return [_Level(graph, None, graph.outputs[0], None)], None
    position, obstacle = stop
    cuts = [cut for cut in tensors_at_cuts(graph) if cut.position < position]
    below = [cut for cut in cuts if not _has_mask(cut.tensor)]
    if below != cuts and cuts[-1] not in below:
        obstacle = _masking(nodes[cuts[-1].position].operation)
    cut, tensor = (below[-1].layer, below[-1].tensor) if below else (None, graph.inputs[0])
    node = nodes[position]
    if stop[1].layer is not node.operation and _opens(node, tensor, nodes):
        deeper, obstacle = _descend(graph_of(node.operation))  # type: ignore[assignment]  # there is one inside
        return [_Level(graph, cut, tensor, node), *deeper], obstacle
    return [_Level(graph, cut, tensor, None)], obstacle


def _has_mask(tensor: Any) -> bool:
    """Whether a mask, such as that of an Embedding, travels with this tensor, seen by layers or by the loss."""
    return getattr(tensor, "_keras_mask", None) is not None


def _masking(layer: Any) -> _Obstacle:
    return _Obstacle(layer, f"{layer.name} passes on a mask, which wouldn't be stored")


def _opens(node: Any, tensor: Any, nodes: list[Any]) -> bool:
    """Whether a node is a nested model that can be divided: used once, on a tensor that nothing else is given."""
    users = [user for user in nodes if any(given is tensor for given in user.input_tensors)]
    uses = [other for other in nodes if other.operation is node.operation]
    return graph_of(node.operation) is not None and users == uses == [node]


def _obstacle(node: Any) -> _Obstacle | None:
    """The layer for which a node's output may change while the model is trained, or None where it can't.

    A nested model that was called with ``training=False`` is judged as any other: Keras 3 passes the training argument
    of the outermost call down to every layer of a functional model, whatever its call was written with.
    """
    import keras

    layer = node.operation
    if not isinstance(layer, keras.layers.Layer):
        return None
    graph = graph_of(layer)
    if graph is not None:
        inside = next(filter(None, map(_obstacle, nodes_in_order(graph))), None)
        return inside or (_masking(layer) if _has_mask(graph.outputs[0]) else None)
    return next((_Obstacle(layer, f"{layer.name} {what}") for applies, what in _SIGNS if applies(layer)), None)


def _adds_losses(layer: Any) -> bool:
    parts = list(layer._flatten_layers())
    return any(getattr(part, "activity_regularizer", None) is not None or _mentions(part, "add_loss") for part in parts)


def _keeps_statistics(layer: Any) -> bool:
    import keras

    parts = list(layer._flatten_layers())
    if any(isinstance(part, keras.layers.SpectralNormalization) for part in parts):  # frozen or not
        return True
    return any(isinstance(part, keras.layers.BatchNormalization) and part.trainable for part in parts)


def _remembers(layer: Any) -> bool:
    return any(getattr(part, "stateful", False) for part in layer._flatten_layers())


def _is_trained(layer: Any) -> bool:
    return bool(layer.trainable_variables)


def is_random(layer: Any) -> bool:
    """Whether a layer draws random numbers in training; one whose rate is 0 doesn't."""
    parts = list(layer._flatten_layers())
    draws = (part for part in parts if seed_generators(part) or _mentions(part, "random"))
    return any(not _is_switched_off(part) for part in draws)


def _mentions(layer: Any, name: str) -> bool:
    """Whether a layer's code uses something of this name, such as `keras.random`."""
    functions: tuple[Any, ...] = (type(layer).call, getattr(layer, "function", None))
    return any(name in function.__code__.co_names for function in functions if hasattr(function, "__code__"))


_SIGNS: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (_is_trained, "is trained"),
    (_adds_losses, "adds to the loss"),
    (_remembers, "remembers earlier batches"),
    (_keeps_statistics, "updates its statistics in training"),
    (is_random, "is random in training"),
)


def _is_switched_off(layer: Any) -> bool:
    strengths = [getattr(layer, strength, None) for strength in _STRENGTHS]
    found = [strength for strength in strengths if isinstance(strength, int | float)]
    return bool(found) and not any(found)


def _augments(operation: Any) -> bool:
    """Whether this changes inputs at random, and does nothing else: it has no weights and isn't dropout."""
    import keras

    if not isinstance(operation, keras.layers.Layer) or operation.count_params():
        return False
    parts = list(operation._flatten_layers())
    return is_random(operation) and not any(hasattr(part, "rate") for part in parts)


def _names(levels: list[_Level]) -> Iterator[str]:
    for level in levels:
        if level.inside is not None:
            yield level.inside.operation.name
        elif level.cut is not None:
            yield level.cut
        else:
            yield level.graph.inputs[0].name


def _prefix(levels: list[_Level]) -> keras.Model | None:
    """The part below the boundary, or None where the boundary is the input itself."""
    import keras

    parts = [keras.Model(level.graph.inputs[0], level.tensor) for level in levels if level.cut is not None]
    if len(parts) < 2:
        return parts[0] if parts else None
    inputs = keras.Input(batch_shape=parts[0].inputs[0].shape, dtype=parts[0].inputs[0].dtype)
    outputs = inputs
    for part in parts:
        outputs = part(outputs)
    return keras.Model(inputs, outputs)


def _suffix(levels: list[_Level], name: str) -> keras.Model:
    """The part above the boundary: the rest of the innermost model, then what the outer ones do with its output."""
    import keras

    innermost = levels[-1]
    if len(levels) == 1:
        return keras.Model(innermost.tensor, innermost.graph.outputs[0], name=f"{name}_suffix")
    inputs = keras.Input(batch_shape=innermost.tensor.shape, dtype=innermost.tensor.dtype)
    outputs = inputs
    start = innermost.tensor
    for level in reversed(levels):
        if level.inside is not None:
            start = level.inside.output_tensors[0]
        if start is not level.graph.outputs[0]:
            outputs = keras.Model(start, level.graph.outputs[0])(outputs)
    return keras.Model(inputs, outputs, name=f"{name}_suffix")
