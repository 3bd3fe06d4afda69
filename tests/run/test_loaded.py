from __future__ import annotations

import json
import pickletools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.errors import RunError, UsageError
from headstart.images.spec import ImageSpec
from headstart.run import Prediction, Run

FILES = {
    "README.md",
    "manifest.json",
    "metrics.json",
    "network.bin",
    "network.xml",
    "predictions.csv",
    "quarantine.csv",
    "report.html",
    "split.csv",
    "weights.safetensors",
}


@pytest.fixture
def copy(trained: Run, tmp_path: Path) -> Path:
    """A run folder that a test may change."""
    return Path(shutil.copytree(trained.folder, tmp_path / "copy"))


@pytest.fixture
def paths(photos: Path) -> list[Path]:
    """Images of every class."""
    return sorted(photos.rglob("*.png"))[::9]


def change_manifest(folder: Path, **changes: object) -> None:
    fields = json.loads((folder / "manifest.json").read_text("utf-8")) | changes
    (folder / "manifest.json").write_text(json.dumps(fields), encoding="utf-8")


def inputs_of(run: Run, paths: list[Path]) -> np.ndarray:
    spec = ImageSpec.from_dict(run.manifest.image_spec)
    return np.stack([spec.render(path.read_bytes())[0] for path in paths])


def calibrated(logits: np.ndarray, temperature: float) -> np.ndarray:
    exponentials = np.exp(logits.astype(np.float64) / temperature)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_a_loaded_run_is_the_one_that_was_trained(trained: Run) -> None:
    run = Run.load(trained.folder)
    assert run.manifest == trained.manifest
    assert run.labels == ("cat", "dog", "owl")
    assert run.metrics == json.loads((trained.folder / "metrics.json").read_text("utf-8"))
    assert run.report == trained.folder / "report.html"
    assert Run.load(str(trained.folder)).folder == trained.folder


def test_a_run_works_wherever_it_is_moved(trained: Run, copy: Path, paths: list[Path]) -> None:
    assert Run.load(copy).predict(paths) == trained.predict(paths)


@pytest.mark.parametrize("temperature", [0.4, 2.5])
def test_probabilities_are_those_of_the_network_at_the_calibrated_temperature(
    copy: Path, paths: list[Path], temperature: float
) -> None:
    change_manifest(copy, temperature=temperature)
    run = Run.load(copy)
    wanted = calibrated(run.predict_arrays(inputs_of(run, paths)), temperature)
    for prediction, row in zip(run.predict(paths), wanted, strict=True):
        assert prediction.probabilities == pytest.approx(dict(zip(run.labels, row, strict=True)), abs=1e-6)


def test_probabilities_sum_to_one_the_most_probable_first(trained: Run, paths: list[Path]) -> None:
    predictions = trained.predict(paths)
    assert {prediction.label for prediction in predictions} == set(trained.labels)
    for prediction in predictions:
        values = list(prediction.probabilities.values())
        assert sum(values) == pytest.approx(1.0)
        assert values == sorted(values, reverse=True)
        assert set(prediction.probabilities) == set(trained.labels)
        assert (prediction.label, prediction.confidence) == next(iter(prediction.probabilities.items()))
    assert any(0.05 < prediction.confidence < 0.95 for prediction in predictions), "every one is certain"


def test_predictions_keep_the_order_of_the_images_with_unreadable_ones_in_between(
    trained: Run, paths: list[Path], tmp_path: Path
) -> None:
    text = tmp_path / "notes.png"
    text.write_text("not an image")
    mixed = [tmp_path / "absent.png", *paths[:3], text, *paths[3:], text]
    predictions = trained.predict(mixed)
    assert [prediction.source for prediction in predictions] == [str(path) for path in mixed]
    alone = {str(path): trained.predict([path])[0] for path in paths}
    for prediction in predictions:
        if prediction.source in alone:
            assert prediction.error is None
            assert prediction.probabilities == pytest.approx(alone[prediction.source].probabilities, abs=1e-5)
        else:
            assert (prediction.probabilities, prediction.label, prediction.confidence) == ({}, None, None)
    assert predictions[0].error == "the file can't be read (No such file or directory)"
    assert predictions[4].error.startswith("not an image in a format that is read here (JPEG, PNG")


def test_many_images_and_one_image_get_the_same_answer(trained: Run, photos: Path, copy: Path) -> None:
    everything = sorted(photos.rglob("*.png"))
    together = Run.load(copy).predict(everything)
    one_by_one = [Run.load(copy).predict([path])[0] for path in everything[::20]]
    for alone, among_many in zip(one_by_one, together[::20], strict=True):
        assert alone.source == among_many.source
        assert alone.probabilities == pytest.approx(among_many.probabilities, abs=1e-5)


def test_no_images_get_no_predictions(trained: Run) -> None:
    assert trained.predict([]) == []


def test_paths_may_be_text_and_progress_is_told(trained: Run, paths: list[Path]) -> None:
    steps: list[int] = []
    assert trained.predict([str(path) for path in paths], steps.append) == trained.predict(paths)
    assert sum(steps) == len(paths)


def test_a_prediction_of_an_unreadable_image_has_no_label() -> None:
    prediction = Prediction("a.png", {}, "the file is empty")
    assert (prediction.label, prediction.confidence) == (None, None)


def test_the_keras_model_gives_the_logits_of_the_network(trained: Run, paths: list[Path]) -> None:
    inputs = inputs_of(trained, paths)
    logits = np.asarray(trained.to_keras().predict_on_batch(inputs))
    assert logits.shape == (len(paths), 3)
    assert float(np.ptp(logits)) > 0.5
    np.testing.assert_allclose(logits, trained.predict_arrays(inputs), atol=1e-3)


def test_a_run_holds_exactly_its_files_and_none_is_a_pickle(trained: Run) -> None:
    assert {path.name for path in trained.folder.iterdir()} == FILES
    for path in trained.folder.iterdir():
        with pytest.raises(ValueError, match=r"opcode|pickle|decode|literal|arg|string|exhausted|not enough|line"):
            list(pickletools.genops(path.read_bytes()))


@pytest.mark.parametrize("name", ["network.bin", "network.xml"])
def test_a_network_that_was_changed_is_refused(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(RunError) as caught:
        Run.load(copy)
    assert str(caught.value) == (
        f"{copy / name} isn't the file that was written: its sha256 differs; "
        "copy the whole run folder again, or train again"
    )


@pytest.mark.parametrize("name", ["network.bin", "network.xml"])
def test_a_network_that_is_missing_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(RunError) as caught:
        Run.load(copy)
    assert str(caught.value) == f"{copy / name} is missing; copy the whole run folder again, or train again"


def test_weights_that_were_changed_are_refused_by_what_reads_them(copy: Path, paths: list[Path]) -> None:
    (copy / "weights.safetensors").write_bytes(b"changed")
    run = Run.load(copy)
    assert run.predict(paths[:1])[0].error is None
    with pytest.raises(RunError, match=r"weights\.safetensors isn't the file that was written: its sha256 differs"):
        run.to_keras()


def test_a_network_without_a_sum_in_the_manifest_is_refused(copy: Path) -> None:
    change_manifest(copy, files={})
    with pytest.raises(RunError, match=r"network\.xml isn't the file that was written"):
        Run.load(copy)


def test_file_names_in_the_manifest_lead_nowhere_outside_the_run(copy: Path, paths: list[Path]) -> None:
    files = json.loads((copy / "manifest.json").read_text("utf-8"))["files"]
    outside = {"../../absent": "0" * 64, "/etc/passwd": "0" * 64}
    change_manifest(copy, files=files | outside)
    assert Run.load(copy).predict(paths[:1])[0].error is None
    (copy / "network.bin").rename(copy.parent / "network.bin")
    change_manifest(copy, files={**files, "../network.bin": files["network.bin"]})
    with pytest.raises(RunError, match=r"copy/network\.bin is missing"):
        Run.load(copy)


def test_a_base_that_this_headstart_has_not_is_no_obstacle_to_predicting(copy: Path, paths: list[Path]) -> None:
    base = json.loads((copy / "manifest.json").read_text("utf-8"))["base"]
    change_manifest(copy, base=base | {"name": "../../of-tomorrow"})
    assert Run.load(copy).predict(paths[:1])[0].error is None


def test_a_folder_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Run.load(tmp_path / "absent")
    assert str(caught.value) == (
        f"there is no run folder {tmp_path / 'absent'}; give a folder that `headstart train` wrote"
    )


def test_a_folder_of_something_else_is_no_run(photos: Path) -> None:
    with pytest.raises(RunError, match=r"photos isn't a run: it has no readable manifest\.json; give a folder that"):
        Run.load(photos)


def test_predicting_loads_neither_keras_nor_tensorflow(
    trained: Run, photos: Path, loaded_by: Callable[..., set[str]]
) -> None:
    loaded = loaded_by("predict", trained.folder, photos / "cat")
    assert {"openvino", "PIL"} <= loaded
    assert loaded & {"keras", "tensorflow", "sklearn", "matplotlib"} == set()


def test_a_photograph_of_any_size_and_colour_is_taken(trained: Run, tmp_path: Path) -> None:
    for mode, size in (("L", (7, 500)), ("RGBA", (1, 1)), ("CMYK", (640, 480))):
        name = "image.tiff"
        Image.new(mode, size).save(tmp_path / name)
        (prediction,) = trained.predict([tmp_path / name])
        assert prediction.error is None


def test_a_manifest_with_more_labels_than_the_network_has_outputs_is_refused(copy: Path, paths: list[Path]) -> None:
    change_manifest(copy, labels=[*Run.load(copy).labels, "unicorn"])
    with pytest.raises(RunError, match="the manifest's image size and labels don't fit the network"):
        Run.load(copy).predict(paths[:1])


def test_metrics_that_were_changed_are_refused(copy: Path) -> None:
    (copy / "metrics.json").write_text("{}")
    with pytest.raises(RunError, match=r"metrics\.json isn't the file that was written"):
        _ = Run.load(copy).metrics
