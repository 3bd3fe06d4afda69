"""Candidates compared in rounds: each round has more images and half of the candidates (successive halving).

Jamieson and Talwalkar 2016, arXiv:1502.07943. Few images suffice to leave the worst behind, so that most of the time
goes to telling the best apart. Candidates of one base and size come from one run of one network, and the networks' runs
are what a round costs: so networks are halved, not only the candidates that they give. The base with the highest
published accuracy stays till the end: that alone is a strong predictor, which a few hundred images may be too few to
overrule.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from headstart.catalog.base import Base
from headstart.errors import DataError, UsageError
from headstart.features.extract import FeatureSet
from headstart.features.openvino import Precision, choose_precision
from headstart.features.speed import Speed, measure_speeds
from headstart.images.file import ImageFile
from headstart.images.views import PLAIN
from headstart.learn.depths import Depths
from headstart.learn.labelled import Labelled
from headstart.learn.out_of_fold import fits_of, out_of_fold
from headstart.learn.ranking import HeldOutScores, Ranked, decide, mark_front
from headstart.learn.transferability import h_score, log_me, n_leep, nearest_neighbours
from headstart.workflow.images import stratified
from headstart.workflow.near import once
from headstart.workflow.preparing import first_inputs
from headstart.workflow.session import Session
from headstart.workflow.short_tuning import ShortTuning, has_room, tune_briefly

# Shares of the images in each round; networks and candidates are halved between them, to no fewer than these.
ROUNDS, FEWEST_NETWORKS, FEWEST = (0.25, 0.5, 1.0), 2, 3
# With fewer images than this, there is one round with all of them.
FEWEST_IN_A_ROUND = 200
# Candidates that are fine-tuned briefly at the end, where there is time.
MOST_TUNED = 3
# Of the time, when the first round must be over, and when no other one begins.
SHARE_OF_FIRST, SHARE_OF_ALL = 0.6, 0.85


@dataclass(frozen=True)
class Pool:
    """Images that candidates are compared on.

    Attributes:
        files: the images.
        part: what is said of them, in the same order.
        outputs: classes or labels, or 1.
    """

    files: Sequence[ImageFile]
    part: Labelled
    outputs: int

    def some(self, share: float) -> Pool:
        """A share of them, with their share of every stratum."""
        strata = self.part.kind.strata(self.part.labels)
        chosen = sorted(stratified(strata, self.part.digests, math.ceil(share * len(self.files))))
        return Pool([self.files[place] for place in chosen], self.part.some(chosen), self.outputs)

    def rounds(self) -> list[Pool]:
        """What each round has."""
        if len(self.files) * ROUNDS[0] < FEWEST_IN_A_ROUND:
            return [self]
        return [self.some(share) for share in ROUNDS]


@dataclass(frozen=True)
class Limits:
    """What the base that is taken must keep; None for no limit.

    Attributes:
        milliseconds: for an image on this machine.
        size_mb: of its weights, in millions of bytes.
    """

    milliseconds: float | None = None
    size_mb: float | None = None

    def keeps(self, speed: Speed) -> bool:
        quick = self.milliseconds is None or speed.milliseconds <= self.milliseconds
        return quick and (self.size_mb is None or speed.size_mb <= self.size_mb)

    def __str__(self) -> str:
        said = [] if self.milliseconds is None else [f"at most {self.milliseconds:g} ms an image"]
        return " and ".join(said + ([] if self.size_mb is None else [f"at most {self.size_mb:g} MB of weights"]))


ANYTHING = Limits()


@dataclass(eq=False)
class Candidate:
    """A base at a size and up to a stage, in the running.

    Attributes:
        base: which it is.
        features: of its own.
        together: computing these gives those of all candidates of this base and size.
        speed: on this machine.
        rounds: that it was in.
        held_out: what it came to in the last of them, which is after the first.
        images: in that round.
        scores: of the first round, NaN for what there isn't: neighbours, LogME, H-score, N-LEEP.
    """

    base: Base
    features: FeatureSet
    together: FeatureSet
    speed: Speed
    rounds: int = 0
    held_out: HeldOutScores | None = None
    images: int = 0
    scores: tuple[float, ...] = (math.nan,) * 4

    @property
    def said(self) -> HeldOutScores:
        assert self.held_out is not None, "it was in no round yet"
        return self.held_out

    @property
    def prior(self) -> tuple[float, int]:
        """What is published of it: of one base, the largest input of the whole counts as what that is of."""
        of_whole = self.base.imagenet_top1 or 0.0
        return (of_whole if self.base.whole is None else 0.0), self.base.spec.height * self.base.spec.width

    def told(self, favourite: Candidate, limits: Limits) -> Ranked:
        """As the ranking has it."""
        neighbours, evidence, between, clusters = (None if math.isnan(each) else each for each in self.scores)
        base, said = self.base, self.said
        return Ranked(
            base.name,
            base.spec.height,
            base.spec.width,
            base.features,
            base.imagenet_top1,
            base.licence,
            self.speed,
            self.images,
            said.goodness,
            said.interval(),
            said.loss,
            neighbours,
            evidence,
            between,
            clusters,
            rounds=self.rounds,
            in_reach=limits.keeps(self.speed),
            is_favourite=self is favourite,
        )


@dataclass(frozen=True)
class Halving:
    """What the rounds came to.

    Attributes:
        rows: all candidates, the one that was taken first, then by how long they were in the running and how good.
        taken: the base to build on.
        reason: why.
        left_out: what there was no time for, in words; empty for nothing.
    """

    rows: tuple[Ranked, ...]
    taken: Base
    reason: str
    left_out: str


def compare_candidates(
    session: Session,
    pool: Pool,
    bases: Sequence[Base],
    precision: str,
    limits: Limits = ANYTHING,
    seconds: float = math.inf,
) -> Halving:
    """Compare bases, each whole and up to lower stages, by cross-validated probes, and take one.

    Args:
        session: in which this is done.
        pool: images to compare them on, none of which may be tested with later.
        bases: at the sizes to compare, the cheapest first.
        precision: of features: "f32", "bf16" or "auto".
        limits: that the one to take must keep.
        seconds: what it may take; bases and rounds are left out for it.

    Raises:
        UsageError: no candidate keeps the limits.
    """
    rounds, start = pool.rounds(), session.watch.total()
    everybody, seen = _first_round(session, rounds[0], bases, precision, start + SHARE_OF_FIRST * seconds)
    favourite = max(everybody, key=lambda candidate: candidate.prior)
    running = [candidate for candidate in everybody if limits.keeps(candidate.speed)]
    if not running:
        raise UsageError(f"no base takes {limits}", _nearest(everybody))
    played = 1
    while played < len(rounds) and session.watch.total() <= start + SHARE_OF_ALL * seconds:
        running = _halved(running, favourite)
        _next_round(session, running, rounds[played])
        played += 1
    tuned = _tuned(session, running, rounds[played - 1], start + seconds - session.watch.total())
    last = list(tuned) or running
    rows = [replace(candidate.told(favourite, limits), tuned=_goodness(tuned, candidate)) for candidate in last]
    gains = [tuning.after - tuning.before for tuning in tuned.values()]
    judged, taken, reason = decide(rows, [candidate.said for candidate in last], gains)
    others = [candidate.told(favourite, limits) for candidate in everybody if candidate not in last]
    ordered = sorted(mark_front([*judged, *others]), key=lambda row: (row.name != taken.name, -row.rounds, row.loss))
    left_out = _what_was_left_out(seen, len(bases), played, len(rounds))
    return Halving(tuple(ordered), last[judged.index(taken)].base, reason, left_out)


def _what_was_left_out(seen: int, bases: int, played: int, rounds: int) -> str:
    told = [f"{seen} of {bases} bases at their sizes, the cheapest first"] if seen < bases else []
    told += [f"{played} of {rounds} rounds"] if played < rounds else []
    return f"there was time for {' and for '.join(told)}" if told else ""


def _first_round(
    session: Session, images: Pool, bases: Sequence[Base], precision: str, until: float
) -> tuple[list[Candidate], int]:
    """The candidates that every base gives, or as many bases as there is time for; and how many that were."""
    candidates: list[Candidate] = []
    sound: dict[str, str] = {}  # which precision is, the size of the input doesn't change
    for number, base in enumerate(bases):
        if number and session.watch.total() > until:
            return candidates, number
        found = _prepare(session, base, images, sound.get(base.name, precision))
        sound[base.name] = found[0].features.precision
        session.extract("features", "Computing features", images.files, found[0].together)
        for candidate in found:
            candidate.scores = _score(session, candidate, images)
            _judge(session, candidate, images)
        candidates += found
    return candidates, len(bases)


def _next_round(session: Session, running: Sequence[Candidate], images: Pool) -> None:
    for features in dict.fromkeys(candidate.together for candidate in running):
        session.extract("features", "Computing features", images.files, features)
    for candidate in running:
        _judge(session, candidate, images)


def _halved(running: Sequence[Candidate], favourite: Candidate) -> list[Candidate]:
    """The better half, of the better half of networks, and the one with the highest published accuracy."""
    order = sorted(running, key=lambda candidate: candidate.said.loss)
    networks = list(dict.fromkeys(candidate.together for candidate in order))
    best = networks[: _half(len(networks), FEWEST_NETWORKS)]
    kept = [candidate for candidate in order if candidate.together in best][: _half(len(order), FEWEST)]
    return kept if favourite in kept or favourite not in running else [*kept, favourite]


def _half(count: int, fewest: int) -> int:
    return max(fewest, -(-count // 2))


def _tuned(
    session: Session, running: Sequence[Candidate], images: Pool, seconds: float
) -> dict[Candidate, ShortTuning]:
    """The best candidates fine-tuned briefly, each with an equal share of the time; none where there isn't enough."""
    best = sorted(running, key=lambda candidate: candidate.said.loss)[:MOST_TUNED]
    if math.isinf(seconds) or len(best) < 2 or not has_room(seconds, len(best), images.part, images.outputs):
        return {}
    found, end = {}, session.watch.total() + seconds
    for number, candidate in enumerate(best):
        share = (end - session.watch.total()) / (len(best) - number)
        data = candidate.features, images.files, images.part, images.outputs
        tuning = tune_briefly(session, candidate.base, *data, share)
        if tuning is None:
            return {}
        found[candidate] = tuning
    return found


def _goodness(tuned: Mapping[Candidate, ShortTuning], candidate: Candidate) -> tuple[float, float] | None:
    found = tuned.get(candidate)
    return None if found is None else (found.goodness_before, found.goodness_after)


def _nearest(everybody: Sequence[Candidate]) -> str:
    quickest = min(everybody, key=lambda candidate: candidate.speed.milliseconds)
    smallest = min(everybody, key=lambda candidate: candidate.speed.size_mb)
    return (
        f"the quickest, {quickest.base.name}, takes {quickest.speed.milliseconds:.1f} ms an image here, and the "
        f"smallest, {smallest.base.name}, has {smallest.speed.size_mb:.1f} MB"
    )


def _prepare(session: Session, base: Base, images: Pool, precision: str) -> list[Candidate]:
    """What a base at a size gives: features in the precision that is sound, and how fast each candidate is."""
    depths = Depths(base, session.store)
    with session.watch.stage("prepare", f"Preparing {base.name}", total=None, unit="steps"):
        features = depths.features(_precision(session, depths, images, precision))
        speeds = _speeds(session, depths)
    found = zip(depths.bases, features, speeds, strict=True)
    return [Candidate(each, its_own, features[0], speed) for each, its_own, speed in found]


def _precision(session: Session, depths: Depths, images: Pool, asked: str) -> Precision:
    if asked != "auto":
        return "bf16" if asked == "bf16" else "f32"

    def compute() -> np.ndarray:
        inputs = first_inputs(images.files, depths.bases[0].spec)
        return np.array([float(choose_precision(depths.network, inputs)[0] == "bf16")])

    of = depths.features("bf16")[0]
    return "bf16" if once(session, ("precision-1", of, *images.part.digests), compute)[0] else "f32"


def _speeds(session: Session, depths: Depths) -> list[Speed]:
    def compute() -> np.ndarray:
        found = measure_speeds(depths.network, [base.features for base in depths.bases])
        return np.array(
            [(each.milliseconds, each.images_per_second, each.size_mb, each.memory_mb or math.nan) for each in found]
        )

    of = (features for features in depths.features("f32"))
    rows = once(session, ("speed-1", *of), compute)
    return [
        Speed(milliseconds, rate, size, None if math.isnan(memory) else memory)
        for milliseconds, rate, size, memory in rows.tolist()
    ]


def _judge(session: Session, candidate: Candidate, images: Pool) -> None:
    """Cross-validate a probe on its features."""
    part, kind, seed = images.part, images.part.kind, session.seed

    def compute() -> np.ndarray:
        title = f"Fitting probes on {candidate.base.name}"
        with session.watch.stage("probe", title, fits_of(part.labels, kind), unit="fits") as advance:
            rows = candidate.features.load([(digest, PLAIN) for digest in part.digests])
            settings = images.outputs, seed, kind, part.together, advance, part.weights
            return out_of_fold(rows, part.labels, *settings)

    found = once(session, ("rank-1", candidate.features, *_said(images, seed)), compute)
    known = ~np.isnan(found[:, 0])
    if not known.any():
        raise DataError(
            "a class has too few different images to compare bases by", "add some, or name a base with --base"
        )
    predictions, targets = kind.predict(found[known]), part.labels[known]
    goodness = kind.goodness(predictions, targets)
    losses = kind.losses(predictions, targets)
    candidate.held_out = HeldOutScores(
        predictions, losses, goodness, lambda: kind.confidence_intervals(predictions, targets, seed)[kind.goodness_key]
    )
    candidate.images, candidate.rounds = int(known.sum()), candidate.rounds + 1


def _score(session: Session, candidate: Candidate, images: Pool) -> tuple[float, ...]:
    """What is said of its features without a probe."""
    part, seed = images.part, session.seed
    is_classes = part.kind.task == "classes"

    def compute() -> np.ndarray:
        rows = candidate.features.load([(digest, PLAIN) for digest in part.digests])
        evidence = log_me(rows, part.kind.training_targets(part.labels, images.outputs))
        if not is_classes:
            return np.array([math.nan, evidence, math.nan, math.nan])
        neighbours = nearest_neighbours(rows, part.labels, seed, part.together)
        return np.array([neighbours, evidence, h_score(rows, part.labels), n_leep(rows, part.labels, seed)])

    with session.watch.stage("probe", f"Scoring {candidate.base.name}", total=None, unit="scores"):
        return tuple(once(session, ("scores-1", candidate.features, *_said(images, seed)), compute).tolist())


def _said(images: Pool, seed: int) -> list[str]:
    """What is said of images, as what is kept in the store depends on it."""
    part = images.part
    weights = "" if part.weights is None else hashlib.sha256(part.weights.tobytes()).hexdigest()
    labels = hashlib.sha256(part.labels.tobytes()).hexdigest()
    return [str(seed), part.kind.task, labels, weights, *part.together, *part.digests]
