"""The pooled features of a base and of lower parts of it, all from one run of the network.

What a lower part computes, the whole computes on its way. So to compare them costs no more than the whole alone.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.catalog.base import Base
from headstart.features.boundary import prefix
from headstart.features.engine import LazyEngine
from headstart.features.extract import FeatureSet, Several
from headstart.features.openvino import OpenVINOEngine, Precision, identity_of
from headstart.features.prefix import Prefix, converted
from headstart.features.store import Store
from headstart.learn.base_features import BaseFeatures
from headstart.learn.heads import pool

if TYPE_CHECKING:
    import keras

# Lower parts that are compared with the whole base.
LOWER_PARTS = 2


def lower_parts(base: Base) -> tuple[Base, ...]:
    """The two largest parts of a base that end where its maps change their channels, the largest first.

    Where they don't change, one stage further down knows nearly the same.
    """
    pairs = zip(pairwise(base.stages), pairwise(base.widths), strict=True)
    ends = [stage for (stage, _), (width, following) in pairs if width != following]
    return tuple(base.up_to(stage) for stage in reversed(ends[-LOWER_PARTS:]))


class Depths:
    """Gives the features of a base and of its lower parts, and keeps each as if it had been computed by itself.

    Args:
        base: the whole.
        store: where features are kept; the converted network lies in the same folder.

    Attributes:
        bases: the whole and its lower parts, in the order of the network's output.
    """

    def __init__(self, base: Base, store: Store) -> None:
        self.bases = (base, *lower_parts(base))
        self._store = store
        self._features = [BaseFeatures(each, store) for each in self.bases]

    @cached_property
    def network(self) -> Path:
        """The converted network from images to the features of all, in one row."""
        identity = "\n".join(("together", *(features.pooled_identity for features in self._features)))
        return converted(Prefix(identity, self._model), self._store.folder)

    def features(self, precision: Precision) -> tuple[FeatureSet, ...]:
        """Of each of the bases; computing those of the first gives all others."""
        engine = LazyEngine(identity_of(precision), lambda: OpenVINOEngine(self.network, precision))
        kept = [
            FeatureSet(base.spec, features.pooled_identity, engine, self._store, precision, "float32")
            for base, features in zip(self.bases, self._features, strict=True)
        ]
        whole, *lower = kept
        lengths = [base.features for base in self.bases[1:]]
        described = whole.spec, whole.network, engine, self._store, precision, whole.dtype
        return Several(*described, tuple(zip(lower, lengths, strict=True))), *lower

    def _model(self) -> keras.Model:
        model = self._features[0].model
        import keras  # after the model, whose building loads it quietly

        parts = [self._pooled(model, base) for base in self.bases]
        rows = keras.layers.Concatenate(name="together")(parts) if len(parts) > 1 else parts[0]
        return keras.Model(model.input, rows, name=f"{model.name}_depths")

    def _pooled(self, model: keras.Model, base: Base) -> Any:
        below = model if base is self.bases[0] else prefix(model, base.stages[-1])
        return pool(below, base.detail, lambda name: f"{name}_of_{base.stages[-1]}")
