"""Probe or fine-tuned network? The probe unless a paired test on validation speaks for the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from headstart.evaluation.calibration import fit_temperature, softmax
from headstart.evaluation.comparison import SIGNIFICANCE, Comparison, compare_paired
from headstart.evaluation.metrics import accuracy, log_losses, score

Name = Literal["probe", "finetune"]


@dataclass(frozen=True)
class Candidate:
    """A classifier on the validation part.

    Attributes:
        logits: float32, shape (images, classes).
        labels: int, shape (images,).
        temperature: that calibrates it.
        more: logits of other views of the same images, shape (views, images, classes).
    """

    logits: np.ndarray
    labels: np.ndarray
    temperature: float
    more: Sequence[np.ndarray] = ()

    @classmethod
    def of(cls, logits: np.ndarray, labels: np.ndarray, more: Sequence[np.ndarray] = ()) -> Candidate:
        """A candidate with its temperature fitted."""
        return cls(logits, labels, fit_temperature(logits, labels), more)

    @property
    def probabilities(self) -> np.ndarray:
        """Calibrated, float64, shape (images, classes)."""
        return softmax(self.logits, self.temperature)

    def losses(self) -> np.ndarray:
        """The calibrated log loss of each image, averaged over its views; float64, shape (images,)."""
        return np.asarray(np.mean([log_losses(found, self.labels) for found in self._in_views()], axis=0))

    def accuracy(self) -> float:
        """The share of right answers over all views."""
        return float(np.mean([accuracy(found, self.labels) for found in self._in_views()]))

    def _in_views(self) -> list[np.ndarray]:
        return [softmax(logits, self.temperature) for logits in (self.logits, *self.more)]

    def scores(self) -> dict[str, float]:
        """Every measure on the plain validation images, by name."""
        return {**score(self.probabilities, self.labels), "n": len(self.labels)}


@dataclass(frozen=True)
class Decision:
    """Which candidate is the answer, why, and the test that it rests on; None where there was nothing to compare."""

    chosen: Name
    reason: str
    comparison: Comparison | None


def decide(probe: Candidate, finetuned: Candidate | None, why_not: str, seed: int) -> Decision:
    """Choose between the two.

    Fine-tuning must lower the calibrated log loss significantly (one-sided, p < 0.05) without lowering accuracy. The
    log loss is compared because it takes in how sure each answer is, and so sees a difference that a few hundred
    right-or-wrong answers can't show. Both are averaged over an image's views for the same reason: what a classifier
    makes of one rendering is partly chance.

    Args:
        probe: the incumbent.
        finetuned: the challenger on the same views of the same images, or None where there is none.
        why_not: why there is none.
        seed: of the permutation test.
    """
    if finetuned is None:
        return Decision("probe", why_not, None)
    comparison = compare_paired(probe.losses(), finetuned.losses(), seed)
    before, after = probe.accuracy(), finetuned.accuracy()
    views = f" in {len(probe.more) + 1} views each" if len(probe.more) else ""
    measured = (
        f"on {len(probe.labels)} validation images{views} fine-tuning changes the log loss by {-comparison.gain:+.3f} "
        f"(p = {comparison.p_value:.2g}) and accuracy from {before:.1%} to {after:.1%}"
    )
    if comparison.is_significant and after >= before:
        return Decision("finetune", measured, comparison)
    missing = f"the gain could be chance (p must be below {SIGNIFICANCE})"
    if comparison.is_significant:
        missing = "fewer answers are right"
    return Decision("probe", f"{measured}: {missing}", comparison)
