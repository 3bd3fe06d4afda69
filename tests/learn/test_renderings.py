from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import UsageError
from headstart.features.arrays import digest_of
from headstart.learn.renderings import FunctionRenderer, LayerRenderer, Renderer, renderer_of, seed_of

SHAPE = (6, 6, 2)
ROW = np.random.default_rng(0).normal(size=SHAPE).astype("float32")


def layers(*, dropout: bool = False) -> Any:
    import keras

    noise = keras.layers.GaussianNoise(0.5) if dropout else keras.layers.RandomZoom(0.4)
    return keras.Sequential([keras.layers.Rescaling(2.0), keras.layers.RandomFlip(), noise])


def shift(row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return row + rng.normal(size=row.shape)


@pytest.fixture(params=["layers", "noise", "function"])
def renderer(request: pytest.FixtureRequest) -> Renderer:
    if request.param == "function":
        return renderer_of(shift, SHAPE)
    return renderer_of(layers(dropout=request.param == "noise"), SHAPE)


def test_a_rendering_is_the_same_whenever_it_is_asked_for(renderer: Renderer) -> None:
    first = [renderer.render(ROW, digest_of(ROW), number) for number in range(5)]
    again = [renderer.render(ROW, digest_of(ROW), number) for number in reversed(range(5))][::-1]
    np.testing.assert_array_equal(first, again)
    assert len({rendering.tobytes() for rendering in first}) == 5
    assert all(rendering.shape == SHAPE and rendering.dtype == np.float32 for rendering in first)


def test_another_renderer_of_the_same_kind_gives_the_same() -> None:
    for make in (layers, lambda: shift):
        one, other = renderer_of(make(), SHAPE), renderer_of(make(), SHAPE)
        assert one.identity == other.identity
        np.testing.assert_array_equal(one.render(ROW, b"abcd", 3), other.render(ROW, b"abcd", 3))


def test_inputs_are_rendered_each_in_its_own_way(renderer: Renderer) -> None:
    changes = [renderer.render(ROW, digest, 0) - renderer.plain(ROW[None])[0] for digest in (b"0001", b"0002")]
    assert not np.allclose(*changes)


def test_outside_training_nothing_is_random(renderer: Renderer) -> None:
    expected = ROW if isinstance(renderer, FunctionRenderer) else 2 * ROW
    np.testing.assert_allclose(renderer.plain(np.stack([ROW, ROW])), np.stack([expected, expected]))


def test_identities_tell_ways_of_rendering_apart() -> None:
    import keras

    def adding(amount: float) -> Any:
        return lambda row, rng: row + amount

    class Adding:
        def __init__(self, amount: float) -> None:
            self.amount = amount

        def __call__(self, row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            return row + self.amount

        def method(self, row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            return row + self.amount

    def with_default(row: np.ndarray, rng: np.random.Generator, amount: float = 1) -> np.ndarray:
        return row + amount

    ways = [
        lambda: shift,
        lambda: adding(1),
        lambda: adding(2),
        lambda: functools.partial(with_default, amount=1),
        lambda: functools.partial(with_default, amount=2),
        lambda: Adding(1),
        lambda: Adding(2),
        lambda: Adding(1).method,
        lambda: Adding(2).method,
        lambda: layers(),
        lambda: layers(dropout=True),
        lambda: keras.layers.RandomFlip("vertical"),
        lambda: keras.layers.RandomFlip("horizontal"),
    ]
    found = [renderer_of(make(), SHAPE).identity for make in ways]
    assert len(set(found)) == len(ways)
    assert [renderer_of(make(), SHAPE).identity for make in ways] == found


def test_a_function_without_source_is_known_by_its_name() -> None:
    names: dict[str, Any] = {}
    exec("def typed_in(row, rng): return row * 2", names)
    assert renderer_of(names["typed_in"], SHAPE).identity.startswith("typed_in")


def test_a_function_keeps_type_and_shape() -> None:
    rendered = renderer_of(lambda row, rng: row.astype("float64") + 1, SHAPE).render(ROW, b"abcd", 0)
    assert rendered.dtype == np.float32
    with pytest.raises(
        UsageError, match=r"augment made shape \(5, 6, 2\) of an input of shape \(6, 6, 2\); let it keep"
    ):
        renderer_of(lambda row, rng: row[1:], SHAPE).render(ROW, b"abcd", 0)


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(UsageError, match="augment is list, which can't be called; give Keras layers or a function"):
        renderer_of([1], SHAPE)


def test_one_layer_is_enough() -> None:
    import keras

    assert isinstance(renderer_of(keras.layers.RandomFlip(), SHAPE), LayerRenderer)


@given(st.binary(min_size=4, max_size=32), st.integers(0, 1000))
def test_a_seed_has_32_bits_and_depends_on_both(digest: bytes, number: int) -> None:
    assert 0 <= seed_of(digest, number) < 2**32
    assert seed_of(digest, number) != seed_of(digest, number + 1)
    assert seed_of(digest, number) == seed_of(digest[:4], number)
