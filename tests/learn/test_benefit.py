from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from headstart.learn import benefit
from headstart.learn.benefit import Cell, Standing, Way, weigh
from headstart.learn.kinds import Regression
from headstart.learn.labelled import Labelled

TEST = 400
LABELS = np.arange(TEST) % 2
Rights = Mapping[tuple[Way, float], float]


def part(labels: np.ndarray) -> Labelled:
    return Labelled([f"{number}" for number in range(len(labels))], labels)


def cell(way: Way, fraction: float, right: float, seed: int = 0, seconds: float = 10.0) -> Cell:
    """A network that is right for so many test images, which ones by chance."""
    rng = np.random.default_rng([seed, *way.encode(), int(100 * fraction)])
    is_right = rng.permutation(TEST) < right * TEST
    answers = np.where(is_right, LABELS, 1 - LABELS)
    return Cell(way, fraction, seed, np.eye(2)[answers], seconds, "rate 0.001")


def standing(rights: Rights, seeds: int = 2, fractions: tuple[float, ...] = (0.1, 1.0)) -> Standing:
    times = {"scratch": 100.0, "probe": 1.0, "classic": 5.0, "finetune": 50.0}
    cells = [
        cell(way, fraction, right, seed, times[way] * fraction)
        for (way, fraction), right in rights.items()
        for seed in range(seeds)
    ]
    counts = {fraction: int(1000 * fraction) for fraction in fractions}
    return weigh(cells, counts, part(np.arange(1000) % 2), part(LABELS), 2, seed=0)


HELPS: Rights = {
    ("scratch", 0.1): 0.6,
    ("scratch", 1.0): 0.75,
    ("probe", 0.1): 0.8,
    ("probe", 1.0): 0.85,
    ("classic", 0.1): 0.7,
    ("classic", 1.0): 0.84,
    ("finetune", 0.1): 0.8,
    ("finetune", 1.0): 0.9,
}


def test_where_transfer_helps_its_gains_are_found() -> None:
    found = standing(HELPS)
    assert found.verdict == "helps"
    assert found.helped == (0.1, 1.0)
    assert found.gained is not None and found.labels is not None and found.time is not None
    assert (found.gained.better.way, found.gained.better.fraction) == ("finetune", 1.0)
    assert found.gained.gain == pytest.approx(0.15)
    assert found.gained.is_clear
    low, high = found.gained.interval
    assert 0.05 < low < 0.15 < high < 0.25
    assert (found.labels.better.fraction, found.labels.against.fraction) == (0.1, 1.0)
    assert (found.time.better.way, found.time.better.fraction) == ("probe", 0.1)
    assert (found.time.better.time, found.time.against.time) == (0.1, 100.0)


def test_a_point_has_its_mean_its_interval_and_its_seeds() -> None:
    point = standing(HELPS, seeds=3).at("probe", 1.0)
    assert point.mean == pytest.approx(0.85)
    assert len(point.goodness) == len(point.seconds) == len(point.settings) == 3
    low, high = point.interval
    assert low < 0.85 < high
    # Of 400 images, the deviation of such a share is 0.018; three networks with errors of their own leave less.
    assert 0.02 < high - low < 0.075


def test_where_it_does_no_better_it_does_not_help() -> None:
    same = {(way, fraction): 0.75 for way in ("scratch", "probe", "classic", "finetune") for fraction in (0.1, 1.0)}
    found = standing(same | {("probe", 1.0): 0.76})
    assert found.verdict == "no help"
    assert found.helped == ()
    assert found.gained is not None and not found.gained.is_clear


@pytest.mark.parametrize("seed", range(5))
def test_where_nothing_beats_guessing_nothing_is_learned(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = {key: float(rng.normal(0.5, 0.02)) for key in HELPS}
    assert standing(noise).verdict == "nothing learned"


def test_what_there_was_no_time_for_is_missing_and_never_made_up() -> None:
    rights = {key: right for key, right in HELPS.items() if key not in {("scratch", 1.0), ("finetune", 1.0)}}
    found = standing(rights)
    assert {(point.way, point.fraction) for point in found.missing} == {("scratch", 1.0), ("finetune", 1.0)}
    assert found.labels is None
    assert found.gained is not None and found.gained.better.fraction == 0.1
    assert found.verdict == "helps"
    assert standing({("probe", 0.1): 0.8}).verdict == "open"


def test_what_does_worse_saves_nothing() -> None:
    worse = {key: 0.9 if key[0] == "scratch" else 0.7 for key in HELPS}
    found = standing(worse)
    assert found.verdict == "no help"
    assert found.labels is None
    assert found.time is None
    assert found.gained is not None and found.gained.gain == pytest.approx(-0.2)


def test_guessing_is_the_most_frequent_class_of_what_is_learned_from() -> None:
    learned_from, test = part(np.array([1] * 70 + [0] * 30)), part(np.array([0] * 60 + [1] * 40))
    cells = [Cell("probe", 1.0, 0, np.eye(2)[test.labels], 1.0, "")]
    assert weigh(cells, {1.0: 100}, learned_from, test, 2, 0).guessing == pytest.approx(0.4)


def test_numbers_are_weighed_too() -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(20, 5, 200)
    kind = Regression.of(targets, ["weight"])
    learned_from = test = Labelled([str(number) for number in range(200)], targets, kind)
    cells = [
        Cell(way, 1.0, 0, targets + rng.normal(0, error, 200), 1.0, "")
        for way, error in (("scratch", 5.0), ("probe", 1.0))
    ]
    found = weigh(cells, {1.0: 200}, learned_from, test, 1, 0)
    assert found.verdict == "helps"
    assert found.guessing == pytest.approx(0.0, abs=1e-6)
    assert found.at("probe", 1.0).mean > 0.9


def test_the_same_cells_come_to_the_same_intervals() -> None:
    assert standing(HELPS) == standing(HELPS)


def test_the_more_is_looked_at_the_more_it_takes_to_be_clear() -> None:
    differences = np.array([-1.0, 1.0] * 50)  # a deviation of 1
    assert benefit._is_clear(1.7, differences, 1)
    assert not benefit._is_clear(1.6, differences, 1)
    assert not benefit._is_clear(2.5, differences, 10)
    assert benefit._is_clear(2.6, differences, 10)
