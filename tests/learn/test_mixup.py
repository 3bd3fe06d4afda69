from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headstart.learn.mixup import mixed

X = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
Y = np.stack([np.eye(4, dtype=np.float32)] * 2)


@pytest.fixture
def batches() -> Any:
    import keras

    class Batches(keras.utils.PyDataset):
        epochs = 0

        def __len__(self) -> int:
            return len(X)

        def __getitem__(self, number: int) -> tuple[np.ndarray, ...]:
            return X[number], Y[number], np.ones(4)

        def on_epoch_end(self) -> None:
            self.epochs += 1

    return Batches()


def share_of(y: np.ndarray) -> float:
    """Of the first image in its own blend."""
    return float(y[0, 0])


def test_images_and_targets_are_blended_alike(batches: Any) -> None:
    x, y, weights = mixed(batches, 1.0, seed=3)[1]
    share = share_of(y)
    assert 0 < share < 1
    np.testing.assert_allclose(x, share * X[1] + (1 - share) * X[1][::-1], rtol=1e-6)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-6)
    assert y[0, 3] == pytest.approx(1 - share)
    np.testing.assert_allclose(weights, 1)
    assert x.dtype == y.dtype == np.float32


def test_each_batch_and_epoch_has_a_share_of_its_own_which_the_seed_repeats(batches: Any) -> None:
    def shares(seed: int, first_epoch: int = 0) -> list[float]:
        data = mixed(batches, 1.0, seed, first_epoch)
        found = [share_of(data[number][1]) for number in range(2)]
        data.on_epoch_end()
        return found + [share_of(data[number][1]) for number in range(2)]

    first = shares(seed=0)
    assert len(set(first)) == 4
    assert shares(seed=0) == first
    assert shares(seed=1) != first
    assert shares(seed=0, first_epoch=1)[:2] == first[2:]


def test_a_small_alpha_leaves_most_images_nearly_as_they_are(batches: Any) -> None:
    def mean_of_smaller(alpha: float) -> float:
        shares = [share_of(mixed(batches, alpha, seed)[0][1]) for seed in range(200)]
        return float(np.mean(np.minimum(shares, 1 - np.array(shares))))

    assert mean_of_smaller(0.1) < 0.1 < 0.2 < mean_of_smaller(1.0)


def test_an_epochs_end_reaches_what_is_blended(batches: Any) -> None:
    data = mixed(batches, 0.1, seed=0)
    assert len(data) == 2
    data.on_epoch_end()
    assert batches.epochs == 1
