"""Heads: the trainable layers that are put on a base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.images.views import View
from headstart.learn.probe import Probe

if TYPE_CHECKING:
    import keras

POOL = "pool"
DETAIL = "detail"
STANDARDISE = "standardise"
DROPOUT = "dropout"
LOGITS = "logits"
HIDDEN = 256
# Added to a variance, whose root has no gradient at 0.
SMALLEST_VARIANCE = 1e-6

# Names a new layer: the name itself, or one like it that the base hasn't got.
Namer = Callable[[str], str]


def pool(base: keras.Model, detail: str | None, named: Namer = str) -> Any:
    """The tensor of a base's pooled features, shape (batch, features).

    The average of the last map says what there is in an image. What is small or simple, a scratch or a texture, is
    often clearer in the map below it, whose average, maximum and standard deviation come first where `detail` names it.
    Using features of several depths follows Head2Toe (Evci et al. 2022, arXiv:2201.03529); pooling the deviation as
    well is the statistics pooling of Snyder et al. (2018, x-vectors).
    """
    from keras import layers, ops

    average = layers.GlobalAveragePooling2D(name=named(POOL))(base.outputs[0])
    if detail is None:
        return average
    below = base.get_layer(detail).output
    parts = [
        layers.GlobalAveragePooling2D(name=named(f"{DETAIL}_average"))(below),
        layers.GlobalMaxPooling2D(name=named(f"{DETAIL}_maximum"))(below),
        ops.sqrt(ops.var(below, axis=(1, 2)) + SMALLEST_VARIANCE),
    ]
    return layers.Concatenate(name=named(f"{POOL}_all"))([*parts, average])


def attach_linear_head(base: keras.Model, classes: int, detail: str | None = None) -> keras.Model:
    """A base with pooling and a linear layer on it: images to logits, shape (batch, classes)."""
    import keras

    logits = keras.layers.Dense(classes, name=LOGITS)(pool(base, detail))
    return keras.Model(base.input, logits, name=f"{base.name}_classifier")


def average_over_views(model: keras.Model, views: Sequence[View]) -> keras.Model:
    """A model that gives the mean, over views of its input, of what another gives; it shares all of that one's weights.

    Args:
        model: from (batch, height, width, 3) to (batch, classes).
        views: exact ones; quarter turns among them take a square input.
    """
    import keras

    inputs = keras.Input(tuple(model.inputs[0].shape)[1:])
    averaged = keras.layers.Average()([model(_in_view(inputs, view)) for view in views])
    return keras.Model(inputs, averaged, name=f"{model.name}_in_views")


def _in_view(images: Any, view: View) -> Any:
    from keras import ops

    is_transposed, rows_reversed, columns_reversed = view.flips
    if is_transposed:
        images = ops.transpose(images, (0, 2, 1, 3))
    axes = tuple(axis for axis, is_reversed in ((1, rows_reversed), (2, columns_reversed)) if is_reversed)
    return ops.flip(images, axes) if axes else images


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


def linear(features: Any, dropout: float, named: Namer) -> Any:
    """The features themselves: the layer that gives the answer is all there is to train."""
    from keras import layers

    return layers.Dropout(dropout, name=named("head_dropout"))(features) if dropout else features


def mlp(features: Any, dropout: float, named: Namer) -> Any:
    """A hidden layer with LayerNorm (Ba et al. 2016, arXiv:1607.06450) and ReLU.

    LayerNorm rather than BatchNorm: it does the same in training and inference, doesn't suffer from small batches (Wu
    and He 2018, arXiv:1803.08494), and isn't touched by the rule that fine-tuning keeps every BatchNorm frozen, which
    would change a head in the middle of its training.
    """
    from keras import layers

    x = layers.Dense(HIDDEN, name=named("head_hidden"))(features)
    x = layers.LayerNormalization(name=named("head_norm"))(x)
    x = layers.ReLU(name=named("head_relu"))(x)
    return layers.Dropout(dropout, name=named("head_dropout"))(x) if dropout else x


def flatten_256(output: Any, dropout: float, named: Namer) -> Any:
    """The classic one: a hidden layer that sees every place of the map; it has the most weights by far."""
    from keras import layers

    x = layers.Flatten(name=named("head_flatten"))(output)
    x = layers.Dense(HIDDEN, activation="relu", name=named("head_hidden"))(x)
    return layers.Dropout(dropout, name=named("head_dropout"))(x) if dropout else x


@dataclass(frozen=True)
class Head:
    """What lies between a base and the dense layer that gives the answer.

    Attributes:
        hidden: from the features, the dropout rate and a namer to what that layer sees.
        dropout: the rate where none is asked for.
        takes_map: whether it takes the base's output as it is, rather than one vector an image.
    """

    hidden: Callable[[Any, float, Namer], Any]
    dropout: float
    takes_map: bool = False


HEADS = {
    "linear": Head(linear, 0.0),
    "mlp": Head(mlp, 0.5),
    "flatten-256": Head(flatten_256, 0.5, takes_map=True),
}
