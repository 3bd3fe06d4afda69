"""Numbered renderings of an input: random augmentation made repeatable, so that its features can be kept."""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.errors import UsageError
from headstart.features.fingerprint import fingerprint
from headstart.features.frozen import seed_generators

if TYPE_CHECKING:
    import keras


class Renderer(ABC):
    """Draws renderings of an input."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """Tells this way of drawing from others."""

    @abstractmethod
    def render(self, row: np.ndarray, digest: bytes, number: int) -> np.ndarray:
        """Rendering `number` of an input: the same whenever and wherever it is asked for.

        Args:
            row: the input without a batch axis.
            digest: its hash.
            number: from 0 on.
        """

    @abstractmethod
    def plain(self, rows: np.ndarray) -> np.ndarray:
        """The inputs as they are outside training, with a batch axis."""


class LayerRenderer(Renderer):
    """Renders with Keras layers: those at the front of a model, or those given as `augment`.

    Args:
        layers: a model or a layer, random in training.
        identity: of the layers.
    """

    def __init__(self, layers: keras.Layer, identity: str) -> None:
        self._layers = layers
        self._identity = identity
        self._generators = seed_generators(layers)
        self._in_training = _in_training(layers)

    @property
    def identity(self) -> str:
        return self._identity

    def render(self, row: np.ndarray, digest: bytes, number: int) -> np.ndarray:
        for place, generator in enumerate(self._generators):
            generator.state.assign(np.array([seed_of(digest, number), place], np.uint32))
        rendered: np.ndarray = np.asarray(self._in_training.predict_on_batch(row[None]))[0]
        return rendered

    def plain(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self._layers(rows, training=False))


class FunctionRenderer(Renderer):
    """Renders with a function of an input and a NumPy generator.

    Args:
        function: (row, generator) to a row.
    """

    def __init__(self, function: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> None:
        self._function = function

    @property
    def identity(self) -> str:
        return _identity_of(self._function)

    def render(self, row: np.ndarray, digest: bytes, number: int) -> np.ndarray:
        rendered = np.asarray(self._function(row, np.random.default_rng(seed_of(digest, number))), row.dtype)
        if rendered.shape != row.shape:
            raise UsageError(
                f"augment made shape {rendered.shape} of an input of shape {row.shape}", "let it keep the shape"
            )
        return rendered

    def plain(self, rows: np.ndarray) -> np.ndarray:
        return rows


def _identity_of(function: Any) -> str:
    """What a function says, and the values that it was made with."""
    if isinstance(function, functools.partial):
        return f"{_identity_of(function.func)} {function.args!r} {function.keywords!r}"
    code = function if inspect.isroutine(function) else type(function)
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    made_with = [
        cells,
        getattr(function, "__defaults__", None),
        getattr(getattr(function, "__self__", function), "__dict__", None),
    ]
    try:
        return f"{inspect.getsource(code)} {made_with!r}"
    except (OSError, TypeError):  # typed in, or compiled
        return f"{code.__qualname__} {made_with!r}"


def renderer_of(augment: Any, input_shape: tuple[int, ...]) -> Renderer:
    """The renderer for the `augment` argument of `fit`.

    Args:
        augment: a Keras layer or model, or a function of a row and a NumPy generator.
        input_shape: of a row.

    Raises:
        UsageError: it is neither.
    """
    import keras

    if isinstance(augment, keras.layers.Layer):
        inputs = keras.Input(input_shape)
        model = keras.Model(inputs, augment(inputs))
        return LayerRenderer(model, fingerprint(model))
    if callable(augment):
        return FunctionRenderer(augment)
    raise UsageError(
        f"augment is {type(augment).__name__}, which can't be called",
        "give Keras layers or a function (row, generator)",
    )


def seed_of(digest: bytes, number: int) -> int:
    """A seed of 32 bits that depends on the input and the rendering's number only."""
    return (int.from_bytes(digest[:4], "big") + 0x9E3779B9 * (number + 1)) % 2**32


def _in_training(layers: keras.Layer) -> Any:
    """A model whose compiled prediction runs the layers as in training."""
    import keras

    class InTraining(keras.Model):
        def call(self, inputs: Any) -> Any:
            return layers(inputs, training=True)

    return InTraining()
