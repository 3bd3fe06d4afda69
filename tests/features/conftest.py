"""A network to run, an engine that needs none, and a store to keep things in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.catalog.untrained import BASE
from headstart.features.engine import Engine
from headstart.features.extract import FeatureSet
from headstart.features.openvino import convert
from headstart.features.store import Store
from headstart.images.spec import ImageSpec


@pytest.fixture(scope="session")
def untrained() -> Any:
    """The untrained base in Keras; not to be changed."""
    return BASE.build()


@pytest.fixture(scope="session")
def untrained_network(untrained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The untrained base as an OpenVINO network; not to be changed."""
    path = tmp_path_factory.mktemp("untrained") / "network.xml"
    convert(untrained, path)
    return path


@pytest.fixture(scope="session")
def inputs() -> np.ndarray:
    """Eleven inputs of the untrained base: a full batch of any size up to five never divides them."""
    shape = (11, BASE.spec.height, BASE.spec.width, 3)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


@pytest.fixture
def store(cache_dir: Path) -> Iterator[Store]:
    with Store(cache_dir) as opened:
        yield opened


class ChannelMeans(Engine):
    """Gives the mean of each channel, in an order of its own, and does what a test asks for after each input."""

    def __init__(self, identity: str = "means-1-f32", after_each: Callable[[int], None] = lambda taken: None) -> None:
        self._identity = identity
        self._after_each = after_each
        self.seen: list[Any] = []

    @property
    def identity(self) -> str:
        return self._identity

    def stream(self, inputs: Iterable[tuple[Any, np.ndarray]]) -> Iterator[tuple[Any, np.ndarray]]:
        held: list[tuple[Any, np.ndarray]] = []
        for tag, array in inputs:
            self.seen.append(tag)
            self._after_each(len(self.seen))
            held.append((tag, array.mean(axis=(0, 1))))
            if len(held) == 3:
                yield from reversed(held)
                held = []
        yield from reversed(held)


@pytest.fixture(scope="session")
def channel_means() -> type[ChannelMeans]:
    return ChannelMeans


@pytest.fixture
def make_features(store: Store) -> Callable[..., FeatureSet]:
    """`make_features(dtype="float16")` is a feature set over the store with an engine that needs no network."""

    def make(**changes: Any) -> FeatureSet:
        spec = ImageSpec(8, 8, interpolation="bilinear", offset=127.5, divisor=127.5)
        fields = {"spec": spec, "network": "means", "engine": ChannelMeans(), "store": store}
        return FeatureSet(**({"precision": "f32", "dtype": "float32"} | fields | changes))

    return make
