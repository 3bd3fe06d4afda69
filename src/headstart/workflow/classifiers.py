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
from headstart.images.spec import ImageSpec
from headstart.images.views import PLAIN
from headstart.learn.decide import Candidate
from headstart.learn.finetune import FineTuned, Labelled, Recipe
from headstart.learn.heads import LOGITS
from headstart.learn.imbalance import measuring_weights
from headstart.learn.probe import Probe, refit_probe
from headstart.learn.soup import Weights
from headstart.progress import Advance
from headstart.workflow.images import Images
from headstart.workflow.session import Session


class Classifier(ABC):
    """A trained classifier, before it is written.

    Attributes:
        candidate: what it says of the validation part.
    """

    candidate: Candidate

    @abstractmethod
    def write_network(self, path: Path) -> None:
        """Write the network from images to logits for the engine."""

    @abstractmethod
    def arrays(self) -> Arrays:
        """The variables of the Keras model from images to logits, by path."""

    @abstractmethod
    def test_logits(self, network: Path, images: Images, advance: Advance) -> np.ndarray:
        """Logits of the test part, shape (images, classes); `network` is what `write_network` wrote."""


class ProbeClassifier(Classifier):
    """The frozen base with the probe as its head. None of its methods needs Keras.

    Args:
        session: the training run.
        images: audited and divided.
        pooled: what the probe was fitted on.
        probe: the head.
        more: its logits of further views of the validation images, shape (views, images, classes).
    """

    def __init__(
        self, session: Session, images: Images, pooled: FeatureSet, probe: Probe, more: Sequence[np.ndarray] = ()
    ) -> None:
        self._features = session.features
        self._pooled = pooled
        self._probe = probe
        validation = images.part("validation")
        weights = measuring_weights(validation.labels, probe.balancing.kind)
        self.candidate = Candidate.of(self._logits(validation), validation.labels, more, weights)

    def refit(self, *parts: Labelled) -> None:
        """Fit the probe to all these images together; what it said of the validation part, and its temperature, stay.

        To be called when nothing is left to decide, so that the validation images can be learned from as well.
        """
        labels = np.concatenate([part.labels for part in parts])
        digests = [digest for part in parts for digest in part.digests]
        self._probe = refit_probe(self._probe, self._load(digests), labels)

    def write_network(self, path: Path) -> None:
        append_linear_head(self._features.pooled_network, self._probe.weights, self._probe.bias, path)

    def arrays(self) -> Arrays:
        frozen = self._features.base.weights.load()
        return frozen | {f"{LOGITS}/kernel": self._probe.weights, f"{LOGITS}/bias": self._probe.bias}

    def test_logits(self, network: Path, images: Images, advance: Advance) -> np.ndarray:
        """From the stored features, which the network's lower part would only compute again."""
        logits = self._logits(images.part("test"))
        advance(len(logits))
        return logits

    def _logits(self, part: Labelled) -> np.ndarray:
        return self._probe.logits(self._load(part.digests))

    def _load(self, digests: Sequence[str]) -> np.ndarray:
        return self._pooled.load([(digest, PLAIN) for digest in digests])


@dataclass(frozen=True)
class Trial:
    """A way of fine-tuning that was tried.

    Attributes:
        recipe: how.
        result: what it came to.
        weights: of its network.
        loss: log loss on the validation images, averaged over their views.
    """

    recipe: Recipe
    result: FineTuned
    weights: Weights
    loss: float


class FinetunedClassifier(Classifier):
    """The base with its top fine-tuned.

    Attributes:
        result: the network, with the training curve of the best trial.
        recipe: of that trial.
        trials: all of them, in their order.
    """

    def __init__(
        self, recipe: Recipe, result: FineTuned, images: Images, spec: ImageSpec, trials: Sequence[Trial]
    ) -> None:
        self._spec = spec
        self.recipe = recipe
        self.result = result
        self.trials = tuple(trials)
        plain, *more = result.validation_logits
        labels = images.part("validation").labels
        self.candidate = Candidate.of(plain, labels, more, measuring_weights(labels, recipe.balance))

    def write_network(self, path: Path) -> None:
        convert(self.result.model, path)

    def arrays(self) -> Arrays:
        return {variable.path: np.asarray(variable) for variable in self.result.model.weights}

    def test_logits(self, network: Path, images: Images, advance: Advance) -> np.ndarray:
        """From the files, through the very network that is written: what is measured is what is used."""

        def inputs() -> Iterator[tuple[int, np.ndarray]]:
            for number, (path, rendered) in enumerate(render_all(images.paths("test"), self._spec, advance)):
                if isinstance(rendered, str):
                    raise DataError(
                        f"{path} can't be read any more: {rendered}", "leave the images alone and try again"
                    )
                yield number, rendered

        logits = dict(OpenVINOEngine[int](network).stream(inputs()))
        return np.stack([logits[number] for number in range(len(logits))])
