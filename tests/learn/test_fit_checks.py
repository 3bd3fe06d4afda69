from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart as hs
from headstart.errors import DataError, HeadstartWarning, UsageError
from headstart.learn.fit_checks import check_compiled, check_inputs, check_targets, warn_of_harm
from headstart.learn.samples import Unstorable

# `pytest.warns` raises warnings that it wasn't told of once more, in its own name: the project's filter misses them.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


def make_base(name: str, *first: Any) -> Any:
    import keras

    inputs = x = keras.Input((4, 4, 3))
    for layer in (*first, keras.layers.Conv2D(2, 3), keras.layers.BatchNormalization()):
        x = layer(x)
    return keras.Model(inputs, x, name=name)


def make_model(name: str = "resnet50", *front: Any, inside: tuple[Any, ...] = ()) -> Any:
    import keras

    base = make_base(name, *inside)
    base.trainable = False
    layers = [keras.Input((4, 4, 3)), *front, base, keras.layers.Flatten(), keras.layers.Dense(1)]
    return compiled(keras.Sequential(layers))


def compiled(model: Any, rate: float = 1e-3, optimizer: str = "Adam") -> Any:
    import keras

    model.compile(getattr(keras.optimizers, optimizer)(rate), "mse", run_eagerly=True)
    return model


def warned(model: Any, inputs: np.ndarray | None = None) -> list[str]:
    """What `warn_of_harm` says; inputs of one colour can't be judged."""
    given = np.zeros((2, 4, 4, 3), np.float32) if inputs is None else inputs
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", HeadstartWarning)
        warn_of_harm(model, given)
    return [str(warning.message) for warning in caught if warning.category is HeadstartWarning]


def thaw(model: Any) -> Any:
    """Each layer by itself: a model that counts as trainable passes nothing on."""
    for layer in model.layers:
        layer.trainable = True
    return model


def test_unfreezing_at_adams_rate_is_warned_about_once() -> None:
    model = make_model()
    assert warned(model) == []
    compiled(thaw(model))
    (message,) = warned(model)
    assert message.startswith("2 layers that were frozen are trained now at adam's rate of 0.001, which destroys what")
    assert message.endswith("compile again with learning_rate=1e-05")
    assert warned(model) == []


@pytest.mark.parametrize(
    ("rate", "optimizer", "expected"),
    [(1e-3, "RMSprop", 1), (5e-4, "AdamW", 1), (1e-4, "Adam", 0), (1e-5, "Adam", 0), (1e-2, "SGD", 0)],
)
def test_only_rates_that_do_harm_are_warned_about(rate: float, optimizer: str, expected: int) -> None:
    model = make_model()
    warned(model)
    assert len(warned(compiled(thaw(model), rate, optimizer))) == expected


def test_a_model_that_was_never_frozen_is_trained_at_any_rate() -> None:
    assert warned(compiled(thaw(make_model()))) == []


def test_a_head_that_is_trained_on_is_no_reason_to_warn() -> None:
    model = make_model()
    warned(model)
    assert warned(compiled(model, 1e-2)) == []


def test_a_schedules_rate_counts() -> None:
    import keras

    model = make_model()
    warned(model)
    thaw(model)
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-2, 10, 0.5)
    model.compile(keras.optimizers.Adam(schedule), "mse")
    assert "adam's rate of 0.01" in warned(model)[0]


def test_fit_itself_warns_at_the_callers_line(cache_dir: Path) -> None:
    """Frozen, trained, thawed as far as its BatchNorm, compiled with Adam's default rate, trained."""
    x, y = np.random.default_rng(0).normal(size=(4, 4, 4, 3)).astype("float32"), np.ones((4, 1))
    settings = {"store": cache_dir, "engine": "keras", "verbose": 0}
    model = make_model("any")
    hs.fit(model, x, y, **settings)
    model.get_layer("any").layers[-1].trainable = True
    with pytest.warns(
        HeadstartWarning, match="1 layers that were frozen .* compile again with learning_rate=1e-05"
    ) as said:
        history = hs.fit(compiled(model), x, y, **settings)
    assert [warning.filename for warning in said if warning.category is HeadstartWarning] == [__file__]
    assert history.frozen_part.layer.startswith("any/conv2d")
    hs.fit(compiled(model), x, y, **settings)


PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype("float32")
SCALED = {"0 to 255": PIXELS, "0 to 1": PIXELS / 255, "-1 to 1": PIXELS / 127.5 - 1, "less the mean": PIXELS - 110}
RIGHT = {
    "resnet50": {"less the mean"},
    "vgg16": {"less the mean"},
    "resnet50v2": {"-1 to 1"},
    "mobilenetv2_1.00_224": {"-1 to 1"},
    "inception_v3": {"-1 to 1"},
    "xception": {"-1 to 1"},
    "nasnet_mobile": {"-1 to 1"},
    "efficientnet_lite0": {"-1 to 1"},
    "densenet121": {"-1 to 1"},  # as near as a range tells
    "efficientnetb0": {"0 to 255"},
    "efficientnetv2-b0": {"0 to 255"},
    "convnext_tiny": {"0 to 255"},
    "MobileNetV3Small": {"0 to 255"},
    "my_own_network": set(SCALED),
}


@pytest.mark.parametrize("name", RIGHT)
def test_inputs_that_are_not_scaled_as_the_weights_expect(name: str) -> None:
    import keras

    inside = (keras.layers.Rescaling(1 / 255),) if "0 to 255" in RIGHT[name] else ()
    found = {scaling for scaling, inputs in SCALED.items() if not warned(make_model(name, inside=inside), inputs)}
    assert found == RIGHT[name]


def test_the_warning_says_what_came_and_what_was_expected() -> None:
    (message,) = warned(
        make_model("vgg16"), np.array([0.0, 1.0], np.float32).reshape(2, 1, 1, 1).repeat(48, 3).reshape(2, 4, 4, 3)
    )
    assert message == (
        "vgg16 gets values from 0 to 1; its ImageNet weights expect channels in the order BGR, pixels of 0 to 255 less "
        "(103.939, 116.779, 123.68)"
    )


def test_it_is_said_once_a_model() -> None:
    model = make_model("vgg16")
    assert [len(warned(model, PIXELS)) for _ in range(3)] == [1, 0, 0]
    assert len(warned(make_model("vgg16"), PIXELS)) == 1


def test_what_layers_below_the_base_do_counts() -> None:
    import keras

    assert warned(make_model("mobilenetv2_1.00_224", keras.layers.Rescaling(1 / 127.5, -1)), PIXELS) == []
    assert len(warned(make_model("mobilenetv2_1.00_224", keras.layers.Rescaling(1 / 255)), PIXELS)) == 1
    assert (
        len(
            warned(
                make_model(
                    "efficientnetb0", keras.layers.Rescaling(1 / 255), inside=(keras.layers.Rescaling(1 / 255),)
                ),
                PIXELS,
            )
        )
        == 1
    )


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnetb0"])
def test_a_network_that_does_not_rescale_takes_scaled_inputs(name: str) -> None:
    assert warned(make_model(name), SCALED["-1 to 1"]) == []


def test_integer_pixels_are_judged_as_well() -> None:
    assert len(warned(make_model("vgg16"), PIXELS.astype("uint8"))) == 1


def test_one_colour_cannot_be_judged() -> None:
    assert warned(make_model("vgg16"), np.ones((2, 4, 4, 3), np.float32)) == []


@pytest.mark.parametrize("model", [None, "model", 1.5])
def test_only_compiled_models_pass(model: Any) -> None:
    import keras

    with pytest.raises(UsageError, match=r"not a keras\.Model; give the compiled model first"):
        check_compiled(model)
    with pytest.raises(UsageError, match=r"isn't compiled; call model\.compile\(optimizer, loss, metrics\) first"):
        check_compiled(keras.Sequential([keras.layers.Dense(1)]))
    check_compiled(make_model())


def test_inputs_must_fit() -> None:
    model = make_model()
    check_inputs(model, np.zeros((3, 4, 4, 3)))
    for shape in ((3, 5, 4, 3), (3, 4, 4), (3, 48)):
        with pytest.raises(DataError, match="the model takes"):
            check_inputs(model, np.zeros(shape))
    with pytest.raises(Unstorable, match=r"samples of shape \(4, 4, 3, 1\); the model takes \(4, 4, 3\)"):
        check_inputs(model, np.zeros((3, 4, 4, 3, 1)))


def outputs_of(units: int, loss: Any) -> Any:
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])
    model.compile("sgd", loss)
    return model


@pytest.mark.parametrize("loss", ["mse", "binary_crossentropy", "kl_divergence", ["mse"], None, lambda y, p: p])
def test_other_losses_take_any_targets(loss: Any) -> None:
    check_targets(outputs_of(3, loss), np.array([7, -1, 300]))


def test_targets_are_held_against_the_loss() -> None:
    import keras

    labels, rows = np.array([0, 2]), np.eye(3)
    for sparse in ("sparse_categorical_crossentropy", keras.losses.SparseCategoricalCrossentropy(from_logits=True)):
        check_targets(outputs_of(3, sparse), labels)
        with pytest.raises(DataError, match="y holds labels from 0 to 2; the model's outputs stand for 0 to 1;"):
            check_targets(outputs_of(2, sparse), labels)
        check_targets(outputs_of(3, sparse), labels[:0])
    for one_hot in ("categorical_crossentropy", keras.losses.CategoricalFocalCrossentropy()):
        check_targets(outputs_of(3, one_hot), rows)
        with pytest.raises(
            DataError, match=r"Focal|categorical.* with 3 outputs takes one-hot rows of 3; use keras\.utils"
        ):
            check_targets(outputs_of(3, one_hot), np.array([0, 1, 2]))
