"""The scripts in examples run, at a small size."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from headstart.errors import HeadstartWarning

EXAMPLES = Path(__file__).parents[1] / "examples"
SMALL = ["--weights", "none", "--size", "32", "--images", "2", "--epochs", "1", "--fine-tuning-epochs", "1"]


@pytest.fixture
def classic_vgg16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    spec = importlib.util.spec_from_file_location("classic_vgg16", EXAMPLES / "classic_vgg16.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "classic_vgg16", module)  # where dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    import keras

    keras.backend.clear_session()


def test_the_classic_script_runs_and_stores_the_frozen_part(
    classic_vgg16: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", HeadstartWarning)
        classic_vgg16.main(SMALL)
    (once_unfrozen,) = (str(warning.message) for warning in caught)
    assert "no frozen layer lies below it; training plainly" in once_unfrozen
    assert (tmp_path / "cache" / "features.sqlite").exists()
    assert "accuracy on validation images" in capsys.readouterr().out


def test_the_classic_script_runs_with_keras_alone(
    classic_vgg16: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classic_vgg16.main([*SMALL, "--fit", "keras", "--fine-tuning-epochs", "0"])
    assert not (tmp_path / "cache").exists()
    assert "accuracy on validation images" in capsys.readouterr().out


def test_the_classic_script_reads_folders(
    classic_vgg16: ModuleType, make_images: Callable[..., Path], tmp_path: Path
) -> None:
    images = classic_vgg16.read_images(str(make_images(tmp_path / "photos", {"cat": 3, "dog": 2}, size=48)), 32)
    assert images.x.shape == (5, 32, 32, 3)
    assert images.x.min() < -2, "not scaled as VGG16 expects"
    assert images.y.tolist() == [[1, 0]] * 3 + [[0, 1]] * 2
    training, validation = images.split()
    assert (len(training.x), len(validation.x)) == (4, 1)


def test_the_shapes_that_are_drawn_are_of_ten_classes(classic_vgg16: ModuleType) -> None:
    images = classic_vgg16.draw_images(2, 32)
    assert images.x.shape == (20, 32, 32, 3)
    assert images.y.sum(axis=0).tolist() == [2] * 10
    assert len({row.tobytes() for row in images.x}) == 20
