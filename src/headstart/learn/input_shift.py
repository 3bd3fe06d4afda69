"""How far images differ from those that a base was pretrained on before anything is recognised in them.

A network's first BatchNorm keeps the mean and variance of what the first convolution, a set of detectors of edges,
colours and brightness, gave for the images of its pretraining. Comparing them with the same statistics of other images
shows a shift at the level of the input: images that are darker, of less contrast, smoother, or made by another sensor.
The statistics of BatchNorm describe a domain (Li et al. 2016, AdaBN, arXiv:1603.04779), and where the input is what has
shifted, tuning the first layers helps more than tuning the last (Lee et al. 2023, arXiv:2210.11466).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.learn.freeze import is_batch_norm

if TYPE_CHECKING:
    import keras

# Crops of photographs come to 0.05 and, in grey, to 0.04; noise hardly changes that. Brightened or darkened by a
# quarter of the range they come to 0.19 and 0.32, at half the contrast to 0.42, at a fifth to 1.3. Measured with
# EfficientNet-Lite0 on 24 crops of six photographs.
SHIFTED = 0.2
# A filter that never responded in pretraining has next to no variance, and says nothing.
SMALLEST_SHARE_OF_VARIANCE = 1e-3


def low_level_shift(model: keras.Model, images: np.ndarray) -> float | None:
    """The divergence of what the first convolution gives from what it gave in pretraining.

    Args:
        model: a functional model with its pretrained weights.
        images: its inputs, float32, shape (images, height, width, channels); some tens are enough.

    Returns:
        The median over the first BatchNorm's channels of the Kullback-Leibler divergence, in nats, between normal
        distributions with the channel's mean and variance on these images and in pretraining; None where the model has
        no BatchNorm.
    """
    import keras

    norm = next((layer for layer in model.layers if is_batch_norm(layer)), None)
    if norm is None:
        return None
    given = np.asarray(keras.Model(model.inputs[0], norm.input).predict_on_batch(images), np.float64)
    axes = tuple(range(given.ndim - 1))
    known = np.asarray(norm.moving_variance, np.float64)
    responding = known > SMALLEST_SHARE_OF_VARIANCE * np.median(known)
    variance = given.var(axes)[responding] / known[responding]
    distance = (given.mean(axes)[responding] - np.asarray(norm.moving_mean)[responding]) ** 2 / known[responding]
    smallest = np.finfo(np.float32).tiny  # of images that are all one colour
    return float(np.median((variance + distance - 1 - np.log(np.maximum(variance, smallest))) / 2))
