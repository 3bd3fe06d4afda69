"""Training without a stored part: `model.fit` itself, and nothing else where there is no augmentation to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.errors import UsageError
from headstart.learn.image_data import ImageData
from headstart.learn.renderings import Renderer, renderer_of, seed_of
from headstart.learn.samples import ArraySamples, Unstorable, samples_of

if TYPE_CHECKING:
    import keras


def fit_plainly(model: keras.Model, augment: Any, data: dict[str, Any], training: dict[str, Any]) -> Any:
    """`model.fit`, on arrays that are augmented afresh each epoch where `augment` says how."""
    if augment is not None:
        data = _augmented(augment, data)
    data = {name: value.dataset() if isinstance(value, ImageData) else value for name, value in data.items()}
    return model.fit(**data, **training)


def _augmented(augment: Any, data: dict[str, Any]) -> dict[str, Any]:
    train = _arrays(data)
    validation = data["validation_data"]
    if data["validation_split"]:
        train, held_out = train.split(data["validation_split"])
        validation = tuple(part for part in (held_out.x, held_out.y, held_out.weights) if part is not None)
    renderer = renderer_of(augment, train.x.shape[1:])
    batches = _batches(train, renderer, data["batch_size"] or 32, shuffle=bool(data["shuffle"]))
    return {"x": batches, "validation_data": validation, "shuffle": False}


def _arrays(data: dict[str, Any]) -> ArraySamples:
    try:
        train = samples_of(data["x"], data["y"], data["sample_weight"])
    except Unstorable as refusal:
        raise UsageError(f"augment needs one array of inputs; {refusal}", "augment the data yourself") from None
    if not isinstance(train, ArraySamples):
        raise UsageError("augment without views needs arrays", "map the dataset yourself, or say views=8")
    return train


def _batches(train: ArraySamples, renderer: Renderer, size: int, *, shuffle: bool) -> Any:
    import keras

    seed = int(np.random.randint(2**31))  # noqa: NPY002 - keras.utils.set_random_seed sets NumPy's global generator

    class Augmented(keras.utils.PyDataset):
        """Arrays in batches, each sample rendered anew in every epoch."""

        def __init__(self) -> None:
            super().__init__()
            self._start(0)

        def _start(self, epoch: int) -> None:
            rng = np.random.default_rng([seed, epoch])
            self._epoch = epoch
            self._rows = rng.permutation(train.count) if shuffle else np.arange(train.count)

        def __len__(self) -> int:
            return -(-train.count // size)

        def __getitem__(self, number: int) -> tuple[np.ndarray, ...]:
            rows = self._rows[number * size : (number + 1) * size]
            x = np.stack([self._render(row) for row in rows])
            return (x, *(part[rows] for part in (train.y, train.weights) if part is not None))

        def _render(self, row: int) -> np.ndarray:
            return renderer.render(train.x[row], int(row).to_bytes(8, "little"), seed_of(bytes(4), self._epoch))

        def on_epoch_end(self) -> None:
            self._start(self._epoch + 1)

    return Augmented()
