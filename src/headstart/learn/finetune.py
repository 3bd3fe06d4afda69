"""Fine-tuning: training what lies above a cut, from stored features of several views.

The recipe is LP-FT (Kumar et al. 2022, arXiv:2202.10054): start from the probe's weights, so that the first steps
don't tear up the features to make up for a random head. BatchNorm stays in inference mode, the learning rate warms up
and decays, and the epoch with the smallest validation loss is what remains; epoch 0 is where it starts. At last the
weights are interpolated between the probe's and those of that epoch (WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903),
as far as validation finds best.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.features.arrays import ArrayFeatures, digest_of
from headstart.features.boundary import suffix
from headstart.features.extract import FeatureSet
from headstart.images.views import PLAIN, View
from headstart.learn.checkpoint import Checkpoints
from headstart.learn.course import Course, Epoch
from headstart.learn.freeze import freeze_batch_norm, freeze_below
from headstart.learn.heads import attach_training_head, fold_training_head
from headstart.learn.imbalance import (
    Balance,
    adjustment,
    balanced_draw,
    drawn_weights,
    fitting_weights,
    measuring_weights,
)
from headstart.learn.labelled import Labelled, normalised
from headstart.learn.mixup import mixed
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
# Each epoch is judged by so many test views at most: by eight, judging takes as long as training does.
MOST_JUDGED = 1
# Where only a part of the views judges, a loss higher than the best epoch's by this share of it is still as good: the
# last epoch is then taken, which the falling rate makes a good one.
AS_GOOD = 0.03


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
        mixup: the parameter of MixUp; 0 for none.
        seed: of the order of images, of the views and of dropout.
        balance: what is done about classes of unequal size; the probe to start from was balanced likewise.
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
    mixup: float = 0.0
    seed: int = 0
    balance: Balance = "none"
    test_views: tuple[View, ...] = (PLAIN,)

    @property
    def judged(self) -> tuple[View, ...]:
        """The test views that each epoch is judged by."""
        return self.test_views[:MOST_JUDGED]

    @property
    def looks_at_last(self) -> int:
        """Views of the validation part that are looked at after the last step: on the way from the probe, and there."""
        return (len(INTERPOLATIONS) - 2) * len(self.judged) + len(self.views)

    def averaged(self, logits: np.ndarray) -> np.ndarray:
        """The mean over the test views of logits in all views, shape (views, images, classes)."""
        return self.mean_over(self.test_views, logits)

    def mean_over(self, views: Sequence[View], logits: np.ndarray) -> np.ndarray:
        """The mean over some views of logits in all views, shape (views, images, classes)."""
        return np.asarray(logits[[self.views.index(view) for view in views]].mean(axis=0))


@dataclass(frozen=True)
class FineTuned:
    """What fine-tuning came to.

    Attributes:
        model: from images to logits; it shares its layers with the base.
        start_logits: of the validation images in each of the recipe's views before any step, float32, shape (views,
            images, classes).
        validation_logits: likewise, of the model.
        history: one entry an epoch, the probe's first.
        best_epoch: the one with the smallest validation loss; where only a part of the views judged, the last one if
            its loss is about as small.
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
    checkpoints: Checkpoints | None = None,
    deadline: float = math.inf,
    start_logits: np.ndarray | None = None,
) -> FineTuned:
    """Train the part of a base above the recipe's cut, with a head on it; the base's own layers change.

    Interrupted after some epochs and called again with the same arguments, it goes on from the last one that was
    finished, and comes to the same weights, bit for bit. A call that had finished leaves nothing to train.

    Args:
        base: a pretrained network without its top.
        recipe: how.
        features: outputs of the cut, stored for the training and the validation images in all the recipe's views.
        probe: the head to start from.
        train: what is learned from; images of weight 0 aren't.
        validation: what the best epoch is chosen by.
        advance: called with the number of images trained on since the last call; first, if there are any, with those of
            the epochs that a checkpoint has.
        checkpoints: where each epoch is kept until somebody removes it; None to keep none.
        deadline: in seconds of `time.monotonic`, when the best so far must do.
        start_logits: the probe's, of the validation images in each of the recipe's views, if they are known already.
    """
    train = train.learned_from
    model = attach_training_head(base, probe, recipe.seed, recipe.detail, recipe.dropout)
    freeze_batch_norm(model)
    freeze_below(model, recipe.cut)
    top = suffix(model, recipe.cut)
    start = top.get_weights()
    sizes = batch_sizes(len(train.digests), recipe.batch_size)
    _compile(model, recipe, recipe.epochs * len(sizes), train, classes=probe.bias.size)
    identity = _identity(recipe, features, probe, train, validation, start)
    checkpoint = checkpoints.of(*identity) if checkpoints else None
    judge = _Judge(top, recipe, features, validation)
    shape = (len(recipe.views), len(validation.digests), probe.bias.size)
    course = Course(model, top, validation.kind, validation.labels, judge.weights, shape, checkpoint)
    resumed = course.resume()
    if not resumed:
        course.start(judge.in_views() if start_logits is None else start_logits, judge.judged)
    if deadline < math.inf:
        judge.mean()  # so that it is known how long that takes
    if course.done:
        advance(course.done * len(train.digests))
    if course.done < recipe.epochs:
        batches = _batches(recipe, features, train, top, sizes, probe.bias.size, first_epoch=course.done)
        watch = _watch(
            lambda epoch, loss: course.see(judge.mean(), epoch, loss),
            advance,
            sizes,
            lambda: time.monotonic() + recipe.looks_at_last * judge.seconds > deadline,
        )
        settings = {"x": batches, "epochs": recipe.epochs, "initial_epoch": course.done, "shuffle": False}
        fit_suffix(model, top, [watch], settings, verbose=0, steps=len(batches))
    best_epoch, end = _best_end(judge, course)
    share, logits = _interpolate(judge, course, start, end, best_epoch)
    folded = fold_training_head(model, base, probe, recipe.detail)
    return FineTuned(folded, course.start_logits, logits, tuple(course.history), best_epoch, share)


class _Judge:
    """What is made of the validation part by the weights that a suffix has at the moment.

    Attributes:
        top: the suffix.
        weights: how much each image counts; None for all alike.
        seconds: that looking at a view of the part took the last time.
    """

    def __init__(self, top: keras.Model, recipe: Recipe, features: FeatureSet, validation: Labelled) -> None:
        self.top = top
        self.weights = measuring_weights(validation.labels, recipe.balance)
        self.seconds = 0.0
        self._recipe, self._features, self._validation = recipe, features, validation

    def in_views(self) -> np.ndarray:
        """Logits in each of the recipe's views, shape (views, images, classes)."""
        return self._look(self._recipe.views)

    def mean(self) -> np.ndarray:
        """Logits averaged over the views that each epoch is judged by."""
        return np.asarray(self._look(self._recipe.judged).mean(axis=0))

    def judged(self, in_views: np.ndarray) -> np.ndarray:
        """The same, of logits in each view."""
        return self._recipe.mean_over(self._recipe.judged, in_views)

    def loss(self, logits: np.ndarray) -> float:
        """Of logits, shape (images, classes)."""
        return self._validation.kind.loss(logits, self._validation.labels, self.weights)

    @property
    def sees_all(self) -> bool:
        """Whether epochs are judged by all test views."""
        return self._recipe.judged == self._recipe.test_views

    def _look(self, views: Sequence[View]) -> np.ndarray:
        began = time.monotonic()
        logits = _predict(self.top, self._features, self._validation, views)
        self.seconds = (time.monotonic() - began) / len(views)
        return logits


def _best_end(judge: _Judge, course: Course) -> tuple[int, list[np.ndarray]]:
    """The best epoch's number and weights, or the last one's."""
    best, last = course.history[course.best_epoch], course.history[-1]
    if judge.sees_all or last.validation_loss > (1 + AS_GOOD) * best.validation_loss:
        return course.best_epoch, course.best
    return last.epoch, judge.top.get_weights()


def _interpolate(
    judge: _Judge, course: Course, start: list[np.ndarray], end: list[np.ndarray], epoch: int
) -> tuple[float, np.ndarray]:
    """Leave the model where validation loss is smallest on the way from the start to the weights of an epoch.

    Returns:
        The share of the way, and the logits in each view there.
    """
    known = {0.0: course.history[0].validation_loss, 1.0: course.history[epoch].validation_loss}
    losses = {}
    for share in INTERPOLATIONS:
        judge.top.set_weights(_between(start, end, share))
        losses[share] = known[share] if share in known else judge.loss(judge.mean())
    chosen = min(losses, key=lambda share: losses[share])
    judge.top.set_weights(_between(start, end, chosen))
    return chosen, judge.in_views() if chosen else course.start_logits


def _between(start: list[np.ndarray], end: list[np.ndarray], share: float) -> list[np.ndarray]:
    # In this form weights that are equal at both ends, such as BatchNorm's, stay exactly as they are.
    return [b if share == 1 else a + share * (b - a) for a, b in zip(start, end, strict=True)]


def _compile(model: keras.Model, recipe: Recipe, steps: int, train: Labelled, classes: int) -> None:
    import keras

    warm_up = max(1, round(WARM_UP_SHARE * steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warm_up), warmup_target=recipe.learning_rate, warmup_steps=warm_up
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    loss = train.kind.keras_loss(recipe.label_smoothing)
    if recipe.balance == "logits":
        loss = _adjusted(loss, adjustment(train.labels, classes, recipe.balance, train.weights))
    # XLA compiles depthwise convolutions for the CPU into slower code.
    model.compile(optimizer, loss, jit_compile=False)


def _adjusted(loss: Any, taken_off: np.ndarray) -> Callable[[Any, Any], Any]:
    """The logit-adjusted loss (Menon et al. 2021): what the model takes off its logits is put on again to learn."""
    return lambda targets, logits: loss.call(targets, logits + taken_off)


def _identity(
    recipe: Recipe, features: FeatureSet, probe: Probe, train: Labelled, validation: Labelled, start: list[np.ndarray]
) -> list[str]:
    """Everything that fine-tuning depends on, in words; `start` are the weights before the first step."""
    kind = (features.spec.key, features.network, features.engine.identity, features.dtype)
    fitted = (probe.weights, probe.bias, probe.mean, probe.deviation)
    arrays = (digest_of(array).hex() for array in (train.labels, validation.labels, *fitted, *start))
    weights = [] if train.weights is None else ["weights", digest_of(train.weights).hex()]
    digests = *train.digests, "validation", *validation.digests
    return [repr(recipe), repr(train.kind), *kind, *digests, *weights, *arrays]


def _batches(
    recipe: Recipe,
    features: FeatureSet,
    train: Labelled,
    top: keras.Model,
    sizes: tuple[int, ...],
    classes: int,
    first_epoch: int,
) -> keras.utils.PyDataset:
    """Epochs of each image once, in one of its views; order and views depend on seed and epoch only.

    With balanced sampling an epoch has as many images, but as many of each class.
    """
    at_cut = ArrayFeatures(features.network, features.engine, features.store, tuple(top.inputs[0].shape)[1:])
    keys = tuple([features.key(digest, view) for digest in train.digests] for view in recipe.views)
    targets = train.kind.training_targets(train.labels, classes)
    is_sampled = recipe.balance == "sampling"
    said = normalised(train.weights)
    weights = drawn_weights(train.labels, said) if is_sampled else fitting_weights(train.labels, recipe.balance, said)
    stored = Stored(at_cut, keys, targets, weights, sizes, reordered=False, computed=0)
    draw = partial(balanced_draw, labels=train.labels) if is_sampled else None
    batches = feature_batches(stored, True, sizes, recipe.seed, first_epoch, draw)
    return mixed(batches, recipe.mixup, recipe.seed, first_epoch) if recipe.mixup else batches


def _watch(
    see: Callable[[int, float], None],
    advance: Callable[[int], None],
    sizes: tuple[int, ...],
    is_time_up: Callable[[], bool],
) -> Any:
    """A callback that reports progress, and each epoch's number, from 1 on, with its mean training loss.

    When time is up it ends training, in the middle of an epoch if need be.
    """
    import keras

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            advance(sizes[batch])
            if is_time_up():
                self.model.stop_training = True

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            see(epoch + 1, float((logs or {})["loss"]))

    return Watch()


def logits_in_views(
    model: keras.Model, cut: str, features: FeatureSet, part: Labelled, views: Sequence[View]
) -> np.ndarray:
    """What a network says of a part's images in each view, from features at one of its cuts.

    Args:
        model: from images to logits.
        cut: below which it is as it was when the features were computed.
        features: outputs of the cut, stored for these images in all these views.
        part: the images.
        views: their renderings.

    Returns:
        float32, shape (views, images, classes).
    """
    return _predict(suffix(model, cut), features, part, views)


def _predict(top: keras.Model, features: FeatureSet, part: Labelled, views: Sequence[View]) -> np.ndarray:
    """What a suffix gives for each view of a part's images, read from the store a batch at a time."""
    return np.stack([_predict_view(top, features, part, view) for view in views])


def _predict_view(top: keras.Model, features: FeatureSet, part: Labelled, view: View) -> np.ndarray:
    found = []
    for start in range(0, len(part.digests), PREDICT_BATCH):
        pairs = [(digest, view) for digest in part.digests[start : start + PREDICT_BATCH]]
        found.append(np.asarray(top.predict_on_batch(features.load(pairs).astype(np.float32))))
    return np.concatenate(found)
