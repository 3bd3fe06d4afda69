from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.catalog import get_base
from headstart.errors import RunError, UsageError, WeightsError
from headstart.learn.own_base import base as own_base
from headstart.run import Run
from headstart.workflow import train
from headstart.workflow.base_choice import BaseChoice, parse_image_size

Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Keras home that is empty, and nothing said in the environment."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("HEADSTART_WEIGHTS", raising=False)


@pytest.fixture(scope="module")
def application_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file for mobilenetv3-small, with random numbers."""
    path = tmp_path_factory.mktemp("weights") / "small.weights.h5"
    get_base("mobilenetv3-small").architecture(shape=(32, 32)).save_weights(path)
    return path


def own_model() -> Any:
    import keras
    from keras import layers

    inputs = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 255, name="scale")(inputs)
    for number in range(2):
        x = layers.Conv2D(8, 3, strides=2, activation="relu", name=f"conv{number}")(x)
    return keras.Model(inputs, layers.Dense(2, name="top")(layers.Flatten(name="flat")(x)), name="mine")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "mine.keras"
    own_model().save(path)
    return path


def gives_the_same_in_keras(run: Run, paths: list[Path], model: Any = None) -> None:
    from headstart.images.spec import ImageSpec

    spec = ImageSpec.from_dict(run.manifest.image_spec)
    inputs = np.stack([spec.render(path.read_bytes())[0] for path in paths])
    np.testing.assert_allclose(run.to_keras(model).predict_on_batch(inputs), run.predict_arrays(inputs), atol=1e-3)


def test_an_application_is_trained_from_a_weights_file_at_another_size_and_a_second_time_without_keras(
    headstart: Command,
    photos: Path,
    cache_dir: Path,
    tmp_path: Path,
    application_weights: Path,
    loaded_by: Callable[..., set[str]],
) -> None:
    arguments = ["--cache", cache_dir, "--no-finetune", "--base", "MobileNetV3Small", "--weights", application_weights]
    arguments += ["--image-size", "48x64", "--offline"]
    finished = headstart("train", photos, "--out", tmp_path / "run", *arguments)
    assert finished.code == 0, finished.err
    assert not loaded_by("train", photos, "--out", tmp_path / "second", *arguments) & {"keras", "tensorflow", "h5py"}
    assert Run.load(tmp_path / "second").metrics["features"]["computed"] == 0
    run = Run.load(tmp_path / "run")
    assert (run.manifest.image_spec["height"], run.manifest.image_spec["width"]) == (48, 64)
    assert run.manifest.base.name == "mobilenetv3-small"
    gives_the_same_in_keras(run, sorted(photos.rglob("*.png"))[:3])
    assert f"--weights {application_weights} --image-size 48x64 --offline" in run.manifest.command
    assert {choice.what for choice in run.manifest.choices} >= {"image size", "pixel scaling"}


def test_a_model_file_is_trained_to_a_run_that_takes_the_model_for_keras(
    headstart: Command, photos: Path, cache_dir: Path, tmp_path: Path, model_file: Path
) -> None:
    import keras

    arguments = ["train", photos, "--out", tmp_path / "run", "--cache", cache_dir, "--base", model_file]
    refused = headstart(*arguments)
    assert refused.code == 2
    assert "a model file is a program" in refused.err
    finished = headstart(*arguments, "--trust-model-file", "--no-finetune")
    assert finished.code == 0, finished.err
    run = Run.load(tmp_path / "run")
    assert run.manifest.base.name == "mine"
    with pytest.raises(RunError) as caught:
        run.to_keras()
    assert str(caught.value) == (
        "the run stands on 'mine', which isn't a base of this Headstart; "
        "if that is a model of your own, hand it in: run.to_keras(model)"
    )
    gives_the_same_in_keras(run, sorted(photos.rglob("*.png"))[:3], keras.saving.load_model(model_file))
    image, convolutions = keras.Input((32, 32, 3)), [keras.layers.Conv2D(8, 3, name=f"conv{n}") for n in range(3)]
    with pytest.raises(WeightsError, match="conv2/kernel needs weights of shape"):
        run.to_keras(keras.Sequential([image, *convolutions]))
    with pytest.raises(
        WeightsError, match="the run has 6 weights, and a classifier on this model 4; hand in the model"
    ):
        run.to_keras(keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3, name="conv0")]))


def test_a_model_in_hand_is_fine_tuned_too(make_images: Callable[..., Path], cache_dir: Path, tmp_path: Path) -> None:
    images = make_images(tmp_path / "many", {"cat": 80, "dog": 80}, size=32)
    model = own_model()
    before = [weight.copy() for weight in model.get_weights()]
    run = train(images, tmp_path / "run", base=own_base(model), cache=cache_dir)
    assert run.metrics["finetune"] is not None
    assert all(np.array_equal(one, other) for one, other in zip(before, model.get_weights(), strict=True))
    gives_the_same_in_keras(run, sorted(images.rglob("*.png"))[:3], model)


def test_a_base_with_a_single_stage_is_not_fine_tuned(
    make_images: Callable[..., Path], cache_dir: Path, tmp_path: Path
) -> None:
    import keras

    images = make_images(tmp_path / "many", {"cat": 80, "dog": 80}, size=32)
    model = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3, name="only")], name="flat")
    run = train(images, tmp_path / "run", base=own_base(model, "tf"), cache=cache_dir)
    assert run.metrics["finetune"] is None
    (decision,) = (choice for choice in run.manifest.choices if choice.what == "classifier")
    assert "the base has no cut below its last layer" in decision.reason


def test_weights_of_another_network_stop_the_run_and_leave_nothing(
    headstart: Command, photos: Path, cache_dir: Path, tmp_path: Path, application_weights: Path
) -> None:
    out = tmp_path / "run"
    arguments = ["train", photos, "--out", out, "--cache", cache_dir, "--base", "mobilenetv3-large"]
    finished = headstart(*arguments, "--weights", application_weights)
    assert finished.code == 1
    assert "needs weights of shape" in finished.err
    assert finished.err.rstrip().endswith("these weights belong to another network, or another version of this one")
    assert not out.exists()


def test_a_folder_that_is_not_there_is_told_before_weights_are_looked_for(headstart: Command, tmp_path: Path) -> None:
    finished = headstart("train", tmp_path / "absent", "--out", tmp_path / "run", "--base", "vgg16", "--offline")
    assert finished.code == 2
    assert "there is no folder" in finished.err


def test_weights_that_are_not_here_are_told_before_anything_is_read(
    headstart: Command, tmp_path: Path, cache_dir: Path, make_images: Any
) -> None:
    photos = make_images(tmp_path / "photos", {"cat": 3, "dog": 3})
    arguments = ["train", photos, "--out", tmp_path / "run", "--cache", cache_dir, "--base", "vgg16"]
    finished = headstart(*arguments, "--offline")
    assert finished.code == 1
    assert finished.err == (
        "headstart: the weights of vgg16 aren't here; they may not be fetched, since Headstart is offline; "
        "get https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5 on any machine and put it into "
        f"{tmp_path / 'keras' / 'models'} as vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5, "
        "or name the file, its folder or a mirror with --weights\n"
    )


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (
            BaseChoice("untrained", scaling="tf"),
            "the scaling of untrained is known; --scaling is for model files; leave --scaling out",
        ),
        (
            BaseChoice("untrained", image_size=4),
            "untrained takes no images of 4×4 pixels; give a size from 8×8 to 2048×2048; it was trained with 32×32",
        ),
        (BaseChoice("mine.keras", weights="a.h5"), "a model file brings its own weights; leave --weights out"),
        (BaseChoice("absent.keras", trust_model_file=True), "there is no model file absent.keras; check the path"),
    ],
    ids=["scaling", "size", "weights", "absent"],
)
def test_options_that_do_not_go_together_are_wrong_use(choice: BaseChoice, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        choice.resolve(tmp_path, None)
    assert str(caught.value) == message


def test_a_base_of_another_size_keeps_its_features_apart() -> None:
    base = get_base("untrained")
    assert base.with_size(32, 32) is base
    assert base.with_size(64, 48).spec == base.spec.with_size(64, 48)
    assert len({base.fingerprint, base.with_size(64, 48).fingerprint, base.with_size(48, 64).fingerprint}) == 3
    assert base.with_size(64, 48).build().output.shape == (None, 8, 6, base.features)


@pytest.mark.parametrize(
    ("text", "size"), [(None, None), ("224", (224, 224)), ("96x128", (96, 128)), ("96X128", (96, 128))]
)
def test_image_sizes_are_read_as_typed(text: str | None, size: tuple[int, int] | None) -> None:
    assert parse_image_size(text) == size


@pytest.mark.parametrize("text", ["", "large", "1x2x3", "-5", "1.5", "x"])
def test_what_is_no_image_size_is_wrong_use(text: str) -> None:
    with pytest.raises(UsageError, match="is no image size; give pixels, such as 224, or height and width"):
        parse_image_size(text)
