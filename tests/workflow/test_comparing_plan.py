from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from headstart.catalog import get_base
from headstart.data.dataset import Dataset, Sample
from headstart.features.store import Store
from headstart.learn.base_features import BaseFeatures
from headstart.progress import Stopwatch
from headstart.workflow.comparing_plan import FEWEST_STEPS, STEPS, Plan, epochs_for, make_plan
from headstart.workflow.near import once
from headstart.workflow.session import Session

FRACTIONS = (0.05, 0.1, 0.25, 0.5, 1.0)
MakePlan = Callable[..., tuple[Plan, dict[str, tuple[str, str]]]]


@pytest.fixture
def make(cache_dir: Path) -> Iterator[MakePlan]:
    """A plan where a pass at 64 pixels, and tracing, take so many seconds."""
    base = get_base("efficientnet-lite0")

    def plan(a_pass: float, to_trace: float, budget: float = 900, images: int = 2000, is_sized: bool = False):
        samples = tuple(Sample(Path(f"{number}.png"), "ab"[number % 2]) for number in range(images))
        session = Session(BaseFeatures(base, store), store, 0, Stopwatch(), budget)
        smallest = base if is_sized else base.with_size(64, 64)
        key = "comparing-pace-2", smallest.fingerprint, str(images), f"{budget:g}"
        once(session, key, lambda: np.array([a_pass, to_trace]))
        made = make_plan(session, base, Dataset(Path(), samples, ("a", "b")), FRACTIONS, is_sized)
        return made, {choice.what: (choice.value, choice.reason) for choice in session.choices}

    with Store(cache_dir) as store:
        yield plan


def test_where_there_is_time_the_base_keeps_its_own_size(make: MakePlan) -> None:
    plan, told = make(a_pass=1e-5, to_trace=1.0)
    assert (plan.base.spec.height, plan.tried, plan.steps, plan.is_short) == (224, 2, STEPS, False)
    assert plan.seconds_a_pass == pytest.approx(1e-5 * (224 / 64) ** 2)
    assert told["image size"] == (
        "224×224, for all ways",
        "training whole networks with it fits into 15\u00a0min 0\u00a0s",
    )


def test_where_there_is_less_the_input_gets_smaller_and_the_reason_is_told(make: MakePlan) -> None:
    sizes = [
        make(a_pass, to_trace=1.0, images=images)[0].base.spec.height
        for a_pass, images in ((1e-3, 2000), (3.5e-4, 2001))
    ]
    assert sizes == [96, 160]
    value, reason = make(1e-3, 1.0)[1]["image size"]
    assert value == "96×96, for all ways"
    assert "the base was trained with 224×224, but 15\u00a0min 0\u00a0s has no room for" in reason


def test_then_there_are_fewer_steps_and_one_setting(make: MakePlan) -> None:
    fewer, told = make(a_pass=0.003, to_trace=1.0)
    assert fewer.tried == 2
    assert fewer.is_short
    assert 300 <= fewer.steps < STEPS
    assert told["steps"][1].endswith(f"{STEPS} don't fit into 15\u00a0min 0\u00a0s")
    one, _ = make(a_pass=0.008, to_trace=1.0, images=2001)
    assert one.tried == 1
    hardly, _ = make(a_pass=1.0, to_trace=60.0, images=2002)
    assert (hardly.tried, hardly.steps) == (1, FEWEST_STEPS)


def test_the_size_that_was_asked_for_stays(make: MakePlan) -> None:
    plan, told = make(a_pass=1.0, to_trace=1.0, is_sized=True)
    assert plan.base.spec.height == 224
    assert told["image size"] == ("224×224, for all ways", "as asked")


def test_epochs_follow_from_steps_within_bounds() -> None:
    assert [epochs_for(images, 600) for images in (10, 640, 100_000)] == [60, 30, 3]
    plan = Plan(get_base("untrained"), 2, 600, 0.1, 1.0)
    assert [plan.finetuning_epochs(images) for images in (10, 2000)] == [20, 10]
