"""Cuts of whole networks, and of random graphs against a search by brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.catalog.base import Base
from headstart.catalog.bundled import BUNDLED
from headstart.features.boundary import find_cuts, prefix, suffix

# A node of a random graph by its parents: node 0 is the input, and numbers wrap around to the nodes that are there.
Graph = list[set[int]]
graphs = st.lists(st.sets(st.integers(0, 9), min_size=1, max_size=3), min_size=1, max_size=10)


def parents_of(drawn: Graph) -> dict[int, set[int]]:
    """Each node's parents; nodes that nothing uses feed a last one, so that every node lies on a path."""
    parents = {number: {parent % number for parent in some} for number, some in enumerate(drawn, start=1)}
    used = set().union(*parents.values())
    loose = {number for number in (0, *parents) if number not in used}
    return parents if len(loose) == 1 else parents | {len(parents) + 1: loose}


def is_connected(parents: dict[int, set[int]], without: int) -> bool:
    """Whether a path leads from the input to the output past one node."""
    reached = {0}
    for number, some in parents.items():
        if number != without and some & reached:
            reached.add(number)
    return max(parents) in reached


def keras_graph(parents: dict[int, set[int]]) -> Any:
    import keras

    tensors = {0: keras.Input((2,))}
    for number, some in parents.items():
        inputs = [tensors[parent] for parent in sorted(some)]
        if len(inputs) > 1:
            tensors[number] = keras.layers.Add(name=f"n{number}")(inputs)
        else:
            tensors[number] = keras.layers.Rescaling(1 + number / 7, number / 3, name=f"n{number}")(inputs[0])
    return keras.Model(tensors[0], tensors[max(parents)])


def run(model: Any, batch: np.ndarray) -> np.ndarray:
    return np.asarray(model(batch, training=False))


@settings(deadline=None, max_examples=60, database=None)
@given(graphs)
def test_a_node_is_a_cut_exactly_if_every_path_runs_through_it(drawn: Graph) -> None:
    parents = parents_of(drawn)
    model = keras_graph(parents)
    expected = {f"n{number}" for number in parents if not is_connected(parents, without=number)}
    found = [cut.layer for cut in find_cuts(model)]
    assert set(found) == expected
    assert found == sorted(found, key=lambda name: int(name[1:]))
    batch = np.array([[0.5, -1.0]], np.float32)
    for cut in found[:-1]:
        np.testing.assert_allclose(
            run(suffix(model, cut), run(prefix(model, cut), batch)), run(model, batch), rtol=1e-5
        )


@pytest.mark.parametrize("base", BUNDLED, ids=lambda base: base.name)
def test_every_stage_of_a_base_is_a_cut_in_order(base: Base) -> None:
    cuts = [cut.layer for cut in find_cuts(base.architecture())]
    assert [cuts.index(stage) for stage in base.stages] == sorted(cuts.index(stage) for stage in base.stages)
    assert base.stages[-1] == cuts[-1]


def test_the_shapes_of_the_untrained_bases_stages(untrained: Any) -> None:
    shapes = {cut.layer: cut.shape for cut in find_cuts(untrained)}
    assert [shapes[f"stage{number}"] for number in range(3)] == [(16, 16, 8), (8, 8, 16), (4, 4, 32)]


# Each network with the smallest input that it takes, how many cuts it has at least, and some that it must have.
APPLICATIONS = {
    "MobileNetV2": (32, 60, {"Conv1_relu", "block_2_add", "out_relu"}),
    "ResNet50": (32, 38, {"pool1_pool", "conv2_block1_out", "conv4_block6_out"}),
    "InceptionV3": (75, 11, {"mixed0", "mixed7", "mixed10"}),
    "DenseNet121": (32, 20, {"pool2_conv", "pool3_pool", "relu"}),
}


@pytest.mark.parametrize("name", APPLICATIONS)
def test_keras_applications_divide_at_every_cut_that_is_tried(name: str) -> None:
    import keras

    size, fewest, some = APPLICATIONS[name]
    model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(size, size, 3))
    cuts = [cut.layer for cut in find_cuts(model)]
    assert len(cuts) >= fewest
    assert some <= set(cuts)
    batch = np.random.default_rng(0).uniform(-1, 1, (2, size, size, 3)).astype(np.float32)
    whole = run(model, batch)
    for cut in cuts[2 : -1 : len(cuts) // 3]:
        halves = run(suffix(model, cut), run(prefix(model, cut), batch))
        assert np.linalg.norm(halves - whole) <= 1e-5 * np.linalg.norm(whole), cut
