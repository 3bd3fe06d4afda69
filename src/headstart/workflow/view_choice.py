"""Which views of an image show its class: to be trained on, and to be averaged over where the classifier is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.features.extract import FeatureSet
from headstart.images.spec import ImageSpec
from headstart.images.views import PLAIN, Preset, View, exact_views
from headstart.learn.augmentation import MOST_IMAGES, Augmentation, choose_augmentation, choose_by_learning
from headstart.learn.imbalance import measuring_weights
from headstart.learn.probe import Probe
from headstart.workflow.classifiers import logits_over_views, refit_in_views
from headstart.workflow.images import Images
from headstart.workflow.pace import looked_at_in_views
from headstart.workflow.session import Session
from headstart.workflow.teaching import choose_taught
from headstart.workflow.tuning_choice import AS_ASKED, TuningChoice

FLIPS = exact_views("flips", is_square=True)

# Images that presets are tried on.
MOST_LEARNED_FROM = 5000
SHARE_OF_TIME = 0.25


@dataclass(frozen=True)
class Averaging:
    """The views that an image's logits are averaged over, and those that the probe learns from.

    Attributes:
        asked_for: how many, at most.
        views: those, the plain one first; it alone where there is nothing to average.
        taught: those that the probe is fitted to; all that it is averaged over are among them.
        augmentation: the preset that they come from, with the reason; None where nobody asked for several.
    """

    asked_for: int = 1
    views: tuple[View, ...] = (PLAIN,)
    taught: tuple[View, ...] = (PLAIN,)
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
        return Averaging(taught=choose_taught(session, images, pooled, probe, choice))
    augmentation = find_augmentation(session, images, pooled, probe, choice)
    spec = session.features.base.spec
    views = exact_views(augmentation.preset, is_square=spec.height == spec.width)
    averaged = views[: choice.test_views]
    return Averaging(choice.test_views, averaged, averaged, augmentation)


def find_augmentation(
    session: Session, images: Images, pooled: FeatureSet, probe: Probe, choice: TuningChoice
) -> Augmentation:
    """Which views still show their class: as asked, or as the probe finds on validation images."""
    if choice.preset is not None:
        return Augmentation(choice.preset, AS_ASKED)
    if (choice.is_averaging or choice.seconds is not None) and _has_time_to_learn(session, images):
        return _by_learning(session, images, pooled, probe, choice)
    return _by_asking(session, images, pooled, probe)


def _by_asking(session: Session, images: Images, pooled: FeatureSet, probe: Probe) -> Augmentation:
    validation = images.part("validation")
    files, digests = images.files("validation")[:MOST_IMAGES], validation.digests[:MOST_IMAGES]
    labels, kind = validation.labels[:MOST_IMAGES], validation.kind

    def goodness_of(view: View) -> float:
        if view != PLAIN:
            session.extract("features", "Trying a view", files, pooled, (view,))
        scores = probe.logits(pooled.load([(digest, view) for digest in digests]))
        return kind.goodness(kind.predict(scores), labels)

    return choose_augmentation(goodness_of(PLAIN), goodness_of, kind)


def _by_learning(
    session: Session, images: Images, pooled: FeatureSet, probe: Probe, choice: TuningChoice
) -> Augmentation:
    train, validation = images.part("train"), images.part("validation")
    some = train.some(range(min(MOST_LEARNED_FROM, len(train.digests))))
    files = images.files("train")[:MOST_LEARNED_FROM] + images.files("validation")
    weights = measuring_weights(validation.labels, probe.balancing.kind)
    spec = session.features.base.spec

    def loss_of(preset: Preset) -> float:
        views = exact_views(preset, is_square=spec.height == spec.width)
        session.extract("features", "Trying views", files, pooled, views)
        fitted = refit_in_views(probe, pooled, views, some)
        # Where nothing is averaged, other views may teach, but it is the plain one that is answered for.
        asked = views if choice.is_averaging else (PLAIN,)
        return validation.kind.loss(logits_over_views(fitted, pooled, asked, validation), validation.labels, weights)

    return choose_by_learning(_presets_to_learn_from(choice), loss_of, validation.kind)


def _presets_to_learn_from(choice: TuningChoice) -> tuple[Preset, ...]:
    """Turns by a quarter come last, so that they matter only where more views are wanted than there are flips."""
    wider: tuple[Preset, ...] = ("orientation-free",) if max(choice.test_views, choice.views or 0) > len(FLIPS) else ()
    return ("text", "natural", "flips", *wider)


def views_to_see(choice: TuningChoice, spec: ImageSpec) -> tuple[View, ...]:
    """The most that the whole network looks at of all images before fine-tuning; which preset it will be isn't known.

    The plain view alone where nothing is averaged, and where no preset is found by learning.
    """
    is_square = spec.height == spec.width
    if choice.preset is not None:
        return exact_views(choice.preset, is_square=is_square)[: choice.test_views]
    if not choice.is_averaging and choice.seconds is None:
        return (PLAIN,)
    return exact_views(_presets_to_learn_from(choice)[-1], is_square=is_square)


def _has_time_to_learn(session: Session, images: Images) -> bool:
    """Whether looking at all images in all flips would take a small part of the time that is left."""
    looked_at = len(FLIPS) * looked_at_in_views(images)
    left = session.seconds_left(len(images.part("test").digests))
    return looked_at * session.seconds_an_image() < SHARE_OF_TIME * left
