"""Fine-tuning inside a training run: which views it may use, what is tried, and what is made of the results."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from headstart.features.boundary import INPUT
from headstart.features.extract import FeatureSet
from headstart.images.views import View, make_views
from headstart.learn.augmentation import Augmentation
from headstart.learn.finetune import FineTuned, Recipe, finetune, logits_in_views
from headstart.learn.freeze import trainable_as_now
from headstart.learn.imbalance import measuring_weights
from headstart.learn.labelled import Labelled
from headstart.learn.probe import Probe
from headstart.learn.soup import Soup, Weights, greedy_soup
from headstart.report.wording import counted
from headstart.workflow.classifiers import FinetunedClassifier, HeldOut, Trial
from headstart.workflow.held_out import FOLDS, SHARE_TRAINED, hold_out, is_too_small
from headstart.workflow.images import Images
from headstart.workflow.outset import Outset, looks_at_test, room_for_views
from headstart.workflow.pace import Pace, deepest_fitting, looked_at_in_views
from headstart.workflow.session import Session
from headstart.workflow.tuning_choice import AS_ASKED, TuningChoice
from headstart.workflow.tuning_plan import MOST_TRIALS, VIEWS, Untuned, choose_deeper, choose_mixup, tell_of_steps
from headstart.workflow.view_choice import ONE_VIEW, Averaging, find_augmentation

if TYPE_CHECKING:
    import keras

# Of the time for fine-tuning, what views may take before the first step.
SHARE_FOR_FEATURES = 0.5


def tune(
    session: Session,
    images: Images,
    pooled: FeatureSet,
    probe: Probe,
    choice: TuningChoice,
    outset: Outset | Untuned,
    averaging: Averaging = ONE_VIEW,
) -> FinetunedClassifier | Untuned:
    """Fine-tune the top of the base, unless there is a reason not to.

    Args:
        session: the training run.
        images: audited and divided.
        pooled: what the probe was fitted on.
        probe: where fine-tuning starts from.
        choice: what the user says about it.
        outset: what is settled already.
        averaging: the views that logits will be averaged over.
    """
    if isinstance(outset, Untuned):
        return outset
    augmentation = averaging.augmentation or find_augmentation(session, images, pooled, probe, choice)
    wanted = max(choice.views or min(VIEWS, outset.epochs), len(averaging.views))
    left = math.inf if choice.views else session.seconds_left(looks_at_test(images, len(averaging.views)))
    views = _affordable_views(session, images, outset, augmentation, (len(averaging.views), wanted), left)
    recipe = Recipe(
        outset.stage,
        views,
        outset.epochs,
        session.features.base.detail,
        learning_rate=_choose_learning_rate(session, choice),
        mixup=choose_mixup(session, images),
        seed=session.seed,
        balance=probe.balancing.kind,
        test_views=averaging.among(views),
    )
    tell_of_steps(session, recipe)
    _find_maps(session, images, pooled, outset, views)
    trials = _Trials(session, images, pooled, probe, averaging, outset.pace)
    if not trials.has_time_for(recipe):
        return Untuned("the time given is too short for the features that fine-tuning needs, so it isn't tried")
    if choice.seconds is None:
        trials.run(recipe)
    else:
        below, above = ((), ()) if choice.stage else outset.around(session.features.base.stages)
        deeper = choose_deeper(session, probe, choice, recipe) if below else recipe
        others = [replace(deeper, cut=cut) for cut in below], [replace(recipe, cut=cut) for cut in above]
        trials.run_for_time(recipe, *others)
    return trials.classifier()


def _find_maps(session: Session, images: Images, pooled: FeatureSet, outset: Outset, views: Sequence[View]) -> None:
    """Tell the pace which maps are there already, going by the first image."""
    if outset.likely is not None:
        at_likely, first = session.features.at(outset.likely, pooled.precision), images.part("train").digests[0]
        missing = at_likely.missing([(first, view) for view in views])
        outset.pace.mapped([view for view in views if (first, view) not in missing], outset.likely)


class _Trials:
    """Ways of fine-tuning that are tried one after the other, each from the pretrained weights and the probe.

    Args:
        session: the training run.
        images: audited and divided.
        pooled: what the probe was fitted on.
        probe: where fine-tuning starts from.
        averaging: the views that the probe learned from, and those that test images are looked at in.
        pace: what a recipe takes.
    """

    def __init__(
        self, session: Session, images: Images, pooled: FeatureSet, probe: Probe, averaging: Averaging, pace: Pace
    ) -> None:
        self._session, self._images, self._pooled, self._probe = session, images, pooled, probe
        self._averaging = averaging
        self._base = session.features.model
        self._is_small = is_too_small(images)
        self._pretrained = self._base.get_weights() if self._is_small or self._left() < math.inf else []
        self._make_trainable = trainable_as_now(self._base)
        self._pace = pace
        self._done: list[Trial] = []
        self._omitted: Recipe | None = None

    def has_time_for(self, recipe: Recipe) -> bool:
        """Whether what comes before its first epoch, which no deadline ends, fits into the time that is left."""
        return self._pace.fixed(recipe) <= self._left()

    def run(self, recipe: Recipe) -> None:
        """Try a recipe, whatever time it takes."""
        self._try(recipe)

    def run_for_time(self, default: Recipe, deeper: Sequence[Recipe], shallower: Sequence[Recipe]) -> None:
        """Try the deepest recipe that fits into the time, then the default one, then the best with other seeds.

        The more is trained the better did it do wherever there was time for it, so that this comes first.

        Args:
            default: what would be tried without a time.
            deeper: more is trained by them, most by the first.
            shallower: less is trained by them, least by the last.
        """
        recipes = [*deeper, default, *shallower]
        first = self._first(recipes)
        if len(recipes) > 1:
            self._tell_of_depth(first, recipes)
        self._try(first)
        if first.cut != default.cut:
            self._fits(default)
        for number in count(1):
            if not self._fits(replace(self._best().recipe, epochs=default.epochs, seed=default.seed + number)):
                break
        self._tell_of_time()

    def classifier(self) -> FinetunedClassifier:
        """What they come to: the best of them, or the mean of several where validation finds that better."""
        best = self._best()
        result = best.result if len(self._done) == 1 else self._mixed(best)
        spec, held_out = self._session.features.base.spec, self._hold_out(best.recipe, result.model)
        return FinetunedClassifier(best.recipe, result, self._images, spec, self._done, held_out)

    def _left(self) -> float:
        return self._session.seconds_left(looks_at_test(self._images, len(self._averaging.views)))

    def _best(self) -> Trial:
        return min(self._done, key=lambda trial: trial.loss)

    def _fits(self, recipe: Recipe) -> bool:
        """Try a recipe, with fewer epochs if need be, unless it would take too long."""
        left = self._left() - self._pace.mixing([trial.recipe for trial in self._done] + [recipe])
        left -= FOLDS * self._pace.seconds(self._best().recipe) if self._is_small else 0
        fitted = self._pace.fitted(recipe, left) if len(self._done) < MOST_TRIALS else None
        if fitted is None or not self._has_room(recipe):
            self._omitted = self._omitted or recipe
            return False
        self._try(fitted)
        return True

    def _first(self, recipes: Sequence[Recipe]) -> Recipe:
        """The deepest that fits; the one whose maps are there, with what epochs it gets, rather than one above it."""
        found, left = self._deepest(recipes), self._time_for_one()
        mapped = next((place for place, recipe in enumerate(recipes) if self._pace.has_maps(recipe)), len(recipes) - 1)
        cuts = [recipe.cut for recipe in recipes]
        if found is not None and cuts.index(found.cut) <= mapped:
            return found
        return self._pace.hurried(recipes[mapped], left)

    def _deepest(self, recipes: Sequence[Recipe]) -> Recipe | None:
        """The first of some recipes, the deepest first, that fits into the time and the store."""
        left = self._time_for_one()
        possible = [recipe for recipe in recipes if self._has_room(recipe)]
        with self._session.watch.stage("prepare", "Timing training steps", total=None, unit="steps"):
            return deepest_fitting(self._pace, possible, left)

    def _time_for_one(self) -> float:
        """Seconds that a trial may take: where validation is too small, the same is trained again in each fold."""
        return self._left() / (1 + FOLDS if self._is_small else 1)

    def _has_room(self, recipe: Recipe) -> bool:
        return room_for_views(self._session, self._images, recipe.cut) >= len(recipe.views)

    def _try(self, recipe: Recipe) -> None:
        session, images = self._session, self._images
        self._restore()
        features = session.features.at(recipe.cut, self._pooled.precision)
        files = images.files("train") + images.files("validation")
        session.extract("features", "Features of views", files, features, recipe.views)
        train, validation = images.part("train"), images.part("validation")
        deadline = time.monotonic() + self._left()
        start = time.monotonic()
        title = f"Fine-tuning above {recipe.cut}"
        with session.watch.stage("finetune", title, total=recipe.epochs * len(train.digests)) as advance:
            parts = train, validation, advance, session.checkpoints, deadline, self._start_logits(recipe)
            result = finetune(self._base, recipe, features, self._probe, *parts)
        trial = Trial(recipe, result, result.model.get_weights(), self._loss(recipe, result.validation_logits))
        self._pace.timed(recipe, len(result.history) - 1, time.monotonic() - start)
        self._done.append(trial)

    def _start_logits(self, recipe: Recipe) -> np.ndarray | None:
        """What the probe says of each view of the validation part, if all of them have pooled features."""
        if recipe.views != recipe.test_views:
            return None
        digests = self._images.part("validation").digests
        in_views = [self._pooled.load([(digest, view) for digest in digests]) for view in recipe.views]
        return np.stack([self._probe.logits(pooled) for pooled in in_views])

    def _hold_out(self, recipe: Recipe, model: keras.Model) -> HeldOut | None:
        """The comparison by images that are held out in turn, if it takes that and there is time; the model stays."""
        if not self._is_small or (self._left() < math.inf and FOLDS * self._pace.seconds(recipe) > self._left()):
            return None
        session, weights = self._session, model.get_weights()
        features = session.features.at(recipe.cut, self._pooled.precision)
        deadline = time.monotonic() + self._left()
        passes = round(FOLDS * recipe.epochs * SHARE_TRAINED * looked_at_in_views(self._images))
        with session.watch.stage("finetune", "Fine-tuning in folds", total=passes) as advance:

            def train_again(train: Labelled, validation: Labelled, probe: Probe) -> keras.Model:
                self._restore()
                parts = train, validation, advance, session.checkpoints, deadline
                return finetune(self._base, recipe, features, probe, *parts).model

            parts = self._averaging.taught, recipe, features, train_again
            found = hold_out(self._images, self._pooled, self._probe, *parts)
        self._restore()
        model.set_weights(weights)
        return found

    def _restore(self) -> None:
        """The base as it was before the trials."""
        if self._done:
            self._base.set_weights(self._pretrained)
        self._make_trainable()

    def _mixed(self, best: Trial) -> FineTuned:
        """The greedy soup of all trials, from features at the deepest of their cuts."""
        cuts = (INPUT, *self._session.features.base.stages)
        deepest = min((trial.recipe.cut for trial in self._done), key=cuts.index)
        features = self._session.features.at(deepest, self._pooled.precision)
        model, validation = best.result.model, self._images.part("validation")

        def look(weights: Weights) -> np.ndarray:
            model.set_weights(weights)
            return logits_in_views(model, deepest, features, validation, best.recipe.views)

        trials = [trial.weights for trial in self._done], [trial.loss for trial in self._done]
        with self._session.watch.stage("finetune", "Averaging weights", total=None, unit="networks"):
            soup = greedy_soup(*trials, lambda weights: self._loss(best.recipe, look(weights)))
            logits = look(soup.weights)
        self._tell_of_soup(soup)
        return replace(best.result, validation_logits=logits)

    def _loss(self, recipe: Recipe, logits_in_views: np.ndarray) -> float:
        """Of the averaged logits where they will be averaged, else of each view's own."""
        judged = logits_in_views if len(recipe.test_views) == 1 else recipe.averaged(logits_in_views)[None]
        validation = self._images.part("validation")
        weights = measuring_weights(validation.labels, self._probe.balancing.kind)
        return float(np.mean([validation.kind.loss(logits, validation.labels, weights) for logits in judged]))

    def _tell_of_depth(self, first: Recipe, recipes: Sequence[Recipe]) -> None:
        epochs = counted(first.epochs, "epoch", "epochs")
        reason = f"the deepest stage above which {epochs} fit into the time, going by steps timed on this machine"
        if first.cut == recipes[0].cut:
            reason = f"the deepest stage that the base has: {epochs} above it fit into the time"
        self._session.choose("fine-tuning from", f"above {first.cut}", reason)

    def _tell_of_soup(self, soup: Soup) -> None:
        best = self._done[soup.members[0]]
        members = [self._done[number].recipe.cut for number in soup.members]
        tried = ", ".join(f"{trial.loss:.3f} above {trial.recipe.cut}" for trial in self._done)
        reason = f"validation {self._probe.kind.loss_name} {soup.loss:.3f}; of those tried {tried}"
        value = f"the mean of {len(members)}" if len(members) > 1 else f"the one above {best.recipe.cut} alone"
        self._session.choose("fine-tuned network", value, reason)

    def _tell_of_time(self) -> None:
        session, tried = self._session, counted(len(self._done), "way", "ways")
        if self._omitted is None or len(self._done) == MOST_TRIALS:
            session.choose("time", f"{session.budget:.0f} s", f"as asked; {tried} of fine-tuning tried, which is all")
            return
        minutes = self._pace.seconds(self._omitted) / 60
        more = f"fine-tuning above {self._omitted.cut}, some {minutes:.1f} minutes more, would have been tried next"
        session.choose("time", f"{session.budget:.0f} s", f"as asked; {tried} of fine-tuning tried; {more}")


def _choose_learning_rate(session: Session, choice: TuningChoice) -> float:
    rate = Recipe.learning_rate if choice.learning_rate is None else choice.learning_rate
    reason = "measured to do best where the head starts from the probe" if choice.learning_rate is None else AS_ASKED
    session.choose("learning rate", f"{rate:g}", reason)
    return rate


def _affordable_views(
    session: Session,
    images: Images,
    outset: Outset,
    augmentation: Augmentation,
    bounds: tuple[int, int],
    left: float,
) -> tuple[View, ...]:
    """As many views as are wanted, the preset has, the store has room for, and half of the time suffices for.

    Args:
        session: the training run.
        images: audited and divided.
        outset: where their features are to be kept, and what they take.
        augmentation: what they are made of.
        bounds: how many there must be even where time is short, and how many are wanted.
        left: seconds for all of fine-tuning.
    """
    fewest, wanted = bounds
    room = room_for_views(session, images, outset.stage)
    a_view = outset.pace.seconds_a_view(outset.stage)
    in_time = wanted if left == math.inf else max(fewest, int(SHARE_FOR_FEATURES * left / max(a_view, 1e-9)))
    views = make_views(augmentation.preset, max(1, min(wanted, room, in_time)), session.seed)
    reason = augmentation.reason
    if room < wanted:
        reason += f"; the store has room for {max(room, 1)} of {wanted} views"
    if in_time < min(wanted, room):
        reason += f"; more of the {wanted} wanted would take over half of the time that is left"
    session.choose("views", f"{len(views)}, {augmentation.preset}", reason)
    return views
