from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.errors import DataError, UnknownNameError, UsageError
from headstart.learn.ranking import Ranking
from headstart.workflow import rank, ranking

MakeImages = Callable[..., Path]


@pytest.fixture(scope="module")
def ranked(photos: Path, warm_cache: Path) -> Ranking:
    return rank(photos, bases=["untrained"], image_sizes=[32, 48], cache=warm_cache)


def test_a_base_at_two_sizes_and_three_depths_is_six_candidates(ranked: Ranking) -> None:
    assert len(ranked.rows) == 6
    assert len({row.name for row in ranked.rows}) == 6
    assert {row.size for row in ranked.rows} == {"32×32", "48×48"}
    assert ranked.best is ranked.rows[0]
    assert ranked.guessing is not None
    assert ranked.best.goodness > ranked.guessing
    assert any(row.is_on_front for row in ranked.rows)
    assert all(row.speed.milliseconds > 0 for row in ranked.rows)


def test_the_same_again_gives_the_same(ranked: Ranking, photos: Path, warm_cache: Path) -> None:
    again = rank(photos, bases=["untrained"], image_sizes=[32, 48], cache=warm_cache)
    assert (again.rows, again.reason) == (ranked.rows, ranked.reason)


def test_test_images_are_not_looked_at(divided: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(divided, tmp_path / "divided"))
    found = rank(data, bases=["untrained"], image_sizes=[32], cache=tmp_path / "cache")
    assert found.images == 24
    for path in (data / "test").rglob("*.png"):
        path.write_bytes(b"none")
    assert rank(data, bases=["untrained"], image_sizes=[32], cache=tmp_path / "cache").rows == found.rows


def test_of_many_images_a_sample_is_compared(photos: Path, warm_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "SAMPLE", 21)
    found = rank(photos, bases=["untrained"], image_sizes=[32], cache=warm_cache)
    assert found.best.images < found.images
    assert found.best.images >= 21


def test_unreadable_images_and_copies_are_left_out(tmp_path: Path, make_images: MakeImages) -> None:
    root = make_images(tmp_path / "photos", {"cat": 12, "dog": 12}, size=48)
    (root / "cat" / "000.png").write_bytes(b"none")
    shutil.copy(root / "dog" / "003.png", root / "dog" / "copy.png")
    assert rank(root, bases=["untrained"], image_sizes=[32], cache=tmp_path / "cache").best.images == 23


def test_limits_are_kept_and_told(photos: Path, warm_cache: Path) -> None:
    found = rank(photos, bases=["untrained"], image_sizes=[32], max_size=0.012, cache=warm_cache)
    assert [row.in_reach for row in found.rows if row.base == "untrained"] == [False]
    assert found.best.base != "untrained"
    assert found.limits == "at most 0.012 MB of weights"
    with pytest.raises(UsageError, match=r"no base takes at most 0\.0001 ms"):
        rank(photos, bases=["untrained"], image_sizes=[32], max_latency=0.0001, cache=warm_cache)


def test_what_can_not_be_ranked_is_told(tmp_path: Path, photos: Path, make_images: MakeImages) -> None:
    with pytest.raises(UnknownNameError, match="no precision named 'f16'"):
        rank(photos, bases=["untrained"], precision="f16", cache=tmp_path)
    with pytest.raises(UsageError, match="the seed -1 is out of range"):
        rank(photos, bases=["untrained"], seed=-1, cache=tmp_path)
    with pytest.raises(UsageError, match="--label-column is about a table, and the images are a list"):
        rank([(next(photos.rglob("*.png")), "a")], label_columns=["b"], cache=tmp_path)
    with pytest.raises(UsageError, match="time"):
        rank(photos, bases=["untrained"], time="soon", cache=tmp_path)
    lonely = make_images(tmp_path / "lonely", {"cat": 12, "dog": 2}, size=48)
    with pytest.raises(DataError, match="'dog' has 2 usable images"):
        rank(lonely, bases=["untrained"], cache=tmp_path)


@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
def test_a_model_of_ones_own_is_ranked_as_well(photos: Path, tmp_path: Path) -> None:
    import keras

    from headstart.learn.own_base import base

    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 3, strides=2, activation="relu"),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
        ]
    )
    found = rank(photos, bases=[base(model, "tf", "mine")], cache=tmp_path)
    assert {row.base for row in found.rows} == {"mine", f"mine@{model.layers[0].name}"}
