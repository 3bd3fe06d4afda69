from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import DataError
from headstart.learn.samples import READ_ROWS, ArraySamples, DatasetSamples, PyDatasetSamples, Unstorable, samples_of

X = np.arange(70.0).reshape(70, 1)
Y = np.arange(70)


def read(samples: Any) -> list[np.ndarray | None]:
    """Inputs, targets and weights of all batches, joined."""
    batches = list(samples.batches())
    parts = zip(*((batch.x, batch.y, batch.weights) for batch in batches), strict=True)
    return [None if some[0] is None else np.concatenate(some) for some in parts]


def sequence(*sizes: int, endless: bool = False) -> Any:
    import keras

    class Sequence(keras.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__()

        @property
        def num_batches(self) -> int | None:
            return None if endless else len(sizes)

        def __getitem__(self, number: int) -> Any:
            return np.full((sizes[number], 1), number), np.full(sizes[number], number)

        def __len__(self) -> int:
            return len(sizes)

    return Sequence()


def test_arrays_are_read_in_order_and_as_often_as_one_likes() -> None:
    samples = samples_of(X, Y, Y * 2)
    assert isinstance(samples, ArraySamples)
    for _ in range(2):
        x, y, weights = read(samples)
        np.testing.assert_array_equal(x, X)
        np.testing.assert_array_equal(y, Y)
        np.testing.assert_array_equal(weights, Y * 2)
    assert max(len(batch.x) for batch in samples.batches()) == READ_ROWS
    assert (samples.count, samples.may_change) == (70, False)


def test_lists_and_tensors_are_arrays() -> None:
    import keras

    for x in (X.tolist()[0], keras.ops.convert_to_tensor(X[0])):
        (found, *_) = read(samples_of(x))
        np.testing.assert_array_equal(found, X[0])


@given(st.integers(2, 60), st.floats(0.01, 0.99))
def test_a_split_takes_the_last_as_keras_does(count: int, share: float) -> None:
    from keras.src.trainers.data_adapters.array_slicing import train_validation_split

    samples = ArraySamples(X[:count], Y[:count], None)
    try:
        (train, _), (val, _) = train_validation_split((X[:count], Y[:count]), share)
    except ValueError:
        with pytest.raises(DataError, match="validation_split="):
            samples.split(share)
        return
    first, last = samples.split(share)
    np.testing.assert_array_equal(first.x, train)
    np.testing.assert_array_equal(last.x, val)
    assert first.weights is None


@pytest.mark.parametrize("asked", [True, False, "batch"])
def test_arrays_are_shuffled_as_asked_for(asked: Any) -> None:
    assert ArraySamples(X).shuffle(asked, reordered=False) == asked


@pytest.mark.parametrize(
    ("asked", "reordered", "expected"), [(True, False, "batch"), (False, False, False), (True, True, True)]
)
def test_the_batches_of_a_pydataset_are_shuffled(asked: bool, reordered: bool, expected: Any) -> None:
    assert samples_of(sequence(2, 3)).shuffle(asked, reordered=reordered) == expected


@pytest.mark.parametrize("reordered", [True, False])
def test_a_dataset_is_shuffled_if_it_shuffles_itself(reordered: bool) -> None:
    assert DatasetSamples([]).shuffle(True, reordered=reordered) is reordered


def test_a_dataset_of_tensorflow_is_read_as_it_comes() -> None:
    import tensorflow as tf

    samples = samples_of(tf.data.Dataset.from_tensor_slices((X, Y)).batch(30))
    assert isinstance(samples, DatasetSamples)
    assert [len(batch.x) for batch in samples.batches()] == [30, 30, 10]
    x, y, weights = read(samples)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)
    assert weights is None
    assert (samples.count, samples.may_change) == (None, True)


def test_a_pydataset_is_read_batch_by_batch() -> None:
    samples = samples_of(sequence(2, 5, 1))
    assert isinstance(samples, PyDatasetSamples)
    x, y, _ = read(samples)
    np.testing.assert_array_equal(x[:, 0], [0, 0, 1, 1, 1, 1, 1, 2])
    np.testing.assert_array_equal(y, x[:, 0])


def test_a_loader_of_torch_gives_lists() -> None:
    class DataLoader:
        def __iter__(self) -> Iterator[Any]:
            return iter([[X[:2], Y[:2]], [X[2:3], Y[2:3]]])

    DataLoader.__module__ = "torch.utils.data.dataloader"
    np.testing.assert_array_equal(read(samples_of(DataLoader()))[1], Y[:3])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (((number for number in range(3)),), "a generator can be read only once"),
        (({"one": X},), "there are several inputs"),
        (([X, X],), "there are several inputs"),
        (((X, X), Y), "there are several inputs"),
        ((X, {"one": Y}), "there are several targets"),
        ((X, (Y, Y)), "there are several targets"),
        ((X, [Y, Y]), "there are several targets"),
        ((X, Y, {"one": Y}), "there are several sample weights"),
        ((np.array(["text", "more"]),), "the inputs aren't numbers"),
        ((np.array([{}, {}]),), "the inputs aren't numbers"),
    ],
)
def test_what_cannot_be_stored_is_said(given: Any, reason: str) -> None:
    with pytest.raises(Unstorable, match=f"^{reason}$"):
        samples_of(*given)


def test_datasets_without_an_end_cannot_be_stored() -> None:
    import tensorflow as tf

    for dataset in (tf.data.Dataset.from_tensor_slices(X).batch(2).repeat(), sequence(2, endless=True)):
        with pytest.raises(Unstorable, match="its dataset never ends"):
            samples_of(dataset)


@pytest.mark.parametrize("batch", [((X, X), Y), ({"one": X}, Y), (X, {"one": Y}), (X, (Y, Y))])
def test_several_parts_in_a_dataset_are_seen_when_it_is_read(batch: Any) -> None:
    with pytest.raises(Unstorable, match="there are several"):
        next(DatasetSamples([batch]).batches())


def test_parts_of_unequal_length_are_refused() -> None:
    with pytest.raises(DataError, match="x has 70, y has 69; give arrays of equal length"):
        samples_of(X, Y[:-1])
    with pytest.raises(DataError, match="x has 70, sample_weight has 1;"):
        samples_of(X, None, 1.0)
