from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import DataError, StoreError
from headstart.features.arrays import ArrayFeatures
from headstart.features.engine import Engine
from headstart.features.store import Store
from headstart.learn import stored as module
from headstart.learn.renderings import FunctionRenderer
from headstart.learn.samples import ArraySamples, DatasetSamples, Unstorable
from headstart.learn.stored import Stored, feature_batches, store_features, training_data

SAMPLES = 20


class Doubling(Engine):
    """Doubles its inputs and gives them in an order of its own."""

    identity = "doubling"

    def stream(self, inputs: Iterable[tuple[Any, np.ndarray]]) -> Iterator[tuple[Any, np.ndarray]]:
        yield from reversed([(tag, (2 * array).astype("float32")) for tag, array in inputs])


@pytest.fixture
def features(cache_dir: Path) -> Iterator[ArrayFeatures]:
    with Store(cache_dir) as store:
        yield ArrayFeatures("network", Doubling(), store, (3,))


def data(count: int = SAMPLES) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(3.0 * count).reshape(count, 3).astype("float32"), np.arange(count)


def add_number(row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return row + rng.random()


def batches(*sizes: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    ends = np.cumsum((0, *sizes))
    x, y = data(int(ends[-1]))
    return [(x[a:b], y[a:b], y[a:b] + 0.5) for a, b in pairwise(ends)]


def store(samples: Any, features: ArrayFeatures, views: int = 0) -> Stored:
    renderer = FunctionRenderer(add_number) if views else None
    return store_features(samples, features, renderer, views, lambda count: None)


def epoch(found: dict[str, Any]) -> list[tuple[np.ndarray, ...]]:
    """One epoch's batches; `on_epoch_end` leads on to the next."""
    given = [found["x"][number] for number in range(len(found["x"]))]
    found["x"].on_epoch_end()
    return given


def test_features_targets_and_weights_stay_together(features: ArrayFeatures) -> None:
    x, y = data()
    stored = store(ArraySamples(x, y, y + 0.5), features)
    found = training_data(stored, True, 8)
    np.testing.assert_array_equal(found["x"], 2 * x)
    np.testing.assert_array_equal(found["y"], y)
    np.testing.assert_array_equal(found["sample_weight"], y + 0.5)
    assert (found["batch_size"], found["shuffle"]) == (8, True)
    assert (stored.count, stored.computed, stored.reordered, stored.is_resident) == (SAMPLES, SAMPLES, False, True)
    assert "y" not in training_data(store(ArraySamples(x), features), True, 8)


def test_what_is_there_is_not_computed_again(features: ArrayFeatures) -> None:
    x, y = data()
    assert store(ArraySamples(x[:12], y[:12]), features).computed == 12
    assert store(ArraySamples(x, y), features).computed == SAMPLES - 12
    assert store(ArraySamples(np.concatenate([x, x]), None), features).computed == 0


def test_equal_inputs_are_computed_once(features: ArrayFeatures) -> None:
    x, _ = data(5)
    stored = store(ArraySamples(np.concatenate([x] * 20)), features)
    assert (stored.count, stored.computed) == (100, 5)
    np.testing.assert_array_equal(training_data(stored, False, 8)["x"], np.concatenate([2 * x] * 20))


def test_progress_counts_every_sample(features: ArrayFeatures) -> None:
    advances: list[int] = []
    store_features(DatasetSamples(batches(3, 9, 1)), features, None, 0, advances.append)
    assert advances == [3, 9, 1]


@pytest.mark.parametrize("sizes", [(8, 8, 4), (8, 8, 8), (5,)])
def test_even_batches_of_a_dataset_become_arrays(features: ArrayFeatures, sizes: tuple[int, ...]) -> None:
    found = training_data(store(DatasetSamples(batches(*sizes)), features), False, None)
    assert found["batch_size"] == sizes[0]
    assert len(found["x"]) == sum(sizes)


@pytest.mark.parametrize("sizes", [(3, 9, 1, 7), (4, 4, 8), (8, 3, 8)])
def test_uneven_batches_come_as_they_came(features: ArrayFeatures, sizes: tuple[int, ...]) -> None:
    found = training_data(store(DatasetSamples(batches(*sizes)), features), False, None)
    assert found["shuffle"] is False
    for (x, y, weights), (given_x, given_y, given_weights) in zip(batches(*sizes), epoch(found), strict=True):
        np.testing.assert_array_equal(given_x, 2 * x)
        np.testing.assert_array_equal(given_y, y)
        np.testing.assert_array_equal(given_weights, weights)


def in_parts(features: ArrayFeatures, monkeypatch: pytest.MonkeyPatch) -> Stored:
    """Stored samples that count as too large for memory."""
    monkeypatch.setattr(module, "RESIDENT_BYTES", SAMPLES * 12 - 1)
    stored = store(ArraySamples(*data()), features)
    assert not stored.is_resident
    return stored


@pytest.mark.parametrize("shuffle", [True, False, "batch"])
def test_what_does_not_fit_in_memory_is_read_batch_by_batch(
    features: ArrayFeatures, monkeypatch: pytest.MonkeyPatch, shuffle: Any
) -> None:
    found = training_data(in_parts(features, monkeypatch), shuffle, 8)
    orders = []
    for _ in range(3):
        given = epoch(found)
        assert sorted(len(y) for _, y in given) == [4, 8, 8]
        for x, y in given:
            np.testing.assert_array_equal(x, 2 * data()[0][y])
            if shuffle == "batch":
                np.testing.assert_array_equal(np.diff(y), 1)
        orders.append(np.concatenate([y for _, y in given]))
        assert sorted(orders[-1]) == list(range(SAMPLES))
    in_order = [list(order) == list(range(SAMPLES)) for order in orders]
    assert all(in_order) if shuffle is False else not all(in_order)
    if shuffle is True:
        assert len({tuple(order) for order in orders}) == 3


def test_a_feature_that_is_gone_while_training_is_an_error(
    features: ArrayFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = training_data(in_parts(features, monkeypatch), False, 8)
    features.store.prune(0)
    with pytest.raises(StoreError):
        found["x"][0]


def test_the_order_follows_numpys_seed(features: ArrayFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = in_parts(features, monkeypatch)

    def order(seed: int, first_epoch: int = 0) -> list[int]:
        np.random.seed(seed)  # noqa: NPY002 - as keras.utils.set_random_seed does
        return np.concatenate([y for _, y in epoch(training_data(stored, True, 8, first_epoch))]).tolist()

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert order(1) != order(1, first_epoch=1)


@pytest.mark.parametrize("resident", [True, False])
def test_each_epoch_draws_one_view_a_sample(
    features: ArrayFeatures, monkeypatch: pytest.MonkeyPatch, resident: bool
) -> None:
    if not resident:
        monkeypatch.setattr(module, "RESIDENT_BYTES", 0)
    stored = store(ArraySamples(*data()), features, views=3)
    assert (stored.computed, len(stored.keys), stored.is_resident) == (3 * SAMPLES, 3, resident)
    drawn = [{} for _ in range(12)]
    found = training_data(stored, False, 8)
    for seen in drawn:
        for x, y in epoch(found):
            shift = x / 2 - data()[0][y]
            assert ((shift > -1e-4) & (shift < 1)).all()
            seen.update(zip(y.tolist(), shift[:, 0].round(4).tolist(), strict=True))
    assert {len({seen[sample] for seen in drawn}) for sample in range(SAMPLES)} <= {2, 3}
    assert drawn[0] != drawn[1]


def test_a_dataset_in_another_order_is_not_another_dataset(features: ArrayFeatures) -> None:
    x, y = data()

    class Shuffling:
        rng = np.random.default_rng(0)

        def __iter__(self) -> Iterator[Any]:
            order = self.rng.permutation(SAMPLES)
            return ((x[order[start : start + 5]], y[order[start : start + 5]]) for start in range(0, SAMPLES, 5))

    stored = store(DatasetSamples(Shuffling()), features)
    assert stored.reordered
    np.testing.assert_array_equal(training_data(stored, True, None)["x"], 2 * x[stored.y])
    assert not store(DatasetSamples(batches(5, 5)), features).reordered


@pytest.mark.parametrize("place", [0, 7])
def test_a_dataset_that_changes_is_found_out(features: ArrayFeatures, place: int) -> None:
    class Changing:
        epoch = 0

        def __iter__(self) -> Iterator[Any]:
            self.epoch += 1
            x, y = data()
            x[place] += self.epoch
            return iter([(x[:5], y[:5]), (x[5:], y[5:])])

    with pytest.raises(Unstorable, match="the dataset gives other samples each time it is read; augment with layers"):
        store(DatasetSamples(Changing()), features)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 11])
def test_inputs_that_are_no_numbers_are_named(features: ArrayFeatures, value: float, place: int) -> None:
    x, y = data()
    x[place, 1] = value
    for samples in (ArraySamples(x, y), DatasetSamples([(x[:6], y[:6]), (x[6:], y[6:])])):
        with pytest.raises(DataError, match=rf"x\[{place}\] holds NaN or infinity; remove such samples"):
            store(samples, features)


def test_no_samples_and_uneven_shapes_are_refused(features: ArrayFeatures) -> None:
    with pytest.raises(DataError, match="there are no samples; give at least one batch"):
        store(DatasetSamples([]), features)
    with pytest.raises(Unstorable, match=r"samples differ in shape: \(3,\) and \(4,\)"):
        store(DatasetSamples([(np.ones((2, 3)),), (np.ones((2, 4)),)]), features)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.sampled_from([True, False, "batch"]), st.integers(0, 9))
def test_an_order_holds_every_row_once_in_batches_of_the_sizes(sizes: list[int], shuffle: Any, seed: int) -> None:
    order = module._order(np.random.default_rng(seed), shuffle, tuple(sizes))
    assert sorted(np.concatenate(order).tolist()) == list(range(sum(sizes)))
    lengths = [len(rows) for rows in order]
    assert (sorted(lengths) if shuffle == "batch" else lengths) == (sorted(sizes) if shuffle == "batch" else sizes)


def test_drawn_rows_take_the_place_of_an_order_and_come_in_views_of_their_own(features: ArrayFeatures) -> None:
    x, y = data()
    found = store(ArraySamples(x, y), features, views=50)
    batches = feature_batches(found, True, (8, 8, 4), 0, draw=lambda rng: np.full(SAMPLES, 7))
    drawn, labels = (np.concatenate(parts) for parts in zip(*(batches[number] for number in range(3)), strict=True))
    np.testing.assert_array_equal(labels, np.full(SAMPLES, 7))
    assert np.ptp(drawn - 2 * x[7], axis=0).max() > 0.5  # what rendering adds differs


def test_what_is_drawn_depends_on_seed_and_epoch(features: ArrayFeatures) -> None:
    found = store(ArraySamples(*data()), features)

    def rows(seed: int, first_epoch: int) -> list[int]:
        batches = feature_batches(
            found, True, (20,), seed, first_epoch, draw=lambda rng: rng.integers(0, SAMPLES, SAMPLES)
        )
        return batches[0][1].tolist()

    assert rows(1, 4) == rows(1, 4)
    assert rows(1, 4) != rows(1, 5)
    assert rows(1, 4) != rows(2, 4)
    batches = feature_batches(found, True, (20,), 1, 4, draw=lambda rng: rng.integers(0, SAMPLES, SAMPLES))
    batches.on_epoch_end()
    assert batches[0][1].tolist() == rows(1, 5)
