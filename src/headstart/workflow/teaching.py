"""Whether the probe of a few images learns from other views of them besides.

Where images are few, a probe that is fitted to mirrored and turned copies as well knows better what matters in them,
even for images that are shown upright in the end; it costs nothing where it is used. On the solar cells, averaged over
eight divisions, eight views took accuracy on held-out images from 63.7 % to 65.3 % with 7 training images a class, from
73.4 % to 73.6 % with 18 and from 75.5 % to 76.7 % with 38; what cross-validation chose, to 64.4 %, 74.0 % and 76.1 %
(by hand, in no committed benchmark).
"""

from __future__ import annotations

import numpy as np

from headstart.features.extract import FeatureSet
from headstart.images.views import PLAIN, Preset, View, exact_views
from headstart.learn.labelled import Labelled
from headstart.learn.probe import Probe, loss_of_views
from headstart.workflow.classifiers import refit_in_views
from headstart.workflow.images import Images
from headstart.workflow.session import Session
from headstart.workflow.tuning_choice import TuningChoice

# With more training images it brings half a point, and looking at all of them in eight views takes minutes.
FEW_IMAGES = 300
# By so much of its loss the probe must be better off with views: of presets that tie, chance would pick one.
SMALLEST_GAIN = 0.01
WIDER: tuple[Preset, ...] = ("natural", "flips", "orientation-free")


def choose_taught(
    session: Session, images: Images, pooled: FeatureSet, probe: Probe, choice: TuningChoice
) -> tuple[View, ...]:
    """The views that the probe is to learn from, the plain one first; it alone where there is nothing to gain.

    Args:
        session: the training run.
        images: audited and divided.
        pooled: what the probe was fitted on.
        probe: fitted to the plain views.
        choice: what the user says about views.
    """
    train = images.part("train")
    spec = session.features.base.spec
    asked = WIDER if choice.preset is None else (choice.preset,)
    presets = {preset: exact_views(preset, is_square=spec.height == spec.width) for preset in asked}
    widest = max(presets.values(), key=len)
    if len(train.digests) > FEW_IMAGES or not probe.folds or widest == (PLAIN,):
        return (PLAIN,)
    session.extract("features", "Trying views of the few images", images.files("train"), pooled, widest)
    presets = {"none": (PLAIN,), **presets}
    losses: dict[Preset, float] = {}
    with session.watch.stage("probe", "Fitting the probe to views", len(presets), unit="presets") as advance:
        for preset, views in presets.items():
            in_views = _in_views(pooled, train, views)
            losses[preset] = loss_of_views(probe, in_views, train.labels, session.seed, train.together, train.weights)
            advance(1)
    best = min(losses, key=lambda preset: losses[preset])
    best = best if losses[best] < (1 - SMALLEST_GAIN) * losses["none"] else "none"
    views = presets[best]
    measured = ", ".join(f"{loss:.3f} with {preset}" for preset, loss in losses.items())
    reason = f"cross-validated {probe.kind.loss_name} of {len(train.digests)} images as they are: {measured}"
    session.choose("probe learns from", f"{len(views)} view{'s' * (len(views) > 1)} an image, {best}", reason)
    return views


def teach(session: Session, images: Images, pooled: FeatureSet, probe: Probe, taught: tuple[View, ...]) -> Probe:
    """The probe fitted to all views that it learns from, which are in the store from then on.

    What it will be averaged over must be among them: one that has seen plain views only gains less by that.
    """
    if taught == (PLAIN,):
        return probe
    files = images.files("train") + images.files("validation")
    session.extract("features", "Features of views", files, pooled, taught)
    with session.watch.stage("probe", "Fitting the probe to views", total=1, unit="fits") as advance:
        fitted = refit_in_views(probe, pooled, taught, images.part("train"))
        advance(1)
    return fitted


def _in_views(pooled: FeatureSet, part: Labelled, views: tuple[View, ...]) -> np.ndarray:
    """Features, shape (views, images, features)."""
    return np.stack([pooled.load([(digest, view) for digest in part.digests]) for view in views])
