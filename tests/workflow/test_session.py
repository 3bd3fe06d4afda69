from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headstart.features.engine import Engine
from headstart.progress import NoDisplay, Stopwatch
from headstart.workflow.session import FINISHING_SECONDS, Session


class SlowEngine(Engine):
    """Takes ten milliseconds an image, and much longer for the first one."""

    is_ready = False

    @property
    def identity(self) -> str:
        return "slow"

    def stream(self, inputs: Iterable[tuple[bytes, np.ndarray]]) -> Iterator[tuple[bytes, np.ndarray]]:
        for tag, array in inputs:
            time.sleep(0.01 if self.is_ready else 0.3)
            self.is_ready = True
            yield tag, array


@pytest.fixture
def session() -> Session:
    features: Any = SimpleNamespace()
    store: Any = SimpleNamespace()
    return Session(features, store, 0, Stopwatch(NoDisplay()), budget=100.0)


def test_where_nothing_was_computed_an_image_takes_what_the_network_was_timed_at(session: Session) -> None:
    session.time_network(SlowEngine(), np.zeros((4, 2), np.float32))
    assert 0.01 <= session.seconds_an_image() < 0.06
    left = session.seconds_left(looks=100)
    assert left == pytest.approx(100 - FINISHING_SECONDS - 100 * session.seconds_an_image(), abs=1)


def test_where_features_were_computed_an_image_takes_what_they_took(session: Session) -> None:
    session.time_network(SlowEngine(), np.zeros((4, 2), np.float32))
    session.watch.seconds["features"], session.computed = 50.0, 100
    assert session.seconds_an_image() == 0.5


def test_a_later_decision_takes_the_place_of_an_earlier_one(session: Session) -> None:
    for value in (1, 2):
        session.choose("size", value, f"reason {value}")
        session.choose("base", "same", "always")
    assert [(choice.what, choice.value, choice.reason) for choice in session.choices] == [
        ("size", "2", "reason 2"),
        ("base", "same", "always"),
    ]


def test_what_other_features_took_says_nothing_of_these(session: Session) -> None:
    session.watch.seconds["features"], session.computed = 50.0, 100
    features: Any = SimpleNamespace()
    session.stand_on(features)
    session.network_seconds = 0.1
    assert (session.features, session.seconds_an_image()) == (features, 0.1)
    session.watch.seconds["features"], session.computed = 60.0, 110
    assert session.seconds_an_image() == 1.0
