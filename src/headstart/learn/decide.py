"""Probe or fine-tuned network? The probe unless a paired test on validation speaks for the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from headstart.evaluation.comparison import Comparison, compare_paired
from headstart.learn.kinds import CLASSES, Kind

Name = Literal["probe", "finetune"]
# Chance alone may give a gain so often before the probe stays. It is a choice between two, one of which must be taken,
# not a discovery: at 0.05 a few hundred validation images miss many a gain of two points. On the solar cells, tried by
# hand, of twelve fine-tuned networks with p from 0.05 to 0.2 ten did better on held-out images, one as well, one worse.
ACCEPTED = 0.2


@dataclass(frozen=True)
class Candidate:
    """A classifier, or what else a network may be, on the validation part.

    Attributes:
        logits: the network's scores, float32, shape (images, outputs).
        labels: targets of the kind, such as int, shape (images,).
        temperature: that calibrates it.
        more: logits of other views of the same images, shape (views, images, outputs).
        weights: how much each image counts, float, shape (images,), 1 on average; None for all alike. Where classes
            are balanced, they let each count alike.
        kind: what is predicted, with whatever is chosen by these images.
    """

    logits: np.ndarray
    labels: np.ndarray
    temperature: float
    more: Sequence[np.ndarray] = ()
    weights: np.ndarray | None = None
    kind: Kind = CLASSES

    @classmethod
    def of(
        cls,
        logits: np.ndarray,
        labels: np.ndarray,
        more: Sequence[np.ndarray] = (),
        weights: np.ndarray | None = None,
        kind: Kind = CLASSES,
    ) -> Candidate:
        """A candidate with its temperature fitted, and its kind settled."""
        temperature = kind.calibrate(logits, labels, weights)
        settled = kind.settle(kind.predict(logits, temperature), labels)
        return cls(logits, labels, temperature, more, weights, settled)

    @property
    def probabilities(self) -> np.ndarray:
        """Calibrated predictions, float64, such as of shape (images, classes)."""
        return self.kind.predict(self.logits, self.temperature)

    def losses(self) -> np.ndarray:
        """Each image's calibrated loss, averaged over its views, times its weight; float64, shape (images,)."""
        losses = np.asarray(np.mean([self.kind.losses(found, self.labels) for found in self._in_views()], axis=0))
        return losses if self.weights is None else losses * self.weights

    def accuracy(self) -> float:
        """What people judge by, such as the share of right answers, over all views, as much as images count."""
        return float(np.mean([self.kind.goodness(found, self.labels, self.weights) for found in self._in_views()]))

    def misses(self) -> np.ndarray | None:
        """The share of views in which each image is answered wrongly, times its weight; None if that makes no sense."""
        found = [misses for shown in self._in_views() if (misses := self.kind.misses(shown, self.labels)) is not None]
        if not found:
            return None
        share = np.asarray(np.mean(found, axis=0))
        return share if self.weights is None else share * self.weights

    def _in_views(self) -> list[np.ndarray]:
        return [self.kind.predict(logits, self.temperature) for logits in (self.logits, *self.more)]

    def scores(self) -> dict[str, float]:
        """Every measure on the plain validation images, by name."""
        return {**self.kind.score(self.probabilities, self.labels), "n": len(self.labels)}


@dataclass(frozen=True)
class Decision:
    """Which candidate is the answer, and why.

    Attributes:
        chosen: the candidate.
        reason: in words.
        comparison: the test that it rests on; None where there was nothing to compare.
        images: how many they were compared on.
        folds: in how many those were held out in turn; 0 where they are the validation part.
    """

    chosen: Name
    reason: str
    comparison: Comparison | None = None
    images: int = 0
    folds: int = 0


def decide(probe: Candidate, finetuned: Candidate | None, why_not: str, seed: int, folds: int = 0) -> Decision:
    """Choose between the two.

    Fine-tuning must lower the calibrated log loss (one-sided, p < 0.2) without lowering accuracy by more than chance
    may (the same test the other way round). The log loss is compared because it takes in how sure each answer is, and
    so sees a difference that a few hundred right-or-wrong answers can't show. Both are averaged over an image's views
    for the same reason: what a classifier makes of one rendering is partly chance. Where classes are balanced, images
    have weights that let each class count alike, in both measures and in both candidates: the probabilities are those
    of a world where all are equally common. Then a dozen images of a rare class have as much to say as hundreds of a
    common one, and epochs were chosen by them; so accuracy must not fall either, by more than chance may, with every
    image counted once.
    With several labels an image, mean average precision takes the place of accuracy; with a number, squared error and
    R² take the place of both; there, neither may fall.

    Args:
        probe: the incumbent.
        finetuned: the challenger on the same views of the same images, or None where there is none.
        why_not: why there is none.
        seed: of the permutation test.
        folds: in how many the images were held out in turn; 0 where they are the validation part.
    """
    if finetuned is None:
        return Decision("probe", why_not)
    comparison = compare_paired(probe.losses(), finetuned.losses(), seed)
    before, after = probe.accuracy(), finetuned.accuracy()
    views = f" in {len(probe.more) + 1} views each" if len(probe.more) else ""
    balanced = "" if probe.weights is None else "balanced "
    kind, count = probe.kind, len(probe.labels)
    images = f"images, held out in {folds} folds," if folds else "validation images"
    measured = (
        f"on {count} {images}{views} fine-tuning changes the {balanced}{kind.loss_name} by "
        f"{-comparison.gain:+.3f} (p = {comparison.p_value:.2g}) and {balanced}{kind.goodness_name} from "
        f"{kind.show(before)} to {kind.show(after)}"
    )
    if comparison.p_value >= ACCEPTED:
        objection = f"the gain could be chance (p must be below {ACCEPTED})"
    else:
        objection = _objection(probe, finetuned, seed)
    if not objection:
        return Decision("finetune", measured, comparison, count, folds)
    return Decision("probe", f"{measured}: {objection}", comparison, count, folds)


def _objection(probe: Candidate, finetuned: Candidate, seed: int) -> str:
    """What accuracy says against fine-tuning; empty for nothing."""
    kind, fewer = probe.kind, "fewer answers are right, by more than chance"
    if probe.weights is None:
        if not _falls(probe, finetuned, seed):
            return ""
        return fewer if kind.task == "classes" else f"{kind.goodness_name} falls"
    if _falls(probe, finetuned, seed):
        return f"balanced {kind.goodness_name} falls"
    probe, finetuned = (replace(candidate, weights=None) for candidate in (probe, finetuned))  # each image once
    if not _falls(probe, finetuned, seed):
        return ""
    change = f"{kind.show(probe.accuracy())} to {kind.show(finetuned.accuracy())}"
    return f"with every image counted once, {fewer} ({change})"


def _falls(probe: Candidate, finetuned: Candidate, seed: int) -> bool:
    """Whether accuracy does, by more than chance may."""
    return finetuned.accuracy() < probe.accuracy() and not _could_be_chance(probe, finetuned, seed)


def _could_be_chance(probe: Candidate, finetuned: Candidate, seed: int) -> bool:
    """Whether so many fewer right answers say as little as such a gain would; not where no answer is right or wrong."""
    before, after = probe.misses(), finetuned.misses()
    if before is None or after is None:
        return False
    return compare_paired(after, before, seed).p_value >= ACCEPTED
