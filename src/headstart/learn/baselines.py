"""What transfer learning is compared with: a network from scratch, and the classic head on a frozen base.

Both are trained plainly: Adam (Kingma and Ba 2015, arXiv:1412.6980) at a rate that falls to nothing along a cosine, and
the weights of the epoch with the smallest validation loss remain.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from headstart.learn.freeze import is_batch_norm
from headstart.learn.heads import HIDDEN

if TYPE_CHECKING:
    import keras

BATCH_SIZE = 32
PREDICT_BATCH = 64
# Keras's own 0.99 takes some five hundred steps to learn the statistics; with few images, validation would be judged
# by what they were at the start.
MOMENTUM = 0.9
DROPOUT_FROM_SCRATCH, DROPOUT_OF_CLASSIC = 0.2, 0.5
# Training ends where no epoch in this share of all of them was better than the best before.
PATIENCE_SHARE = 1 / 3


class TimeUpError(Exception):
    """The deadline came before training was finished: what it has come to so far would be no fair result."""


@dataclass(frozen=True)
class Lesson:
    """Arrays to learn from, and others to judge by.

    Attributes:
        inputs: of the network, float16 or float32, shape (images, …).
        targets: what it is trained to give, float32, shape (images, outputs).
        weights: how much each image counts, shape (images,); None for all alike.
        held_out: inputs that epochs are judged by.
        judge: the loss of logits for those.
        loss: that is trained by.
        mirrored: whether images are mirrored at random: left and right, and upside down.
    """

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None
    held_out: np.ndarray
    judge: Callable[[np.ndarray], float]
    loss: keras.losses.Loss
    mirrored: tuple[bool, bool] = (False, False)


@dataclass(frozen=True)
class Schedule:
    """How long to train, and how fast.

    Attributes:
        rates: of Adam at its peak, with which it starts; one after the other is tried.
        epochs: the most.
        seed: of the order of images, and of mirroring.
        deadline: in seconds of `time.monotonic`.
    """

    rates: tuple[float, ...]
    epochs: int
    seed: int
    deadline: float = math.inf


@dataclass(frozen=True)
class Learned:
    """What training came to with a rate.

    Attributes:
        rate: that one.
        loss: the smallest one on the held-out images.
        best_epoch: where that was, from 1 on; 0 where no epoch came to a finite loss.
        epochs: that were trained.
        weights: of the best epoch.
    """

    rate: float
    loss: float
    best_epoch: int
    epochs: int
    weights: list[np.ndarray]


def from_scratch(network: keras.Model, outputs: int, seed: int) -> keras.Model:
    """A network with weights that know nothing, average pooling and a linear layer: images to logits.

    Args:
        network: an architecture without its top, with fresh weights; its kernels are drawn again from the seed
            (He et al. 2015, arXiv:1502.01852), and all of it is trained.
        outputs: how many logits.
        seed: of the kernels and of dropout.
    """
    import keras
    from keras import layers

    network.trainable = True
    for layer in network._flatten_layers():
        if is_batch_norm(layer):
            layer.momentum = MOMENTUM
    for number, variable in enumerate(network.trainable_weights):
        if len(variable.shape) > 1:
            variable.assign(keras.initializers.HeNormal(seed=_seed_of(seed, number))(tuple(variable.shape)))
    x = layers.GlobalAveragePooling2D()(network.outputs[0])
    x = layers.Dropout(DROPOUT_FROM_SCRATCH, seed=seed)(x)
    return keras.Model(network.input, _dense(outputs, seed)(x), name="from_scratch")


def classic_head(features: int, outputs: int, seed: int) -> keras.Model:
    """A hidden layer of 256 with ReLU, dropout of a half, and the logits; on pooled features of a frozen base."""
    import keras
    from keras import layers

    inputs = keras.Input((features,))
    x = layers.Dropout(DROPOUT_OF_CLASSIC, seed=seed)(_dense(HIDDEN, seed, "relu")(inputs))
    return keras.Model(inputs, _dense(outputs, seed + 1)(x), name="classic_head")


def _dense(units: int, seed: int, activation: str | None = None) -> keras.layers.Layer:
    import keras

    initializer = keras.initializers.GlorotUniform(seed=seed)
    return keras.layers.Dense(units, activation=activation, kernel_initializer=initializer)


def _seed_of(seed: int, number: int) -> int:
    """A seed of its own for each of many things."""
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0] % 2**31)


def train_plainly(
    model: keras.Model, lesson: Lesson, schedule: Schedule, advance: Callable[[int], None] = lambda count: None
) -> Learned:
    """Train a whole model with each rate, from the same weights; it is left with the best epoch's of the best rate.

    Args:
        model: from inputs to logits.
        lesson: what it learns.
        schedule: how.
        advance: called with the number of images trained on since the last call.

    Raises:
        TimeUpError: the deadline came first.
    """
    import keras

    # XLA compiles depthwise convolutions for the CPU into slower code.
    model.compile(keras.optimizers.Adam(schedule.rates[0]), lesson.loss, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    start, state = model.get_weights(), [np.array(variable) for variable in model.optimizer.variables]
    found = []
    for rate in schedule.rates:
        # The same model again, since tracing the step of another one takes seconds.
        model.set_weights(start)
        for variable, value in zip(model.optimizer.variables, state, strict=True):
            variable.assign(value)
        found.append(_train_at(model, lesson, schedule, rate, advance))
    best = min(found, key=lambda learned: learned.loss)
    model.set_weights(best.weights)
    return best


def _train_at(
    model: keras.Model, lesson: Lesson, schedule: Schedule, rate: float, advance: Callable[[int], None]
) -> Learned:
    rng = np.random.default_rng(schedule.seed)
    steps, step = schedule.epochs * max(len(lesson.inputs) // BATCH_SIZE, 1), 0
    best = Learned(rate, math.inf, 0, 0, model.get_weights())
    for epoch in range(1, schedule.epochs + 1):
        for batch in _batches(lesson, rng):
            if time.monotonic() > schedule.deadline:
                raise TimeUpError
            model.optimizer.learning_rate = rate * (1 + math.cos(math.pi * step / steps)) / 2
            model.train_on_batch(*batch)
            step += 1
            advance(len(batch[0]))
        loss = lesson.judge(logits_of(model, lesson.held_out))
        best = Learned(rate, loss, epoch, epoch, model.get_weights()) if loss < best.loss else best
        best = replace(best, epochs=epoch)
        if epoch - best.best_epoch > max(1, PATIENCE_SHARE * schedule.epochs):
            break
    return best


def logits_of(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """What a model says of inputs, float32, shape (images, outputs)."""
    return np.concatenate(
        [_some_logits(model, inputs[start : start + PREDICT_BATCH]) for start in range(0, len(inputs), PREDICT_BATCH)]
    )


def _some_logits(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """Of a batch that is filled up, since tracing another size takes seconds."""
    full = np.zeros((PREDICT_BATCH, *inputs.shape[1:]), np.float32)
    full[: len(inputs)] = inputs
    return np.asarray(model.predict_on_batch(full))[: len(inputs)]


def _batches(lesson: Lesson, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
    """An epoch: inputs, targets and, where there are any, weights.

    All batches have the same size, likewise: what is left over, other images in every epoch, is left out.
    """
    order, size = rng.permutation(len(lesson.inputs)), min(BATCH_SIZE, len(lesson.inputs))
    for start in range(0, len(order) - size + 1, size):
        places = order[start : start + size]
        inputs = lesson.inputs[places].astype(np.float32)
        for axis, is_mirrored in ((2, lesson.mirrored[0]), (1, lesson.mirrored[1])):
            if is_mirrored:
                turned = rng.random(len(inputs)) < 0.5
                inputs[turned] = np.flip(inputs[turned], axis)
        weights = () if lesson.weights is None else (lesson.weights[places].astype(np.float32),)
        yield (inputs, lesson.targets[places], *weights)
