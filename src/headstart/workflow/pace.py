"""What a way of fine-tuning takes, in multiplications and in seconds on this machine."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headstart.features.boundary import multiplications, prefix, suffix
from headstart.images.views import View
from headstart.learn.finetune import Recipe
from headstart.workflow.images import Images

if TYPE_CHECKING:
    import keras

# A training step runs forward, and backward once for the inputs and once for the weights.
BACKWARD_TOO = 3
# A minute on two cores, cautiously; measured on small and large networks it is two to six times as many.
MULTIPLICATIONS_A_MINUTE = 4e12
FASTEST = 6
# Seconds for converting the part below a cut that is new, and for tracing a training step.
NEW_CUT_SECONDS, TRACING_SECONDS = 10.0, 6.0
# Running a step without training takes about half of its time, measured above several stages.
FORWARD_SHARE = 0.5
# Fewer epochs than this share of those wanted teach less than as much time spent on more of them above a higher stage.
FEWEST_OF_EPOCHS = 0.7
# What was timed for a moment is slower for minutes: processors get hot, and neighbours come and go. Being cut off just
# before the end costs little, since the rate has fallen to almost nothing by then.
CAUTION = 1.05
FEWEST_EPOCHS = 3


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
        self._mapped: tuple[frozenset[View], str | None] = frozenset(), None

    def mapped(self, views: Iterable[View], cut: str | None = None) -> None:
        """Learn that maps of these views needn't be computed any more, at a cut or, with None, whichever it will be."""
        self._mapped = frozenset(views), cut

    def has_maps(self, recipe: Recipe) -> bool:
        """Whether at most one view of a recipe lacks its maps."""
        mapped, cut = self._mapped
        return cut == recipe.cut and len(set(recipe.views) - mapped) <= 1

    def timed(self, recipe: Recipe, epochs: int, seconds: float) -> None:
        """Learn from what so many epochs of a recipe took, all in all; none teach nothing."""
        self._prepared.add(recipe.cut)
        if epochs:
            self._steps[recipe.cut] = max(seconds - TRACING_SECONDS, 0.0) / self._effort.in_steps(recipe, epochs)

    def is_hopeless(self, recipe: Recipe, left: float) -> bool:
        """Whether even the fastest machine known couldn't train the fewest epochs in so many seconds."""
        fewest = self._effort.of_training(recipe.cut, _fewest(recipe)) * 60 / MULTIPLICATIONS_A_MINUTE / FASTEST
        return self.fixed(recipe) + fewest > left

    def seconds_a_view(self, stage: str) -> float:
        """Seconds for the maps of all images in another view."""
        return self._effort.in_images(stage, 1) * self._an_image

    def fixed(self, recipe: Recipe) -> float:
        """Seconds before the first epoch."""
        if recipe.cut in self._prepared:
            return TRACING_SECONDS
        mapped, cut = self._mapped
        views = set(recipe.views) - (mapped if cut in (None, recipe.cut) else frozenset())
        return NEW_CUT_SECONDS + TRACING_SECONDS + len(views) * self.seconds_a_view(recipe.cut)

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
