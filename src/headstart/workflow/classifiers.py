"""The two classifiers a training run can come to, behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.catalog.base import Arrays
from headstart.errors import DataError
from headstart.features.extract import FeatureSet, render_all
from headstart.features.openvino import OpenVINOEngine, append_linear_head, convert
from headstart.images.file import ImageFile
from headstart.images.spec import ImageSpec
from headstart.images.views import PLAIN, View
from headstart.learn.decide import Candidate
from headstart.learn.finetune import FineTuned, Recipe
from headstart.learn.heads import LOGITS
from headstart.learn.imbalance import measuring_weights
from headstart.learn.labelled import Labelled, joined
from headstart.learn.probe import Probe, refit_to_views
from headstart.learn.soup import Weights
from headstart.progress import Advance
from headstart.workflow.images import Images
from headstart.workflow.session import Session


class Classifier(ABC):
    """A trained classifier, before it is written.

    Attributes:
        candidate: what it says of the validation part, averaged over its views.
        views: of an image that its logits are averaged over; the plain one alone where they aren't.
    """

    candidate: Candidate
    views: tuple[View, ...]

    @abstractmethod
    def write_network(self, path: Path) -> None:
        """Write the network from images to logits, in one view, for the engine."""

    @abstractmethod
    def arrays(self) -> Arrays:
        """The variables of the Keras model from images to logits, by path."""

    @abstractmethod
    def validation_logits(self, images: Images) -> np.ndarray:
        """Averaged logits of the validation part as learning left them, from stored features."""

    @abstractmethod
    def test_logits(self, network: Path, images: Images, advance: Advance) -> np.ndarray:
        """Averaged logits of the test part, shape (images, outputs); `network` is the one that averages them."""


class ProbeClassifier(Classifier):
    """The frozen base with the probe as its head. None of its methods needs Keras.

    Args:
        session: the training run.
        images: audited and divided.
        pooled: what the probe was fitted on.
        probe: the head.
        more: its logits of further views of the validation images, shape (views, images, classes).
        views: that its logits are averaged over; `pooled` has them all for the validation images.
        taught: that it was fitted to; `pooled` has them all for the training and validation images.

    Attributes:
        probe: the head, which `refit` changes.
    """

    def __init__(
        self,
        session: Session,
        images: Images,
        pooled: FeatureSet,
        probe: Probe,
        more: Sequence[np.ndarray] = (),
        views: tuple[View, ...] = (PLAIN,),
        taught: tuple[View, ...] = (PLAIN,),
    ) -> None:
        self.views = views
        self._taught = taught
        self._session = session
        self._pooled = pooled
        self.probe = probe
        validation = images.part("validation")
        weights = measuring_weights(validation.labels, probe.balancing.kind)
        self.candidate = Candidate.of(self._logits(validation), validation.labels, more, weights, probe.kind)

    def refit(self, *parts: Labelled) -> None:
        """Fit the probe to all these images together; what it said of the validation part, and its temperature, stay.

        To be called when nothing is left to decide, so that the validation images can be learned from as well.
        """
        self.probe = refit_in_views(self.probe, self._pooled, self._taught, *parts)

    def write_network(self, path: Path) -> None:
        append_linear_head(self._session.features.pooled_network, self.probe.weights, self.probe.bias, path)

    def arrays(self) -> Arrays:
        frozen = self._session.features.base.weights.load()
        return frozen | {f"{LOGITS}/kernel": self.probe.weights, f"{LOGITS}/bias": self.probe.bias}

    def validation_logits(self, images: Images) -> np.ndarray:
        return self._logits(images.part("validation"))

    def test_logits(self, network: Path, images: Images, advance: Advance) -> np.ndarray:
        """From stored features, which the network's lower part would only compute again; those of views come now.

        Features in bf16 aren't quite what the network gives, which runs in f32: then it is asked itself.
        """
        files, part = images.files("test"), images.part("test")
        if self._pooled.precision != "f32":
            return _logits_of(network, files, self._session.features.base.spec, advance)
        if self.views == (PLAIN,):
            advance(len(part.digests))
        else:
            self._session.extract_within(advance, files, self._pooled, self.views)
        return self._logits(part)

    def _logits(self, part: Labelled) -> np.ndarray:
        return logits_over_views(self.probe, self._pooled, self.views, part)


def refit_in_views(probe: Probe, pooled: FeatureSet, views: Sequence[View], *parts: Labelled) -> Probe:
    """The probe fitted to all these views of all these images, with the strength that it has."""
    images = joined(*parts).learned_from
    features = pooled.load([(digest, view) for view in views for digest in images.digests])
    in_views = features.reshape(len(views), len(images.labels), -1)
    return refit_to_views(probe, in_views, images.labels, images.weights)


def logits_over_views(probe: Probe, pooled: FeatureSet, views: Sequence[View], part: Labelled) -> np.ndarray:
    """The mean over views of a probe's logits, shape (images, outputs)."""
    in_views = [probe.logits(pooled.load([(digest, view) for digest in part.digests])) for view in views]
    return np.asarray(np.mean(in_views, axis=0))


@dataclass(frozen=True)
class Trial:
    """A way of fine-tuning that was tried.

    Attributes:
        recipe: how.
        result: what it came to.
        weights: of its network.
        loss: on the validation images, averaged over their views.
    """

    recipe: Recipe
    result: FineTuned
    weights: Weights
    loss: float


@dataclass(frozen=True)
class HeldOut:
    """What both ways to learn come to on images that neither has learned from.

    Attributes:
        probe: of all training and validation images, each held out once.
        tuned: likewise, of the same images in the same order.
    """

    probe: Candidate
    tuned: Candidate


class FinetunedClassifier(Classifier):
    """The base with its top fine-tuned.

    Attributes:
        result: the network, with the training curve of the best trial.
        recipe: of that trial.
        trials: all of them, in their order.
        held_out: the comparison with the probe that decides, where the validation part is too small to.
    """

    def __init__(
        self,
        recipe: Recipe,
        result: FineTuned,
        images: Images,
        spec: ImageSpec,
        trials: Sequence[Trial],
        held_out: HeldOut | None = None,
    ) -> None:
        self._spec = spec
        self.held_out = held_out
        self.recipe = recipe
        self.result = result
        self.trials = tuple(trials)
        self.views = recipe.test_views
        # Where logits aren't averaged, those of the other views tell two classifiers apart all the same.
        more = list(result.validation_logits[1:]) if self.views == (PLAIN,) else []
        validation = images.part("validation")
        labels, kind = validation.labels, validation.kind
        self._weights = measuring_weights(labels, recipe.balance)
        self.candidate = Candidate.of(recipe.averaged(result.validation_logits), labels, more, self._weights, kind)

    def in_one_view(self) -> Candidate:
        """What it says of the plain view alone."""
        candidate = self.candidate
        return Candidate.of(self.result.validation_logits[0], candidate.labels, (), self._weights, candidate.kind)

    def write_network(self, path: Path) -> None:
        convert(self.result.model, path)

    def arrays(self) -> Arrays:
        return {variable.path: np.asarray(variable) for variable in self.result.model.weights}

    def validation_logits(self, images: Images) -> np.ndarray:
        return self.candidate.logits

    def test_logits(self, network: Path, images: Images, advance: Advance) -> np.ndarray:
        return _logits_of(network, images.files("test"), self._spec, advance)


def _logits_of(network: Path, files: Sequence[ImageFile], spec: ImageSpec, advance: Advance) -> np.ndarray:
    """From the files, through the very network that is written: what is measured is what is used."""

    def inputs() -> Iterator[tuple[int, np.ndarray]]:
        for number, (file, rendered) in enumerate(render_all(files, spec, advance)):
            if isinstance(rendered, str):
                raise DataError(f"{file} can't be read any more: {rendered}", "leave the images alone and try again")
            yield number, rendered

    logits = dict(OpenVINOEngine(network).stream(inputs()))
    return np.stack([logits[number] for number in range(len(logits))])
