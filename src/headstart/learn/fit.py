"""`hs.fit`: `keras.Model.fit` with the frozen part computed once.

The model is divided at its frozen boundary. What lies below runs once an input on the fastest engine there is, and its
output is kept in the store; what lies above is trained by Keras on that, with the model's own loss, metrics, optimizer
and callbacks. It is the same layers that are trained, so that afterwards the model simply is trained.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import DataError, HeadstartWarning, UsageError
from headstart.features.arrays import ArrayFeatures
from headstart.features.boundary import graph_of
from headstart.features.choice import choose_engine
from headstart.features.fingerprint import fingerprint
from headstart.features.frozen import Boundary, Undivided, find_boundary, split_front
from headstart.features.store import Store, default_folder
from headstart.learn.fit_checks import check_compiled, check_inputs, check_targets, warn_of_harm
from headstart.learn.freeze import trainable_changed
from headstart.learn.image_data import ImageData
from headstart.learn.plain import fit_plainly
from headstart.learn.renderings import LayerRenderer, Renderer, renderer_of
from headstart.learn.samples import ArraySamples, Batch, Samples, Shuffle, Unstorable, samples_of
from headstart.learn.stored import Stored, store_features, training_data
from headstart.learn.suffix_training import fit_suffix

if TYPE_CHECKING:
    import keras
    import numpy as np

# Inputs that a conversion and bf16 are tried on.
SAMPLE = 8
# Arguments of keras.Model.fit that count batches of the data as they are.
_COUNTS_STEPS = ("steps_per_epoch", "validation_steps")
# Methods by which a subclass may train otherwise than Keras does.
_METHODS = ("fit", "make_train_function", "train_step", "test_step", "compute_loss", "compute_metrics")


@dataclass(frozen=True)
class FrozenPart:
    """What became of the frozen part; `fit` hangs it on the History as `frozen_part`.

    Attributes:
        layer: its highest layer.
        engine: what ran it.
        computed: features that weren't stored yet.
        reused: features that were.
        seconds: for dividing the model, computing features and looking them up.
    """

    layer: str
    engine: str
    computed: int
    reused: int
    seconds: float


@dataclass(frozen=True)
class _Request:
    """What `fit` was asked for, as far as it bears on the frozen part."""

    model: Any
    train: Samples
    validation: Samples | None
    batch_size: int | None
    shuffle: Shuffle
    augment: Any
    views: int
    precision: str
    engine: str
    quiet: bool


def fit(
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    *,
    epochs: int = 1,
    batch_size: int | None = None,
    validation_data: Any = None,
    validation_split: float = 0.0,
    class_weight: dict[int, float] | None = None,
    sample_weight: Any = None,
    callbacks: Any = None,
    shuffle: Shuffle = True,
    verbose: Any = "auto",
    initial_epoch: int = 0,
    augment: Any = None,
    views: int = 0,
    store: Store | str | Path | None = None,
    precision: str = "f32",
    engine: str = "auto",
    **others: Any,
) -> keras.callbacks.History:
    """Train a model as `model.fit` does, without computing its frozen part twice.

    Args:
        model: compiled; functional or Sequential, nested ones included.
        x: NumPy arrays, a tf.data.Dataset, a keras.utils.PyDataset, a torch DataLoader, or `hs.image_data(folder)`.
        y: targets, as `keras.Model.fit` takes them.
        epochs: likewise, as are the next arguments.
        batch_size: likewise.
        validation_data: likewise.
        validation_split: likewise.
        class_weight: likewise.
        sample_weight: likewise.
        callbacks: likewise; they see the whole model.
        shuffle: likewise.
        verbose: likewise.
        initial_epoch: likewise.
        augment: what makes renderings of an input: Keras layers, or a function (row, NumPy generator) to a row of the
            same shape. Random layers at the front of the model are found without it.
        views: how many numbered renderings of each training sample go through the frozen part; each epoch draws among
            them. With 0, augmentation needs every epoch computed afresh, which is what `model.fit` does.
        store: where features are kept: a folder, or an open store; by default $HEADSTART_CACHE or the user's cache.
        precision: of the frozen part: "f32", "bf16", or "auto": bf16 where the CPU has it and it agrees with f32.
        engine: that runs it: "openvino", "keras", or "auto": OpenVINO where it can.
        others: further arguments of `keras.Model.fit`, such as validation_freq.

    Returns:
        The History, with `frozen_part`, a `FrozenPart`, or None where nothing was stored. Where nothing can be stored,
        a HeadstartWarning says why in a line, and `model.fit` does the work.

    Raises:
        UsageError: the model isn't compiled, or no longer as it is now, or an argument is none of those offered.
        DataError: shapes don't fit the model, labels are out of range, inputs hold NaN, or there are no samples.
        StoreError: features can't be kept.
    """
    check_compiled(model)
    if overlooked := trainable_changed(model):
        raise UsageError(*overlooked.split("; ", 1))
    if views < 0:
        raise UsageError(f"views is {views}", "give the number of renderings a sample, from 0 on")
    data = {"x": x, "y": y, "sample_weight": sample_weight, "validation_data": validation_data}
    data |= {"validation_split": validation_split, "batch_size": batch_size, "shuffle": shuffle}
    training = {"epochs": epochs, "initial_epoch": initial_epoch, "class_weight": class_weight, **others}
    try:
        train, validation = _samples(data, others)
        quiet = verbose == 0
        request = _Request(model, train, validation, batch_size, shuffle, augment, views, precision, engine, quiet)
        with _opened(store) as opened:
            return _fit_stored(request, opened, callbacks, training, verbose)
    except Unstorable as refusal:
        warnings.warn(
            f"nothing can be stored: {refusal}; training plainly, as model.fit does", HeadstartWarning, stacklevel=2
        )
    model.history = fit_plainly(model, augment, data, {**training, "callbacks": callbacks, "verbose": verbose})
    model.history.frozen_part = None
    return model.history


def _samples(data: dict[str, Any], others: dict[str, Any]) -> tuple[Samples, Samples | None]:
    """The training and the validation samples.

    Raises:
        Unstorable: they come in a form that can't be read twice or taken apart.
    """
    counted = [name for name in _COUNTS_STEPS if others.get(name) is not None]
    if counted:
        raise Unstorable(f"with {counted[0]} an epoch isn't all of the data")
    train = samples_of(data["x"], data["y"], data["sample_weight"])
    if data["validation_split"] and not isinstance(train, ArraySamples):
        raise UsageError("validation_split needs arrays", "give validation_data with a dataset")
    if data["validation_data"] is not None:
        given = data["validation_data"]
        return train, samples_of(*given) if isinstance(given, list | tuple) else samples_of(given)
    if not data["validation_split"] or not isinstance(train, ArraySamples):
        return train, None
    return train.split(data["validation_split"])


@contextmanager
def _opened(store: Store | str | Path | None) -> Iterator[Store]:
    """An open store as it is; a folder's, or the default one, for as long as it is needed."""
    if isinstance(store, Store):
        yield store
        return
    with Store(Path(store) if store is not None else default_folder()) as opened:
        yield opened


def _fit_stored(
    request: _Request, store: Store, callbacks: Any, training: dict[str, Any], verbose: Any
) -> keras.callbacks.History:
    """Divide, store, train.

    Raises:
        Unstorable: that isn't possible.
    """
    start = time.perf_counter()
    sample = _check(request)
    renderer, boundary = _divide(request)
    features = _features(request, store, sample, renderer, boundary)
    train, validation = _store_both(request, features, renderer)
    part = _frozen_part(boundary, [train, validation] if validation else [train], time.perf_counter() - start)
    settings = training | _training_arguments(request, train, training["initial_epoch"])
    if validation is not None:
        size = training.get("validation_batch_size") or request.batch_size
        settings["validation_data"] = _validation_argument(request, validation, size)
    history = fit_suffix(request.model, boundary.suffix, callbacks, settings, verbose, _steps(settings))
    history.frozen_part = part
    return history


def _steps(settings: dict[str, Any]) -> int:
    """Batches an epoch, whether of arrays or of a dataset."""
    batch_size: int = settings.get("batch_size", 1)  # a dataset is counted in batches
    return -(-len(settings["x"]) // batch_size)


def _check(request: _Request) -> np.ndarray:
    """The inputs of the first batch, looked at before anything takes long; a model that waits for them is built."""
    import keras

    for method in _METHODS:
        if getattr(type(request.model), method) is not getattr(keras.Model, method):
            raise Unstorable(f"the model has a {method} of its own")
    if request.model.built or not isinstance(request.model, keras.Sequential):
        _require_graph(request.model)
    first = next(request.train.batches(), None)
    if first is None or not len(first.x):
        raise DataError("there are no samples in x", "give at least one")
    if not request.model.built:
        request.model.build((None, *first.x.shape[1:]))
        _require_graph(request.model)
    _check_batch(request.model, request.train, first)
    if request.validation is not None:
        for batch in islice(request.validation.batches(), 1):
            _check_batch(request.model, request.validation, batch)
    warn_of_harm(request.model, first.x)
    return first.x


def _check_batch(model: keras.Model, samples: Samples, batch: Batch) -> None:
    check_inputs(model, batch.x)
    targets = samples.y if isinstance(samples, ArraySamples) else batch.y
    if targets is not None:
        check_targets(model, targets)


def _require_graph(model: keras.Model) -> None:
    if graph_of(model) is None:
        raise Unstorable("the model isn't a functional or Sequential one with one input and one output")


def _divide(request: _Request) -> tuple[Renderer | None, Boundary]:
    """What renders the samples, and the model divided above it."""
    body = request.model
    renderer: Renderer | None = None
    front = split_front(request.model)
    if front is not None:
        if request.augment is not None:
            raise UsageError("the model augments its input itself, and augment is given too", "leave out one of them")
        front_part, body = front
        renderer = LayerRenderer(front_part, fingerprint(front_part))
    if request.augment is not None:
        renderer = renderer_of(request.augment, tuple(body.inputs[0].shape)[1:])
    boundary = find_boundary(body)
    if isinstance(boundary, Undivided):
        raise Unstorable(boundary.reason)
    if renderer is not None and not request.views:
        raise Unstorable(_cost_of_views(request))
    if boundary.frozen_dropout:
        warnings.warn(
            f"{boundary.reason} although it is frozen, so that only what lies below is stored, up to {boundary.layer}; "
            "hs.freeze(base) switches such layers off",
            HeadstartWarning,
            stacklevel=4,
        )
    return renderer, boundary


def _cost_of_views(request: _Request) -> str:
    count = f"{request.train.count:,} " if request.train.count else ""
    return (
        f"inputs are augmented at random; with views=8 the frozen part would run 8 times on each of the {count}"
        "training samples and never again, however many epochs there are"
    )


def _store_both(request: _Request, features: ArrayFeatures, renderer: Renderer | None) -> tuple[Stored, Stored | None]:
    """The features of both parts."""
    has_views = renderer is not None or isinstance(request.train, ImageData)
    views = request.views if has_views else 0
    counts = [request.train.count, request.validation.count if request.validation else 0]
    _check_room((counts[0] or 0) * max(views, 1) + (counts[1] or 0), features)
    train, validation = _store(request, request.train, features, renderer, views), None
    if request.validation is not None:
        # What was given as `augment` isn't part of the model, and so has no say outside training.
        plain = renderer if request.augment is None else None
        validation = _store(request, request.validation, features, plain, 0)
    _check_all_there([train, validation] if validation else [train])
    return train, validation


def _features(
    request: _Request, store: Store, sample: np.ndarray, renderer: Renderer | None, boundary: Boundary
) -> ArrayFeatures:
    """What the frozen part's output is kept as, and the engine that computes it; tried on a few of the samples."""
    inputs = sample[:SAMPLE] if renderer is None else renderer.plain(sample[:SAMPLE])
    prefix = _with_known_shape(boundary.prefix, inputs.shape[1:])
    network = fingerprint(prefix)
    engine = choose_engine(prefix, network, store, inputs.astype("float32"), request.engine, request.precision, _say)
    return ArrayFeatures(network, engine, store, tuple(prefix.outputs[0].shape)[1:])


def _with_known_shape(prefix: keras.Model, shape: tuple[int, ...]) -> keras.Model:
    """The prefix for inputs of this shape, which a network built for any size leaves open."""
    import keras

    if None not in tuple(prefix.inputs[0].shape)[1:]:
        return prefix
    inputs = keras.Input(shape, dtype=prefix.inputs[0].dtype)
    return keras.Model(inputs, prefix(inputs))


def _store(request: _Request, samples: Samples, features: ArrayFeatures, renderer: Any, views: int) -> Stored:
    import keras

    bar = None if request.quiet else keras.utils.Progbar(samples.count, unit_name="sample")
    stored = store_features(samples, features, renderer, views, bar.add if bar else lambda count: None)
    if stored.y is not None:
        check_targets(request.model, stored.y)
    return stored


def _check_all_there(parts: list[Stored]) -> None:
    """Samples of a dataset are counted while they are stored, and the store drops what its budget has no room for."""
    store = parts[0].features.store
    if any(store.missing(keys) for part in parts for keys in part.keys):
        _check_room(sum(part.count * len(part.keys) for part in parts), parts[0].features)
        raise Unstorable("the store dropped features to stay within its budget; it is full of others")


def _check_room(count: int, features: ArrayFeatures) -> None:
    needed, budget = count * features.feature_bytes, features.store.budget_bytes
    if needed > budget:
        raise Unstorable(
            f"{needed / 1e9:,.1f} GB of features are more than the {budget / 1e9:,.1f} GB that the store may take"
        )


def _frozen_part(boundary: Boundary, parts: list[Stored], seconds: float) -> FrozenPart:
    computed = sum(part.computed for part in parts)
    wanted = sum(part.count * len(part.keys) for part in parts)
    return FrozenPart(boundary.layer, parts[0].features.engine.identity, computed, wanted - computed, seconds)


def _training_arguments(request: _Request, stored: Stored, first_epoch: int) -> dict[str, Any]:
    shuffle = request.train.shuffle(request.shuffle, reordered=stored.reordered)
    size = (request.batch_size or 32) if isinstance(request.train, ArraySamples) else None
    return training_data(stored, shuffle, size, first_epoch)


def _validation_argument(request: _Request, stored: Stored, batch_size: int | None) -> Any:
    size = (batch_size or 32) if isinstance(request.validation, ArraySamples) else None
    found = training_data(stored, False, size)
    if "batch_size" not in found:
        return found["x"]
    return tuple(found[name] for name in ("x", "y", "sample_weight") if name in found)


def _say(message: str) -> None:
    warnings.warn(message, HeadstartWarning, stacklevel=6)
