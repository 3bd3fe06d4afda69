from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from headstart.errors import UsageError
from headstart.learn.rates import current_rate, fresh, saved_classes, shares_of

SHARES = [("low/kernel", 0.01), ("low/bias", 0.01), ("top/kernel", 1.0), ("top/bias", 1.0)]
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.02),
    "momentum": lambda: keras.optimizers.SGD(0.02, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.02),
    "adamw": lambda: keras.optimizers.AdamW(0.02, weight_decay=0.5),
    "ema": lambda: keras.optimizers.Adam(0.02, use_ema=True, ema_momentum=0.5),
    "accumulating": lambda: keras.optimizers.SGD(0.02, gradient_accumulation_steps=2),
}


def make_model(optimizer: Any) -> Any:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2, name="top")(keras.layers.Dense(3, name="low")(inputs)))
    model.compile(optimizer, "mse")
    return model


def steps(model: Any, count: int = 1) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 4)).astype(np.float32), rng.normal(size=(16, 2)).astype(np.float32)
    for _ in range(count):
        model.train_on_batch(x, y)


def weights(model: Any) -> list[np.ndarray]:
    return [np.copy(weight) for weight in model.get_weights()]


def moved(model: Any, count: int = 1) -> list[np.ndarray]:
    before = weights(model)
    steps(model, count)
    return [new - old for new, old in zip(weights(model), before, strict=True)]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_share_scales_the_step_and_not_the_gradient(name: str) -> None:
    count = 2 if name == "accumulating" else 1
    plain = moved(make_model(OPTIMIZERS[name]()), count)
    shared = moved(make_model(fresh(OPTIMIZERS[name](), shares=SHARES)), count)
    assert np.abs(plain[0]).max() > 1e-4
    for whole, part, (_, share) in zip(plain, shared, SHARES, strict=True):
        np.testing.assert_allclose(part, share * whole, rtol=2e-3, atol=1e-7)


@pytest.mark.parametrize("name", sorted(saved_classes()))
def test_every_keras_optimizer_has_a_companion_that_trains_and_is_saved(name: str, tmp_path: Any) -> None:
    plain = next(kind for kind in saved_classes()[name].__mro__ if kind.__module__.startswith("keras."))
    model = make_model(fresh(plain(learning_rate=0.01), shares=SHARES))
    steps(model, 3)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is type(model.optimizer)
    assert shares_of(loaded.optimizer) == dict(SHARES)
    for continued, kept in zip(moved(loaded), moved(model), strict=True):
        np.testing.assert_allclose(continued, kept, rtol=1e-4, atol=1e-7)


def test_setting_the_rate_moves_all_rates() -> None:
    model = make_model(fresh(keras.optimizers.SGD(0.02), shares=SHARES))
    start = weights(model)
    first = moved(model)
    model.set_weights(start)
    model.optimizer.learning_rate = 0.002
    for before, after in zip(first, moved(model), strict=True):
        np.testing.assert_allclose(after, 0.1 * before, rtol=1e-2, atol=1e-7)


def test_callbacks_that_set_the_rate_work() -> None:
    model = make_model(fresh(keras.optimizers.Adam(0.02), shares=SHARES))
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=100)
    found = model.fit(np.ones((4, 4)), np.ones((4, 2)), epochs=2, verbose=0, callbacks=[halve, plateau]).history
    assert found["learning_rate"] == pytest.approx([0.01, 0.005])


def test_a_schedule_moves_all_rates() -> None:
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.02, 0.0])
    model = make_model(fresh(keras.optimizers.SGD(schedule), shares=SHARES))
    assert all(np.abs(step).max() > 0 for step in moved(model))
    steps(model)
    assert all(np.abs(step).max() == 0 for step in moved(model))
    later = make_model(fresh(keras.optimizers.SGD(0.5), shares=SHARES))
    later.optimizer.learning_rate = schedule
    assert 0 < np.abs(moved(later)[0]).max() < 0.02


def test_variables_are_told_by_path_whatever_their_order_or_else_by_place() -> None:
    expected = moved(make_model(fresh(keras.optimizers.SGD(0.02), shares=SHARES)))
    for shares in (SHARES[::-1], [(f"renamed/{path}", share) for path, share in SHARES]):
        found = moved(make_model(fresh(keras.optimizers.SGD(0.02), shares=shares)))
        for step, same in zip(found, expected, strict=True):
            np.testing.assert_allclose(step, same, rtol=1e-4, atol=1e-8)


def test_other_variables_than_the_rated_ones_are_refused() -> None:
    model = make_model(fresh(keras.optimizers.SGD(0.02), shares=SHARES[:2]))
    with pytest.raises(UsageError, match="has learning rates for 2 variables, but was given 4 others to train"):
        steps(model)


def test_a_fresh_optimizer_has_the_settings_and_no_state() -> None:
    optimizer = keras.optimizers.AdamW(0.02, weight_decay=0.1, beta_1=0.8, clipnorm=1.0)
    steps(make_model(optimizer))
    made = fresh(optimizer)
    assert made.get_config() == optimizer.get_config()
    assert type(made) is keras.optimizers.AdamW
    assert (int(optimizer.iterations), int(made.iterations)) == (1, 0)
    assert type(fresh(fresh(optimizer, shares=SHARES))) is keras.optimizers.AdamW


def test_exceptions_from_weight_decay_are_kept() -> None:
    optimizer = keras.optimizers.AdamW(0.02, weight_decay=10.0)
    decayed = moved(make_model(fresh(optimizer)))
    optimizer.exclude_from_weight_decay(var_names=["kernel"])
    excepted = moved(make_model(fresh(optimizer)))
    assert np.abs(decayed[0] - excepted[0]).max() > 0.01


def test_one_s_own_optimizer_gets_a_companion_too() -> None:
    class Backwards(keras.optimizers.SGD):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            super().update_step(-gradient, variable, learning_rate)

    whole = moved(make_model(keras.optimizers.SGD(0.02)))
    part = moved(make_model(fresh(Backwards(0.02), shares=SHARES)))
    np.testing.assert_allclose(part[0], -0.01 * whole[0], rtol=2e-3, atol=1e-7)
    np.testing.assert_allclose(part[2], -whole[2], rtol=2e-3, atol=1e-7)


def test_an_optimizer_of_several_has_rates_of_its_own() -> None:
    several = keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.1)))
    assert current_rate(several) is None
    with pytest.raises(UsageError, match="a MultiOptimizer has learning rates of its own; compile with a plain"):
        fresh(several, rate=0.1)
