"""Fine-tuning: training what lies above a cut, from stored features of several views.

The recipe is LP-FT (Kumar et al. 2022, arXiv:2202.10054): start from the probe's weights, so that the first steps
don't tear up the features to make up for a random head. BatchNorm stays in inference mode, the learning rate warms up
and decays, and the epoch with the smallest validation loss is what remains; epoch 0 is where it starts. At last the
weights are interpolated between the probe's and those of that epoch (WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903),
as far as validation finds best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.evaluation.calibration import softmax
from headstart.evaluation.metrics import accuracy, log_loss
from headstart.features.arrays import ArrayFeatures
from headstart.features.boundary import suffix
from headstart.features.extract import FeatureSet
from headstart.images.views import PLAIN, View
from headstart.learn.freeze import freeze_batch_norm, freeze_below
from headstart.learn.heads import attach_training_head, fold_training_head
from headstart.learn.probe import Probe
from headstart.learn.stored import Stored, batch_sizes, feature_batches
from headstart.learn.suffix_training import fit_suffix

if TYPE_CHECKING:
    import keras

BATCH_SIZE = 32
WARM_UP_SHARE = 0.1
PREDICT_BATCH = 64
# Shares of the way from the probe to the best epoch; ties go to the nearer one.
INTERPOLATIONS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Recipe:
    """How to fine-tune.

    Attributes:
        cut: the layer above which everything is trained; not above `detail`.
        views: renderings of each image, the plain one first; each epoch draws one a training image.
        epochs: passes over the training images.
        detail: the stage whose map is pooled beside the last one, as for the probe.
        batch_size: images a step.
        learning_rate: of AdamW, at its peak.
        weight_decay: of AdamW.
        dropout: share of the pooled features that a training step leaves out.
        label_smoothing: share of the target spread over all classes (Szegedy et al. 2016).
        seed: of the order of images, of the views and of dropout.
        test_views: those of `views` that the network's logits are averaged over where it is used, and judged by here.
    """

    cut: str
    views: tuple[View, ...]
    epochs: int
    detail: str | None = None
    batch_size: int = BATCH_SIZE
    learning_rate: float = 2e-4
    weight_decay: float = 1e-4
    dropout: float = 0.5
    label_smoothing: float = 0.0
    seed: int = 0
    test_views: tuple[View, ...] = (PLAIN,)

    def averaged(self, logits: np.ndarray) -> np.ndarray:
        """The mean over the test views of logits in all views, shape (views, images, classes)."""
        places = [self.views.index(view) for view in self.test_views]
        return np.asarray(logits[places].mean(axis=0))


@dataclass(frozen=True)
class Labelled:
    """Labelled images by the sha256 of their files; labels int, shape (images,)."""

    digests: Sequence[str]
    labels: np.ndarray


@dataclass(frozen=True)
class Epoch:
    """A line of the training curve; the training loss of epoch 0, before any step, is None."""

    epoch: int
    loss: float | None
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class FineTuned:
    """What fine-tuning came to.

    Attributes:
        model: from images to logits; it shares its layers with the base.
        start_logits: of the validation images in each of the recipe's views before any step, float32, shape (views,
            images, classes).
        validation_logits: likewise, of the model.
        history: one entry an epoch, the probe's first.
        best_epoch: the one with the smallest validation loss.
        interpolation: how far the model has gone from the probe to that epoch, 0 to 1.
    """

    model: keras.Model
    start_logits: np.ndarray
    validation_logits: np.ndarray
    history: tuple[Epoch, ...]
    best_epoch: int
    interpolation: float


def finetune(
    base: keras.Model,
    recipe: Recipe,
    features: FeatureSet,
    probe: Probe,
    train: Labelled,
    validation: Labelled,
    advance: Callable[[int], None] = lambda count: None,
) -> FineTuned:
    """Train the part of a base above the recipe's cut, with a head on it; the base's own layers change.

    Args:
        base: a pretrained network without its top.
        recipe: how.
        features: outputs of the cut, stored for the training and the validation images in all the recipe's views.
        probe: the head to start from.
        train: what is learned from.
        validation: what the best epoch is chosen by.
        advance: called with the number of images trained on since the last call.
    """
    model = attach_training_head(base, probe, recipe.seed, recipe.detail, recipe.dropout)
    freeze_batch_norm(model)
    freeze_below(model, recipe.cut)
    top = suffix(model, recipe.cut)
    start = top.get_weights()
    sizes = batch_sizes(len(train.digests), recipe.batch_size)
    batches = _batches(recipe, features, train, top, sizes, classes=probe.bias.size)
    _compile(model, recipe, steps=recipe.epochs * len(batches))
    in_views = partial(_predict, top, features, validation)
    start_logits = np.stack([in_views(view) for view in recipe.views])
    judged = partial(_mean_logits, in_views, recipe.test_views)
    best = _Best(top, validation)
    best.see(recipe.averaged(start_logits), epoch=0, loss=None)
    watch = _watch(lambda epoch, loss: best.see(judged(), epoch, loss), advance, sizes)
    settings = {"x": batches, "epochs": recipe.epochs, "shuffle": False}
    fit_suffix(model, top, [watch], settings, verbose=0, steps=len(batches))
    share = _interpolate(top, start, best.weights, judged, validation)
    logits = np.stack([in_views(view) for view in recipe.views])
    folded = fold_training_head(model, base, probe, recipe.detail)
    return FineTuned(folded, start_logits, logits, tuple(best.history), best.epoch, share)


def _interpolate(
    top: keras.Model,
    start: list[np.ndarray],
    end: list[np.ndarray],
    predict: Callable[[], np.ndarray],
    validation: Labelled,
) -> float:
    """Leave the model where validation loss is smallest on the way from one set of weights to another.

    Returns:
        The share of the way.
    """
    losses: dict[float, float] = {}
    for share in INTERPOLATIONS:
        top.set_weights(_between(start, end, share))
        losses[share] = log_loss(softmax(predict()), validation.labels)
    chosen = min(losses, key=lambda share: losses[share])
    top.set_weights(_between(start, end, chosen))
    return chosen


def _between(start: list[np.ndarray], end: list[np.ndarray], share: float) -> list[np.ndarray]:
    # In this form weights that are equal at both ends, such as BatchNorm's, stay exactly as they are.
    return [b if share == 1 else a + share * (b - a) for a, b in zip(start, end, strict=True)]


def _compile(model: keras.Model, recipe: Recipe, steps: int) -> None:
    import keras

    warm_up = max(1, round(WARM_UP_SHARE * steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warm_up), warmup_target=recipe.learning_rate, warmup_steps=warm_up
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    # XLA compiles depthwise convolutions for the CPU into slower code.
    model.compile(optimizer, loss, jit_compile=False)


class _Best:
    """Watches the validation part and remembers the weights that did best on it."""

    def __init__(self, top: keras.Model, validation: Labelled) -> None:
        self._top = top
        self._labels = validation.labels
        self.weights: list[np.ndarray] = []
        self.history: list[Epoch] = []
        self.epoch = -1

    def see(self, logits: np.ndarray, epoch: int, loss: float | None) -> None:
        probabilities = softmax(logits)
        found = Epoch(epoch, loss, log_loss(probabilities, self._labels), accuracy(probabilities, self._labels))
        if not self.history or found.validation_loss < self.history[self.epoch].validation_loss:
            self.epoch, self.weights = epoch, self._top.get_weights()
        self.history.append(found)


def _batches(
    recipe: Recipe, features: FeatureSet, train: Labelled, top: keras.Model, sizes: tuple[int, ...], classes: int
) -> keras.utils.PyDataset:
    """Epochs of each image once, in one of its views; order and views depend on seed and epoch only."""
    at_cut = ArrayFeatures(features.network, features.engine, features.store, tuple(top.inputs[0].shape)[1:])
    keys = tuple([features.key(digest, view) for digest in train.digests] for view in recipe.views)
    targets = np.eye(classes, dtype=np.float32)[train.labels]
    stored = Stored(at_cut, keys, targets, None, sizes, reordered=False, computed=0)
    return feature_batches(stored, True, sizes, recipe.seed)


def _watch(see: Callable[[int, float], None], advance: Callable[[int], None], sizes: tuple[int, ...]) -> Any:
    """A callback that reports progress, and each epoch's number, from 1 on, with its mean training loss."""
    import keras

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            advance(sizes[batch])

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            see(epoch + 1, float((logs or {})["loss"]))

    return Watch()


def _predict(top: keras.Model, features: FeatureSet, part: Labelled, view: View) -> np.ndarray:
    """What a suffix gives for one view of a part's images, read from the store a batch at a time."""
    found = []
    for start in range(0, len(part.digests), PREDICT_BATCH):
        pairs = [(digest, view) for digest in part.digests[start : start + PREDICT_BATCH]]
        found.append(np.asarray(top.predict_on_batch(features.load(pairs).astype(np.float32))))
    return np.concatenate(found)


def _mean_logits(in_view: Callable[[View], np.ndarray], views: Sequence[View]) -> np.ndarray:
    return np.asarray(np.mean([in_view(view) for view in views], axis=0))
