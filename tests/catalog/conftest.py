"""Small networks with the kinds of layers that matter to a weights file, and files that Keras writes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.catalog.layout import Layout, layout_of


def small_network(*, classes: int | None = None, shape: tuple[int, int] | None = None, channels: int = 4) -> Any:
    """Two branches with BatchNorm, a separable convolution, two kinds of normalisation, and two plain convolutions."""
    import keras
    from keras import layers

    inputs = keras.Input((*(shape or (8, 8)), 3), name="image")
    x = layers.Normalization(name="scale")(inputs)
    x = layers.Conv2D(channels, 3, padding="same", use_bias=False, name="stem")(x)
    x = layers.BatchNormalization(name="stem_bn")(x)
    left = layers.Conv2D(channels, 1, name="left")(x)
    right = layers.SeparableConv2D(channels, 3, padding="same", name="right")(x)
    x = layers.Add(name="sum")([left, right])
    x = layers.LayerNormalization(name="norm")(layers.ReLU(name="relu")(x))
    if classes is not None:
        x = layers.Dense(classes, name="logits")(layers.GlobalAveragePooling2D(name="pool")(x))
    return keras.Model(inputs, x, name="small")


def filled(model: Any, seed: int = 0) -> Any:
    """The model with every weight drawn anew: no two are alike, and none is what a layer starts with."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape).astype(weight.dtype) * (1 if weight.shape else 9))
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return model


@pytest.fixture(scope="session")
def network() -> Callable[..., Any]:
    """`network(channels=4)` builds a small network, randomly initialised."""
    return small_network


@pytest.fixture(scope="session")
def layout() -> Layout:
    """Of the small network."""
    return layout_of(small_network)


@pytest.fixture(scope="session")
def model() -> Any:
    """The small network with numbers in it; not to be changed."""
    return filled(small_network())


@pytest.fixture(scope="session")
def with_top() -> Any:
    """The same with a top; not to be changed."""
    return filled(small_network(classes=5))


def save(model: Any, path: Path) -> Path:
    """Writes a model's weights in the format that the file's name asks for; "legacy" is the older layout of HDF5."""
    import keras

    if "legacy" in path.name:
        import h5py
        from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

        with h5py.File(path, "w") as file:
            save_weights_to_hdf5_group(file, model)
    elif path.suffix == ".npz":
        np.savez(path, **arrays_of(model))
    elif path.suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file(arrays_of(model), path)
    elif path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        keras.saving.save_model(model, path)
    return path


def arrays_of(model: Any) -> dict[str, np.ndarray]:
    return {weight.path: np.asarray(weight) for weight in model.weights}


@pytest.fixture(scope="session")
def save_weights() -> Callable[[Any, Path], Path]:
    return save


@pytest.fixture(scope="session")
def same_weights() -> Callable[[dict[str, np.ndarray], Any], bool]:
    """Whether arrays hold the weights of a model and nothing else."""

    def same(arrays: dict[str, np.ndarray], model: Any) -> bool:
        expected = arrays_of(model)
        return arrays.keys() == expected.keys() and all(
            np.array_equal(arrays[path], array) and arrays[path].dtype == array.dtype
            for path, array in expected.items()
        )

    return same
