"""The contract of engines, over every one of them; the Keras model itself says what is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.catalog import get_base
from headstart.features.boundary import prefix
from headstart.features.engine import Engine, KerasEngine, LazyEngine
from headstart.features.looks import BesideEngine, LookEngine
from headstart.features.openvino import OpenVINOEngine, convert

MakeEngine = Callable[[Any, Path], Engine]

# Each engine from a Keras model and the same network converted.
ENGINES: dict[str, MakeEngine] = {
    "keras": lambda model, network: KerasEngine(model, batch_size=4),
    "openvino": lambda model, network: OpenVINOEngine(network, "f32"),
    "lazy": lambda model, network: LazyEngine(KerasEngine(model).identity, lambda: KerasEngine(model, batch_size=4)),
    "openvino with one request": lambda model, network: OpenVINOEngine(network, "f32", hint="latency"),
}
CLOSE = 1e-5


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, untrained: Any, untrained_network: Path) -> Engine:
    return ENGINES[request.param](untrained, untrained_network)


@pytest.fixture(scope="module")
def expected(untrained: Any, inputs: np.ndarray) -> np.ndarray:
    return np.asarray(untrained(inputs, training=False))


def error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def test_every_engine_is_under_contract(untrained: Any, untrained_network: Path) -> None:
    covered = {type(make(untrained, untrained_network)) for make in ENGINES.values()}
    # They look at inputs beside a network, or without one, and have tests of their own.
    covered |= {LookEngine, BesideEngine}
    assert covered == {engine for engine in Engine.__subclasses__() if engine.__module__.startswith("headstart.")}


def test_the_outputs_are_those_of_the_model(engine: Engine, inputs: np.ndarray, expected: np.ndarray) -> None:
    found = engine.run(inputs)
    assert (found.shape, found.dtype) == (expected.shape, np.float32)
    assert error(found, expected) < CLOSE


def test_each_input_keeps_its_tag(engine: Engine, inputs: np.ndarray, expected: np.ndarray) -> None:
    tags = [("image", number) if number % 2 else None for number in range(len(inputs))]
    found = list(engine.stream(zip(tags, inputs, strict=True)))
    assert sorted(map(str, (tag for tag, _ in found))) == sorted(map(str, tags))
    for tag, output in found:
        if tag is not None:
            assert (output.shape, output.dtype) == (expected.shape[1:], np.float32)
            assert error(output, expected[tag[1]]) < CLOSE


def test_an_output_stays_as_it_is_while_others_are_computed(
    engine: Engine, inputs: np.ndarray, expected: np.ndarray
) -> None:
    many = [(round_ * len(inputs) + number, array) for round_ in range(10) for number, array in enumerate(inputs)]
    for tag, output in list(engine.stream(many)):
        assert error(output, expected[tag % len(inputs)]) < CLOSE


def test_a_batch_of_one_and_a_repeated_run_give_the_same(engine: Engine, inputs: np.ndarray) -> None:
    whole = engine.run(inputs)
    np.testing.assert_allclose(engine.run(inputs[3:4])[0], whole[3], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(engine.run(inputs), whole)


def test_an_input_need_not_lie_in_one_piece(engine: Engine, inputs: np.ndarray) -> None:
    flipped = inputs[:, :, ::-1]
    np.testing.assert_array_equal(engine.run(flipped), engine.run(np.ascontiguousarray(flipped)))


def test_a_batch_keeps_its_order_whatever_order_the_engine_works_in(channel_means: Any, inputs: np.ndarray) -> None:
    np.testing.assert_array_equal(channel_means().run(inputs), [array.mean(axis=(0, 1)) for array in inputs])


def test_an_empty_stream_gives_nothing(engine: Engine) -> None:
    assert list(engine.stream([])) == []


def test_inputs_are_taken_only_as_fast_as_the_engine_works(engine: Engine, inputs: np.ndarray) -> None:
    taken = 0

    def source() -> Iterator[tuple[int, np.ndarray]]:
        nonlocal taken
        for number in range(500):
            taken += 1
            yield number, inputs[number % len(inputs)]

    stream = engine.stream(source())
    most_ahead = max(taken - given for given, _ in enumerate(stream, start=1))
    assert taken == 500
    assert most_ahead < 200


def failing(inputs: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    yield from enumerate(inputs)
    raise OSError("the disk is gone")


def test_a_failing_source_stops_the_stream_and_not_the_engine(
    engine: Engine, inputs: np.ndarray, expected: np.ndarray
) -> None:
    for _ in range(5):
        with pytest.raises(OSError, match="the disk is gone"):
            list(engine.stream(failing(inputs)))
        assert error(engine.run(inputs[:2]), expected[:2]) < CLOSE


def test_a_stream_left_early_spoils_no_later_one(engine: Engine, inputs: np.ndarray, expected: np.ndarray) -> None:
    for _ in range(5):
        for _ in engine.stream((("old", number), array) for number, array in enumerate(inputs)):
            break
        found = dict(engine.stream(enumerate(inputs[:3])))
        assert sorted(found) == [0, 1, 2]
        assert all(error(found[number], expected[number]) < CLOSE for number in found)


def test_the_identity_holds_name_version_and_precision(untrained: Any, untrained_network: Path) -> None:
    import keras
    import openvino

    backend = keras.backend.backend()
    assert KerasEngine(untrained).identity == f"keras-{keras.__version__}-{backend}-f32"
    version = openvino.get_version().split("-")[0]
    assert version.count(".") == 2
    assert OpenVINOEngine(untrained_network, "f32").identity == f"openvino-{version}-f32"
    assert OpenVINOEngine(untrained_network, "bf16").identity == f"openvino-{version}-bf16"


@pytest.mark.real
@pytest.mark.parametrize("cut", ["pooled", "block10_add"])
def test_openvino_agrees_with_keras_on_a_real_base(cut: str, tmp_path: Path, make_images: Any) -> None:
    import keras

    base = get_base("efficientnet-lite0")
    model = base.build()
    if cut == "pooled":
        part = keras.Model(model.input, keras.layers.GlobalAveragePooling2D()(model.output))
    else:
        part = prefix(model, cut)
    files = sorted(make_images(tmp_path / "images", {"a": 2, "b": 2}, size=300).rglob("*.png"))
    images = np.stack([base.spec.render(file.read_bytes())[0] for file in files])
    convert(part, tmp_path / "network.xml")
    found = OpenVINOEngine(tmp_path / "network.xml", "f32").run(images)
    assert error(found, KerasEngine(part).run(images)) < CLOSE
