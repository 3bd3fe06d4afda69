"""Learning rates as `unfreeze` gives them out."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from headstart.catalog.untrained import BASE
from headstart.errors import HeadstartWarning, UnknownNameError, UsageError
from headstart.learn.attach import attach_head
from headstart.learn.freeze import freeze
from headstart.learn.unfreeze import unfreeze

KERNELS = ["stage0_conv", "stage1_conv", "stage2_conv", "head_output"]


def compiled(optimizer: Any = "sgd", *, wrap: bool = False) -> Any:
    import keras

    model = attach_head(freeze(BASE.build()), 2)
    if wrap:
        model = keras.Sequential([keras.Input((32, 32, 3)), model])
    model.compile(optimizer, "categorical_crossentropy")
    return model


def rates(model: Any) -> dict[str, float]:
    """The rate that each kernel is trained at."""
    optimizer = model.optimizer
    shares = dict(getattr(optimizer, "shares", ()))
    kernels = [variable for variable in model.trainable_variables if variable.path.endswith("kernel")]
    return {v.path.split("/")[-2]: float(optimizer.learning_rate) * shares.get(v.path, 1) for v in kernels}


def close(expected: dict[str, float]) -> Any:
    return pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("wrap", [False, True])
def test_rates_go_from_the_lowest_unfrozen_stage_to_the_head(wrap: bool) -> None:
    model = unfreeze(compiled(wrap=wrap), stages=2, learning_rates=(1e-5, 1e-4, 1e-3))
    assert rates(model) == close({"stage1_conv": 1e-5, "stage2_conv": 1e-4, "head_output": 1e-3})
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)


def test_one_rate_is_for_all_and_needs_no_special_optimizer() -> None:
    import keras

    for given in (1e-4, [1e-4] * 4):
        model = unfreeze(compiled("adam"), learning_rates=given)
        assert rates(model) == close(dict.fromkeys(KERNELS, 1e-4))
        assert type(model.optimizer) is keras.optimizers.Adam


def test_rates_by_name_take_stages_layers_nested_models_and_the_head() -> None:
    named = {"head": 1e-2, "stage1": 1e-4, "stage0_conv": 1e-5}
    model = unfreeze(compiled(), learning_rates=named)
    own = 0.01
    assert rates(model) == close({"stage0_conv": 1e-5, "stage1_conv": 1e-4, "stage2_conv": own, "head_output": 1e-2})
    model = compiled(wrap=True)
    unfreeze(model, learning_rates={model.layers[0].name: 1e-3, "stage0": 1e-5})
    assert rates(model)["stage0_conv"] == pytest.approx(1e-5)
    assert rates(model)["head_output"] == pytest.approx(1e-3)


def test_rates_stay_when_more_is_unfrozen_and_what_is_new_gets_the_lowest() -> None:
    model = unfreeze(compiled(), stages=1, learning_rates=(1e-4, 1e-2))
    unfreeze(model, stages=2)
    assert rates(model) == close({"stage1_conv": 1e-4, "stage2_conv": 1e-4, "head_output": 1e-2})
    unfreeze(model, stages=1, learning_rates=1e-3)
    assert rates(model) == close({"stage2_conv": 1e-3, "head_output": 1e-3})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((1e-5, 1e-4), "2 learning rates were given for 3 unfrozen stages; give one for each of stage1, stage2, head"),
        ({"stage0": 1e-5}, "'stage0' isn't trained at this depth, so it can't have a rate; unfreeze deeper"),
        (0.0, "a learning rate is a number above 0, not 0.0; to keep a layer fixed, freeze it"),
        ((1e-5, -1e-4, 1e-3), "a learning rate is a number above 0, not -0.0001"),
        ({"head": "fast"}, "a learning rate is a number above 0, not 'fast'"),
    ],
)
def test_rates_that_do_not_fit_are_refused_and_change_nothing(given: Any, message: str) -> None:
    model = compiled()
    optimizer = model.optimizer
    with pytest.raises(UsageError, match=re.escape(message)):
        unfreeze(model, stages=2, learning_rates=given)
    assert list(rates(model)) == ["head_output"]
    assert model.optimizer is optimizer


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="there is no stage or layer named 'staeg1'; did you mean 'stage1'"):
        unfreeze(compiled(), learning_rates={"staeg1": 1e-5})


def test_without_stages_a_list_of_rates_cannot_be_given_out_but_names_can() -> None:
    import keras

    layers = [keras.Input((4,)), keras.layers.Dense(3, name="low"), keras.layers.Dense(2, name="top")]
    model = keras.Sequential(layers)
    model.compile("sgd", "mse")
    with pytest.raises(UsageError, match="so a list of learning rates can't be given out; give one rate, or rates by"):
        unfreeze(model, learning_rates=[1e-3, 1e-2])
    assert rates(unfreeze(model, learning_rates={"low": 1e-3})) == close({"low": 1e-3, "top": 0.01})


def test_a_schedule_is_kept_unless_rates_are_given() -> None:
    import keras

    schedule = keras.optimizers.schedules.CosineDecay(1e-4, 10)
    model = unfreeze(compiled(keras.optimizers.Adam(schedule)))
    assert model.optimizer.get_config()["learning_rate"]["class_name"] == "CosineDecay"
    with pytest.raises(UsageError, match="the optimizer's own isn't a number; name every unfrozen stage"):
        unfreeze(model, learning_rates={"head": 1e-3})
    unfreeze(model, learning_rates=(1e-5, 1e-5, 1e-5, 1e-3))
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop"])
def test_training_a_base_at_adam_s_default_rate_is_warned_of_once(name: str) -> None:
    import keras

    message = f"{name} would train the pretrained layers at its rate of 1e-03.*pass learning_rates=1e-05"
    with pytest.warns(HeadstartWarning, match=message) as told:
        unfreeze(compiled(getattr(keras.optimizers, name)()), stages=1)
    assert len(told) == 1
    assert told[0].filename == __file__


def test_no_warning_for_the_head_alone_or_for_rates_that_were_chosen() -> None:
    import keras

    unfreeze(compiled("adam"), layers=1)
    unfreeze(compiled("adam"), learning_rates=1e-3)
    unfreeze(compiled(keras.optimizers.Adam(1e-5)))
    unfreeze(compiled(keras.optimizers.SGD(1e-3)))
    unfreeze(freeze(BASE.build()))


def test_a_compile_method_of_its_own_cannot_be_repeated_and_is_told() -> None:
    import keras

    class Own(keras.Model):
        def compile(self, **settings: Any) -> None:
            super().compile(**settings)

    base = BASE.build()
    model = Own(base.input, base.output)
    model.compile(optimizer="sgd", loss="mse")
    optimizer = model.optimizer
    with pytest.warns(HeadstartWarning, match="Own has a compile method of its own.*compile the model again") as told:
        unfreeze(model)
    assert told[0].filename == __file__
    assert model.optimizer is optimizer


def test_mixed_precision_keeps_its_loss_scaling() -> None:
    import keras

    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled(keras.optimizers.SGD(0.1))
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        unfreeze(model, stages=1, learning_rates=(1e-3, 1e-2))
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        assert [share for _, share in model.optimizer.inner_optimizer.shares] == pytest.approx([0.1, 1, 1])
        model.fit(np.ones((4, 32, 32, 3)), np.eye(2)[[0, 1, 0, 1]], verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
