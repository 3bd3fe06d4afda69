"""Where a Keras model can be divided into a part that is computed once and a part that is trained.

A cut is a layer whose output is the only tensor that crosses from what lies below it to what lies above it; in the
model's graph it is a node through which every path from the input to the output runs. Below a cut lies the prefix,
above it the suffix. Both share their layers with the model, so training the suffix trains the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from headstart.errors import EngineError, UnknownNameError

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Cut:
    """A layer at which a model can be divided.

    Attributes:
        layer: its name.
        shape: of its output, without the batch axis.
    """

    layer: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Numbers in the output of one image."""
        return prod(self.shape)


def find_cuts(model: keras.Model) -> tuple[Cut, ...]:
    """All cuts of a functional model, from the input to the output; the input itself isn't one.

    Raises:
        EngineError: the model isn't a functional one with one input and one output.
    """
    return tuple(Cut(layer, tuple(tensor.shape[1:])) for layer, tensor in _tensors_at_cuts(model).items())


def multiplications(model: keras.Model) -> int:
    """How many multiplications one input takes.

    Each number of a kernel is used once for every place of the layer's output: that holds for convolutions, depthwise
    ones and dense layers alike, and they are what a network spends its time on.
    """
    return sum(_multiplications(node) for node in _nodes_in_order(model))


def _multiplications(node: Any) -> int:
    if not hasattr(node.operation, "kernel"):
        return 0
    kernel, places = tuple(node.operation.kernel.shape), tuple(node.output_tensors[0].shape[1:-1])
    return int(prod(kernel) * prod(places))


def prefix(model: keras.Model, cut: str) -> keras.Model:
    """The part of the model up to and with the layer `cut`, sharing its layers."""
    import keras

    return keras.Model(model.inputs[0], _tensor_at(model, cut), name=f"{model.name}_prefix")


def suffix(model: keras.Model, cut: str) -> keras.Model:
    """The part of the model above the layer `cut`, sharing its layers; its input is the cut's output."""
    import keras

    return keras.Model(_tensor_at(model, cut), model.outputs[0], name=f"{model.name}_suffix")


def _tensor_at(model: keras.Model, cut: str) -> Any:
    tensors = _tensors_at_cuts(model)
    if cut not in tensors:
        raise UnknownNameError("cut", cut, tensors)
    return tensors[cut]


def _tensors_at_cuts(model: keras.Model) -> dict[str, Any]:
    """The tensor that crosses each cut, by the cut's layer, from the input to the output.

    Layers are visited from the input on, keeping the set of tensors that are still needed further up. Where that set
    shrinks to one tensor, everything above depends on that tensor alone. A layer that the model uses more than once
    is no cut: its name doesn't say at which of its uses to divide.
    """
    nodes = _nodes_in_order(model)
    uses = Counter(node.operation.name for node in nodes)
    last_use = {id(tensor): position for position, node in enumerate(nodes) for tensor in node.input_tensors}
    last_use |= {id(tensor): len(nodes) for tensor in model.outputs}
    cuts: dict[str, Any] = {}
    still_needed: dict[int, Any] = {}
    for position, node in enumerate(nodes):
        still_needed |= {id(tensor): tensor for tensor in node.output_tensors if id(tensor) in last_use}
        still_needed = {key: tensor for key, tensor in still_needed.items() if last_use[key] > position}
        if len(still_needed) == 1 and not node.is_input and uses[node.operation.name] == 1:
            (cuts[node.operation.name],) = still_needed.values()
    return cuts


def _nodes_in_order(model: keras.Model) -> list[Any]:
    """The nodes of the graph, each after those that it depends on."""
    if not hasattr(model, "_nodes_by_depth") or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise EngineError(
            f"the model {model.name!r} has no graph with one input and one output",
            "build it with keras.Model(inputs, outputs); subclassed models can't be divided",
        )
    return list(_deepest_first(model._nodes_by_depth))


def _deepest_first(by_depth: dict[int, list[Any]]) -> Iterator[Any]:
    for depth in sorted(by_depth, reverse=True):
        yield from by_depth[depth]
