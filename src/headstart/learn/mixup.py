"""MixUp: training on blends of two images and of what is said of them.

Zhang et al. 2018, arXiv:1710.09412; blended here are features at a cut (manifold mixup, Verma et al. 2019,
arXiv:1806.05236), since pixels are no longer there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras


def mixed(batches: keras.utils.PyDataset, alpha: float, seed: int, first_epoch: int = 0) -> keras.utils.PyDataset:
    """Batches in which each image is blended with another of its batch, the first with the last and so on.

    How much of the other comes in is drawn once a batch, from a beta distribution; like the batches' own draws it
    depends on the seed, the epoch and the batch's number alone.

    Args:
        batches: of features, targets and perhaps weights, each a float array whose rows are images in random order.
        alpha: both parameters of the distribution; the smaller, the more one of the two images prevails.
        seed: of the draws.
        first_epoch: the number of the first epoch, from 0 on.
    """
    import keras

    class Mixed(keras.utils.PyDataset):
        """Blended batches."""

        def __init__(self) -> None:
            super().__init__()
            self._epoch = first_epoch

        def __len__(self) -> int:
            return len(batches)

        def __getitem__(self, number: int) -> tuple[np.ndarray, ...]:
            share = np.random.default_rng([seed, self._epoch, number]).beta(alpha, alpha)
            return tuple(_blend(part, np.float32(share)) for part in batches[number])

        def on_epoch_end(self) -> None:
            batches.on_epoch_end()
            self._epoch += 1

    return Mixed()


def _blend(rows: np.ndarray, share: np.float32) -> np.ndarray:
    return np.asarray(share * rows + (1 - share) * rows[::-1], np.float32)
