"""What fine-tuning tries: one way within a fixed effort or, where a time is given, as many ways as fit into it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from headstart.learn.finetune import BATCH_SIZE, Recipe
from headstart.learn.probe import Probe
from headstart.workflow.images import Images
from headstart.workflow.pace import FEWEST_EPOCHS, MULTIPLICATIONS_A_MINUTE, Effort
from headstart.workflow.session import Session
from headstart.workflow.tuning_choice import AS_ASKED, TuningChoice

# More views help less than they cost: each is another run of the prefix over all training images. An epoch draws one an
# image, so that more views than epochs would lie idle.
VIEWS = 4
# Passes over the images follow from the number of steps: about 500 for a few hundred images a class (BiT-HyperRule,
# Kolesnikov et al. 2020, arXiv:1912.11370), with bounds so that few images aren't learned by heart and many are seen.
STEPS = 600
MOST_EPOCHS = 20
# Some tens of seconds on two cores.
MOST_MULTIPLICATIONS = 1.5e12
# Some twenty minutes and more: nobody asked to wait that long.
TOO_MANY_MULTIPLICATIONS = 1e14
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
