"""Classes of unequal size: how unequal they are, what can be done about it, and whether that helps.

A classifier that learns from nine healthy images for each ill one learns, beside what they look like, that an image is
healthy until it is proven ill. Where a rare class matters as much as a common one, that costs most of its images. Three
remedies take it away, so that the answer is the class that is most probable if all were equally common:

- "weights": in training, an image counts the more, the fewer there are of its class.
- "sampling": an epoch draws as many images of each class. To a convex fit, which sees all images at once, that is the
  same as weights in expectation, so there it is weights.
- "logits": logit adjustment (Menon et al. 2021, arXiv:2007.07314). From each logit goes the logarithm of its class's
  share. A probe is fitted as it is and adjusted afterwards. In fine-tuning the loss adds to the logits what was taken
  off, their logit-adjusted loss; as the last layer has a bias, that is the same as adjusting afterwards. Their tau is
  1, the one value that is right for balanced accuracy whatever the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from headstart.evaluation.comparison import Comparison, compare_paired
from headstart.evaluation.metrics import equal_class_weights

Balance = Literal["none", "weights", "sampling", "logits"]
BALANCES: tuple[Balance, ...] = get_args(Balance)
Asked = Literal["auto", Balance]
ASKED: tuple[Asked, ...] = ("auto", *BALANCES)
NAMES: dict[Balance, str] = {
    "none": "as they are",
    "weights": "class weights",
    "sampling": "balanced sampling",
    "logits": "logit adjustment",
}
# Of the largest class to the smallest. Up to it, nothing is done.
MOST_SKEW = 3.0
# What is tried above it, the simplest first: the later ones must be better than those before, beyond chance.
TRIED: tuple[Balance, ...] = ("none", "logits", "weights")


@dataclass(frozen=True)
class Balancing:
    """What is done about classes of unequal size, and why.

    Attributes:
        kind: the remedy.
        reason: why this one.
        skew: how many times as many images the largest class has as the smallest.
        balanced_accuracy: on held-out folds, of each remedy tried; empty where nothing was compared.
    """

    kind: Balance = "none"
    reason: str = "not asked for"
    skew: float = 1.0
    balanced_accuracy: dict[Balance, float] = field(default_factory=dict)


NOT_BALANCED = Balancing()


def skew_of(labels: np.ndarray) -> float:
    """How many times as many images the largest class has as the smallest of those present."""
    counts = np.bincount(labels)
    return float(counts.max() / counts[counts > 0].min())


def is_skewed(skew: float) -> bool:
    """Whether something should be done about it."""
    return skew > MOST_SKEW


def to_try(labels: np.ndarray, asked: Asked) -> tuple[Balance, ...]:
    """The remedies to compare: the one that is asked for, or all that these labels call for."""
    if asked != "auto":
        return (asked,)
    return TRIED if is_skewed(skew_of(labels)) else ("none",)


def choose_balance(
    held_out: Mapping[Balance, np.ndarray], held_out_labels: np.ndarray, labels: np.ndarray, asked: Asked, seed: int
) -> Balancing:
    """The remedy with the best balanced accuracy on held-out images, or a simpler one where the rest could be chance.

    Args:
        held_out: of each remedy in `TRIED`, logits of held-out images, shape (images, classes); empty where there are
            too few images to hold any out.
        held_out_labels: theirs, int, shape (images,).
        labels: of all training images, by which they are more or less skewed.
        asked: what the user says.
        seed: of the permutation tests.
    """
    skew = skew_of(labels)
    if asked != "auto":
        return Balancing(asked, "as asked", skew)
    ratio = f"the largest class has {skew:.1f} times the images of the smallest"
    if not is_skewed(skew):
        return Balancing("none", f"{ratio}; up to {MOST_SKEW:g} times nothing is done", skew)
    if not held_out:
        return Balancing("none", f"{ratio}, and too few to measure what would help", skew)
    return _best(held_out, held_out_labels, skew, ratio, seed)


def _best(held_out: Mapping[Balance, np.ndarray], labels: np.ndarray, skew: float, ratio: str, seed: int) -> Balancing:
    """Each remedy must beat the one that leads so far in a paired test, as fine-tuning must beat the probe."""
    # An image's loss is its share in balanced inaccuracy, so that the mean over all images is that.
    weights = equal_class_weights(labels)
    losses = {kind: weights * (logits.argmax(axis=1) != labels) for kind, logits in held_out.items()}
    leader, *challengers = (kind for kind in TRIED if kind in losses)
    tests: dict[Balance, Comparison] = {}
    for kind in challengers:
        tests[kind] = compare_paired(losses[leader], losses[kind], seed)
        leader = kind if tests[kind].is_significant else leader
    found: dict[Balance, float] = {kind: 1 - float(lost.mean()) for kind, lost in losses.items()}
    told = ", ".join(
        f"{found[kind]:.1%} {NAMES[kind] if kind == 'none' else 'with ' + NAMES[kind]}"
        + (f" (p = {tests[kind].p_value:.2g})" if kind in tests else "")
        for kind in found
    )
    doubt = "" if found[leader] == max(found.values()) else "; what is more could be chance"
    return Balancing(leader, f"{ratio}; balanced accuracy in cross-validation is {told}{doubt}", skew, found)


def fitting_weights(labels: np.ndarray, balance: Balance, weights: np.ndarray | None = None) -> np.ndarray | None:
    """How much each image counts in a fit to all of them at once; None for all alike.

    Args:
        labels: classes, int, shape (images,); where nothing is balanced, they may be of another kind.
        balance: what is done about classes of unequal size.
        weights: how much each image counts besides; None for all alike.
    """
    if balance not in ("weights", "sampling"):
        return weights
    of_classes = equal_class_weights(labels, weights)
    return of_classes if weights is None else weights * of_classes


def drawn_weights(labels: np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
    """How much each image counts once `balanced_draw` has drawn it: as much as said, but 1 on average in each class."""
    if weights is None:
        return None
    return np.asarray(weights * np.bincount(labels)[labels] / np.bincount(labels, weights)[labels])


def measuring_weights(labels: np.ndarray, balance: Balance) -> np.ndarray | None:
    """How much each image counts when something is chosen or calibrated; None for all alike.

    Once a remedy is in force, probabilities are those of a world where all classes are equally common, so they are
    judged by images that stand for that world.
    """
    return None if balance == "none" else equal_class_weights(labels)


def adjustment(labels: np.ndarray, classes: int, balance: Balance, weights: np.ndarray | None = None) -> np.ndarray:
    """What is taken off the logits: the logarithm of each class's share, float32, shape (classes,); 0 on average.

    Every class occurs. Without logit adjustment it is 0. Where images have weights, shares are what was learned: those
    of the weights.
    """
    if balance != "logits":
        return np.zeros(classes, np.float32)
    priors = np.log(np.bincount(labels, weights, minlength=classes))
    return np.asarray(priors - priors.mean(), np.float32)


def balanced_draw(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    """As many images as there are, with as many of each class as of any other, in random order; indices, int.

    No image of a class is drawn once more before all others of the class have been drawn as often.
    """
    classes = np.unique(labels)
    quotas = np.full(len(classes), len(labels) // len(classes))
    # Which classes give one more is drawn too, so that over the epochs none is favoured.
    quotas[rng.permutation(len(classes))[: len(labels) % len(classes)]] += 1
    drawn = [_repeat(rng, np.flatnonzero(labels == label), quota) for label, quota in zip(classes, quotas, strict=True)]
    return rng.permutation(np.concatenate(drawn))


def _repeat(rng: np.random.Generator, images: np.ndarray, quota: int) -> np.ndarray:
    rounds = -(-quota // len(images))
    return np.concatenate([rng.permutation(images) for _ in range(rounds)])[:quota]
