"""The networks of a comparison, one after the other: the cheap ones first, and as many as there is time for.

Each is kept in the store when it is finished, by everything that it depends on. So a comparison that was interrupted,
or had no time for all of them, goes on from there when the same command is given again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from headstart.features.arrays import digest_of
from headstart.images.views import PLAIN
from headstart.learn.baselines import TimeUpError
from headstart.learn.benefit import WAYS, Cell, Way
from headstart.learn.subsets import Subset
from headstart.workflow.comparing_plan import Plan
from headstart.workflow.session import Session
from headstart.workflow.ways import Grounds, get_ready, learn, passes, settings_of

# Seconds a pass, as a share of scratch's; cautious of those that are short in any case.
GUESSED: dict[Way, float] = {"scratch": 1.0, "finetune": 0.8, "classic": 0.05, "probe": 0.0}
# How much longer a network may take than the last one of its way suggests.
CAUTION = 1.1


def fill(grounds: Grounds, subsets: Mapping[int, Sequence[Subset]]) -> list[Cell]:
    """All networks that are in the store, or that there is time to train; those of a seed before those of the next.

    Args:
        grounds: what all ways have in common.
        subsets: of the labels, by seed.
    """
    pace = _Pace(grounds)
    cells = []
    for seed in subsets:
        wanted = [(way, subset) for subset in subsets[seed] for way in WAYS]
        for way, subset in sorted(wanted, key=lambda one: pace.seconds(*one)):
            cell = _kept(grounds, way, subset) or _learned(grounds, way, subset, pace)
            cells += [cell] if cell else []
    return cells


class _Pace:
    """What a network takes, by the last one of its way."""

    def __init__(self, grounds: Grounds) -> None:
        self._grounds = grounds
        self._last: dict[Way, tuple[int, float]] = {way: (0, _traced(way, grounds.plan)) for way in WAYS}

    def seconds(self, way: Way, subset: Subset) -> float:
        """About so many: as the last one, and so many a pass for what it trains more, or less."""
        count, took = self._last[way]
        more = self._passes(way, subset) - count
        return max(took + GUESSED[way] * self._grounds.plan.seconds_a_pass * more, 0.0)

    def learn_from(self, way: Way, subset: Subset, seconds: float) -> None:
        """A network has taken so long."""
        self._last[way] = self._passes(way, subset), seconds

    def _passes(self, way: Way, subset: Subset) -> int:
        return passes(self._grounds, way, len(subset.whole.digests))


def _traced(way: Way, plan: Plan) -> float:
    """Seconds before the first step; a network that is fine-tuned is traced again for each setting."""
    return {"scratch": 1, "finetune": plan.tried, "classic": 0, "probe": 0}[way] * plan.seconds_to_trace


def _learned(grounds: Grounds, way: Way, subset: Subset, pace: _Pace) -> Cell | None:
    """A network trained now and kept, if there is time for it."""
    session = grounds.session
    left = session.seconds_left(0)
    if left <= CAUTION * pace.seconds(way, subset):
        return None
    get_ready(grounds, way, subset)
    title = f"{WAYS[way].capitalize()}, {subset.fraction:.0%}, seed {subset.seed}"
    start, left = time.monotonic(), session.seconds_left(0)
    with session.watch.stage(way, title, passes(grounds, way, len(subset.whole.digests)) or None) as advance:
        try:
            cell = learn(grounds, way, subset, start + left, advance)
        except TimeUpError:
            return None
    pace.learn_from(way, subset, time.monotonic() - start)
    _keep(session, _key(grounds, way, subset), cell)
    return cell


def _key(grounds: Grounds, way: Way, subset: Subset) -> str:
    """All that a network depends on, in words that are hashed."""
    fitted, held_out, test = subset.fitted, subset.held_out, grounds.test
    words = [
        "comparing-1",
        way,
        settings_of(way, grounds.plan.tried),
        str(subset.seed),
        repr(test.kind),
        str(grounds.outputs),
    ]
    words += [grounds.pooled.key("", PLAIN).hex(), str(passes(grounds, way, len(subset.whole.digests)))]
    words += [grounds.cut, repr(grounds.views)] if way in ("finetune", "scratch") else []
    for part in (fitted, held_out):
        words += [*part.digests, digest_of(part.labels).hex()]
        words += [] if part.weights is None else [digest_of(part.weights).hex()]
    return hashlib.sha256("\n".join([*words, *test.digests]).encode()).hexdigest()


def _keep(session: Session, key: str, cell: Cell) -> None:
    """At once, so that a kill loses nothing that was finished."""
    told = {name: value for name, value in asdict(cell).items() if name != "predictions"}
    predictions, words = _places(key)
    session.store.put(predictions, cell.predictions)
    session.store.put(words, np.frombuffer(json.dumps(told).encode(), np.uint8))
    session.store.flush()


def _kept(grounds: Grounds, way: Way, subset: Subset) -> Cell | None:
    """A network that was finished before."""
    predictions, words = grounds.session.store.get(list(_places(_key(grounds, way, subset))))
    if predictions is None or words is None:
        return None
    # The same network may have been asked for as another share of fewer images.
    return Cell(**json.loads(words.tobytes()) | {"fraction": subset.fraction, "predictions": predictions})


def _places(key: str) -> Iterator[bytes]:
    return (hashlib.sha256(f"{key} {what}".encode()).digest() for what in ("predictions", "words"))
