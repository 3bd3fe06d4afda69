"""Images whose label is likely wrong, the likeliest first.

By confident learning (Northcutt, Jiang and Chuang 2021, arXiv:1911.00068): a probe says of each image, held out, how
probable each class is. For each class, the mean probability that it gets on images labelled so is its threshold. Where
another class passes its own threshold on an image, the label is a suspect; the margin between the two ranks them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Of a number, how many of the usual deviations an image may be off.
FAR_OFF = 4.0


@dataclass(frozen=True)
class Suspect:
    """An image that is likely labelled wrongly.

    Attributes:
        place: of the image.
        output: of the class that is likelier, or of the label that is likelier there (or not there) than said.
        margin: by how much that is likelier than what the label says, 0 to 1; of numbers, how many deviations off.
    """

    place: int
    output: int
    margin: float


def suspect_classes(probabilities: np.ndarray, labels: np.ndarray) -> list[Suspect]:
    """Suspects among images of one class each.

    Args:
        probabilities: of held-out images, shape (images, classes); NaN for those that weren't held out.
        labels: int, shape (images,).
    """
    known = ~np.isnan(probabilities[:, 0])
    classes = probabilities.shape[1]
    thresholds = np.array([_mean(probabilities[known & (labels == each), each]) for each in range(classes)])
    found = []
    for place in np.flatnonzero(known):
        others = np.where(probabilities[place] >= thresholds, probabilities[place], -1.0)
        others[labels[place]] = -1.0
        other = int(others.argmax())
        margin = float(others[other] - probabilities[place, labels[place]])
        if others[other] >= 0 and margin > 0:
            found.append(Suspect(int(place), other, margin))
    return sorted(found, key=lambda suspect: (-suspect.margin, suspect.place))


def suspect_labels(probabilities: np.ndarray, targets: np.ndarray) -> list[Suspect]:
    """Suspects among images of several labels each: the label most in doubt of each, one against the rest.

    Args:
        probabilities: of held-out images, shape (images, labels); NaN for those that weren't held out.
        targets: 0 or 1, shape (images, labels).
    """
    found: dict[int, Suspect] = {}
    for label in range(probabilities.shape[1]):
        present = probabilities[:, label]
        both = np.stack([1 - present, present], axis=1)
        for suspect in suspect_classes(both, targets[:, label].astype(np.int64)):
            worst = found.get(suspect.place)
            if worst is None or worst.margin < suspect.margin:
                found[suspect.place] = Suspect(suspect.place, label, suspect.margin)
    return sorted(found.values(), key=lambda suspect: (-suspect.margin, suspect.place))


def suspect_numbers(predicted: np.ndarray, targets: np.ndarray) -> list[Suspect]:
    """Images whose number is far from what is predicted, in robust deviations of that difference.

    Args:
        predicted: of held-out images, shape (images,); NaN for those that weren't held out.
        targets: shape (images,).
    """
    off = np.abs(predicted - targets)
    usual = 1.4826 * float(np.nanmedian(off)) if not np.isnan(off).all() else 0.0
    if usual <= 0:
        return []
    found = [Suspect(int(place), 0, float(off[place] / usual)) for place in np.flatnonzero(off > FAR_OFF * usual)]
    return sorted(found, key=lambda suspect: (-suspect.margin, suspect.place))


def _mean(values: np.ndarray) -> float:
    """Above any probability where there are none, so that nothing passes."""
    return float(values.mean()) if len(values) else 2.0
