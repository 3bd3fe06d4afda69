from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from headstart.features.speed import Speed
from headstart.learn.ranking import HeldOutScores, Ranked, Ranking, decide, mark_front


def row(base: str, milliseconds: float, goodness: float = 0.8, **more: object) -> Ranked:
    speed = Speed(milliseconds, 1000 / milliseconds, 10.0, 100.0)
    scores = 0.7, -0.5, 1.0, -0.6
    made = Ranked(base, 224, 224, 100, 0.7, "MIT", speed, 400, goodness, (0.7, 0.9), 0.5, *scores)
    return replace(made, **more)  # type: ignore[arg-type]


def scores(losses: np.ndarray, goodness: float = 0.8) -> HeldOutScores:
    return HeldOutScores(np.zeros((len(losses), 2)), losses, goodness, lambda: (0.7, 0.9))


RNG = np.random.default_rng(0)
LOSSES = RNG.gamma(1.0, 0.4, 400)
NOISE = RNG.normal(0, 0.2, 400)
NOISE -= NOISE.mean()  # a standard error of 0.01


def test_a_base_that_is_better_by_more_than_noise_is_taken() -> None:
    judged, taken, reason = decide([row("slow", 20), row("quick", 5)], [scores(LOSSES), scores(LOSSES + NOISE + 0.02)])
    assert taken.base == "slow"
    assert "by more than noise" in reason
    assert judged[1].shortfall == (pytest.approx(0.02), pytest.approx(0.01, rel=0.1))
    assert not judged[1].within_noise


def test_within_noise_the_quicker_one_is_taken() -> None:
    judged, taken, reason = decide([row("slow", 20), row("quick", 5)], [scores(LOSSES), scores(LOSSES + NOISE + 0.005)])
    assert taken.base == "quick"
    assert "no more than noise" in reason
    assert "5 instead of 20 ms" in reason
    assert judged[1].within_noise


def test_within_noise_no_more_than_half_a_point_is_given_up() -> None:
    held_out = [scores(LOSSES, 0.82), scores(LOSSES + NOISE + 0.005, 0.81)]
    _, taken, reason = decide([row("slow", 20, 0.82), row("quick", 5, 0.81)], held_out)
    assert taken.base == "slow"
    assert "no quicker one is as good" in reason


def test_a_better_one_that_is_quicker_too_is_no_question() -> None:
    _, taken, _ = decide([row("slow", 20), row("quick", 5)], [scores(LOSSES + NOISE + 0.005), scores(LOSSES)])
    assert taken.base == "quick"


def test_the_only_one_is_taken() -> None:
    judged, taken, reason = decide([row("only", 20)], [scores(LOSSES)])
    assert (taken, reason) == (judged[0], "it is the only one that was left")


def test_the_front_has_those_of_which_none_is_both_better_and_quicker() -> None:
    rows = [
        row("a", 5, 0.7),
        row("b", 10, 0.8),
        row("c", 11, 0.79),
        row("d", 20, 0.9),
        row("e", 5, 0.6),
        row("f", 10, 0.8),
    ]
    assert [found.base for found in mark_front(rows) if found.is_on_front] == ["a", "b", "d", "f"]


def test_a_ranking_is_a_document() -> None:
    first = row("resnet50", 20, shortfall=(0.0, 0.0), rounds=3)
    ranking = Ranking("photos", "classes", "accuracy", "log loss", 900, (first,), "it is", "", "x", 3.14159)
    document = json.loads(json.dumps(ranking.as_dict()))
    assert document["taken"] == {"base": "resnet50", "image_size": [224, 224]}
    assert document["candidates"][0]["speed"]["milliseconds"] == 20
    assert document["candidates"][0]["within_noise"] is True
    assert document["candidates"][0]["options"] == "--base resnet50 --image-size 224"
    assert document["seconds"] == 3.14
    assert replace(first, width=300).options == "--base resnet50 --image-size 224x300"


def test_what_a_short_fine_tuning_changes_is_added_to_the_probes_loss() -> None:
    rows, held_out = [row("a", 20), row("b", 20)], [scores(LOSSES), scores(LOSSES + 0.02)]
    gains = [np.zeros(50), np.full(50, -0.1)]
    judged, taken, _ = decide(rows, held_out, gains)
    assert taken.base == "b"
    assert judged[0].shortfall == (pytest.approx(0.08), pytest.approx(0, abs=1e-9))
    noisy = [RNG.normal(0, 1, 50), np.full(50, -0.1)]
    assert decide(rows, held_out, noisy)[0][0].shortfall[1] == pytest.approx(noisy[0].std(ddof=1) / 50**0.5)
