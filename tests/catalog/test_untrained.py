from __future__ import annotations

import numpy as np

from headstart.catalog.untrained import BASE, SeededWeights


def test_the_same_seed_gives_the_same_weights() -> None:
    one, other = SeededWeights(seed=3).load(), SeededWeights(seed=3).load()
    assert one.keys() == other.keys()
    assert all((one[path] == other[path]).all() for path in one)


def test_another_seed_gives_other_weights_and_another_identity() -> None:
    one, other = SeededWeights(seed=3), SeededWeights(seed=4)
    assert (one.load()["stage0_conv/kernel"] != other.load()["stage0_conv/kernel"]).any()
    assert one.identity != other.identity


def test_it_needs_nothing_installed() -> None:
    assert BASE.weights.is_here()


def test_its_parameters_are_those_of_the_record() -> None:
    assert BASE.build().count_params() == BASE.parameters


def test_it_tells_colours_apart() -> None:
    red, blue = np.zeros((2, 32, 32, 3), np.float32) - 1
    red[..., 0] = blue[..., 2] = 1
    features = np.asarray(BASE.build()(np.stack([red, blue]))).mean(axis=(1, 2))
    assert np.abs(features[0] - features[1]).max() > 0.1
