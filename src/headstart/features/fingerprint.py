"""What a network computes, as a hash: the same for the same graph with the same weights, whatever layers are called.

Keras numbers the names of layers ("dense_3") in the order in which they are made, so that a name says nothing about
what a layer does, and a second run of the same script may number them otherwise.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.features.boundary import graph_of, nodes_in_order

if TYPE_CHECKING:
    import keras

# Of a layer's settings, those that don't bear on its output: names, and what only matters while weights are made.
_IRRELEVANT = {"name", "trainable", "seed", "registered_name", "build_config", "shared_object_id"}


def fingerprint(model: keras.Model) -> str:
    """The sha256 of a model's graph, settings and weights, as hexadecimal text.

    Args:
        model: a functional or Sequential model with one input and one output.
    """
    digest = hashlib.sha256()
    for part in _parts(graph_of(model)):
        digest.update(part)
        digest.update(b"\n")
    return digest.hexdigest()


def _parts(graph: Any) -> Iterator[bytes]:
    """Each node of a graph in order: what it is, what it is given, and its weights."""
    numbers: dict[int, int] = {}
    for node in nodes_in_order(graph):
        given, keywords = node.arguments.convert(lambda value: _place(value, numbers))
        yield repr((type(node.operation).__name__, given, sorted(keywords.items()))).encode()
        nested = graph_of(node.operation)
        yield from _parts(nested) if nested is not None else _own(node.operation)
        for tensor in node.output_tensors:
            numbers[id(tensor)] = len(numbers)


def _place(value: Any, numbers: dict[int, int]) -> Any:
    import keras

    return f"tensor {numbers[id(value)]}" if isinstance(value, keras.KerasTensor) else _text(value)


def _own(operation: Any) -> Iterator[bytes]:
    """The settings and the weights of one layer."""
    yield json.dumps(_relevant(_settings(operation)), sort_keys=True, default=_text).encode()
    for code in (type(operation), getattr(operation, "function", None)):
        yield _source(code).encode()
    for weight in getattr(operation, "weights", ()):
        array = np.ascontiguousarray(weight.numpy())  # faster than through __array__
        yield f"{array.dtype} {array.shape}".encode()
        yield array.tobytes()


def _text(value: Any) -> str:
    """A value in words; of an array its hash, since `repr` leaves out what lies in the middle of a long one."""
    if not hasattr(value, "__array__"):
        return repr(value)
    array = np.ascontiguousarray(value)
    return f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"


def _source(code: Any) -> str:
    """What somebody's own layer or function says, which its name and settings don't tell; nothing for Keras' own."""
    if code is None or (getattr(code, "__module__", None) or "").partition(".")[0] == "keras":
        return ""
    try:
        return inspect.getsource(code)
    except (OSError, TypeError):  # typed in, or compiled
        return repr(getattr(code, "__qualname__", type(code)))


def _settings(operation: Any) -> Any:
    try:
        return operation.get_config()
    except NotImplementedError:  # an operation that can't be written down: its simple attributes must do
        return {name: value for name, value in vars(operation).items() if isinstance(value, str | int | float | bool)}


def _relevant(settings: Any) -> Any:
    if isinstance(settings, dict):
        return {key: _relevant(value) for key, value in settings.items() if key not in _IRRELEVANT}
    if isinstance(settings, list | tuple):
        return [_relevant(value) for value in settings]
    return settings
