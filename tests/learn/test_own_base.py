from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.errors import UnknownNameError, UsageError, WeightsError
from headstart.features.boundary import find_cuts
from headstart.images.spec import ImageSpec
from headstart.learn.own_base import base, load_own_base, make_spec


def own_model(size: int | None = 16, *, top: bool = False, rescales: bool = False, name: str = "mine") -> Any:
    """Three convolutions on two map sizes; with a top, a classifier."""
    import keras
    from keras import layers

    inputs = x = keras.Input((size, size, 3), name="picture")
    if rescales:
        x = layers.Rescaling(1 / 255, name="scale")(x)
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="one")(x)
    x = layers.MaxPooling2D(name="smaller")(x)
    x = layers.Conv2D(6, 3, padding="same", name="two")(x)
    x = layers.ReLU(name="three")(x)
    if top:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dense(5, name="classes")(x)
    return keras.Model(inputs, x, name=name)


@pytest.fixture(scope="module")
def model() -> Any:
    return own_model(top=True)


def pixels(size: int = 16) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (2, size, size, 3)).astype(np.float32)


def test_a_model_is_a_base_up_to_its_last_feature_map(model: Any) -> None:
    import keras

    found = base(model, "tf")
    assert (found.name, found.features, found.stages[-1]) == ("mine", 6, "three")
    assert found.parameters == model.count_params()
    built = found.build()
    expected = keras.Model(model.input, model.get_layer("three").output)(pixels())
    np.testing.assert_allclose(built(pixels()), expected, rtol=1e-6)


def test_stages_are_cuts_of_the_network_in_order(model: Any) -> None:
    found = base(model, "tf")
    cuts = [cut.layer for cut in find_cuts(found.architecture())]
    assert [cut for cut in cuts if cut in found.stages] == list(found.stages)
    assert found.stages == ("one", "smaller", "two", "three")


def test_a_base_has_weights_of_its_own() -> None:
    model = own_model()
    found = base(model, "tf")
    before = np.asarray(model.get_layer("one").kernel)
    built = found.build()
    built.get_layer("one").kernel.assign(np.zeros_like(before))
    np.testing.assert_array_equal(np.asarray(model.get_layer("one").kernel), before)
    model.get_layer("one").kernel.assign(np.ones_like(before))
    np.testing.assert_array_equal(np.asarray(found.build().get_layer("one").kernel), before)


def test_the_identity_follows_weights_graph_and_settings() -> None:
    import keras

    model = own_model()
    first = base(model, "tf")
    assert base(model, "tf").fingerprint == first.fingerprint
    again = own_model()
    again.set_weights(model.get_weights())
    assert base(again, "tf").weights.identity == first.weights.identity
    again.get_layer("three").negative_slope = 0.5
    assert base(again, "tf").weights.identity != first.weights.identity
    other = keras.models.clone_model(model)
    assert base(other, "tf").weights.identity != first.weights.identity


def test_a_sequential_model_is_taken_too() -> None:
    import keras
    from keras import layers

    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(3, 3, name="a"), layers.Conv2D(5, 3, name="b"), layers.Flatten()]
    )
    found = base(model, "none", "sequence")
    assert (found.name, found.features, found.stages[-1]) == ("sequence", 5, "b")


@pytest.mark.parametrize("name", ["vgg16", "Efficientnet-Lite0", "untrained"])
def test_a_name_of_the_catalogue_is_not_taken_over(model: Any, name: str) -> None:
    assert base(model, "tf", name).name == f"own-{name}"


def test_an_input_without_a_size_gets_that_of_the_spec() -> None:
    spec = ImageSpec(24, 40, "bilinear", 0.0, 255.0)
    found = base(own_model(None), spec)
    assert found.build().output.shape == (None, 12, 20, 6)
    assert found.spec == spec
    assert found.with_size(16, 16).build().output.shape == (None, 8, 8, 6)


def test_a_model_without_a_size_needs_one() -> None:
    with pytest.raises(UsageError, match=r"the input of 'mine' has no fixed size; give an image spec"):
        base(own_model(None), "tf")


@pytest.mark.parametrize(
    ("scaling", "pixel", "expected"),
    [
        ("none", [10, 20, 30], [10, 20, 30]),
        ("tf", [0, 127.5, 255], [-1, 0, 1]),
        ("torch", [123.675, 116.28, 103.53], [0, 0, 0]),
        ("caffe", [123.68, 116.779, 103.939], [0, 0, 0]),
    ],
)
def test_scalings_have_the_names_that_keras_gives_them(
    model: Any, scaling: str, pixel: list[float], expected: list[float]
) -> None:
    spec = make_spec(model, scaling)
    assert (spec.height, spec.width) == (16, 16)
    np.testing.assert_allclose(spec.scale(np.array([[pixel]]))[0, 0], expected, atol=1e-4)


def test_pixels_are_left_to_a_model_that_scales_them() -> None:
    spec = make_spec(own_model(rescales=True))
    assert (spec.offset, spec.divisor) == (0.0, 1.0)


def test_where_nothing_says_how_pixels_are_scaled_that_is_asked(model: Any) -> None:
    with pytest.raises(UsageError) as caught:
        base(model)
    assert str(caught.value) == (
        "nothing says how pixels are scaled for 'mine', which has no Rescaling or Normalization layer; "
        "say it with --scaling or spec=: none, tf, torch, caffe (none is 0…255, tf is −1…1)"
    )


def test_an_unknown_scaling_is_answered_with_the_nearest_one(model: Any) -> None:
    with pytest.raises(UnknownNameError, match=r"there is no scaling named 'torhc'; did you mean 'torch'\?"):
        base(model, "torhc")


def test_what_can_not_be_a_base_is_told(model: Any) -> None:
    import keras

    with pytest.raises(UsageError, match=r"a base is made from a Keras model; this is a str"):
        base("resnet50", "tf")
    grey = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(3, 3)], name="grey")
    with pytest.raises(UsageError, match=r"'grey' doesn't take images of shape \(height, width, 3\): .* \(8, 8, 1\)"):
        base(grey, "tf")
    flat = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)], name="flat")
    with pytest.raises(UsageError, match=r"'flat' has no feature map of shape"):
        base(flat, "tf")
    with pytest.raises(UsageError, match="'mine_prefix' has no ImageNet top"):
        base(model, "tf").build(classes=1000)


def test_a_file_is_not_opened_without_trust(tmp_path: Path, model: Any) -> None:
    model.save(tmp_path / "net.keras")
    with pytest.raises(UsageError) as caught:
        load_own_base(tmp_path / "net.keras", trust=False, scaling="tf")
    assert str(caught.value) == (
        f"{tmp_path / 'net.keras'} isn't opened: a model file is a program, and loading it runs what it says on this "
        "machine; if you know who made it, say so with --trust-model-file"
    )


def test_a_trusted_file_is_a_base_with_the_files_name(tmp_path: Path, model: Any) -> None:
    model.save(tmp_path / "net.keras")
    found = load_own_base(tmp_path / "net.keras", trust=True, scaling="tf")
    assert found.name == "net"
    np.testing.assert_array_equal(found.build()(pixels()), base(model, "tf").build()(pixels()))


def test_a_file_that_is_not_there_or_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no model file .*absent\.keras; check the path"):
        load_own_base(tmp_path / "absent.keras", trust=True)
    (tmp_path / "text.keras").write_text("no model")
    with pytest.raises(WeightsError, match=r"Keras can't load .*text\.keras \("):
        load_own_base(tmp_path / "text.keras", trust=True)
