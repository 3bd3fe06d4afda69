"""What fine-tuning tries: one way within a fixed effort or, where a time is given, as many ways as fit into it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headstart.features.boundary import multiplications, prefix, suffix
from headstart.learn.finetune import BATCH_SIZE, Recipe
from headstart.learn.probe import Probe
from headstart.workflow.images import Images
from headstart.workflow.session import Session
from headstart.workflow.tuning_choice import AS_ASKED, TuningChoice

if TYPE_CHECKING:
    import keras

# More views help less than they cost: each is another run of the prefix over all training images. An epoch draws one an
# image, so that more views than epochs would lie idle.
VIEWS = 4
# Passes over the images follow from the number of steps: about 500 for a few hundred images a class (BiT-HyperRule,
# Kolesnikov et al. 2020, arXiv:1912.11370), with bounds so that few images aren't learned by heart and many are seen.
STEPS = 600
FEWEST_EPOCHS, MOST_EPOCHS = 3, 20
# A training step runs forward, and backward once for the inputs and once for the weights.
BACKWARD_TOO = 3
# Some tens of seconds on two cores.
MOST_MULTIPLICATIONS = 1.5e12
# Some twenty minutes and more: nobody asked to wait that long.
TOO_MANY_MULTIPLICATIONS = 1e14
# A minute on two cores, cautiously; measured on small and large networks it is two to six times as many.
MULTIPLICATIONS_A_MINUTE = 4e12
FASTEST = 6
# Seconds for converting the part below a cut that is new, and for tracing a training step.
NEW_CUT_SECONDS, TRACING_SECONDS = 10.0, 6.0
# Running a step without training takes about half of its time, measured above several stages.
FORWARD_SHARE = 0.5
# Where there is time, so many steps: on the solar cells more did better.
STEPS_IN_TIME = 1000
# With more to train, this many times the rate did best on the solar cells; twice as much again ruined some networks.
RATE_FROM_DEEPER = 2.0
# Where much is trained, the share of features left out that EfficientNet itself was trained with.
DROPOUT_FROM_DEEPER = 0.2
# Where the probe's loss on held-out images is more than this share of that of guessing, labels leave doubt.
DOUBT, SMOOTHING = 0.25, 0.1
# From so many training images on MixUp is worth its slower start (BiT-HyperRule); on two thousand it brought nothing.
MANY_IMAGES, MIXUP = 20_000, 0.1
# Fewer epochs than this share of those wanted teach less than as much time spent on more of them above a higher stage.
FEWEST_OF_EPOCHS = 0.7
# What was timed for a moment is slower for minutes: processors get hot, and neighbours come and go. Being cut off just
# before the end costs little, since the rate has fallen to almost nothing by then.
CAUTION = 1.05
MOST_TRIALS = 8


@dataclass(frozen=True)
class Untuned:
    """Fine-tuning wasn't tried, and why."""

    reason: str


def choose_epochs(session: Session, images: Images, choice: TuningChoice) -> int:
    """About so many that there are as many steps as there should be."""
    if choice.epochs is not None:
        session.choose("epochs", choice.epochs, AS_ASKED)
        return choice.epochs
    steps = STEPS if choice.seconds is None else STEPS_IN_TIME
    epochs_a_step = BATCH_SIZE / len(images.part("train").digests)
    epochs = min(max(math.ceil(steps * epochs_a_step), FEWEST_EPOCHS), MOST_EPOCHS)
    bounds = f"at least {FEWEST_EPOCHS} and at most {MOST_EPOCHS} epochs"
    fewer = "" if choice.seconds is None else ", fewer where time is short"
    session.choose("epochs", epochs, f"about {steps} steps of {BATCH_SIZE} images, and {bounds}{fewer}")
    return epochs


def tell_of_steps(session: Session, recipe: Recipe) -> None:
    """Note what no measurement of these images decides."""
    session.choose("batch size", recipe.batch_size, "small enough for many steps; half of it did worse on solar cells")
    reason = "times the learning rate, a step (AdamW): with few epochs from a pretrained network it hardly acts"
    session.choose("weight decay", f"{recipe.weight_decay:g}", reason)


def choose_mixup(session: Session, images: Images) -> float:
    """The parameter of MixUp, 0 for none."""
    count = len(images.part("train").digests)
    mixup = MIXUP if count >= MANY_IMAGES else 0.0
    session.choose("MixUp", f"{mixup:g}", f"{count:,} training images; from {MANY_IMAGES:,} on it is {MIXUP:g}")
    return mixup


def choose_stage(session: Session, images: Images, choice: TuningChoice, epochs: int) -> str | Untuned:
    """The deepest stage whose training fits the effort; where none does, the shallowest, if that is bearable.

    Where a time was given, what it allows is measured later on; this is then what is fallen back on.
    """
    if choice.stage is not None:
        session.choose("fine-tuning from", f"above {choice.stage}", AS_ASKED)
        return choice.stage
    effort = Effort(session.features.model, images)
    stages = session.features.base.stages[:-1]
    training = {stage: effort.of_training(stage, epochs) for stage in stages}
    affordable = [stage for stage in stages if training[stage] <= MOST_MULTIPLICATIONS]
    chosen = affordable[0] if affordable else stages[-1]
    whole = training[chosen] + effort.of_features(chosen, VIEWS)
    if whole > TOO_MANY_MULTIPLICATIONS and not choice.is_asked_for and choice.seconds is None:
        minutes = whole / MULTIPLICATIONS_A_MINUTE
        return Untuned(
            f"fine-tuning {session.features.base.name} on these images would take some {minutes:.0f} minutes and more, "
            "so it isn't tried; a smaller base can be fine-tuned in less"
        )
    if choice.seconds is None:
        cost = f"{epochs} epochs take {training[chosen]:.1e} multiplications"
        session.choose("fine-tuning from", f"above {chosen}", f"{cost}; from a stage deeper they would take more")
    return chosen


def choose_deeper(session: Session, probe: Probe, choice: TuningChoice, recipe: Recipe) -> Recipe:
    """How to fine-tune from stages below the recipe's."""
    rate = recipe.learning_rate * (RATE_FROM_DEEPER if choice.learning_rate is None else 1)
    if choice.learning_rate is None:
        reason = f"measured to do best there; above {recipe.cut} it is {recipe.learning_rate:g}"
        session.choose("learning rate with more to train", f"{rate:g}", reason)
    smoothing = _choose_smoothing(session, probe)
    return replace(recipe, learning_rate=rate, dropout=DROPOUT_FROM_DEEPER, label_smoothing=smoothing)


def _choose_smoothing(session: Session, probe: Probe) -> float:
    doubt = probe.share_of_guessing
    if doubt is None:
        return 0.0
    smoothing = SMOOTHING if doubt > DOUBT else 0.0
    measured = f"on held-out images the probe's log loss is {doubt:.0%} of that of guessing"
    reason = f"{measured}, {'so that labels leave doubt' if smoothing else f'up to {DOUBT:.0%} nothing is smoothed'}"
    session.choose("label smoothing", f"{smoothing:g}", reason)
    return smoothing


@dataclass(frozen=True)
class Effort:
    """What fine-tuning on these images takes, in multiplications."""

    model: keras.Model
    images: Images

    def of_training(self, stage: str, epochs: int) -> float:
        """All steps of so many epochs above a stage."""
        passes = epochs * len(self.images.part("train").digests)
        return float(BACKWARD_TOO * passes * multiplications(suffix(self.model, stage)))

    def in_steps(self, recipe: Recipe, epochs: int) -> float:
        """So many epochs of a recipe with all that is looked at for it, in the time of a training step."""
        start = len(recipe.judged if recipe.views == recipe.test_views else recipe.views)
        looks = start + epochs * len(recipe.judged) + recipe.looks_at_last
        steps = epochs * len(self.images.part("train").digests) / recipe.batch_size
        return steps + looks * self.look_in_steps(recipe)

    def look_in_steps(self, recipe: Recipe) -> float:
        """Looking at one view of the images that are decided by, likewise."""
        return FORWARD_SHARE * len(self.images.part("validation").digests) / recipe.batch_size

    def of_features(self, stage: str, views: int) -> float:
        """Running the part below a stage on every view of the images that are trained on and decided by."""
        return float(views * looked_at_in_views(self.images) * multiplications(prefix(self.model, stage)))

    def in_images(self, stage: str, views: int) -> float:
        """The same, in the time that the whole network takes for an image."""
        return self.of_features(stage, views) / multiplications(self.model)


def looked_at_in_views(images: Images) -> int:
    """How many images are looked at in several views: trained on, and decided by."""
    return len(images.part("train").digests) + len(images.part("validation").digests)


class Pace:
    """What a recipe will take on this machine.

    Args:
        effort: that its images take.
        an_image: seconds in which the network is through with an image.
        measure: seconds of a training step above a stage; asked once a stage.
    """

    def __init__(self, effort: Effort, an_image: float, measure: Callable[[str], float]) -> None:
        self._effort, self._an_image, self._measure = effort, an_image, measure
        self._steps: dict[str, float] = {}
        self._prepared: set[str] = set()

    def timed(self, recipe: Recipe, epochs: int, seconds: float) -> None:
        """Learn from what so many epochs of a recipe took, all in all; none teach nothing."""
        self._prepared.add(recipe.cut)
        if epochs:
            self._steps[recipe.cut] = max(seconds - TRACING_SECONDS, 0.0) / self._effort.in_steps(recipe, epochs)

    def is_hopeless(self, recipe: Recipe, left: float) -> bool:
        """Whether even the fastest machine known couldn't train the fewest epochs in so many seconds."""
        fewest = self._effort.of_training(recipe.cut, _fewest(recipe)) * 60 / MULTIPLICATIONS_A_MINUTE / FASTEST
        return self.fixed(recipe) + fewest > left

    def fixed(self, recipe: Recipe) -> float:
        """Seconds before the first epoch."""
        if recipe.cut in self._prepared:
            return TRACING_SECONDS
        features = self._effort.in_images(recipe.cut, len(recipe.views)) * self._an_image
        return NEW_CUT_SECONDS + TRACING_SECONDS + features

    def seconds(self, recipe: Recipe) -> float:
        """Seconds for all of it."""
        if recipe.cut not in self._steps:
            self._steps[recipe.cut] = CAUTION * self._measure(recipe.cut)
        return self.fixed(recipe) + self._effort.in_steps(recipe, recipe.epochs) * self._steps[recipe.cut]

    def mixing(self, recipes: Sequence[Recipe]) -> float:
        """Seconds for finding out which of them to average the weights of."""
        slowest = max(self._steps.get(recipe.cut, 0.0) for recipe in recipes)
        looks = (len(recipes) + 1) * max(len(recipe.views) for recipe in recipes)
        return looks * self._effort.look_in_steps(recipes[0]) * slowest

    def fitted(self, recipe: Recipe, left: float) -> Recipe | None:
        """The recipe with as many of its epochs as fit into so many seconds; None where that is too few."""
        if self.is_hopeless(recipe, left):
            return None
        epochs = self._epochs_in(recipe, left)
        return replace(recipe, epochs=epochs) if epochs >= _fewest(recipe) else None

    def hurried(self, recipe: Recipe, left: float) -> Recipe:
        """The recipe with as many of its epochs as fit, few as they may be; a deadline ends them where none do."""
        fewest = min(FEWEST_EPOCHS, recipe.epochs)
        return replace(recipe, epochs=max(self._epochs_in(recipe, left), fewest))

    def _epochs_in(self, recipe: Recipe, left: float) -> int:
        """How many of a recipe's epochs fit into so many seconds."""
        whole, fixed = self.seconds(recipe), self.fixed(recipe)
        return recipe.epochs if whole <= left else int(recipe.epochs * max(left - fixed, 0.0) / (whole - fixed))


def _fewest(recipe: Recipe) -> int:
    return min(recipe.epochs, max(FEWEST_EPOCHS, math.ceil(FEWEST_OF_EPOCHS * recipe.epochs)))


def deepest_fitting(pace: Pace, recipes: Sequence[Recipe], left: float) -> Recipe | None:
    """The first of some recipes, the deepest first, that fits into so many seconds, with fewer epochs if need be.

    Deeper ones take longer, so that few have to be timed (by bisection).
    """
    fitting = bisect_left(range(len(recipes)), True, key=lambda number: pace.fitted(recipes[number], left) is not None)
    return pace.fitted(recipes[fitting], left) if fitting < len(recipes) else None
