"""The four ways to learn that are compared, each on the same images, with as many settings to choose from."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from headstart.errors import DataError
from headstart.features.extract import FeatureSet, extract, render_all
from headstart.features.store import Store
from headstart.images.file import ImageFile
from headstart.images.views import PLAIN, View
from headstart.learn.baselines import (
    Learned,
    Lesson,
    Schedule,
    TimeUpError,
    classic_head,
    from_scratch,
    logits_of,
    train_plainly,
)
from headstart.learn.benefit import Cell, Way
from headstart.learn.decide import Candidate, decide
from headstart.learn.finetune import FineTuned, Recipe, finetune, logits_in_views
from headstart.learn.freeze import trainable_as_now
from headstart.learn.labelled import Labelled, normalised
from headstart.learn.probe import Probe, refit_probe
from headstart.learn.subsets import Subset
from headstart.workflow.comparing_plan import FITTED_SHARE, STEPS, Plan, epochs_for
from headstart.workflow.near import once
from headstart.workflow.session import Session

# What each way tries, the likeliest first. Of Adam, for a network from scratch and for the classic head.
RATES = (1e-3, 3e-4)
# Of AdamW, at its peak; the first one is what `train` takes.
FINETUNING_RATES = (2e-4, 4e-4)
# Inverse L2 strengths of the probe, about where they end up on most images.
STRENGTHS = (3e-3, 3e-4)
# Images that the time an image takes is measured on, after some that set things up.
TIMED_ON, WARM_UP_ON = 48, 8


@dataclass(frozen=True)
class Grounds:
    """What all ways have in common.

    Attributes:
        session: in which they are compared.
        plan: what there is time for.
        pooled: features of all images.
        cut: that is fine-tuned above; `views` are what it learns from, the plain one first.
        views: renderings.
        test: the images that all are tested with.
        files: of all images, by digest.
        outputs: of a network.
    """

    session: Session
    plan: Plan
    pooled: FeatureSet
    cut: str
    views: tuple[View, ...]
    test: Labelled
    files: Mapping[str, ImageFile]
    outputs: int

    @cached_property
    def at_cut(self) -> FeatureSet:
        return self.session.features.at(self.cut, self.pooled.precision)

    @cached_property
    def inputs(self) -> dict[str, np.ndarray]:
        """Of the whole network, float16, by digest; all images stay in memory."""
        files, spec = list(self.files.values()), self.pooled.spec
        with self.session.watch.stage("features", "Decoding images", len(files)) as advance:
            return dict(zip(self.files, (_half(*found) for found in render_all(files, spec, advance)), strict=True))

    @cached_property
    def pretrained(self) -> list[np.ndarray]:
        """The base's weights, before any fine-tuning."""
        return list(self.session.features.model.get_weights())

    @cached_property
    def make_trainable(self) -> Callable[[], None]:
        return trainable_as_now(self.session.features.model)

    def of(self, part: Labelled) -> np.ndarray:
        """Pooled features of some images, shape (images, features)."""
        return _features(self.pooled, part)

    def seconds_of_features(self) -> float:
        """What an image takes, from its file to its pooled feature."""
        return self._timed("pooled", self.pooled)

    def seconds_of_maps(self) -> float:
        """What a view of an image takes, from its file to its map at the cut."""
        return self._timed(self.cut, self.at_cut)

    def seconds_of_decoding(self) -> float:
        """What an image takes, from its file to a network's input."""

        def measure() -> np.ndarray:
            files = list(self.files.values())[:TIMED_ON]
            start = time.perf_counter()
            for _ in render_all(files, self.pooled.spec, lambda count: None):
                pass
            return np.array((time.perf_counter() - start) / len(files))

        return float(once(self.session, ("comparing-decoding-1", self.pooled, *self.files), measure))

    def _timed(self, name: str, features: FeatureSet) -> float:
        """From an empty store, whatever the real one has; measured once."""

        def measure() -> np.ndarray:
            files = list(self.files.values())
            with tempfile.TemporaryDirectory(prefix="headstart-") as made, Store(Path(made)) as empty:
                fresh = replace(features, store=empty)
                extract(files[:WARM_UP_ON], fresh)
                some = files[WARM_UP_ON : WARM_UP_ON + TIMED_ON] or files
                start = time.perf_counter()
                extract(some, fresh)
                return np.array((time.perf_counter() - start) / len(some))

        return float(once(self.session, ("comparing-features-1", name, features, *self.files), measure))


def _half(file: ImageFile, rendered: np.ndarray | str) -> np.ndarray:
    if isinstance(rendered, str):
        raise DataError(f"{file} can't be read any more: {rendered}", "leave the images alone and try again")
    return rendered.astype(np.float16)


def get_ready(grounds: Grounds, way: Way, subset: Subset) -> None:
    """Compute what a way learns from, where that isn't there yet; it is shared by other amounts of labels and seeds."""
    if way == "scratch":
        _ = grounds.inputs
    if way == "finetune":
        for part, views in ((subset.whole, grounds.views), (grounds.test, (PLAIN,))):
            files = [grounds.files[digest] for digest in part.digests]
            grounds.session.extract("features", "Features of views", files, grounds.at_cut, views)


def learn(grounds: Grounds, way: Way, subset: Subset, deadline: float, advance: Callable[[int], None]) -> Cell:
    """One network, with what it says of the test images, and what it took; `get_ready` comes before.

    Args:
        grounds: what all ways have in common.
        way: to learn.
        subset: of the labels.
        deadline: in seconds of `time.monotonic`.
        advance: called with the number of images trained on since the last call.

    Raises:
        TimeUpError: the deadline came first.
    """
    learned = {"probe": _probe, "classic": _classic, "scratch": _scratch, "finetune": _finetuned}[way]
    return learned(grounds, subset, deadline, advance)


def settings_of(way: Way, tried: int) -> str:
    """What a way tries, in words."""
    rates = {"scratch": RATES, "classic": RATES, "finetune": FINETUNING_RATES}
    if way == "probe":
        return " and ".join(f"strength {strength:g}" for strength in STRENGTHS[:tried])
    return " and ".join(f"rate {rate:g}" for rate in rates[way][:tried])


def passes(grounds: Grounds, way: Way, images: int) -> int:
    """Images that a way trains on, counted as often as it sees them; 0 where it sees none more than once."""
    fitted = max(round(FITTED_SHARE * images), 1)
    epochs = {
        "scratch": grounds.plan.epochs(fitted),
        "finetune": grounds.plan.finetuning_epochs(fitted),
        "classic": epochs_for(fitted, STEPS),
        "probe": 0,
    }
    return grounds.plan.tried * fitted * epochs[way]


def _probe(grounds: Grounds, subset: Subset, deadline: float, advance: Callable[[int], None]) -> Cell:
    """Fitted to all labels once they have chosen the strength."""
    start = time.monotonic()
    chosen = fit_probe(grounds.pooled, subset, grounds.outputs, grounds.plan.tried)
    whole = subset.whole
    probe = refit_probe(chosen, grounds.of(whole), whole.labels, whole.weights)
    seconds = time.monotonic() - start + len(whole.digests) * grounds.seconds_of_features()
    scores = probe.logits(grounds.of(grounds.test))
    return _cell(grounds, "probe", subset, scores, seconds, f"strength {probe.strength:g}")


def fit_probe(pooled: FeatureSet, subset: Subset, outputs: int, tried: int) -> Probe:
    """Of the strengths, the one that does best on the images held out; those aren't learned from."""
    fitted, held_out = subset.fitted, subset.held_out
    rows = _features(pooled, fitted)
    fit = fitted.kind.linear_fit(rows, fitted.labels, outputs, "none", normalised(fitted.weights))
    features, probes, losses = _features(pooled, held_out), [], []
    for strength in STRENGTHS[:tried]:
        probes.append(Probe(*fit.fit(strength), fit.mean, fit.deviation, strength, 0, {}, kind=fitted.kind))
        losses.append(fitted.kind.loss(probes[-1].logits(features), held_out.labels))
    return probes[int(np.argmin(losses))]


def _features(pooled: FeatureSet, part: Labelled) -> np.ndarray:
    return pooled.load([(digest, PLAIN) for digest in part.digests])


def _classic(grounds: Grounds, subset: Subset, deadline: float, advance: Callable[[int], None]) -> Cell:
    """The head that most tutorials put on a frozen base, on the average of its last map."""
    width = grounds.session.features.base.widths[-1]

    def averages(part: Labelled) -> np.ndarray:
        return grounds.of(part)[:, -width:]

    start = time.monotonic()
    lesson = _lesson(averages, subset, grounds.outputs)
    model = classic_head(width, grounds.outputs, subset.seed)
    schedule = Schedule(RATES[: grounds.plan.tried], epochs_for(len(lesson.inputs), STEPS), subset.seed, deadline)
    learned = train_plainly(model, lesson, schedule, advance)
    seconds = time.monotonic() - start + len(subset.whole.digests) * grounds.seconds_of_features()
    return _trained(grounds, "classic", subset, logits_of(model, averages(grounds.test)), seconds, learned)


def _scratch(grounds: Grounds, subset: Subset, deadline: float, advance: Callable[[int], None]) -> Cell:
    """The base's architecture with weights that know nothing."""
    base = grounds.plan.base

    def pixels(part: Labelled) -> np.ndarray:
        return np.stack([grounds.inputs[digest] for digest in part.digests])

    test = pixels(grounds.test)
    start = time.monotonic()
    lesson = _lesson(pixels, subset, grounds.outputs, _mirrored(grounds.views))
    network = base.architecture(shape=(base.spec.height, base.spec.width))
    model = from_scratch(network, grounds.outputs, subset.seed)
    schedule = Schedule(RATES[: grounds.plan.tried], grounds.plan.epochs(len(lesson.inputs)), subset.seed, deadline)
    learned = train_plainly(model, lesson, schedule, advance)
    seconds = time.monotonic() - start + len(subset.whole.digests) * grounds.seconds_of_decoding()
    return _trained(grounds, "scratch", subset, logits_of(model, test), seconds, learned)


def _mirrored(views: Sequence[View]) -> tuple[bool, bool]:
    """Whether some views are mirrored, and upside down."""
    return any(view.mirrored for view in views), any(view.quarter_turns == 2 for view in views)


def _lesson(
    inputs: Callable[[Labelled], np.ndarray],
    subset: Subset,
    outputs: int,
    mirrored: tuple[bool, bool] = (False, False),
) -> Lesson:
    fitted, held_out = subset.fitted, subset.held_out
    return Lesson(
        inputs(fitted),
        fitted.kind.training_targets(fitted.labels, outputs),
        normalised(fitted.weights),
        inputs(held_out),
        lambda logits: fitted.kind.loss(logits, held_out.labels),
        fitted.kind.keras_loss(0.0),
        mirrored,
    )


def _finetuned(grounds: Grounds, subset: Subset, deadline: float, advance: Callable[[int], None]) -> Cell:
    """From the probe, as `train` does it, and the probe where fine-tuning doesn't earn its place."""
    start = time.monotonic()
    probe = fit_probe(grounds.pooled, subset, grounds.outputs, grounds.plan.tried)
    best, rate, scores = _best_finetuned(grounds, subset, probe, deadline, advance)
    held_out = subset.held_out
    before = Candidate.of(probe.logits(grounds.of(held_out)), held_out.labels, kind=held_out.kind)
    after = Candidate.of(best.validation_logits[0], held_out.labels, kind=held_out.kind)
    note = ""
    if decide(before, after, "", subset.seed).chosen == "probe":
        whole, note = subset.whole, "the probe is kept, for fine-tuning does no better on validation"
        scores = refit_probe(probe, grounds.of(whole), whole.labels, whole.weights).logits(grounds.of(grounds.test))
    seconds = time.monotonic() - start + len(subset.whole.digests) * grounds.seconds_of_features()
    seconds += len(subset.whole.digests) * len(grounds.views) * grounds.seconds_of_maps()
    epochs = len(best.history) - 1
    return _cell(grounds, "finetune", subset, scores, seconds, f"rate {rate:g}", epochs, best.best_epoch, note)


def _best_finetuned(
    grounds: Grounds, subset: Subset, probe: Probe, deadline: float, advance: Callable[[int], None]
) -> tuple[FineTuned, float, np.ndarray]:
    """The network with the smaller validation loss, its rate, and what it says of the test images."""
    base, held_out = grounds.session.features.model, subset.held_out
    pretrained, found = grounds.pretrained, []
    for rate in FINETUNING_RATES[: grounds.plan.tried]:
        base.set_weights(pretrained)
        grounds.make_trainable()
        epochs = grounds.plan.finetuning_epochs(len(subset.fitted.digests))
        detail = grounds.session.features.base.detail
        recipe = Recipe(grounds.cut, grounds.views, epochs, detail, learning_rate=rate, seed=subset.seed)
        parts = subset.fitted, held_out, advance, None, deadline
        tuned = finetune(base, recipe, grounds.at_cut, probe, *parts)
        if time.monotonic() > deadline:
            raise TimeUpError
        loss = held_out.kind.loss(tuned.validation_logits[0], held_out.labels)
        scores = logits_in_views(tuned.model, grounds.cut, grounds.at_cut, grounds.test, (PLAIN,))[0]
        found.append((loss, tuned, rate, scores))
    _, tuned, rate, scores = min(found, key=lambda one: one[0])
    return tuned, rate, scores


def _trained(grounds: Grounds, way: Way, subset: Subset, scores: np.ndarray, seconds: float, learned: Learned) -> Cell:
    return _cell(grounds, way, subset, scores, seconds, f"rate {learned.rate:g}", learned.epochs, learned.best_epoch)


def _cell(
    grounds: Grounds,
    way: Way,
    subset: Subset,
    scores: np.ndarray,
    seconds: float,
    setting: str,
    epochs: int = 0,
    best_epoch: int = 0,
    note: str = "",
) -> Cell:
    if not np.all(np.isfinite(scores)):
        scores, note = np.nan_to_num(scores), "training broke down"
    predictions = grounds.test.kind.predict(scores)
    return Cell(way, subset.fraction, subset.seed, predictions, seconds, setting, epochs, best_epoch, note)
