from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import StoreError
from headstart.features.arrays import ArrayFeatures, digest_of
from headstart.features.store import Store


@pytest.fixture
def features(store: Store, channel_means: Any) -> ArrayFeatures:
    return ArrayFeatures("network", channel_means(), store, (3,))


def rows(count: int = 5) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 4, 4, 3)).astype(np.float32)


def test_features_are_computed_kept_and_loaded_in_the_order_of_the_keys(features: ArrayFeatures) -> None:
    keys = [features.key(digest_of(row), "plain") for row in rows()]
    assert features.compute(zip(keys, rows(), strict=True)) == 5
    loaded = features.load(keys[::-1])
    assert loaded.dtype == np.float32
    np.testing.assert_allclose(loaded, rows()[::-1].mean((1, 2)), rtol=1e-6)
    assert features.compute(iter([])) == 0


def test_a_feature_that_was_never_computed_cannot_be_loaded(features: ArrayFeatures) -> None:
    with pytest.raises(StoreError):
        features.load([b"nothing"])


def test_a_key_depends_on_all_that_the_feature_depends_on(features: ArrayFeatures, channel_means: Any) -> None:
    keys = {
        features.key(b"one", "plain"),
        features.key(b"two", "plain"),
        features.key(b"one", "0 mirror"),
        replace(features, network="other").key(b"one", "plain"),
        replace(features, engine=channel_means("means-2-f32")).key(b"one", "plain"),
    }
    assert len(keys) == 5
    assert features.key(b"one", "plain") in keys


@pytest.mark.parametrize(("shape", "size"), [((3,), 12), ((7, 7, 512), 100_352), ((), 4), ((2**20, 2**20), 2**42)])
def test_the_size_of_a_feature(features: ArrayFeatures, shape: tuple[int, ...], size: int) -> None:
    assert replace(features, shape=shape).feature_bytes == size


def test_a_digest_tells_type_shape_and_numbers_apart() -> None:
    zeros = np.zeros((2, 3), np.float32)
    assert len(digest_of(zeros)) == 16
    others = [zeros.astype(np.int32), zeros.reshape(3, 2), zeros + 1, zeros.astype(np.float64), np.zeros(())]
    assert len({digest_of(array) for array in [zeros, *others]}) == 6
    assert digest_of(zeros.copy()) == digest_of(zeros)


@given(st.lists(st.integers(0, 255), min_size=6, max_size=6))
def test_a_digest_does_not_depend_on_how_the_array_lies_in_memory(values: list[int]) -> None:
    array = np.array(values, np.uint8).reshape(2, 3)
    wide = np.repeat(array, 2, axis=1)[:, ::2]
    assert digest_of(np.asfortranarray(array)) == digest_of(wide) == digest_of(array)
