"""The loss that fits a task, and weights for classes of unequal size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from headstart.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    import keras

Task = Literal["multi-class", "multi-label", "regression"]
Labels = Literal["one-hot", "integers"]
Error = Literal["squared", "absolute"]


def make_loss(
    task: Task,
    *,
    labels: Labels = "one-hot",
    focal: float | None = None,
    label_smoothing: float = 0.0,
    from_logits: bool = False,
    error: Error = "squared",
) -> keras.losses.Loss:
    """The loss for a task, ready for `model.compile`.

    Args:
        task: "multi-class" (one class an image), "multi-label" (any number of them) or "regression" (numbers).
        labels: how classes are given: "one-hot", float or integer, shape (batch, classes), several ones a row for
            "multi-label"; or "integers", shape (batch,) or (batch, 1), for "multi-class" alone.
        focal: how strongly what is already right counts less, the paper's gamma, usually 2 (Lin et al. 2017,
            arXiv:1708.02002); None for plain cross-entropy. At 0 it is the plain one.
        label_smoothing: share of the target that is spread over all classes, from 0 to below 1 (Szegedy et al. 2016,
            arXiv:1512.00567).
        from_logits: whether the model gives logits rather than probabilities.
        error: of a regression, "squared" or "absolute".

    Raises:
        UsageError: these settings make no sense together.
        UnknownNameError: there is no such task, kind of labels or error.
    """
    for kind, name, offered in (("task", task, Task), ("kind of labels", labels, Labels), ("error", error, Error)):
        if name not in get_args(offered):
            raise UnknownNameError(kind, name, get_args(offered))
    _check_numbers(focal, label_smoothing)
    if task == "regression":
        _refuse_for_regression(labels, focal, label_smoothing, from_logits)
        return _regression_loss(error)
    if error != "squared":
        raise UsageError(f"an error {error!r} belongs to regression, not to {task}", "leave error out")
    if task == "multi-label":
        return _multi_label_loss(labels, focal, label_smoothing, from_logits)
    return _multi_class_loss(labels, focal, label_smoothing, from_logits)


def class_weights(labels: Any) -> dict[int, float]:
    """Weights that let every class count as much as any other, for `class_weight` of `fit`.

    A class's weight is images / (classes × images of the class), as scikit-learn's "balanced" weights are, so that they
    are 1 on average over the images.

    Args:
        labels: a class an image: integers, shape (images,) or (images, 1), or one-hot, shape (images, classes).

    Returns:
        The weight of each class that there is an image of; Keras weighs others, which it never meets, by 1.

    Raises:
        UsageError: the labels are none, or aren't classes.
    """
    numbers, counts = np.unique(_class_numbers(np.asarray(labels)), return_counts=True)
    weights = counts.sum() / (len(numbers) * counts)
    return {int(number): float(weight) for number, weight in zip(numbers, weights, strict=True)}


def _class_numbers(labels: Any) -> Any:
    if labels.size == 0:
        raise UsageError("there are no labels to weigh", "pass the training labels")
    if labels.ndim == 2 and labels.shape[1] > 1:
        if not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()):
            raise UsageError(
                "labels with several columns are one-hot, a single 1 in each row, and these aren't",
                "pass the classes as integers; weights for several labels an image have no single definition",
            )
        return labels.argmax(axis=1)
    if labels.ndim > 2 or not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise UsageError(
            f"labels are whole numbers from 0 on, shape (images,), not {labels.dtype} of shape {labels.shape}",
            "number the classes first, as numpy.unique(labels, return_inverse=True) does",
        )
    return labels.ravel()


def _check_numbers(focal: float | None, label_smoothing: float) -> None:
    if not 0 <= label_smoothing < 1:
        raise UsageError(f"label_smoothing is a share, not {label_smoothing}", "give a number from 0 to below 1")
    if focal is not None and not 0 <= focal < float("inf"):
        raise UsageError(f"focal is the focal loss's gamma, not {focal}", "give a number from 0 on, usually 2")


def _refuse_for_regression(labels: Labels, focal: float | None, label_smoothing: float, from_logits: bool) -> None:
    settings = {"labels": labels == "integers", "focal": focal is not None, "label_smoothing": label_smoothing != 0}
    given = [name for name, is_given in (settings | {"from_logits": from_logits}).items() if is_given]
    if given:
        raise UsageError(f"regression has no classes, so {' and '.join(given)} can't be had", "leave it out")


def _regression_loss(error: Error) -> keras.losses.Loss:
    from keras import losses

    return losses.MeanSquaredError() if error == "squared" else losses.MeanAbsoluteError()


def _multi_label_loss(
    labels: Labels, focal: float | None, label_smoothing: float, from_logits: bool
) -> keras.losses.Loss:
    from keras import losses

    if labels == "integers":
        raise UsageError(
            "with several labels an image, one integer can't name them", "pass rows of 0 and 1, and labels='one-hot'"
        )
    if focal is None:
        return losses.BinaryCrossentropy(from_logits=from_logits, label_smoothing=label_smoothing)
    return losses.BinaryFocalCrossentropy(gamma=focal, from_logits=from_logits, label_smoothing=label_smoothing)


def _multi_class_loss(
    labels: Labels, focal: float | None, label_smoothing: float, from_logits: bool
) -> keras.losses.Loss:
    from keras import losses

    if labels == "integers":
        if focal is None and label_smoothing == 0:
            return losses.SparseCategoricalCrossentropy(from_logits=from_logits)
        from headstart.learn.sparse_loss import SparseCategoricalLoss

        return SparseCategoricalLoss(focal=focal, label_smoothing=label_smoothing, from_logits=from_logits)
    if focal is None:
        return losses.CategoricalCrossentropy(from_logits=from_logits, label_smoothing=label_smoothing)
    # Keras would also multiply by an alpha of 0.25, the same for all classes: that only makes the rate smaller.
    return losses.CategoricalFocalCrossentropy(
        alpha=1.0, gamma=focal, from_logits=from_logits, label_smoothing=label_smoothing
    )
