"""What fine-tuning tries: one way within a fixed effort or, where a time is given, as many ways as fit into it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headstart.features.boundary import multiplications, prefix, suffix
from headstart.learn.finetune import BATCH_SIZE, Recipe
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
# A minute on two cores; measured on small and large networks it is two to six.
MULTIPLICATIONS_A_MINUTE = 4e12
# Seconds for converting the part below a cut that is new, and for tracing a training step.
NEW_CUT_SECONDS, TRACING_SECONDS = 20.0, 6.0
# With a stage more to train, this many times the rate did best, tried by hand on two divisions of the solar cells: a
# log loss of 0.260 on held-out parts at 8e-4, of 0.267 at 4e-4 and 0.278 at 2e-4.
RATE_FROM_DEEPER = 4.0
# Fewer epochs than this share of those wanted teach less than the time is worth.
FEWEST_OF_EPOCHS = 0.5
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
    a_step = len(images.part("train").digests) / BATCH_SIZE
    epochs = min(max(math.ceil(STEPS / a_step), FEWEST_EPOCHS), MOST_EPOCHS)
    bounds = f"at least {FEWEST_EPOCHS} and at most {MOST_EPOCHS} epochs"
    session.choose("epochs", epochs, f"about {STEPS} steps of {BATCH_SIZE} images, and {bounds}")
    return epochs


def choose_stage(session: Session, images: Images, choice: TuningChoice, epochs: int) -> str | Untuned:
    """The deepest stage whose training fits the effort; where none does, the shallowest, if that is bearable."""
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
    cost = f"{epochs} epochs take {training[chosen]:.1e} multiplications"
    session.choose("fine-tuning from", f"above {chosen}", f"{cost}; from a stage deeper they would take more")
    return chosen


@dataclass(frozen=True)
class Effort:
    """What fine-tuning on these images takes, in multiplications."""

    model: keras.Model
    images: Images

    def of_training(self, stage: str, epochs: int) -> float:
        """All steps of so many epochs above a stage."""
        passes = epochs * len(self.images.part("train").digests)
        return float(BACKWARD_TOO * passes * multiplications(suffix(self.model, stage)))

    def of_features(self, stage: str, views: int) -> float:
        """Running the part below a stage on every view of the images that are trained on and decided by."""
        return float(views * looked_at_in_views(self.images) * multiplications(prefix(self.model, stage)))


def looked_at_in_views(images: Images) -> int:
    """How many images are looked at in several views: trained on, and decided by."""
    return len(images.part("train").digests) + len(images.part("validation").digests)


class Pace:
    """What a recipe will take on this machine: a cautious guess until one has been timed."""

    def __init__(self, effort: Effort) -> None:
        self._effort = effort
        self._speed = MULTIPLICATIONS_A_MINUTE / 60
        self._stages: set[str] = set()

    def timed(self, recipe: Recipe, epochs: int, seconds: float) -> None:
        """Learn from what so many epochs of a recipe took."""
        self._stages.add(recipe.cut)
        self._speed = self._effort.of_training(recipe.cut, epochs) / max(seconds - TRACING_SECONDS, 1.0)

    def fixed(self, recipe: Recipe) -> float:
        """Seconds before the first epoch."""
        if recipe.cut in self._stages:
            return TRACING_SECONDS
        features = self._effort.of_features(recipe.cut, len(recipe.views)) * 60 / MULTIPLICATIONS_A_MINUTE
        return NEW_CUT_SECONDS + TRACING_SECONDS + features

    def seconds(self, recipe: Recipe) -> float:
        """Seconds for all of it."""
        return self.fixed(recipe) + self._effort.of_training(recipe.cut, recipe.epochs) / self._speed

    def fitted(self, recipe: Recipe, left: float) -> Recipe | None:
        """The recipe with as many of its epochs as fit into so many seconds; None where that is too few."""
        whole, fixed = self.seconds(recipe), self.fixed(recipe)
        if whole <= left:
            return recipe
        epochs = int(recipe.epochs * max(left - fixed, 0.0) / (whole - fixed))
        fewest = max(FEWEST_EPOCHS, math.ceil(FEWEST_OF_EPOCHS * recipe.epochs))
        return replace(recipe, epochs=epochs) if epochs >= fewest else None
