"""Heads: the trainable layers that are put on a base."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

POOL = "pool"
LOGITS = "logits"
DROPOUT = 0.2


def attach_linear_head(base: keras.Model, classes: int) -> keras.Model:
    """A base with average pooling and a linear layer on it: images to logits, shape (batch, classes).

    Dropout (Srivastava et al. 2014) lies between the two; it acts in training only.
    """
    import keras

    pooled = keras.layers.GlobalAveragePooling2D(name=POOL)(base.output)
    dropped = keras.layers.Dropout(DROPOUT, name="dropout")(pooled)
    logits = keras.layers.Dense(classes, name=LOGITS)(dropped)
    return keras.Model(base.input, logits, name=f"{base.name}_classifier")
