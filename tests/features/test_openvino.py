from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.errors import EngineError
from headstart.features import openvino as module
from headstart.features.openvino import BF16_TOLERANCE, OpenVINOEngine, append_linear_head, choose_precision, convert


@pytest.fixture(scope="module")
def pooled(untrained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras

    path = tmp_path_factory.mktemp("pooled") / "network.xml"
    convert(keras.Model(untrained.input, keras.layers.GlobalAveragePooling2D()(untrained.output)), path)
    return path


@pytest.fixture
def damaged(untrained_network: Path, tmp_path: Path) -> Path:
    """A copy of a network, for tests to damage."""
    for suffix in (".xml", ".bin"):
        shutil.copy(untrained_network.with_suffix(suffix), tmp_path / f"copy{suffix}")
    return tmp_path / "copy.xml"


def test_a_linear_head_gives_features_times_weights_plus_bias(pooled: Path, inputs: np.ndarray, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    weights, bias = rng.normal(size=(32, 5)).astype(np.float32), rng.normal(size=5).astype(np.float32)
    append_linear_head(pooled, weights, bias, tmp_path / "classifier.xml")
    logits = OpenVINOEngine(tmp_path / "classifier.xml").run(inputs)
    assert logits.shape == (11, 5)
    features = OpenVINOEngine(pooled).run(inputs)
    np.testing.assert_allclose(logits, features @ weights + bias, rtol=1e-4, atol=1e-5)


def test_a_linear_head_keeps_its_weights_in_full_precision(pooled: Path, inputs: np.ndarray, tmp_path: Path) -> None:
    weights = np.full((32, 2), 1 + 2**-20, np.float32)  # float16 would round it to 1
    append_linear_head(pooled, weights, np.array([0, 2**-20], np.float32), tmp_path / "classifier.xml")
    assert np.float32(1 + 2**-20).tobytes() in (tmp_path / "classifier.bin").read_bytes()


def test_a_linear_head_leaves_the_pooled_network_as_it_was(pooled: Path, inputs: np.ndarray, tmp_path: Path) -> None:
    before = pooled.read_bytes(), pooled.with_suffix(".bin").read_bytes()
    append_linear_head(pooled, np.zeros((32, 2), np.float32), np.zeros(2, np.float32), tmp_path / "classifier.xml")
    assert (pooled.read_bytes(), pooled.with_suffix(".bin").read_bytes()) == before


def test_a_linear_head_is_written_the_same_whatever_was_made_before(pooled: Path, tmp_path: Path) -> None:
    weights, bias = np.ones((32, 2), np.float32), np.zeros(2, np.float32)
    for name in ("one", "two"):
        append_linear_head(pooled, weights, bias, tmp_path / f"{name}.xml")
    for suffix in (".xml", ".bin"):
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_a_network_whose_description_is_cut_short_is_refused(damaged: Path) -> None:
    damaged.write_text(damaged.read_text()[:2000])
    with pytest.raises(EngineError, match=r"copy\.xml can't be read as a network; it is damaged; make it again"):
        OpenVINOEngine(damaged)


def test_a_network_whose_description_makes_no_sense_is_refused(damaged: Path) -> None:
    damaged.write_text(damaged.read_text().replace('strides="2, 2"', 'strides="two"'))
    with pytest.raises(EngineError, match=r"can't be read as a network"):
        OpenVINOEngine(damaged)


def test_a_network_without_all_of_its_weights_is_refused(damaged: Path) -> None:
    weights = damaged.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(EngineError, match=r"can't be read as a network"):
        OpenVINOEngine(damaged)
    weights.unlink()
    with pytest.raises(EngineError, match=r"can't be read as a network"):
        OpenVINOEngine(damaged)


def test_a_network_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"none\.xml can't be read as a network"):
        OpenVINOEngine(tmp_path / "none.xml")


def test_a_model_that_openvino_cannot_express_is_named_with_the_reason(tmp_path: Path) -> None:
    import keras

    class Stubborn(keras.layers.Layer):
        is_done = False

        def call(self, x: Any) -> Any:
            if self.is_done:
                raise RuntimeError("not here")
            return x

    layer = Stubborn()
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layer(inputs), name="stubborn")
    layer.is_done = True
    with pytest.raises(EngineError, match=r"'stubborn' can't be converted for OpenVINO \((?s:.*)not here"):
        convert(model, tmp_path / "network.xml")


def test_without_bf16_in_the_cpu_the_precision_is_f32(untrained_network: Path, inputs: np.ndarray) -> None:
    assert choose_precision(untrained_network, inputs, has_bf16=False) == ("f32", "this CPU doesn't compute in bf16")


def test_bf16_is_chosen_where_it_agrees(untrained_network: Path, inputs: np.ndarray) -> None:
    precision, reason = choose_precision(untrained_network, inputs, has_bf16=True)
    assert precision == "bf16"
    assert reason.startswith("on the first 11 images bf16 differs from f32 by 0.")


class Rounding:
    """Stands in for the engine: in bf16 its outputs are off by a share of their size."""

    share = 0.0

    def __init__(self, path: Path, precision: str) -> None:
        self._factor = 1 + self.share * (precision == "bf16")

    @classmethod
    def __class_getitem__(cls, tag: Any) -> type[Rounding]:
        return cls

    def run(self, batch: np.ndarray) -> np.ndarray:
        return batch * np.float32(self._factor)


@pytest.mark.parametrize(("share", "expected"), [(0.9, "bf16"), (1.1, "f32")])
def test_bf16_is_refused_where_it_differs_by_more_than_it_may(
    share: float, expected: str, inputs: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OpenVINOEngine", Rounding)
    monkeypatch.setattr(Rounding, "share", share * BF16_TOLERANCE)
    precision, reason = choose_precision(Path("network.xml"), inputs, has_bf16=True)
    assert precision == expected
    measured = f"on the first 11 images bf16 differs from f32 by {share * BF16_TOLERANCE:.2%}"
    assert reason == measured + (f", more than {BF16_TOLERANCE:.0%}" if expected == "f32" else "")


def test_outputs_of_nothing_but_zeros_agree(inputs: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OpenVINOEngine", Rounding)
    assert choose_precision(Path("network.xml"), np.zeros_like(inputs), has_bf16=True)[0] == "bf16"


def test_the_cpu_is_asked_where_nobody_says(
    untrained_network: Path, inputs: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "cpu_has_bf16", lambda: False)
    assert choose_precision(untrained_network, inputs)[0] == "f32"
    monkeypatch.setattr(module, "cpu_has_bf16", lambda: True)
    assert choose_precision(untrained_network, inputs)[0] == "bf16"


TELEMETRY = """
import importlib.util, sys
assert importlib.util.find_spec("openvino_telemetry"), "nothing to keep out"
from headstart.features.openvino import import_openvino
assert import_openvino().get_version()
import openvino.tools.ovc
print(sorted(name for name, module in sys.modules.items() if name.startswith("openvino_telemetry") and module))
"""


def test_openvino_comes_without_its_telemetry() -> None:
    try:
        importlib.metadata.version("openvino-telemetry")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("openvino-telemetry isn't installed")
    done = subprocess.run([sys.executable, "-c", TELEMETRY], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
