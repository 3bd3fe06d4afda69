"""What a comparison has time for: the size of the input, the same for all ways, and how long a network is trained.

Training a whole network is what takes long. Its first step, which traces it, and further ones are timed at the smallest
input, once, and kept in the store, so that the same command plans the same later on; larger inputs take as many times
as long as they have pixels. One network of every way and amount of labels must fit into a part of the time, with the
largest input for which it does.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.catalog.base import Base
from headstart.data.dataset import Dataset
from headstart.learn.baselines import BATCH_SIZE, from_scratch
from headstart.progress import Advance
from headstart.report.wording import duration
from headstart.workflow.input_size import smaller_input
from headstart.workflow.near import once
from headstart.workflow.session import Session

# Of the labels, those that aren't held out to judge by.
FITTED_SHARE = 0.8
# Settings that each way tries; where so few steps would be left for each, one of them, with more.
TRIED, STEPS_FOR_ONE = 2, 300
# About as many steps as there should be, as in fine-tuning; fewer at the least.
STEPS, FEWEST_STEPS = 600, 100
FEWEST_EPOCHS, MOST_EPOCHS = 3, 60
# From a pretrained network more do no good.
MOST_FINETUNING_EPOCHS = 20
# Of the time, what training the networks of one seed may take, those from scratch and the fine-tuned ones. These take
# up to about as long for each image, above a low stage.
SHARE_OF_TIME, FINETUNING_TOO = 0.7, 1.8
# Smaller inputs show too little of most photographs.
SMALLEST, STEP = 64, 32
# Inputs of all images, in half precision.
MOST_BYTES = 2 * 2**30
TIMED_STEPS = 6


@dataclass(frozen=True)
class Plan:
    """What there is time for.

    Attributes:
        base: with the input that all ways get.
        tried: settings that each of them tries.
        steps: of training a whole network, about.
        seconds_a_pass: of such a step, for each image.
        seconds_to_trace: before the first one.
    """

    base: Base
    tried: int
    steps: int
    seconds_a_pass: float
    seconds_to_trace: float

    @property
    def is_short(self) -> bool:
        """Whether networks are trained for fewer steps than they should be."""
        return self.steps < STEPS

    def epochs(self, images: int) -> int:
        """Passes over so many training images."""
        return epochs_for(images, self.steps)

    def finetuning_epochs(self, images: int) -> int:
        """Likewise in fine-tuning."""
        return min(self.epochs(images), MOST_FINETUNING_EPOCHS)


def epochs_for(images: int, steps: int) -> int:
    """About so many that there are as many steps as there should be."""
    return min(max(math.ceil(steps * BATCH_SIZE / images), FEWEST_EPOCHS), MOST_EPOCHS)


def make_plan(session: Session, base: Base, dataset: Dataset, fractions: Sequence[float], is_sized: bool) -> Plan:
    """The largest input with which all of one seed fits, and fewer steps where none does.

    Args:
        session: whose budget it is.
        base: as it was asked for.
        dataset: what is to be learned from and tested with.
        fractions: of the labels.
        is_sized: whether the user says the size of the input.
    """
    images = sum(sample.part != "test" for sample in dataset.samples)
    bases = [base] if is_sized else _sizes(smaller_input(base, dataset) or base, len(dataset.samples))
    smallest = bases[-1]
    timed, traced = _timed_once(session, smallest, len(dataset.labels), images)
    affordable = SHARE_OF_TIME * session.budget

    def seconds(sized: Base, tried: int, steps: int) -> float:
        passes = tried * sum(_passes(FITTED_SHARE * fraction * images, steps) for fraction in fractions)
        a_pass = timed * _pixels(sized) / _pixels(smallest)
        # A network from scratch is traced once, a fine-tuned one for each setting.
        return (1 + tried) * len(fractions) * traced + FINETUNING_TOO * passes * a_pass

    def most_steps(sized: Base, tried: int) -> int:
        fitting = (steps for steps in range(STEPS, FEWEST_STEPS, -25) if seconds(sized, tried, steps) <= affordable)
        return next(fitting, FEWEST_STEPS)

    chosen = next((sized for sized in bases if seconds(sized, TRIED, STEPS) <= affordable), smallest)
    tried = TRIED if most_steps(chosen, TRIED) >= STEPS_FOR_ONE else 1
    a_pass = timed * _pixels(chosen) / _pixels(smallest)
    plan = Plan(chosen, tried, most_steps(chosen, tried), a_pass, traced)
    _tell(session, plan, base, bases, is_sized)
    return plan


def _sizes(base: Base, images: int) -> list[Base]:
    """The base at its own size and at smaller ones that memory has room for, the largest first."""
    own = base.spec.height
    if base.spec.width != own or own <= SMALLEST or base.smallest > SMALLEST:
        return [base]
    sides = [own, *(side for side in (160, 128, 96, SMALLEST) if side < own)]
    fitting = [side for side in sides if images * side * side * 3 * 2 <= MOST_BYTES]
    return [base.with_size(side, side) for side in fitting or sides[-1:]]


def _pixels(base: Base) -> int:
    return base.spec.height * base.spec.width


def _passes(images: float, steps: int) -> float:
    count = max(round(images), 1)
    return count * epochs_for(count, steps)


def _timed_once(session: Session, base: Base, outputs: int, images: int) -> tuple[float, float]:
    """Seconds of training the whole network, for each image of a step, and before; known where it was timed before."""

    def measure() -> np.ndarray:
        with session.watch.stage("prepare", "Timing training steps", 1 + TIMED_STEPS, "steps") as advance:
            return np.array(_timed(base, outputs, advance))

    of = "comparing-pace-2", base.fingerprint, str(images), f"{session.budget:g}"
    a_pass, to_trace = once(session, of, measure).tolist()
    return a_pass, to_trace


def _timed(base: Base, outputs: int, advance: Advance) -> tuple[float, float]:
    import keras

    start = time.perf_counter()
    shape = base.spec.height, base.spec.width
    model = from_scratch(base.architecture(shape=shape), outputs, seed=0)
    model.compile(keras.optimizers.Adam(), keras.losses.MeanSquaredError(), jit_compile=False)
    inputs = np.random.default_rng(0).random((BATCH_SIZE, *shape, 3), np.float32)
    targets = np.zeros((BATCH_SIZE, outputs), np.float32)
    ends = [start]
    for _ in range(1 + TIMED_STEPS):
        model.train_on_batch(inputs, targets)
        ends.append(time.perf_counter())
        advance(1)
    to_trace, *steps = np.diff(ends).tolist()
    return statistics.median(steps) / BATCH_SIZE, to_trace


def _tell(session: Session, plan: Plan, own: Base, bases: Sequence[Base], is_sized: bool) -> None:
    spec = plan.base.spec
    size, minutes = f"{spec.height}×{spec.width}, for all ways", duration(session.budget)
    if is_sized or len(bases) == 1:
        reason = "as asked" if is_sized else "there is no smaller one to choose"
    elif plan.base is bases[0]:
        reason = f"training whole networks with it fits into {minutes}"
    else:
        reason = (
            f"the base was trained with {own.spec.height}×{own.spec.width}, but {minutes} has no room for training "
        )
        reason += "whole networks with that, going by steps timed on this machine; a longer --time allows more"
    session.choose("image size", size, reason)
    fewer = "" if not plan.is_short else f"; {STEPS} don't fit into {minutes}"
    bounds = f"from {FEWEST_EPOCHS} to {MOST_EPOCHS} epochs, in fine-tuning at most {MOST_FINETUNING_EPOCHS}"
    session.choose("steps", f"about {plan.steps}", f"of {BATCH_SIZE} images for each network, {bounds}{fewer}")
