"""The layers of any Keras model in order, through all nesting, and the stages that they form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from headstart.features.boundary import Cut, find_cuts, graph_of

if TYPE_CHECKING:
    import keras

HEAD = "head"
# A model that takes images of any size is measured on one of this size, in pixels.
_MEASURED_AT = 224


@dataclass(frozen=True)
class Stage:
    """The layers that work on maps of one size, or what lies above all of them.

    Attributes:
        name: of the layer that ends it; "head" for what lies above the last map.
        layers: in order, without models that merely hold others.
    """

    name: str
    layers: tuple[Any, ...]


def in_order(model: keras.Model) -> list[Any]:
    """All layers from the input to the output, those of nested models in the place of the model.

    A subclassed model's layers come in the order in which they were set.
    """
    import keras

    found: dict[int, Any] = {}
    for layer in model.layers:
        if is_container(layer):
            found |= {id(part): part for part in in_order(layer) if id(part) not in found}
        elif not isinstance(layer, keras.layers.InputLayer):
            found.setdefault(id(layer), layer)
    return list(found.values())


def is_container(layer: Any) -> bool:
    """Whether it is a model that holds layers, rather than a layer."""
    import keras

    return isinstance(layer, keras.Model) and bool(layer.layers)


def containers(model: keras.Model) -> list[Any]:
    """The models nested in a model, at any depth."""
    return [layer for layer in model._flatten_layers(include_self=False) if is_container(layer)]


def has_weights(layer: Any) -> bool:
    """Whether training could change a layer, were it trainable."""
    return any(part._trainable_variables for part in layer._flatten_layers())


def find_stages(model: keras.Model) -> tuple[Stage, ...]:
    """The stages of a model, from the input to the output, and what lies above them as "head" if that has weights.

    A stage ends at the last cut of its resolution: the layer after which the maps get smaller. What holds no weights
    (padding, pooling, augmentation) belongs to the stage above it or, at the top, to the last one.

    Returns:
        No stage at all for a model without maps, or without a graph.
    """
    layers = in_order(model)
    places = {id(layer): place for place, layer in enumerate(layers)}
    ends = [places[id(layer)] for layer in _ends_of_resolutions(model)]
    if not ends:
        return ()
    stages = _divide(layers, ends)
    head = tuple(layers[ends[-1] + 1 :])
    return (*stages, Stage(HEAD, head)) if any(map(has_weights, head)) else tuple(stages)


def _divide(layers: list[Any], ends: list[int]) -> list[Stage]:
    stages: list[Stage] = []
    start = 0
    for end in ends:
        part = tuple(layers[start : end + 1])
        if any(map(has_weights, part)):
            stages.append(Stage(layers[end].name, part))
            start = end + 1
    if stages and start <= ends[-1]:
        last = stages.pop()
        stages.append(Stage(layers[ends[-1]].name, (*last.layers, *layers[start : ends[-1] + 1])))
    return stages


def _ends_of_resolutions(model: keras.Model) -> list[Any]:
    """The last cut of each resolution, in the model itself or else in the first nested one that has any."""
    for candidate in (model, *containers(model)):
        maps = list(_maps(candidate))
        if maps:
            return [list(group)[-1][0] for _, group in groupby(maps, key=lambda found: found[1])]
    return []


def _maps(model: keras.Model) -> Iterator[tuple[Any, tuple[int, int]]]:
    """Each cut that gives a map, as its layer, with the map's height and width; nested models are looked into."""
    graph = graph_of(model)
    if graph is None:
        return
    cuts = find_cuts(graph)
    shapes = _shapes(graph, cuts)
    for cut in cuts:
        layer = graph.get_layer(cut.layer)
        if is_container(layer):
            yield from _maps(layer)
        elif len(shapes[cut.layer]) == 3:
            yield layer, _size(shapes[cut.layer])


def _shapes(graph: keras.Model, cuts: tuple[Cut, ...]) -> dict[str, tuple[int, ...]]:
    """The shape of each cut's output; where it depends on the image's size, that for one size."""
    import keras

    known = {cut.layer: cut.shape for cut in cuts}
    layers = [graph.get_layer(name) for name, shape in known.items() if len(shape) == 3 and None in shape]
    tensors = {layer.name: layer.output for layer in layers if not is_container(layer)}
    if tensors:
        shape = [_MEASURED_AT if number is None else number for number in graph.inputs[0].shape[1:]]
        found = keras.Model(graph.inputs, tensors).compute_output_spec(keras.KerasTensor((1, *shape)))
        known |= {name: tuple(tensor.shape[1:]) for name, tensor in found.items()}
    return known


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    import keras

    height, width = shape[1:] if keras.config.image_data_format() == "channels_first" else shape[:2]
    return height, width
