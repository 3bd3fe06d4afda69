"""What a ranking of bases found, and which base it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from headstart.data.labels import Task
from headstart.features.speed import Speed

# Where the difference is within noise, the cheaper base may be expected to be so much worse at most.
MOST_GIVEN_UP = 0.005


@dataclass(frozen=True)
class HeldOutScores:
    """What a candidate's probe comes to on images that were held out from it.

    Attributes:
        predictions: of the kind, one row an image.
        losses: of each image, float64, shape (images,).
        goodness: what people judge by.
        interval: computes that of goodness, 95 %: it takes long, and only the last round's is told.
    """

    predictions: np.ndarray
    losses: np.ndarray
    goodness: float
    interval: Callable[[], tuple[float, float]]

    @property
    def loss(self) -> float:
        return float(self.losses.mean())


@dataclass(frozen=True)
class Ranked:
    """A candidate and everything that was measured of it.

    Attributes:
        base: the name that ``--base`` takes.
        height, width: of its input, in pixels.
        features: numbers an image that a probe learns from.
        imagenet_top1: published accuracy of the whole base, 0 to 1; None where none is.
        licence: of its weights.
        speed: on this machine.
        images: that its probe was cross-validated on, which are more the longer it was in the running.
        goodness: what that came to.
        interval: of that, 95 %.
        loss: what the probe makes small, on the same images.
        neighbours, log_me, h_score, n_leep: scores on the images of the first round; None for what isn't of classes,
            and where there are too few images.
        tuned: what people judge by, of the probe from which a short fine-tuning started and when it was over, on images
            held out from both; None where none was tried.
        rounds: that it was in.
        in_reach: whether it keeps the limits.
        is_favourite: whether its published accuracy is the highest.
        is_on_front: whether no candidate is both better and quicker.
        shortfall: of the mean loss against the best candidate's, and that difference's standard error, on the images of
            the last round; None for one that wasn't in it.
    """

    base: str
    height: int
    width: int
    features: int
    imagenet_top1: float | None
    licence: str
    speed: Speed
    images: int
    goodness: float
    interval: tuple[float, float]
    loss: float
    neighbours: float | None
    log_me: float | None
    h_score: float | None
    n_leep: float | None
    tuned: tuple[float, float] | None = None
    rounds: int = 1
    in_reach: bool = True
    is_favourite: bool = False
    is_on_front: bool = False
    shortfall: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """The base and its input, which together tell it from the others."""
        return f"{self.base} {self.size}"

    @property
    def size(self) -> str:
        return f"{self.height}×{self.width}"

    @property
    def options(self) -> str:
        """Of the command line, to train with it."""
        size = f"{self.height}" if self.height == self.width else f"{self.height}x{self.width}"
        return f"--base {self.base} --image-size {size}"

    @property
    def within_noise(self) -> bool:
        """Whether its loss is less than a standard error above the best one's, both on the same images."""
        return self.shortfall is not None and self.shortfall[0] <= self.shortfall[1]


@dataclass(frozen=True)
class Ranking:
    """Bases compared on a person's own images.

    Attributes:
        source: the images, as they were named.
        task: what is predicted.
        goodness_name: what people judge by, in words.
        loss_name: what a probe makes small, in words.
        images: in the data set that could be learned from.
        rows: the candidates, the one that was taken first, then by how long they were in the running and how good.
        reason: for the one that was taken.
        limits: that were set, in words; empty for none.
        left_out: what there was no time for, in words; empty for nothing.
        seconds: that it took.
        guessing: the goodness of always answering the most frequent class; None for what isn't of classes.
    """

    source: str
    task: Task
    goodness_name: str
    loss_name: str
    images: int
    rows: tuple[Ranked, ...]
    reason: str
    limits: str
    left_out: str
    seconds: float
    guessing: float | None = None

    @property
    def best(self) -> Ranked:
        """The candidate that was taken."""
        return self.rows[0]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "source": self.source,
            "task": self.task,
            "measure": self.goodness_name,
            "images": self.images,
            "taken": {"base": self.best.base, "image_size": [self.best.height, self.best.width]},
            "reason": self.reason,
            "limits": self.limits,
            "left_out": self.left_out,
            "guessing": self.guessing,
            "candidates": [
                asdict(row) | {"within_noise": row.within_noise, "options": row.options} for row in self.rows
            ],
            "seconds": round(self.seconds, 2),
        }


def decide(
    rows: Sequence[Ranked], held_out: Sequence[HeldOutScores], gains: Sequence[np.ndarray] = ()
) -> tuple[list[Ranked], Ranked, str]:
    """The candidates of the last round beside the best of them, the one to take, and the reason.

    The best has the smallest mean loss, which tells candidates apart by fewer images than accuracy does. What is within
    a standard error of it, by differences on the same images, may as well be the best (the rule of one standard error
    of Breiman et al. 1984); of those the quickest is taken, unless that would give up more than half a point of what
    people judge by.

    Args:
        rows: those of the last round that keep the limits.
        held_out: what each came to, on the same images.
        gains: by how much a short fine-tuning made the loss of each of other images larger, the same for all
            candidates; empty where there was none. The mean is added to that of the probe.
    """
    measured = [[scores.losses] for scores in held_out]
    if gains:
        measured = [[*losses, gain] for losses, gain in zip(measured, gains, strict=True)]
    best = min(range(len(rows)), key=lambda place: sum(float(losses.mean()) for losses in measured[place]))
    judged = [
        replace(row, shortfall=_shortfall(losses, measured[best])) for row, losses in zip(rows, measured, strict=True)
    ]
    as_good = [row for row in judged if row.within_noise and judged[best].goodness - row.goodness <= MOST_GIVEN_UP]
    taken = min(as_good, key=lambda row: (row.speed.milliseconds, row.loss))
    return judged, taken, _reason(judged, judged[best], taken)


def _shortfall(losses: Sequence[np.ndarray], best: Sequence[np.ndarray]) -> tuple[float, float]:
    """The difference of two sums of means, each on its own images, and its standard error."""
    differences = [own - other for own, other in zip(losses, best, strict=True)]
    variances = [float(each.var(ddof=1)) / len(each) if len(each) > 1 else 0.0 for each in differences]
    return sum(float(each.mean()) for each in differences), float(np.sqrt(sum(variances)))


def _reason(judged: Sequence[Ranked], best: Ranked, taken: Ranked) -> str:
    if len(judged) == 1:
        return "it is the only one that was left"
    if taken is best:
        near = [row for row in judged if row is not best and row.within_noise]
        if not near:
            return f"its loss is the smallest on {best.images:,} held-out images, by more than noise"
        return f"its loss is the smallest on {best.images:,} held-out images, and no quicker one is as good"
    return (
        f"its loss differs from the smallest, that of {best.name}, by no more than noise on {best.images:,} held-out "
        f"images, and it takes {taken.speed.milliseconds:.3g} instead of {best.speed.milliseconds:.3g} ms an image"
    )


def mark_front(rows: Sequence[Ranked]) -> list[Ranked]:
    """With those marked of which none is both better and quicker (the Pareto front of goodness and latency)."""

    def is_beaten(row: Ranked) -> bool:
        return any(
            other.goodness >= row.goodness
            and other.speed.milliseconds <= row.speed.milliseconds
            and (other.goodness, -other.speed.milliseconds) != (row.goodness, -row.speed.milliseconds)
            for other in rows
        )

    return [replace(row, is_on_front=not is_beaten(row)) for row in rows]
