"""Which views of an image show its class: to be trained on, and to be averaged over where the classifier is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.evaluation.metrics import accuracy
from headstart.features.extract import FeatureSet
from headstart.images.views import PLAIN, View, exact_views
from headstart.learn.augmentation import MOST_IMAGES, Augmentation, choose_augmentation
from headstart.learn.probe import Probe
from headstart.workflow.images import Images
from headstart.workflow.session import Session
from headstart.workflow.tuning_choice import AS_ASKED, TuningChoice


@dataclass(frozen=True)
class Averaging:
    """The views that an image's logits are averaged over.

    Attributes:
        asked_for: how many, at most.
        views: those, the plain one first; it alone where there is nothing to average.
        augmentation: the preset that they come from, with the reason; None where nobody asked for several.
    """

    asked_for: int = 1
    views: tuple[View, ...] = (PLAIN,)
    augmentation: Augmentation | None = None

    def among(self, views: Sequence[View]) -> tuple[View, ...]:
        """Those that are among others too."""
        return tuple(view for view in self.views if view in views)


ONE_VIEW = Averaging()


def choose_averaging(
    session: Session, images: Images, pooled: FeatureSet, probe: Probe, choice: TuningChoice
) -> Averaging:
    """As many views as are asked for, of those that show the whole image and its class.

    Crops are left out: they can't be made of the network's input without losing detail.
    """
    if not choice.is_averaging:
        return ONE_VIEW
    augmentation = find_augmentation(session, images, pooled, probe, choice)
    spec = session.features.base.spec
    views = exact_views(augmentation.preset, is_square=spec.height == spec.width)
    return Averaging(choice.test_views, views[: choice.test_views], augmentation)


def find_augmentation(
    session: Session, images: Images, pooled: FeatureSet, probe: Probe, choice: TuningChoice
) -> Augmentation:
    """Which views still show their class, asked of the probe on validation images."""
    if choice.preset is not None:
        return Augmentation(choice.preset, AS_ASKED)
    validation = images.part("validation")
    paths, digests = images.paths("validation")[:MOST_IMAGES], validation.digests[:MOST_IMAGES]
    labels = validation.labels[:MOST_IMAGES]

    def accuracy_of(view: View) -> float:
        if view != PLAIN:
            session.extract("features", "Trying a view", paths, pooled, (view,))
        return accuracy(probe.logits(pooled.load([(digest, view) for digest in digests])), labels)

    return choose_augmentation(accuracy_of(PLAIN), accuracy_of)
