"""Where a Keras model can be divided into a part that is computed once and a part that is trained.

A cut is a layer whose output is the only tensor that crosses from what lies below it to what lies above it; in the
model's graph it is a node through which every path from the input to the output runs. Below a cut lies the prefix,
above it the suffix. Both share their layers with the model, so training the suffix trains the model. Below the cut
named `INPUT` lies nothing: its suffix is the whole model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

from headstart.errors import EngineError, UnknownNameError

if TYPE_CHECKING:
    import keras


# The cut at the model's input, whatever the name of its input layer.
INPUT = "input"
# The weights of a layer that are multiplied with its inputs; a separable convolution has two.
_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


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
    return tuple(Cut(found.layer, tuple(found.tensor.shape[1:])) for found in tensors_at_cuts(_require_graph(model)))


def size_at(model: keras.Model, cut: str) -> int:
    """Numbers that cross a cut for one image.

    Args:
        model: a functional model.
        cut: one of its layers, or `INPUT`.

    Raises:
        UnknownNameError: there is no such cut.
    """
    return prod(_tensor_at(model, cut).shape[1:])


def multiplications(model: keras.Model) -> int:
    """How many multiplications one input takes.

    Each number of a kernel is used once for every place of the layer's output: that holds for convolutions, depthwise
    ones and dense layers alike, and they are what a network spends its time on.
    """
    return sum(_multiplications(node) for node in nodes_in_order(_require_graph(model)))


def _multiplications(node: Any) -> int:
    nested = graph_of(node.operation)
    if nested is not None:
        return multiplications(node.operation)
    kernels = [getattr(node.operation, name) for name in _KERNELS if hasattr(node.operation, name)]
    return int(sum(prod(kernel.shape) for kernel in kernels) * prod(node.output_tensors[0].shape[1:-1]))


def prefix(model: keras.Model, cut: str) -> keras.Model:
    """The part of the model up to and with the layer `cut`, sharing its layers; at `INPUT` it changes nothing."""
    import keras

    return keras.Model(model.inputs[0], _tensor_at(model, cut), name=f"{model.name}_prefix")


def suffix(model: keras.Model, cut: str) -> keras.Model:
    """The part of the model above the layer `cut`, sharing its layers; its input is the cut's output."""
    import keras

    return keras.Model(_tensor_at(model, cut), model.outputs[0], name=f"{model.name}_suffix")


@dataclass(frozen=True)
class TensorAtCut:
    """The tensor that crosses a cut.

    Attributes:
        layer: the cut's layer.
        tensor: its output.
        position: of the layer among the graph's nodes in order.
    """

    layer: str
    tensor: Any
    position: int


def tensors_at_cuts(graph: Any) -> list[TensorAtCut]:
    """The cuts of a graph, from the input to the output.

    Layers are visited from the input on, keeping the set of tensors that are still needed further up. Where that set
    shrinks to one tensor, everything above depends on that tensor alone. A layer that the model uses more than once
    is no cut: its name doesn't say at which of its uses to divide.
    """
    nodes = nodes_in_order(graph)
    uses = Counter(node.operation.name for node in nodes)
    last_use = {id(tensor): position for position, node in enumerate(nodes) for tensor in node.input_tensors}
    last_use |= {id(tensor): len(nodes) for tensor in graph.outputs}
    cuts: list[TensorAtCut] = []
    still_needed: dict[int, Any] = {}
    for position, node in enumerate(nodes):
        still_needed |= {id(tensor): tensor for tensor in node.output_tensors if id(tensor) in last_use}
        still_needed = {key: tensor for key, tensor in still_needed.items() if last_use[key] > position}
        if len(still_needed) == 1 and not node.is_input and uses[node.operation.name] == 1:
            (tensor,) = still_needed.values()
            cuts.append(TensorAtCut(node.operation.name, tensor, position))
    return cuts


def graph_of(layer: Any) -> Any | None:
    """The functional model that a functional or Sequential one is, if it has one input and one output; else None.

    A subclass that says for itself what a call does isn't described by its graph.
    """
    import keras

    if isinstance(layer, keras.Sequential):
        layer = layer._functional
    if not hasattr(layer, "_nodes_by_depth") or type(layer).call is not type(_functional()).call:
        return None
    return layer if len(layer.inputs) == 1 and len(layer.outputs) == 1 else None


@cache
def _functional() -> Any:
    """A functional model, for its class, which Keras doesn't export."""
    import keras

    inputs = keras.Input((1,))
    return keras.Model(inputs, keras.layers.Identity()(inputs))


def nodes_in_order(graph: Any) -> list[Any]:
    """The nodes of a graph, each after those that it depends on."""
    return list(_deepest_first(graph._nodes_by_depth))


def _tensor_at(model: keras.Model, cut: str) -> Any:
    tensors = {found.layer: found.tensor for found in tensors_at_cuts(_require_graph(model))}
    tensors = {INPUT: model.inputs[0]} | tensors
    if cut not in tensors:
        raise UnknownNameError("cut", cut, tensors)
    return tensors[cut]


def _require_graph(model: keras.Model) -> Any:
    graph = graph_of(model)
    if graph is None:
        raise EngineError(
            f"the model {model.name!r} has no graph with one input and one output",
            "build it with keras.Model(inputs, outputs); subclassed models can't be divided",
        )
    return graph


def _deepest_first(by_depth: dict[int, list[Any]]) -> Iterator[Any]:
    for depth in sorted(by_depth, reverse=True):
        yield from by_depth[depth]
