"""The features of one base: pooled at its top for the probe, or at a cut for fine-tuning."""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.catalog.base import Base
from headstart.features.boundary import prefix
from headstart.features.engine import LazyEngine
from headstart.features.extract import FeatureSet, WithMap
from headstart.features.openvino import OpenVINOEngine, Precision, identity_of
from headstart.features.prefix import Prefix, converted
from headstart.features.store import Store
from headstart.learn.heads import pool
from headstart.quiet import native_stderr_silenced

if TYPE_CHECKING:
    import keras


class BaseFeatures:
    """Gives feature sets of a base, and builds the Keras model only when something really needs it.

    Args:
        base: whose features.
        store: where they are kept; converted prefixes lie in the same folder.
    """

    def __init__(self, base: Base, store: Store) -> None:
        self.base = base
        self._store = store

    @cached_property
    def model(self) -> keras.Model:
        """The base with its pretrained weights, without its top."""
        with native_stderr_silenced():  # the first import of TensorFlow
            return self.base.build()

    @cached_property
    def pooled_network(self) -> Path:
        """The converted network from images to pooled features."""
        return converted(Prefix(self._identity(self._pooled_name), self._pooled_model), self._store.folder)

    def pooled(self, precision: Precision) -> FeatureSet:
        """Pooled features, kept as float32, shape (features,)."""
        return self._feature_set(self._pooled_name, self.pooled_network, precision, "float32")

    def at(self, cut: str, precision: Precision) -> FeatureSet:
        """The output of a cut, kept as float16: half the space, and finer than what training makes of it."""
        network = converted(Prefix(self._identity(cut), lambda: prefix(self.model, cut)), self._store.folder)
        return self._feature_set(cut, network, precision, "float16")

    def pooled_with_map(self, cut: str, precision: Precision) -> WithMap:
        """Pooled features with the output of a cut, as `at` would give it, in one run of the network."""
        name = f"{self._pooled_name} and {cut}"
        prefixed = Prefix(self._identity(name), lambda: self._model_with_map(cut))
        # Opened at the first feature that is missing, and kept for the views that follow.
        opened = cache(lambda: OpenVINOEngine(converted(prefixed, self._store.folder), precision))
        engine = LazyEngine(identity_of(precision), opened)
        shape = tuple(prefix(self.model, cut).outputs[0].shape[1:])
        kept = self.base.spec, self._identity(self._pooled_name), engine, self._store, precision, "float32"
        return WithMap(*kept, at_cut=self.at(cut, precision), shape=shape)

    def _feature_set(self, name: str, network: Path, precision: Precision, dtype: str) -> FeatureSet:
        engine = OpenVINOEngine(network, precision)
        return FeatureSet(self.base.spec, self._identity(name), engine, self._store, precision, dtype)

    @property
    def pooled_identity(self) -> str:
        """What the store knows the network to pooled features by."""
        return self._identity(self._pooled_name)

    @property
    def _pooled_name(self) -> str:
        return f"pooled+{self.base.detail}:average,maximum,deviation" if self.base.detail else "pooled"

    def _identity(self, name: str) -> str:
        return f"{self.base.fingerprint}:{name}"

    def _pooled_model(self) -> keras.Model:
        model = self.model
        import keras  # after the model, whose building loads it quietly

        return keras.Model(model.input, pool(model, self.base.detail), name=f"{model.name}_pooled")

    def _model_with_map(self, cut: str) -> keras.Model:
        """One output, as engines have: the pooled features and then the cut's map, in one row."""
        import keras

        below = prefix(self.model, cut)
        flat = keras.layers.Flatten(name="map_in_a_row")(below.outputs[0])
        both = keras.layers.Concatenate(name="pooled_and_map")([pool(self.model, self.base.detail), flat])
        return keras.Model(self.model.input, both, name=f"{self.model.name}_with_map")
