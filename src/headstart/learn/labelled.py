"""Labelled images, as everything takes them that learns from them or measures by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.learn.kinds import CLASSES, Kind


@dataclass(frozen=True)
class Labelled:
    """Labelled images.

    Attributes:
        digests: the sha256 of their files.
        labels: targets of the kind, for classes int, shape (images,).
        kind: what is to be predicted.
        units: what each image stays together with where some are held out, by name; by default copies of its file.
        weights: how much each image counts in learning, at least 0, float64, shape (images,); None for all alike.
            Whatever is measured counts each image once.
    """

    digests: Sequence[str]
    labels: np.ndarray
    kind: Kind = CLASSES
    units: Sequence[str] = ()
    weights: np.ndarray | None = None

    @property
    def together(self) -> Sequence[str]:
        """The name of what each image stays together with."""
        return self.units or self.digests

    @property
    def learned_from(self) -> Labelled:
        """Those that count in learning at all: an image of weight 0 is as good as not there."""
        if self.weights is None or np.all(self.weights > 0):
            return self
        return self.some(np.flatnonzero(self.weights))

    def some(self, places: Sequence[int] | np.ndarray) -> Labelled:
        """Those at these places."""
        units = [self.units[place] for place in places] if self.units else ()
        digests, weights = [self.digests[place] for place in places], weights_at(places, self.weights)
        return Labelled(digests, self.labels[places], self.kind, units, weights)


def joined(*parts: Labelled) -> Labelled:
    """The images of several parts of one data set, one part after the other."""
    digests = [digest for part in parts for digest in part.digests]
    units = [name for part in parts for name in part.together]
    weights = [part.weights for part in parts if part.weights is not None]
    return Labelled(
        digests,
        np.concatenate([part.labels for part in parts]),
        parts[0].kind,
        units,
        np.concatenate(weights) if weights else None,
    )


def weights_at(places: Sequence[int] | np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
    """The weights of some images; None where all count alike."""
    return None if weights is None else weights[places]


def normalised(weights: np.ndarray | None) -> np.ndarray | None:
    """Weights of 1 on average over the images that are learned from together, so that strengths keep their meaning."""
    if weights is None:
        return None
    shares = weights / weights.max()  # or else the sum of very large ones would be infinite
    return np.asarray(shares / shares.mean())
