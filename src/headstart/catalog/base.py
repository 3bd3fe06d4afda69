"""The record that holds all there is to know about a base."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from headstart.errors import UnknownNameError, UsageError, WeightsError
from headstart.images.spec import ImageSpec

if TYPE_CHECKING:
    import keras

# Between the names of a base and of the stage that it is taken up to.
UP_TO = "@"
# Of an input's sides, in pixels: what lies beyond takes gigabytes an image.
LARGEST = 2048

# A model's variables by path, such as "stem_conv/kernel".
Arrays = dict[str, np.ndarray]


class Architecture(Protocol):
    """Builds the network of a base."""

    def __call__(self, *, classes: int | None = None, shape: tuple[int, int] | None = None) -> keras.Model:
        """The network, randomly initialised: images to the last feature map or, with classes, to logits.

        Args:
            classes: outputs of the ImageNet top; None leaves the top off.
            shape: height and width of the input, in pixels; None for the network's own.
        """


class WeightSource(ABC):
    """Where a base's pretrained numbers come from."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """What tells these numbers from any others, without reading them."""

    @property
    @abstractmethod
    def install_command(self) -> str:
        """The line that brings the weights to this machine."""

    @abstractmethod
    def is_here(self) -> bool:
        """Whether the weights are on this machine."""

    @abstractmethod
    def require(self) -> None:
        """Makes sure that they are.

        Raises:
            WeightsError: they aren't; it says how to get them.
        """

    @abstractmethod
    def load(self) -> Arrays:
        """The variables, verified.

        Raises:
            WeightsError: they aren't here, or aren't what they should be.
        """


@dataclass(frozen=True)
class Base:
    """A pretrained network without its top.

    Attributes:
        name: as people type it.
        spec: how a file becomes its input.
        stages: the layers that end a stage, from the input to the output; each is a cut.
        widths: channels of each stage's map.
        detail: a stage below the last whose map is pooled as well, for what is small or simple; None to leave it out.
        parameters: of the whole network with its ImageNet top.
        imagenet_top1: published top-1 accuracy on ImageNet, 0 to 1; None for an untrained network.
        licence: of the weights, as an SPDX identifier.
        reference: the paper or page that describes it.
        revision: raised whenever the architecture's code computes something else than before.
        architecture: builds the network.
        weights: where the pretrained numbers come from.
        smallest: height and width that the input needs at least, in pixels.
        resized: whether the input has another size than the base was trained with.
        whole: the base that this is the lower part of; None where it has all of its stages.
    """

    name: str
    spec: ImageSpec
    stages: tuple[str, ...]
    widths: tuple[int, ...]
    detail: str | None
    parameters: int
    imagenet_top1: float | None
    licence: str
    reference: str
    revision: int
    architecture: Architecture
    weights: WeightSource
    smallest: int = 32
    resized: bool = False
    whole: Base | None = None

    @property
    def is_pretrained(self) -> bool:
        return self.imagenet_top1 is not None

    @property
    def features(self) -> int:
        """Length of the pooled feature vector: the last map's channels, and three times those of `detail`."""
        of_detail = self.widths[self.stages.index(self.detail)] if self.detail else 0
        return self.widths[-1] + 3 * of_detail

    @property
    def fingerprint(self) -> str:
        """Identifies what the network computes; known without building it, so that a warm start needs no Keras."""
        text = f"{self.name}:{self.revision}:{self.weights.identity}"
        if self.resized:
            text += f":{self.spec.height}x{self.spec.width}"
        return hashlib.sha256(text.encode()).hexdigest()

    def with_size(self, height: int, width: int) -> Base:
        """The same base for inputs of another size, in pixels; its weights are those of its own size.

        Raises:
            UsageError: the network needs a larger input, or would need more memory than makes sense.
        """
        if (height, width) == (self.spec.height, self.spec.width):
            return self
        if not (self.smallest <= height <= LARGEST and self.smallest <= width <= LARGEST):
            raise UsageError(
                f"{self.name} takes no images of {height}×{width} pixels",
                f"give a size from {self.smallest}×{self.smallest} to {LARGEST}×{LARGEST}; "
                f"it was trained with {self.spec.height}×{self.spec.width}",
            )
        architecture = partial(self.architecture, shape=(height, width))
        return replace(self, spec=self.spec.with_size(height, width), architecture=architecture, resized=True)

    def up_to(self, stage: str) -> Base:
        """The base without what lies above a stage, which takes less time and knows less of ImageNet's classes.

        Its name says so, and names it wherever a base's name is taken. Where the stage below the last is pooled as
        well, so is the one below this.

        Raises:
            UnknownNameError: it has no such stage.
        """
        if stage not in self.stages:
            raise UnknownNameError("stage", stage, self.stages)
        end = self.stages.index(stage) + 1
        if end == len(self.stages):
            return self
        return replace(
            self,
            name=f"{(self.whole or self).name}{UP_TO}{stage}",
            stages=self.stages[:end],
            widths=self.widths[:end],
            detail=self.stages[end - 2] if self.detail and end > 1 else None,
            architecture=partial(_build_up_to, self.architecture, stage),
            whole=self.whole or self,
        )

    def build(self, *, classes: int | None = None) -> keras.Model:
        """The network with its pretrained weights.

        Args:
            classes: only a pretrained top's own number (1,000 for ImageNet) makes sense; None leaves the top off.

        Returns:
            A model that takes float32 images as `spec` makes them, shape (batch, height, width, 3), and gives the
            last feature map, shape (batch, h, w, features), or logits, shape (batch, classes).

        Raises:
            WeightsError: the weights aren't here or don't fit.
        """
        arrays = self.weights.load()
        model = self.architecture(classes=classes)
        assign(model, arrays)
        return model


def _build_up_to(
    architecture: Architecture, stage: str, *, classes: int | None = None, shape: tuple[int, int] | None = None
) -> keras.Model:
    """A network without what lies above a stage, and so without an ImageNet top."""
    import keras

    if classes is not None:
        raise UsageError(f"what ends at {stage} has no ImageNet top", "take the whole base")
    model = architecture() if shape is None else architecture(shape=shape)
    # A stage may end in an addition that is no layer.
    end = next(operation for operation in model.operations if operation.name == stage)
    return keras.Model(model.input, end.output, name=f"{model.name}_up_to_{stage}")


def assign(model: keras.Model, arrays: Arrays) -> None:
    """Put arrays into the model's weights of the same path; arrays for other paths are left alone.

    Raises:
        WeightsError: a weight has no array, or one of another shape.
    """
    for variable in model.weights:  # not its variables: the seeds of dropout are drawn anew
        array = arrays.get(variable.path)
        if array is None or array.shape != tuple(variable.shape):
            came = "nothing" if array is None else f"shape {array.shape}"
            raise WeightsError(
                f"{variable.path} needs weights of shape {tuple(variable.shape)}; there is {came}",
                "these weights belong to another network, or another version of this one",
            )
        variable.assign(array)
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state"):  # Normalization computes with copies of its weights
            layer.finalize_state()
