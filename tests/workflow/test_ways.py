from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from headstart.errors import DataError
from headstart.learn.baselines import TimeUpError
from headstart.learn.benefit import WAYS, Way
from headstart.learn.subsets import Subset
from headstart.workflow.ways import Grounds, get_ready, learn, passes, settings_of


@pytest.mark.parametrize("way", list(WAYS))
def test_each_way_learns_and_tells_what_it_took(grounds: Grounds, subset: Subset, way: Way) -> None:
    seen: list[int] = []
    get_ready(grounds, way, subset)
    start = time.monotonic()
    cell = learn(grounds, way, subset, math.inf, seen.append)
    took = time.monotonic() - start
    assert (cell.way, cell.fraction, cell.seed) == (way, 1.0, 0)
    assert cell.predictions.shape == (18, 3)
    assert np.allclose(cell.predictions.sum(axis=1), 1)
    assert cell.setting in settings_of(way, tried=2).split(" and ")
    # What the store had counts as well.
    assert 0 < cell.seconds < took + len(subset.whole.digests)
    assert cell.best_epoch <= cell.epochs
    trained = passes(grounds, way, len(subset.whole.digests))
    assert sum(seen) <= 1.2 * trained
    assert (sum(seen) > 0) == (way != "probe")


def test_features_count_though_the_store_has_them(grounds: Grounds, subset: Subset) -> None:
    in_seconds = learn(grounds, "probe", subset, math.inf, lambda count: None).seconds
    assert in_seconds > len(subset.whole.digests) * grounds.seconds_of_features() > 0
    assert grounds.seconds_of_features() == grounds.seconds_of_features()  # measured once


def test_a_probe_learns_something(grounds: Grounds, subset: Subset) -> None:
    cell = learn(grounds, "probe", subset, math.inf, lambda count: None)
    assert grounds.test.kind.goodness(cell.predictions, grounds.test.labels) > 0.6


def test_fine_tuning_starts_from_the_same_base_each_time(grounds: Grounds, subset: Subset) -> None:
    get_ready(grounds, "finetune", subset)
    one, same = (learn(grounds, "finetune", subset, math.inf, lambda count: None) for _ in range(2))
    assert np.array_equal(one.predictions, same.predictions)


@pytest.mark.parametrize("way", ["scratch", "classic", "finetune"])
def test_what_is_not_finished_in_time_is_no_result(grounds: Grounds, subset: Subset, way: Way) -> None:
    get_ready(grounds, way, subset)
    with pytest.raises(TimeUpError):
        learn(grounds, way, subset, time.monotonic() - 1, lambda count: None)


def test_a_plan_for_one_setting_tries_one(grounds: Grounds, subset: Subset) -> None:
    one = replace(grounds, plan=replace(grounds.plan, tried=1))
    assert settings_of("scratch", tried=1) == "rate 0.001"
    assert learn(one, "classic", subset, math.inf, lambda count: None).setting == "rate 0.001"
    assert 2 * passes(one, "scratch", 100) == passes(grounds, "scratch", 100)
    assert passes(one, "probe", 100) == 0


def test_an_image_that_is_gone_by_then_is_an_error(grounds: Grounds, subset: Subset) -> None:
    digest = subset.whole.digests[0]
    gone = replace(grounds, files=dict(grounds.files) | {digest: grounds.files[digest].with_name("gone.png")})
    with pytest.raises(DataError, match=r"gone\.png can't be read any more: .*; leave the images alone and try again"):
        get_ready(gone, "scratch", subset)
