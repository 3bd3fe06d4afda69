"""The engine that is made when the first input comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headstart.features.engine import LazyEngine


@pytest.fixture
def made() -> list[Any]:
    return []


@pytest.fixture
def lazy(made: list[Any], channel_means: Any) -> LazyEngine:
    def make() -> Any:
        made.append(channel_means())
        return made[-1]

    return LazyEngine("means-1-f32", make)


def test_it_is_known_without_being_made(lazy: LazyEngine, made: list[Any]) -> None:
    assert lazy.identity == "means-1-f32"
    assert list(lazy.stream([])) == []
    assert made == []


@pytest.mark.parametrize("count", [1, 3, 7])
def test_it_is_made_once_and_gives_every_output(lazy: LazyEngine, made: list[Any], count: int) -> None:
    batch = np.random.default_rng(0).normal(size=(count, 4, 4, 2)).astype(np.float32)
    np.testing.assert_allclose(lazy.run(batch), batch.mean((1, 2)))
    assert len(made) == 1
    assert made[0].seen == list(range(count))
