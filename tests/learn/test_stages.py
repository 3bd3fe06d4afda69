from __future__ import annotations

from typing import Any

import pytest

from headstart.catalog.untrained import BASE, build
from headstart.learn.stages import find_stages, has_weights, in_order


def named(model: Any) -> list[str]:
    return [layer.name for layer in in_order(model)]


def stages(model: Any) -> dict[str, list[str]]:
    return {stage.name: [layer.name for layer in stage.layers if has_weights(layer)] for stage in find_stages(model)}


STAGES = {f"stage{number}": [f"stage{number}_conv", f"stage{number}_bn"] for number in range(3)}


def sequential(base: Any) -> Any:
    import keras

    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.Sequential([keras.layers.RandomFlip(name="flip"), keras.layers.Rescaling(2.0, name="rescale")]),
            base,
            keras.layers.GlobalAveragePooling2D(name="average"),
            keras.layers.Dense(2, name="answer"),
        ]
    )


def test_layers_come_in_order_with_nested_ones_in_their_model_s_place() -> None:
    inner = [name for number in range(3) for name in (f"stage{number}_conv", f"stage{number}_bn", f"stage{number}")]
    assert named(BASE.build()) == inner
    assert named(sequential(BASE.build())) == ["flip", "rescale", *inner, "average", "answer"]


def test_the_stages_of_a_network_are_found_from_its_graph() -> None:
    assert list(stages(BASE.build())) == list(BASE.stages)
    assert stages(build(classes=2)) == STAGES | {"head": ["logits"]}


def test_stages_are_found_through_nesting() -> None:
    import keras

    once = sequential(BASE.build())
    inputs = keras.Input((32, 32, 3))
    twice = keras.Model(inputs, once(inputs))
    for model in (once, twice):
        assert stages(model) == STAGES | {"head": ["answer"]}


def test_a_stage_includes_padding_below_and_pooling_above_it() -> None:
    import keras
    from keras import layers

    inputs = x = keras.Input((32, 32, 3))
    for layer in (
        layers.ZeroPadding2D(1, name="pad"),
        layers.Conv2D(4, 3, name="first"),
        layers.MaxPooling2D(name="halve"),
        layers.Conv2D(4, 3, padding="same", name="second"),
        layers.MaxPooling2D(name="last"),
    ):
        x = layer(x)
    found = find_stages(keras.Model(inputs, x))
    assert [(stage.name, [layer.name for layer in stage.layers]) for stage in found] == [
        ("first", ["pad", "first"]),
        ("last", ["halve", "second", "last"]),
    ]


def test_a_network_for_images_of_any_size_has_stages_too() -> None:
    import keras

    fixed = keras.applications.MobileNet(include_top=False, weights=None, alpha=0.25, input_shape=(224, 224, 3))
    free = keras.applications.MobileNet(include_top=False, weights=None, alpha=0.25)
    assert len(stages(fixed)) == 5
    assert stages(free) == stages(fixed)


@pytest.mark.parametrize("kind", ["vectors", "subclass"])
def test_without_maps_or_a_graph_there_are_no_stages(kind: str) -> None:
    import keras

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = keras.layers.Dense(3, name="a"), keras.layers.Dense(2, name="b")

    vectors = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="a"), keras.layers.Dense(2, name="b")])
    model = vectors if kind == "vectors" else Own()
    assert find_stages(model) == ()
    assert named(model) == ["a", "b"]
