"""Averaging a classifier's logits over several views of an image: what that takes, brings and costs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.evaluation.comparison import compare_paired
from headstart.features.openvino import OpenVINOEngine
from headstart.features.view_network import average_over_views
from headstart.images.views import PLAIN
from headstart.learn.augmentation import Augmentation
from headstart.learn.decide import Candidate
from headstart.workflow.classifiers import Classifier, FinetunedClassifier
from headstart.workflow.outcome import Outcome
from headstart.workflow.session import Session
from headstart.workflow.tuning_choice import AS_ASKED
from headstart.workflow.view_choice import Averaging

# How often both networks are timed on an image; the shortest time is what other work on the machine disturbs least.
TIMED_ROUNDS = 10


@dataclass(frozen=True)
class Latency:
    """Milliseconds an image, one after the other, by the network for one view and by the one that averages."""

    one_view: float
    averaged: float


@dataclass(frozen=True)
class Gain:
    """What averaging over views brings on the validation part.

    Attributes:
        of: the classifier, "probe" or "finetune".
        views: how many are averaged over.
        one_view: what is said of the plain view alone. A probe is the one that was never fitted to other views.
        averaged: what is said on average.
        p_value: how often chance alone would give such a gain in log loss.
    """

    of: str
    views: int
    one_view: Candidate
    averaged: Candidate
    p_value: float

    @property
    def is_lower(self) -> bool:
        """Whether the log loss is lower, be it by chance."""
        return bool(self.averaged.losses().mean() < self.one_view.losses().mean())

    def in_words(self, what: str) -> str:
        """The gain; `what` says what is averaged, and whether it is or would be."""
        before, after, kind = self.one_view.scores(), self.averaged.scores(), self.averaged.kind
        loss, goodness = kind.loss_key, kind.goodness_key
        return (
            f"on {after['n']} validation images {what} {self.views} views takes the {kind.loss_name} from "
            f"{before[loss]:.3f} to {after[loss]:.3f} (p = {self.p_value:.2g}) and {kind.goodness_name} from "
            f"{kind.show(before[goodness])} to {kind.show(after[goodness])}"
        )


def measure_gain(outcome: Outcome, plain_probe: Candidate, averaging: Averaging, seed: int) -> Gain | None:
    """What averaging brings to the classifier that was chosen or, where nobody asked for it, to what there is.

    Args:
        outcome: the classifiers.
        plain_probe: the probe that has only seen plain views, on those.
        averaging: what was asked for.
        seed: of the permutation test.

    Returns:
        The gain, or None where there are no logits of several views to average.
    """
    chosen, tuned = outcome.chosen, outcome.tuned
    if len(chosen.views) > 1:
        before = chosen.in_one_view() if isinstance(chosen, FinetunedClassifier) else plain_probe
        return _gain(outcome, len(chosen.views), before, chosen.candidate, seed)
    if averaging.asked_for > 1 or tuned is None:
        return None
    in_views = tuned.result.validation_logits if chosen is tuned else tuned.result.start_logits
    exact = [logits for view, logits in zip(tuned.recipe.views, in_views, strict=True) if view.is_exact]
    if len(exact) == 1:
        return None
    candidate = chosen.candidate
    averaged = Candidate.of(np.mean(exact, axis=0), candidate.labels, (), candidate.weights, candidate.kind)
    return _gain(outcome, len(exact), chosen.candidate, averaged, seed)


def _gain(outcome: Outcome, views: int, before: Candidate, after: Candidate, seed: int) -> Gain:
    one_view = replace(before, more=())
    comparison = compare_paired(one_view.losses(), after.losses(), seed)
    return Gain(outcome.decision.chosen, views, one_view, after, comparison.p_value)


def note_views(session: Session, outcome: Outcome, averaging: Averaging, gain: Gain | None) -> None:
    """Note how many views the network looks at, and what that brings or would bring, for the manifest."""
    count = len(outcome.chosen.views)
    if averaging.augmentation is not None:
        brings = f"{gain.in_words('averaging over')}, at {count} times the work; " if gain else ""
        reason = f"{brings}{_of_preset(count, averaging.asked_for, averaging.augmentation)}"
        session.choose("test views", f"{count}, {averaging.augmentation.preset}", reason)
    elif gain is not None and gain.of == "finetune":
        offer = f"at {gain.views} times the work an image{f': --test-views {gain.views}' if gain.is_lower else ''}"
        session.choose("test views", 1, f"as nothing else was asked for; {gain.in_words('averaging over')}, {offer}")
    elif gain is not None:
        offer = f"--test-views {gain.views} would fit it to just these, which wasn't tried, at as many times the work"
        said = gain.in_words("averaging the probe as it is over")
        session.choose("test views", 1, f"as nothing else was asked for; {said}; {offer}")


def _of_preset(count: int, asked_for: int, augmentation: Augmentation) -> str:
    """Why it is these views."""
    has = "no mirrored or turned views" if count == 1 else f"{count} views"
    asked = AS_ASKED if count == asked_for else f"{asked_for} were asked for, but {augmentation.preset} has {has}"
    return asked if augmentation.reason == AS_ASKED else f"{asked}; {augmentation.reason}"


def write_network(chosen: Classifier, network: Path, sample: np.ndarray) -> Latency | None:
    """Write the network from images to logits that are averaged over the classifier's views.

    Args:
        chosen: the classifier.
        network: the ``.xml`` file to write.
        sample: of its inputs; the first is what it is timed on.

    Returns:
        How long it takes an image beside the network for one view; None where it is that one.
    """
    if chosen.views == (PLAIN,):
        chosen.write_network(network)
        return None
    with tempfile.TemporaryDirectory(dir=network.parent, prefix=".one-view-") as made:
        one_view = Path(made, network.name)
        chosen.write_network(one_view)
        average_over_views(one_view, chosen.views, network)
        return _time([one_view, network], sample[:1])


def _time(networks: Sequence[Path], image: np.ndarray) -> Latency:
    engines = [OpenVINOEngine(network, hint="latency") for network in networks]
    for engine in engines:
        engine.run(image)  # the first run sets up memory
    # In turn, so that what else the machine does disturbs both alike.
    rounds = [[_milliseconds(engine, image) for engine in engines] for _ in range(TIMED_ROUNDS)]
    return Latency(*np.min(rounds, axis=0).tolist())


def _milliseconds(engine: OpenVINOEngine, image: np.ndarray) -> float:
    start = time.perf_counter()
    engine.run(image)
    return 1000 * (time.perf_counter() - start)


def view_metrics(outcome: Outcome, gain: Gain | None, latency: Latency | None) -> dict[str, Any] | None:
    """The section "views" of metrics.json; None where nothing was measured about them."""
    if gain is None:
        return None
    return {
        "averaged_over": len(outcome.chosen.views),
        "measured": {
            "classifier": gain.of,
            "views": gain.views,
            "one_view": gain.one_view.scores(),
            "averaged": gain.averaged.scores(),
            "p_value": gain.p_value,
        },
        "milliseconds": latency and {name: round(value, 3) for name, value in asdict(latency).items()},
    }
