from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.catalog.base import Base
from headstart.catalog.untrained import BASE, SeededWeights
from headstart.errors import DataError, UsageError
from headstart.features.speed import Speed
from headstart.features.store import Store
from headstart.learn.base_features import BaseFeatures
from headstart.learn.labelled import Labelled
from headstart.learn.ranking import HeldOutScores
from headstart.progress import Stopwatch
from headstart.workflow import halving
from headstart.workflow.halving import Candidate, Limits, Pool, compare_candidates
from headstart.workflow.session import Session
from headstart.workflow.short_tuning import ShortTuning

QUICK = Speed(5.0, 200.0, 10.0, 100.0)


def pool(files: list[Path], labels: list[int]) -> Pool:
    import hashlib

    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return Pool(files, Labelled(digests, np.array(labels)), max(labels) + 1)


@pytest.fixture(scope="module")
def photos_pool(tmp_path_factory: pytest.TempPathFactory, make_images: Callable[..., Path]) -> Pool:
    root = make_images(tmp_path_factory.mktemp("halving") / "photos", {"cat": 24, "dog": 24, "owl": 24}, size=48)
    files = sorted(root.rglob("*.png"))
    names = sorted({file.parent.name for file in files})
    return pool(files, [names.index(file.parent.name) for file in files])


@pytest.fixture
def session(tmp_path: Path) -> Any:
    with Store(tmp_path) as store:
        yield Session(BaseFeatures(BASE, store), store, 0, Stopwatch(None))


@pytest.fixture(autouse=True)
def speeds(monkeypatch: pytest.MonkeyPatch) -> list[Speed]:
    """Of the parts of a base, in place of measured ones."""
    found = [Speed(9.0, 100.0, 30.0, None), Speed(6.0, 150.0, 20.0, 80.0), Speed(3.0, 300.0, 10.0, 70.0)]
    monkeypatch.setattr(halving, "measure_speeds", lambda network, lengths: found[: len(lengths)])
    return found


def compare(session: Session, images: Pool, *bases: Base, **more: Any) -> halving.Halving:
    return compare_candidates(session, images, bases or (BASE,), "f32", **more)


def test_every_part_of_a_base_is_a_candidate_with_its_figures(session: Session, photos_pool: Pool) -> None:
    found = compare(session, photos_pool)
    assert {row.base for row in found.rows} == {"untrained", "untrained@stage1", "untrained@stage0"}
    assert found.rows[0].base == found.taken.name
    for row in found.rows:
        assert (row.images, row.rounds, row.in_reach) == (72, 1, True)
        assert 0.4 < row.goodness <= 1
        assert row.interval[0] <= row.goodness <= row.interval[1]
        assert row.interval[1] - row.interval[0] < 0.3
        assert row.shortfall is not None
        scores = row.neighbours, row.log_me, row.h_score, row.n_leep
        assert all(score is not None and math.isfinite(score) for score in scores)
    whole = next(row for row in found.rows if row.base == "untrained")
    assert (whole.features, whole.speed.milliseconds, whole.speed.memory_mb) == (32, 9.0, None)


def test_limits_leave_out_what_is_too_slow_or_too_large(session: Session, photos_pool: Pool) -> None:
    found = compare(session, photos_pool, limits=Limits(milliseconds=7.0))
    assert found.taken.name != "untrained"
    assert [row.base for row in found.rows if not row.in_reach] == ["untrained"]
    assert compare(session, photos_pool, limits=Limits(size_mb=10.0)).taken.name == "untrained@stage0"
    with pytest.raises(UsageError, match=r"no base takes at most 1 ms an image.*takes 3.0 ms an image here"):
        compare(session, photos_pool, limits=Limits(milliseconds=1.0))
    assert str(Limits(20, 5)) == "at most 20 ms an image and at most 5 MB of weights"


def test_the_same_again_computes_nothing(session: Session, photos_pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    first = compare(session, photos_pool)
    computed = session.computed
    for name in ("measure_speeds", "out_of_fold", "log_me", "choose_precision"):
        monkeypatch.setattr(halving, name, lambda *arguments: pytest.fail("computed again"))
    again = compare_candidates(session, photos_pool, (BASE,), "f32")
    assert again.rows == first.rows
    assert session.computed == computed


def rounds(files: int) -> list[int]:
    labels = np.arange(files) % 4
    images = Pool(
        [Path(f"{number}") for number in range(files)], Labelled([f"{n:05}" for n in range(files)], labels), 4
    )
    return [len(each.files) for each in images.rounds()]


def test_each_round_has_twice_the_images_and_few_images_one_round() -> None:
    assert rounds(1000) == [252, 500, 1000]
    assert rounds(799) == [799]


def test_the_images_of_a_round_are_among_those_of_the_next() -> None:
    labels = np.repeat([0, 1], [900, 100])
    images = Pool(
        [Path(f"{n}") for n in range(1000)], Labelled([f"{n * 7919 % 1000:04}" for n in range(1000)], labels), 2
    )
    first, second, third = images.rounds()
    assert set(first.files) < set(second.files) < set(third.files)
    assert np.bincount(first.part.labels).tolist() == [225, 25]


def running_with(losses: Sequence[float], network: Any) -> list[Candidate]:
    """Candidates of one network."""
    scores = [HeldOutScores(np.zeros((1, 2)), np.array([loss]), 0.5, lambda: (0.4, 0.6)) for loss in losses]
    return [Candidate(BASE, network, network, QUICK, held_out=held_out) for held_out in scores]


def test_half_goes_on_and_the_favourite_with_it() -> None:
    running = running_with((0.5, 0.1, 0.9, 0.3, 0.2, 0.7, 0.8, 0.4), "network")
    favourite = running[2]
    kept = halving._halved(running, favourite)
    assert [each.said.loss for each in kept] == [0.1, 0.2, 0.3, 0.4, 0.9]
    assert halving._halved(kept, favourite)[:3] == kept[:3]
    (beyond_limits,) = running_with([0.6], "network")
    assert len(halving._halved(running, beyond_limits)) == 4


def test_of_many_networks_the_better_half_goes_on_with_what_the_best_of_them_give() -> None:
    of_networks = [running_with((place / 10, place + 0.5), f"network{place}") for place in range(6)]
    kept = halving._halved([candidate for network in of_networks for candidate in network], of_networks[5][1])
    assert [each.said.loss for each in kept] == [0.0, 0.1, 0.2, 0.5, 1.5, 2.5, 5.5]
    kept = halving._halved(kept, kept[0])
    assert [each.together for each in kept] == ["network0", "network1", "network0", "network1"]
    assert {each.together for each in halving._halved(kept, kept[0])} == {"network0", "network1"}


def test_the_favourite_is_whole_and_has_the_highest_published_accuracy() -> None:
    features: Any = None
    published = replace(BASE, imagenet_top1=0.7)
    larger, lower = published.with_size(64, 64), published.up_to("stage1")
    candidates = [Candidate(base, features, features, QUICK) for base in (BASE, published, larger, lower)]
    assert max(candidates, key=lambda each: each.prior).base is larger


def test_worse_features_are_left_behind_in_the_first_rounds(
    session: Session, photos_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(halving, "FEWEST_IN_A_ROUND", 10)
    monkeypatch.setattr(halving, "FEWEST", 1)
    others = [replace(BASE, name=f"other{seed}", weights=SeededWeights(seed)) for seed in (1, 2)]
    found = compare(session, photos_pool, BASE, *others)
    by_round = {number: [row for row in found.rows if row.rounds == number] for number in (1, 2, 3)}
    assert [len(by_round[number]) for number in (1, 2, 3)] in ([4, 2, 3], [4, 3, 2], [3, 3, 3])
    assert {row.images for row in by_round[3]} == {72}
    assert len({row.images for row in by_round[1]}) == 1
    assert all(row.shortfall is None for row in (*by_round[1], *by_round[2]))
    assert found.rows[0].rounds == 3


def test_a_short_time_leaves_out_bases_and_rounds_and_says_so(
    session: Session, photos_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(halving, "FEWEST_IN_A_ROUND", 10)
    found = compare(session, photos_pool, BASE, replace(BASE, name="late"), seconds=0.001)
    assert {row.base for row in found.rows} == {"untrained", "untrained@stage1", "untrained@stage0"}
    said = "there was time for 1 of 2 bases at their sizes, the cheapest first and for 1 of 3 rounds"
    assert found.left_out == said


@pytest.mark.parametrize("kind", ["multi-label", "regression"])
def test_labels_and_numbers_are_ranked_as_well(session: Session, photos_pool: Pool, kind: str) -> None:
    from headstart.learn.kinds import KINDS

    targets = np.eye(3, dtype=np.float32)[photos_pool.part.labels]
    if kind == "regression":
        targets = photos_pool.part.labels.astype(np.float64)
    of_kind = KINDS[kind].of(targets, ("a", "b", "c"))  # type: ignore[index]
    part = replace(photos_pool.part, labels=targets, kind=of_kind)
    found = compare(session, Pool(photos_pool.files, part, 1 if kind == "regression" else 3))
    assert found.rows[0].goodness > 0.3
    assert found.rows[0].neighbours is None
    assert found.rows[0].log_me is not None


def test_with_time_the_best_are_fine_tuned_and_what_that_brings_counts(
    session: Session, photos_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, float]] = []

    def tune(
        session: Session, base: Base, pooled: Any, files: Any, part: Labelled, outputs: int, seconds: float
    ) -> Any:
        told.append((base.name, seconds))
        loss = 0.0 if base.name == "untrained@stage0" else 0.9
        return ShortTuning(np.full(9, 0.9), np.full(9, loss), 0.5, 1 - loss)

    monkeypatch.setattr(halving, "tune_briefly", tune)
    monkeypatch.setattr(halving, "has_room", lambda *_: True)
    found = compare(session, photos_pool, seconds=600.0)
    assert found.taken.name == "untrained@stage0"
    assert {row.base: row.tuned for row in found.rows}["untrained@stage0"] == (0.5, 1.0)
    assert [name for name, _ in told] == [row.base for row in sorted(found.rows, key=lambda row: row.loss)]
    assert told[0][1] == pytest.approx(200, abs=20)
    told.clear()
    compare(session, photos_pool)
    assert not told


def test_images_that_must_all_stay_together_leave_nothing_to_compare_by(session: Session, photos_pool: Pool) -> None:
    part = replace(photos_pool.part, units=["one"] * len(photos_pool.files))
    with pytest.raises(DataError, match="too few different images to compare bases by"):
        compare(session, replace(photos_pool, part=part))
