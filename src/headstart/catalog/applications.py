"""The networks of keras.applications, built as their ImageNet weights expect them, with or without a top."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headstart.catalog.graph import without_numbers

if TYPE_CHECKING:
    import keras

# Of ImageNet's red, green and blue, in 0…1.
_DEVIATIONS = (0.229, 0.224, 0.225)


def build(
    constructor: str, size: int, *, classes: int | None = None, shape: tuple[int, int] | None = None
) -> keras.Model:
    """A network of keras.applications, randomly initialised, whose layers have the same names every time.

    Args:
        constructor: its name in ``keras.applications``, such as "ResNet50".
        size: height and width of the input that it was trained with.
        classes: outputs of the ImageNet top, which then gives logits; None leaves the top off.
        shape: height and width of the input where they are others.

    Returns:
        A model that takes float32 images, shape (batch, height, width, 3), and gives the last feature map or logits.
    """
    import keras

    options: dict[str, Any] = {"weights": None, "input_shape": (*(shape or (size, size)), 3)}
    options |= {"include_top": False} if classes is None else {"classes": classes, "classifier_activation": None}
    construct = getattr(keras.applications, constructor)
    with _fresh_names():
        if not _divides_twice(constructor):
            return construct(**options)
        with without_numbers():  # only the graph is wanted here, without its numbers
            model = construct(**options)
        return keras.models.clone_model(model, call_function=_divide_again)


def _divides_twice(constructor: str) -> bool:
    """Whether the ImageNet weights belong to a graph that ``weights=None`` doesn't give.

    EfficientNet was trained on images divided by the variance of their colours instead of the deviation. Keras adds
    the missing division to the graph where it loads ImageNet's weights itself, and only there.
    """
    return constructor.startswith("EfficientNetB")


def _divide_again(layer: Any, *arguments: Any, **options: Any) -> Any:
    import keras

    outputs = layer(*arguments, **options)
    if not isinstance(layer, keras.layers.Normalization):
        return outputs
    factors = [1 / math.sqrt(deviation) for deviation in _DEVIATIONS]
    return keras.layers.Rescaling(factors, name="rescaling_of_imagenet")(outputs)


@contextmanager
def _fresh_names() -> Iterator[None]:
    """Numbers the layers that have no name of their own from the start, whatever was built before.

    Stages and weights are found by these names. Keras has no public way to put the numbers back afterwards, without
    which a network that is half built elsewhere would get the same name twice.
    """
    from keras.src.backend.common import global_state

    kept = global_state.get_global_attribute("object_name_uids")
    global_state.set_global_attribute("object_name_uids", None)
    try:
        yield
    finally:
        global_state.set_global_attribute("object_name_uids", kept)
