"""Engines run a prefix over images. The Keras engine defines the answer; every other one must agree with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    import keras

Tag = TypeVar("Tag")


class Engine(ABC):
    """Runs a network over a stream of inputs."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """Name, version and precision: features of engines with different identities aren't mixed."""

    @abstractmethod
    def stream(self, inputs: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        """The network's output for every input, in whatever order they get done.

        Args:
            inputs: a tag of the caller's choice and one input without its batch axis, float32. They are taken only
                as fast as the engine works.

        Yields:
            The tag and the output without its batch axis, float32.
        """

    def run(self, batch: np.ndarray) -> np.ndarray:
        """The outputs of a batch in the order of its inputs, shape (batch, …), float32."""
        outputs: dict[Any, np.ndarray] = dict(self.stream(enumerate(batch)))
        return np.stack([outputs[number] for number in range(len(batch))])


class LazyEngine(Engine):
    """An engine that is made when the first input comes: where every feature is stored already, it never is.

    Args:
        identity: of the engine that will be made.
        make: makes it.
    """

    def __init__(self, identity: str, make: Callable[[], Engine]) -> None:
        self._identity = identity
        self._make = make

    @property
    def identity(self) -> str:
        return self._identity

    def stream(self, inputs: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        remaining = iter(inputs)
        for first in remaining:
            yield from self._make().stream(chain([first], remaining))


class KerasEngine(Engine):
    """Runs a Keras model in batches, on whatever backend Keras has. The reference.

    Args:
        model: a model with one input and one output.
        batch_size: inputs run together.
    """

    def __init__(self, model: keras.Model, batch_size: int = 32) -> None:
        self._model = model
        self._batch_size = batch_size

    @property
    def identity(self) -> str:
        import keras

        return f"keras-{keras.__version__}-{keras.backend.backend()}-f32"

    def stream(self, inputs: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        waiting: list[tuple[Tag, np.ndarray]] = []
        for item in inputs:
            waiting.append(item)
            if len(waiting) == self._batch_size:
                yield from self._run(waiting)
                waiting = []
        if waiting:
            yield from self._run(waiting)

    def _run(self, items: list[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        batch = np.stack([array for _, array in items])
        outputs = self._model.predict_on_batch(batch)
        yield from zip((tag for tag, _ in items), np.asarray(outputs, np.float32), strict=True)
