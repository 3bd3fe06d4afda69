"""How long a training step takes on this machine, measured before anything is decided by it."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import numpy as np

from headstart.features.boundary import suffix
from headstart.learn.freeze import freeze_batch_norm, freeze_below
from headstart.learn.heads import attach_training_head
from headstart.learn.probe import Probe

if TYPE_CHECKING:
    import keras

# The first steps trace the graph and touch memory for the first time.
WARM_UP_STEPS, TIMED_STEPS = 3, 5


def seconds_a_step(base: keras.Model, probe: Probe, cut: str, detail: str | None, batch_size: int) -> float:
    """Seconds of a training step above a cut, the median of five after some that set things up.

    The steps go nowhere: they are taken at a learning rate of 0, so that weights stay as they are. Layers of the base
    are made trainable or not as fine-tuning above the cut would.

    Args:
        base: a pretrained network without its top.
        probe: the head on it.
        cut: the layer above which everything is trained.
        detail: the stage whose map is pooled beside the last one, as for the probe.
        batch_size: images a step.
    """
    import keras

    model = attach_training_head(base, probe, seed=0, detail=detail)
    freeze_batch_norm(model)
    freeze_below(model, cut)
    top = suffix(model, cut)
    top.compile(keras.optimizers.AdamW(0.0), probe.kind.keras_loss(label_smoothing=0.0), jit_compile=False)
    inputs = np.random.default_rng(0).random((batch_size, *tuple(top.inputs[0].shape)[1:]), np.float32)
    targets = np.full((batch_size, probe.bias.size), 1 / probe.bias.size, np.float32)
    seconds = [_seconds(top, inputs, targets) for _ in range(WARM_UP_STEPS + TIMED_STEPS)]
    return statistics.median(seconds[WARM_UP_STEPS:])


def _seconds(top: keras.Model, inputs: np.ndarray, targets: np.ndarray) -> float:
    start = time.perf_counter()
    top.train_on_batch(inputs, targets)
    return time.perf_counter() - start
