"""What transfer learning is worth on some images: ways to learn at several amounts of labels, and what they differ by.

Intervals come from a bootstrap over test images and seeds (Efron 1979), the same images for every way, so that
differences are paired. What is called a clear difference has a one-sided p of less than 0.05 after a Bonferroni
correction for how many were looked at, going by the bootstrap's deviation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from headstart.learn.kinds import Kind
from headstart.learn.labelled import Labelled

Way = Literal["scratch", "probe", "classic", "finetune"]
# In the order in which they are told.
WAYS: dict[Way, str] = {
    "scratch": "from scratch",
    "probe": "frozen, probe",
    "classic": "frozen, classic head",
    "finetune": "fine-tuned",
}
TRANSFER: tuple[Way, ...] = ("probe", "classic", "finetune")
Verdict = Literal["helps", "no help", "nothing learned", "open"]

RESAMPLES = 400
SIGNIFICANCE = 0.05
# Below this, a difference is rounding.
SMALLEST_DEVIATION = 1e-9


@dataclass(frozen=True)
class Cell:
    """One network: a way to learn, with some of the labels and a seed.

    Attributes:
        way: to learn.
        fraction: of the labels.
        seed: that drew them, and everything else.
        predictions: of the test images, as the kind makes them.
        seconds: that it took from nothing: features of its images, tuning and training.
        setting: which of those that were tried was the best on validation.
        epochs: that it trained, with that setting; 0 where there are no epochs.
        best_epoch: the one whose weights it has.
        note: what more is to be said; empty for nothing.
    """

    way: Way
    fraction: float
    seed: int
    predictions: np.ndarray
    seconds: float
    setting: str
    epochs: int = 0
    best_epoch: int = 0
    note: str = ""


@dataclass(frozen=True)
class Point:
    """A way with some of the labels, over its seeds.

    Attributes:
        way: to learn.
        fraction: of the labels.
        images: that many labelled images, those that judge among them.
        goodness: of each seed, on the test images; empty where there was no time.
        interval: 95 % around the mean.
        seconds: of each seed.
        settings: of each seed, with its epochs and notes.
    """

    way: Way
    fraction: float
    images: int
    goodness: tuple[float, ...] = ()
    interval: tuple[float, float] = (0.0, 0.0)
    seconds: tuple[float, ...] = ()
    settings: tuple[str, ...] = ()

    @property
    def is_there(self) -> bool:
        """Whether there was time for it."""
        return bool(self.goodness)

    @property
    def mean(self) -> float:
        return float(np.mean(self.goodness))

    @property
    def time(self) -> float:
        """Seconds of a typical seed."""
        return float(np.median(self.seconds))


@dataclass(frozen=True)
class Contrast:
    """Two points, and how much better the first one is.

    Attributes:
        better: the one that is asked about, such as a probe with a tenth of the labels.
        against: the other.
        gain: of the mean; negative where it is worse.
        interval: 95 % around that.
        is_clear: whether it is better by more than chance.
    """

    better: Point
    against: Point
    gain: float
    interval: tuple[float, float]
    is_clear: bool


@dataclass(frozen=True)
class Standing:
    """Where all ways stand, and what follows from it.

    Attributes:
        points: one a way and fraction, by way and rising fraction.
        guessing: how good it is to give the same answer for every image: the largest class, or the mean.
        verdict: whether transfer learning is better than training from scratch.
        helped: fractions at which it clearly is.
        gained: the best transferred way against scratch, with the most labels that both were finished with.
        labels: the fewest labels with which a transferred way is as good as scratch with all of them.
        time: the quickest transferred way that is as good as scratch ever is.
    """

    points: tuple[Point, ...]
    guessing: float
    verdict: Verdict
    helped: tuple[float, ...]
    gained: Contrast | None
    labels: Contrast | None
    time: Contrast | None

    def at(self, way: Way, fraction: float) -> Point:
        return next(point for point in self.points if (point.way, point.fraction) == (way, fraction))

    @property
    def fractions(self) -> tuple[float, ...]:
        """Of the labels, rising."""
        return tuple(sorted({point.fraction for point in self.points}))

    @property
    def missing(self) -> tuple[Point, ...]:
        """What there was no time for."""
        return tuple(point for point in self.points if not point.is_there)


@dataclass(frozen=True)
class Benefit:
    """All that a comparison came to.

    Attributes:
        source: the images, as the user named them.
        task: what is predicted.
        measure: what goodness is, in words.
        base: the architecture, by name.
        image_size: height and width of its input.
        learned_from: how many labelled images there are to learn from, and `tested_on` to test with.
        standing: of all ways.
        kind: that shows a goodness.
        headline: what it comes to in a sentence.
        sentences: time saved, accuracy gained, labels saved.
        caveat: what to bear in mind about them; empty for nothing.
        choices: what was decided on the way: what, value and reason.
        seconds: that all of it took.
    """

    source: str
    task: str
    measure: str
    base: str
    image_size: tuple[int, int]
    learned_from: int
    tested_on: int
    standing: Standing
    kind: Kind
    headline: str
    sentences: tuple[str, ...]
    caveat: str
    choices: tuple[Mapping[str, str], ...]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """As a JSON document."""
        standing = self.standing
        contrasts = {"gained": standing.gained, "labels": standing.labels, "time": standing.time}
        return {
            "source": self.source,
            "task": self.task,
            "measure": self.measure,
            "base": self.base,
            "image_size": list(self.image_size),
            "images": {"learned_from": self.learned_from, "tested_on": self.tested_on},
            "verdict": standing.verdict,
            "helped": list(standing.helped),
            "headline": self.headline,
            "sentences": list(self.sentences),
            "caveat": self.caveat,
            "guessing": round(standing.guessing, 4),
            "points": [_point(point) for point in standing.points],
            **{name: contrast and _contrast(contrast) for name, contrast in contrasts.items()},
            "choices": [dict(choice) for choice in self.choices],
            "seconds": round(self.seconds, 1),
        }


def _point(point: Point) -> dict[str, Any]:
    told = {"way": point.way, "fraction": point.fraction, "images": point.images, "finished": point.is_there}
    if not point.is_there:
        return told | {"mean": None, "interval": None, "seconds": None, "seeds": []}
    seeds = [
        {"goodness": round(goodness, 4), "seconds": round(seconds, 1), "setting": setting}
        for goodness, seconds, setting in zip(point.goodness, point.seconds, point.settings, strict=True)
    ]
    interval = [round(end, 4) for end in point.interval]
    return told | {"mean": round(point.mean, 4), "interval": interval, "seconds": round(point.time, 1), "seeds": seeds}


def _contrast(contrast: Contrast) -> dict[str, Any]:
    sides = {name: asdict(point) for name, point in (("better", contrast.better), ("against", contrast.against))}
    named = {name: {"way": point["way"], "fraction": point["fraction"]} for name, point in sides.items()}
    interval = [round(end, 4) for end in contrast.interval]
    return named | {"gain": round(contrast.gain, 4), "interval": interval, "is_clear": contrast.is_clear}


def weigh(
    cells: Sequence[Cell], images: Mapping[float, int], learned_from: Labelled, test: Labelled, outputs: int, seed: int
) -> Standing:
    """Where the ways stand by the networks that were finished.

    Args:
        cells: those.
        images: how many there are at each fraction that was asked for.
        learned_from: all images to learn from, whose most frequent answer is what guessing gives.
        test: the images that all were tested with.
        outputs: of a network.
        seed: of the bootstrap.
    """
    scales = _Scales(cells, learned_from, test, outputs, seed)
    points = tuple(scales.point(way, fraction, images[fraction]) for way in WAYS for fraction in sorted(images))
    there = [point for point in points if point.is_there]
    scratch = [point for point in there if point.way == "scratch"]
    transferred = [point for point in there if point.way in TRANSFER]
    whole = max(images)
    with_all = next((point for point in scratch if point.fraction == whole), None)
    common = max((one.fraction for one, _ in _pairs(transferred, scratch)), default=whole)
    gained = scales.best_against(
        [point for point in transferred if point.fraction == common],
        next((point for point in scratch if point.fraction == common), None),
    )
    fewest = _least(transferred, with_all, lambda point: (point.fraction, -point.mean))
    top = max(scratch, key=lambda point: point.mean, default=None)
    quickest = _least(transferred, top, lambda point: point.time)
    helped = scales.helped(scratch, transferred)
    return Standing(
        points,
        scales.guessing,
        scales.verdict(scratch, transferred, helped),
        helped,
        gained,
        scales.contrast(fewest, with_all) if fewest and with_all else None,
        scales.contrast(quickest, top) if quickest and top else None,
    )


def _least(points: Iterable[Point], as_good_as: Point | None, measure: Any) -> Point | None:
    """Of those that are as good as another, the one that takes least."""
    reaching = [point for point in points if as_good_as is not None and point.mean >= as_good_as.mean]
    return min(reaching, key=measure, default=None)


class _Scales:
    """The bootstrap of every point, on the same draws of test images."""

    def __init__(self, cells: Sequence[Cell], learned_from: Labelled, test: Labelled, outputs: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._kind, self._test = test.kind, test
        self._draws = self._rng.integers(0, len(test.labels), (RESAMPLES, len(test.labels)))
        self._cells: dict[tuple[Way, float], list[Cell]] = {}
        for cell in cells:
            self._cells.setdefault((cell.way, cell.fraction), []).append(cell)
        guess = _guess(learned_from, len(test.labels), outputs)
        self.guessing = self._kind.goodness(guess, test.labels)
        self._guessed = self._over_draws(guess)
        self._resampled = {key: self._over_seeds(found) for key, found in self._cells.items()}

    def point(self, way: Way, fraction: float, images: int) -> Point:
        """With its interval, if there is a network."""
        found = self._cells.get((way, fraction))
        if not found:
            return Point(way, fraction, images)
        goodness = tuple(self._kind.goodness(cell.predictions, self._test.labels) for cell in found)
        low, high = np.percentile(self._resampled[way, fraction], [2.5, 97.5])
        seconds, settings = tuple(cell.seconds for cell in found), tuple(_told(cell) for cell in found)
        return Point(way, fraction, images, goodness, (float(low), float(high)), seconds, settings)

    def contrast(self, better: Point, against: Point, looked_at: int = 1) -> Contrast:
        """Of two points; `looked_at` is how many such were, of which this is one."""
        differences = self._of(better) - self._of(against)
        low, high = np.percentile(differences, [2.5, 97.5])
        gain = better.mean - against.mean
        return Contrast(better, against, gain, (float(low), float(high)), _is_clear(gain, differences, looked_at))

    def best_against(self, points: Sequence[Point], against: Point | None) -> Contrast | None:
        """The best of some points against another."""
        if against is None or not points:
            return None
        return self.contrast(max(points, key=lambda point: point.mean), against, len(points))

    def helped(self, scratch: Sequence[Point], transferred: Sequence[Point]) -> tuple[float, ...]:
        """Fractions at which a transferred way is clearly better than scratch with as many labels."""
        pairs = _pairs(transferred, scratch)
        return tuple(sorted({one.fraction for one, other in pairs if self.contrast(one, other, len(pairs)).is_clear}))

    def verdict(self, scratch: Sequence[Point], transferred: Sequence[Point], helped: Sequence[float]) -> Verdict:
        """Whether transfer helps anywhere, and whether anything at all is clearly better than guessing."""
        points = [*scratch, *transferred]
        if not _pairs(transferred, scratch):
            return "open"
        if not any(self._beats_guessing(point, len(points)) for point in points):
            return "nothing learned"
        return "helps" if helped else "no help"

    def _beats_guessing(self, point: Point, looked_at: int) -> bool:
        return _is_clear(point.mean - self.guessing, self._of(point) - self._guessed, looked_at)

    def _of(self, point: Point) -> np.ndarray:
        return self._resampled[point.way, point.fraction]

    def _over_seeds(self, cells: Sequence[Cell]) -> np.ndarray:
        """The mean over seeds that are drawn as well, draw by draw; shape (draws,)."""
        each = np.stack([self._over_draws(cell.predictions) for cell in cells])
        seeds = self._rng.integers(0, len(cells), (len(cells), RESAMPLES))
        return np.asarray(np.take_along_axis(each, seeds, axis=0).mean(axis=0))

    def _over_draws(self, predictions: np.ndarray) -> np.ndarray:
        labels = self._test.labels
        return np.array([self._kind.goodness(predictions[draw], labels[draw]) for draw in self._draws])


def _pairs(some: Sequence[Point], others: Sequence[Point]) -> list[tuple[Point, Point]]:
    """Each of some points with each of the others that has as many labels."""
    return [(one, other) for one in some for other in others if one.fraction == other.fraction]


def _is_clear(gain: float, differences: np.ndarray, looked_at: int) -> bool:
    z = NormalDist().inv_cdf(1 - SIGNIFICANCE / looked_at)
    return gain > z * max(float(np.std(differences)), SMALLEST_DEVIATION)


def _guess(learned_from: Labelled, count: int, outputs: int) -> np.ndarray:
    """Predictions of a linear head that has nothing to go by: the same for every image."""
    kind, nothing = learned_from.kind, np.zeros((len(learned_from.labels), 1), np.float32)
    _, bias = kind.linear_fit(nothing, learned_from.labels, outputs, "none").fit(kind.strengths[0])
    return kind.predict(np.tile(bias, (count, 1)))


def _told(cell: Cell) -> str:
    epochs = f", epoch {cell.best_epoch} of {cell.epochs}" if cell.epochs else ""
    return f"{cell.setting}{epochs}{f'; {cell.note}' if cell.note else ''}"
