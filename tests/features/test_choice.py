from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.catalog.untrained import BASE
from headstart.errors import EngineError, UnknownNameError
from headstart.features import choice
from headstart.features.choice import choose_engine
from headstart.features.fingerprint import fingerprint
from headstart.features.openvino import OpenVINOEngine, cpu_has_bf16
from headstart.features.store import Store


@pytest.fixture(scope="module")
def frozen() -> Any:
    """What `fit` hands over: a part that answers in training as it does otherwise."""
    base = BASE.build()
    base.trainable = False
    return base


def choose(prefix: Any, store: Store, engine: str = "auto", precision: str = "f32") -> tuple[Any, list[str]]:
    said: list[str] = []
    shape = tuple(prefix.inputs[0].shape)[1:]
    sample = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    return choose_engine(prefix, fingerprint(prefix), store, sample, engine, precision, said.append), said


def model_of(layer: Any, shape: tuple[int, ...] = (6, 6, 3), dtype: str = "float32") -> Any:
    import keras

    inputs = keras.Input(shape, dtype=dtype)
    return keras.Model(inputs, layer(inputs))


def not_for_openvino() -> Any:
    import keras
    import tensorflow as tf

    class Mirrored(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            turned = tf.numpy_function(lambda array: np.flip(array, 1).copy(), [x], tf.float32)
            return tf.ensure_shape(turned, x.shape)

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    return model_of(Mirrored())


@pytest.mark.parametrize("engine", ["auto", "openvino"])
def test_openvino_runs_what_it_can_and_agrees_with_keras(
    engine: str, frozen: Any, inputs: np.ndarray, store: Store
) -> None:
    fast, said = choose(frozen, store, engine)
    exact, _ = choose(frozen, store, "keras")
    assert said == []
    assert fast.identity.startswith("openvino-")
    assert fast.identity.endswith("-f32")
    assert exact.identity.startswith("keras-")
    np.testing.assert_allclose(fast.run(inputs), exact.run(inputs), rtol=1e-3, atol=1e-4)


def test_the_converted_network_is_kept_and_read_again(frozen: Any, store: Store) -> None:
    choose(frozen, store)
    (kept,) = (store.folder / "prefixes").iterdir()
    made = (kept / "network.xml").stat().st_mtime_ns
    choose(frozen, store)
    assert [(kept / "network.xml").stat().st_mtime_ns] == [made]
    assert len(list((store.folder / "prefixes").iterdir())) == 1


def test_an_engine_stays_open_for_the_thread_that_used_it_last(
    frozen: Any, inputs: np.ndarray, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(frozen, store)  # converts, and opens the network to check it
    opened: list[Path] = []

    def opening(path: Path, precision: Any) -> OpenVINOEngine:
        opened.append(path)
        return OpenVINOEngine(path, precision)

    monkeypatch.setattr(choice, "OpenVINOEngine", opening)
    choice._opened.cache_clear()
    for _ in range(2):
        choose(frozen, store)[0].run(inputs)
    assert len(opened) == 1
    with ThreadPoolExecutor(1) as pool:
        pool.submit(choose(frozen, store)[0].run, inputs).result()
    assert len(opened) == 2, "two threads at once would mix up each other's outputs"


def test_tokens_and_mixed_precision_are_left_to_keras(store: Store) -> None:
    import keras

    for prefix in (
        model_of(keras.layers.Embedding(9, 4), (5,), "int32"),
        model_of(keras.layers.Conv2D(2, 3, dtype="mixed_bfloat16")),
    ):
        engine, said = choose(prefix, store)
        assert engine.identity.startswith("keras-")
        assert said == []


def test_what_openvino_cannot_run_is_left_to_keras_and_said(store: Store) -> None:
    prefix = not_for_openvino()
    engine, said = choose(prefix, store)
    assert engine.identity.startswith("keras-")
    assert len(said) == 1
    assert "can't be converted for OpenVINO" in said[0]
    assert said[0].endswith("so the frozen part runs in Keras, which is slower and just as right")
    batch = np.random.default_rng(0).normal(size=(3, 6, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(engine.run(batch), batch[:, ::-1])
    with pytest.raises(EngineError, match="can't be converted for OpenVINO"):
        choose(prefix, store, "openvino")


@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_the_precision_is_part_of_the_identity(precision: str, frozen: Any, store: Store) -> None:
    engine, _ = choose(frozen, store, precision=precision)
    kinds = ("-bf16",) if precision == "bf16" else ("-bf16", "-f32") if cpu_has_bf16() else ("-f32",)
    assert engine.identity.endswith(kinds)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"engine": "Openvino "}, "there is no engine named 'Openvino '; did you mean 'openvino'"),
        ({"precision": "fp32"}, "there is no precision named 'fp32'; did you mean 'f32'"),
        ({"precision": "int8"}, "there is no precision named 'int8'; there are: auto, bf16, f32"),
    ],
)
def test_names_that_are_not_offered(names: dict[str, str], message: str, frozen: Any, store: Store) -> None:
    with pytest.raises(UnknownNameError, match=message):
        choose(frozen, store, **names)


def test_a_conversion_that_answers_otherwise_than_keras_is_not_kept(store: Store) -> None:
    """This layer doubles its input in training, which an exported network doesn't know."""
    import keras

    class DoublesInTraining(keras.layers.Layer):
        def call(self, x: Any, training: bool = False) -> Any:
            return 2 * x if training else x

    prefix = model_of(DoublesInTraining())
    chosen, said = choose(prefix, store)
    assert chosen.identity.startswith("keras-")
    assert len(said) == 1
    assert "OpenVINO's answer differs from that of Keras by 50.0%" in said[0]
    assert not list((store.folder / "prefixes").iterdir())
    with pytest.raises(EngineError, match="use engine='keras'"):
        choose(prefix, store, "openvino")
