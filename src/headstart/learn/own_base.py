"""A user's own Keras model as a base: its stages are the cuts that the graph has, its weights those that it holds."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.catalog import get_base
from headstart.catalog.base import Arrays, Base, WeightSource
from headstart.catalog.families import SCALINGS
from headstart.errors import UnknownNameError, UsageError, WeightsError
from headstart.features.boundary import Cut, find_cuts, prefix
from headstart.features.fingerprint import fingerprint
from headstart.images.spec import ImageSpec

if TYPE_CHECKING:
    import keras

MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")
# Of the cuts in the last stage, so many are offered to start fine-tuning from.
MOST_CUTS_IN_LAST_STAGE = 6


def base(model: keras.Model, spec: ImageSpec | str | None = None, name: str | None = None) -> Base:
    """A Keras model of one's own as a base. The model is copied as it is now; nothing changes it.

    What lies above the last feature map, such as a classifier, is left off.

    Args:
        model: a functional or sequential model, from one image with three channels, the last axis, to one output.
        spec: how an image becomes its input: an image spec, or "none", "tf", "torch" or "caffe", as Keras calls the
            ways to scale pixels, at the model's own input size. It may be left out where the model scales them inside.
        name: for the report; by default the model's.

    Returns:
        A base that `headstart.train` takes.

    Raises:
        UsageError: the model is of another kind, or its scaling or size isn't known.
    """
    graph = _graph_of(model)
    maps = _feature_maps(graph)
    body = prefix(graph, maps[-1].layer)
    spec = spec if isinstance(spec, ImageSpec) else make_spec(graph, spec)
    architecture = _Copies(body)
    copied = architecture(shape=(spec.height, spec.width))
    arrays = {to.path: np.array(np.asarray(weight)) for to, weight in zip(copied.weights, body.weights, strict=True)}
    if len(arrays) < len(copied.weights):
        raise UsageError(f"in {model.name!r} several weights have the same path", "give its layers different names")
    stages, widths = _stages(copied)
    return Base(
        name=_free_name(name, model),
        spec=spec,
        stages=stages,
        widths=widths,
        detail=None,
        parameters=model.count_params(),
        imagenet_top1=None,
        licence="not stated",
        reference="a Keras model of one's own",
        revision=1,
        architecture=_Sized(architecture, (spec.height, spec.width)),
        weights=ModelWeights(arrays, fingerprint(body)),
        smallest=1,
    )


def load_own_base(path: Path, *, trust: bool, scaling: str | None = None) -> Base:
    """A base from a model file of the user's.

    Args:
        path: a file ending in .keras or .h5.
        trust: whether the file may run its code here.
        scaling: as for `base`.

    Raises:
        UsageError: there is no such file, it isn't trusted, or the model can't be a base.
        WeightsError: Keras can't load it.
    """
    if not path.is_file():
        raise UsageError(f"there is no model file {path}", "check the path")
    if not trust:
        raise UsageError(
            f"{path} isn't opened: a model file is a program, and loading it runs what it says on this machine",
            "if you know who made it, say so with --trust-model-file",
        )
    import keras

    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=False)
    except Exception as error:  # it runs code of its own, which may raise anything
        raise WeightsError(f"Keras can't load {path} ({error})", "save it with model.save('….keras')") from error
    return base(model, scaling, path.stem)


def make_spec(model: keras.Model, scaling: str | None = None) -> ImageSpec:
    """The image spec for a model, at its own input size.

    Args:
        model: whose input is fixed in size.
        scaling: "none", "tf", "torch" or "caffe". By default pixels are left as they are if the model has a layer
            that scales them.

    Raises:
        UsageError: neither is known.
    """
    if scaling is None:
        if not scales_inside(model):
            raise UsageError(
                f"nothing says how pixels are scaled for {model.name!r}, which has no Rescaling or Normalization layer",
                f"say it with --scaling or spec=: {', '.join(SCALINGS)} (none is 0…255, tf is −1…1)",
            )
        scaling = "none"
    if scaling not in SCALINGS:
        raise UnknownNameError("scaling", scaling, SCALINGS)
    height, width = model.inputs[0].shape[1:3]
    if height is None or width is None:
        raise UsageError(
            f"the input of {model.name!r} has no fixed size", "give an image spec with the size that you want"
        )
    chosen = SCALINGS[scaling]
    return ImageSpec(height, width, "bilinear", chosen.offset, chosen.divisor, channels=chosen.channels)


def scales_inside(model: keras.Model) -> bool:
    """Whether a model has a layer that scales its input."""
    import keras

    scaling = (keras.layers.Rescaling, keras.layers.Normalization)
    return any(isinstance(layer, scaling) for layer in model._flatten_layers())


@dataclass(frozen=True)
class ModelWeights(WeightSource):
    """The weights that a model held when it was made a base, and the fingerprint of the model with them."""

    arrays: Arrays
    digest: str

    @property
    def identity(self) -> str:
        return f"model:{self.digest}"

    @property
    def install_command(self) -> str:
        return "headstart.base(model)"

    def is_here(self) -> bool:
        return True

    def require(self) -> None:
        """They are in memory."""

    def load(self) -> Arrays:
        return self.arrays


class _Copies:
    """Makes copies of a model with weights of their own."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model

    def __call__(self, *, classes: int | None = None, shape: tuple[int, int] | None = None) -> keras.Model:
        import keras

        if classes is not None:
            raise UsageError(f"{self._model.name!r} has no ImageNet top", "leave `classes` out")
        height, width = shape or self._model.inputs[0].shape[1:3]
        image = keras.Input((height, width, 3), name=self._model.inputs[0].name)
        try:
            return keras.models.clone_model(self._model, input_tensors=image)
        except Exception as error:  # from the layers' own code
            raise UsageError(
                f"{self._model.name!r} can't be copied for inputs of {height}×{width} pixels ({error})",
                "give its own layers a get_config that makes them again, or another image size",
            ) from error


@dataclass(frozen=True)
class _Sized:
    """Copies of the size that the image spec says, unless another is asked for."""

    copies: _Copies
    size: tuple[int, int]

    def __call__(self, *, classes: int | None = None, shape: tuple[int, int] | None = None) -> keras.Model:
        return self.copies(classes=classes, shape=shape or self.size)


def _graph_of(model: Any) -> keras.Model:
    import keras

    if not isinstance(model, keras.Model):
        raise UsageError(f"a base is made from a Keras model; this is a {type(model).__name__}", "build one with Keras")
    shape = tuple(model.inputs[0].shape) if getattr(model, "inputs", None) else ()
    if len(shape) != 4 or shape[-1] != 3:
        raise UsageError(
            f"{model.name!r} doesn't take images of shape (height, width, 3): its input has shape {shape[1:]}",
            "build it with keras.Input((height, width, 3))",
        )
    return model


def _feature_maps(graph: keras.Model) -> list[Cut]:
    maps = [cut for cut in find_cuts(graph) if len(cut.shape) == 3]
    if not maps:
        raise UsageError(
            f"{graph.name!r} has no feature map of shape (height, width, channels) that a head can be put on",
            "hand in a convolutional model without its top",
        )
    return maps


def _stages(model: keras.Model) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The last cut of every map size, and some of the last size, where fine-tuning starts most often; and channels."""
    maps = _feature_maps(model)
    ends = [cut for cut, following in pairwise(maps) if cut.shape[:2] != following.shape[:2]]
    last = [cut for cut in maps if cut.shape[:2] == maps[-1].shape[:2]]
    step = -(-len(last) // MOST_CUTS_IN_LAST_STAGE)
    chosen = (*ends, *reversed(last[::-1][::step]))
    return tuple(cut.layer for cut in chosen), tuple(cut.shape[-1] for cut in chosen)


def _free_name(name: str | None, model: keras.Model) -> str:
    """A name that no base of the catalogue has, so that a run never takes one for the other."""
    chosen = name or model.name
    try:
        get_base(chosen)
    except UnknownNameError:
        return chosen
    return f"own-{chosen}"
