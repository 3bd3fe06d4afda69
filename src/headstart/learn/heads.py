"""Heads: the trainable layers that are put on a base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.learn.probe import Probe

if TYPE_CHECKING:
    import keras

POOL = "pool"
DETAIL = "detail"
STANDARDISE = "standardise"
DROPOUT = "dropout"
LOGITS = "logits"


def pool(base: keras.Model, detail: str | None) -> Any:
    """The tensor of a base's pooled features, shape (batch, features).

    The average of the last map says what there is in an image. What is small or simple, a scratch or a texture, is
    often clearer in the map below it, whose average and maximum come first where `detail` names it. Using features of
    several depths follows Head2Toe (Evci et al. 2022, arXiv:2201.03529).
    """
    from keras import layers

    average = layers.GlobalAveragePooling2D(name=POOL)(base.output)
    if detail is None:
        return average
    below = base.get_layer(detail).output
    parts = [
        layers.GlobalAveragePooling2D(name=f"{DETAIL}_average")(below),
        layers.GlobalMaxPooling2D(name=f"{DETAIL}_maximum")(below),
    ]
    return layers.Concatenate(name=f"{POOL}_all")([*parts, average])


def attach_linear_head(base: keras.Model, classes: int, detail: str | None = None) -> keras.Model:
    """A base with pooling and a linear layer on it: images to logits, shape (batch, classes)."""
    import keras

    logits = keras.layers.Dense(classes, name=LOGITS)(pool(base, detail))
    return keras.Model(base.input, logits, name=f"{base.name}_classifier")


def attach_training_head(
    base: keras.Model, probe: Probe, seed: int, detail: str | None = None, dropout: float = 0.0
) -> keras.Model:
    """The same function as a linear head with the probe's weights, in the form that trains well.

    Pooled features are all positive and of very different sizes. A step of Adam moves every weight by the same amount,
    so on raw features the first steps shift all logits together and undo the probe. On standardised ones they don't.
    Dropout (Srivastava et al. 2014), drawn from the seed, acts on the standardised features, and in training only.
    """
    import keras

    x = keras.layers.Normalization(mean=probe.mean, variance=probe.deviation**2, name=STANDARDISE)(pool(base, detail))
    x = keras.layers.Dropout(dropout, seed=seed, name=DROPOUT)(x)
    logits = keras.layers.Dense(probe.bias.size, name=LOGITS)
    model = keras.Model(base.input, logits(x), name=f"{base.name}_training")
    logits.set_weights([probe.weights * probe.deviation[:, None], probe.bias + probe.mean @ probe.weights])
    return model


def fold_training_head(trained: keras.Model, base: keras.Model, probe: Probe, detail: str | None = None) -> keras.Model:
    """What `attach_training_head` made and training changed, as a base with a plain linear head again."""
    kernel, bias = (np.asarray(weights) for weights in trained.get_layer(LOGITS).get_weights())
    weights = kernel / probe.deviation[:, None]
    model = attach_linear_head(base, bias.size, detail)
    model.get_layer(LOGITS).set_weights([weights, bias - probe.mean @ weights])
    return model
