from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.catalog.untrained import BASE
from headstart.features.openvino import OpenVINOEngine, append_linear_head, convert
from headstart.features.view_network import average_over_views
from headstart.images.views import MIRRORED, PLAIN, View, make_views

ALL = make_views("orientation-free", 8, seed=0)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose logits change when its input is turned or mirrored."""
    import keras

    folder = tmp_path_factory.mktemp("classifier")
    inputs = keras.Input((32, 32, 3))
    convert(keras.Model(inputs, keras.layers.Flatten()(inputs)), folder / "flat.xml")
    weights = np.random.default_rng(3).normal(size=(32 * 32 * 3, 2)).astype(np.float32)
    append_linear_head(folder / "flat.xml", weights, np.array([0.5, -1], np.float32), folder / "network.xml")
    return folder / "network.xml"


@pytest.fixture(scope="module")
def photograph() -> bytes:
    """An image that looks different in each of its eight views, and isn't square."""
    pixels = np.random.default_rng(4).integers(0, 256, (40, 61, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def logits(network: Path, inputs: list[np.ndarray]) -> np.ndarray:
    return OpenVINOEngine(network).run(np.stack(inputs))


@pytest.mark.parametrize("view", ALL, ids=lambda view: view.key)
def test_the_network_sees_what_the_image_spec_makes_of_a_view(
    classifier: Path, photograph: bytes, tmp_path: Path, view: View
) -> None:
    average_over_views(classifier, [view], tmp_path / "network.xml")
    plain, rendered = BASE.spec.render(photograph, (PLAIN, view))
    np.testing.assert_allclose(
        logits(tmp_path / "network.xml", [plain]), logits(classifier, [rendered]), rtol=1e-4, atol=1e-3
    )
    assert view == PLAIN or np.abs(logits(classifier, [plain]) - logits(classifier, [rendered])).max() > 0.1


@pytest.mark.parametrize("count", [2, 3, 8])
def test_the_logits_are_the_mean_over_the_views_of_each_image(
    classifier: Path, photograph: bytes, tmp_path: Path, inputs: np.ndarray, count: int
) -> None:
    average_over_views(classifier, ALL[:count], tmp_path / "network.xml")
    wanted = logits(classifier, BASE.spec.render(photograph, ALL[:count])).mean(axis=0)
    found = logits(tmp_path / "network.xml", [inputs[0], *BASE.spec.render(photograph), inputs[1]])
    np.testing.assert_allclose(found[1], wanted, rtol=1e-4, atol=1e-3)


def test_a_whole_batch_is_averaged_image_by_image(classifier: Path, inputs: np.ndarray, tmp_path: Path) -> None:
    """The engine runs single images; others may run the network on many at once."""
    from headstart.features.openvino import import_openvino

    average_over_views(classifier, ALL[:4], tmp_path / "network.xml")
    compiled = (
        import_openvino().Core().compile_model(tmp_path / "network.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    )
    together = compiled([inputs])[0]
    np.testing.assert_allclose(together, logits(tmp_path / "network.xml", list(inputs)), rtol=1e-3, atol=1e-3)


def test_an_input_that_is_not_square_can_be_mirrored_and_turned_upside_down(tmp_path: Path) -> None:
    import keras

    inputs = keras.Input((4, 6, 3))
    convert(keras.Model(inputs, keras.layers.Flatten()(inputs)), tmp_path / "flat.xml")
    image = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
    average_over_views(tmp_path / "flat.xml", [MIRRORED, View(quarter_turns=2)], tmp_path / "network.xml")
    wanted = (image[:, ::-1] + image[::-1, ::-1]) / 2
    np.testing.assert_allclose(logits(tmp_path / "network.xml", [image])[0], wanted.ravel(), atol=1e-6)


def test_the_network_itself_stays_and_its_weights_are_kept_once(classifier: Path, tmp_path: Path) -> None:
    before = classifier.read_bytes(), classifier.with_suffix(".bin").read_bytes()
    average_over_views(classifier, ALL, tmp_path / "network.xml")
    assert (classifier.read_bytes(), classifier.with_suffix(".bin").read_bytes()) == before
    assert (tmp_path / "network.bin").stat().st_size < classifier.with_suffix(".bin").stat().st_size + 1000


def test_a_network_that_can_not_be_written_is_an_error_of_the_system(classifier: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"OpenVINO can't write network\.xml"):
        average_over_views(classifier, ALL, tmp_path / "file" / "network.xml")
