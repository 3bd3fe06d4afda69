"""What stays fixed while a network is fine-tuned."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def freeze_batch_norm(model: keras.Model) -> None:
    """Keep every BatchNorm layer in inference mode, whatever else is trained.

    Its statistics were gathered on millions of images; a few batches of other ones would spoil them, and with them
    the features. Keras runs a BatchNorm that isn't trainable in inference mode. Compile the model afterwards.
    """
    import keras

    for layer in model._flatten_layers():  # those of nested models too
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
