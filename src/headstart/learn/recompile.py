"""Compiling a model again after what is trained in it has changed, with learning rates that fit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.errors import HeadstartWarning, UnknownNameError, UsageError
from headstart.learn.freeze import is_batch_norm
from headstart.learn.stages import HEAD, Stage, containers, find_stages, has_weights, in_order

if TYPE_CHECKING:
    import keras

LearningRates = float | Sequence[float] | Mapping[str, float]

ADAMS_DEFAULT = 1e-3
FINE_TUNING_RATE = 1e-5


def compile_again(model: keras.Model, unfrozen: list[Any], learning_rates: LearningRates | None) -> Callable[[], None]:
    """What compiles a model again with its own settings; call it once `trainable` is as it should be.

    The rates are checked before that, so that a mistake in them leaves the model as it is.

    Args:
        model: one that is compiled, or isn't: then there is nothing to do.
        unfrozen: the layers that will be trained, in order.
        learning_rates: as `unfreeze` takes them; None to keep those of the optimizer.

    Raises:
        UsageError: the rates don't fit the layers, or there is no optimizer that could have them.
    """
    optimizer = _optimizer(model)
    if learning_rates is None and optimizer is None:
        return lambda: None
    if optimizer is None:
        raise UsageError(
            f"the model {model.name!r} has no optimizer yet whose learning rates could be set",
            "compile it first, or leave learning_rates out",
        )
    rates = None if learning_rates is None else _rates(model, unfrozen, learning_rates, optimizer)
    return lambda: _compile(model, optimizer, rates)


def warn_of_fast_rate(model: keras.Model, unfrozen: list[Any]) -> None:
    """Say it where a base is to be trained at a rate that wipes out what it knows."""
    from keras import optimizers

    from headstart.learn.rates import current_rate

    optimizer = getattr(_optimizer(model), "inner_optimizer", _optimizer(model))
    steps_by_rate = (optimizers.Adam, optimizers.Adamax, optimizers.Nadam, optimizers.RMSprop)
    if not isinstance(optimizer, steps_by_rate) or not _reaches_base(model, unfrozen):
        return
    rate = current_rate(optimizer)
    if rate is not None and rate >= ADAMS_DEFAULT:
        warnings.warn(
            f"{type(optimizer).__name__} would train the pretrained layers at its rate of {rate:.0e}, made for "
            f"training from scratch, and undo what they have learned; pass learning_rates={FINE_TUNING_RATE:.0e}",
            HeadstartWarning,
            stacklevel=3,
        )


def _optimizer(model: keras.Model) -> Any:
    """The optimizer that a model was compiled with, before Keras wrapped it for mixed precision."""
    if not getattr(model, "compiled", False) or not hasattr(model, "_compile_config"):
        return None
    return model._compile_config.config["optimizer"]


def _reaches_base(model: keras.Model, unfrozen: list[Any]) -> bool:
    head = next((stage.layers for stage in find_stages(model) if stage.name == HEAD), ())
    above = set(map(id, head))
    return any(has_weights(layer) and id(layer) not in above for layer in unfrozen)


def _compile(model: keras.Model, optimizer: Any, rates: dict[int, float] | None) -> None:
    import keras

    if type(model).compile is not keras.Model.compile:
        warnings.warn(
            f"{type(model).__name__} has a compile method of its own, which can't be repeated; compile the model again "
            "with a new optimizer, or Keras won't notice what was unfrozen",
            HeadstartWarning,
            stacklevel=4,
        )
        return
    settings = model._compile_config.config | {"optimizer": _new_optimizer(model, optimizer, rates)}
    is_scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    model.compile(**settings, auto_scale_loss=is_scaled)


def _new_optimizer(model: keras.Model, optimizer: Any, rates: dict[int, float] | None) -> Any:
    from headstart.learn.rates import fresh, shares_of

    if rates is None:
        old = shares_of(optimizer)
        kept = [(variable.path, old.get(variable.path, min(old.values()))) for variable in _trained(model) if old]
        return fresh(optimizer, shares=kept or None)
    by_variable = _by_variable(model, rates)
    highest = max(rate for _, rate in by_variable)
    if all(rate == highest for _, rate in by_variable):
        return fresh(optimizer, rate=highest)
    return fresh(optimizer, rate=highest, shares=[(path, rate / highest) for path, rate in by_variable])


def _trained(model: keras.Model) -> list[Any]:
    return list(model.trainable_variables)


def _by_variable(model: keras.Model, rates: dict[int, float]) -> list[tuple[str, float]]:
    found: dict[int, float] = {}
    for layer in in_order(model):
        if id(layer) in rates:
            found = {id(variable): rates[id(layer)] for variable in layer.variables} | found
    # Variables of a model itself, rather than of its layers, are trained at the lowest rate.
    return [(variable.path, found.get(id(variable), min(rates.values()))) for variable in _trained(model)]


def _rates(model: keras.Model, unfrozen: list[Any], learning_rates: LearningRates, optimizer: Any) -> dict[int, float]:
    """The rate of each layer that will be trained, by the layer's id."""
    trained = [layer for layer in unfrozen if has_weights(layer) and not is_batch_norm(layer)]
    if isinstance(learning_rates, Mapping):
        return _rates_by_name(model, trained, learning_rates, optimizer)
    if isinstance(learning_rates, Sequence):
        return _rates_by_stage(model, trained, learning_rates)
    rate = _checked(learning_rates)
    return {id(layer): rate for layer in trained}


def _rates_by_stage(model: keras.Model, trained: list[Any], rates: Sequence[float]) -> dict[int, float]:
    parts = [_part_of(stage, trained) for stage in find_stages(model)]
    stages = [part for part in parts if part.layers]
    if not stages:
        raise UsageError(
            f"no stages can be told apart in {model.name!r}, so a list of learning rates can't be given out",
            "give one rate, or rates by the names of layers",
        )
    if len(rates) != len(stages):
        names = ", ".join(stage.name for stage in stages)
        raise UsageError(
            f"{len(rates)} learning rates were given for {len(stages)} unfrozen stages",
            f"give one for each of {names}, in this order",
        )
    pairs = zip(stages, map(_checked, rates), strict=True)
    return {id(layer): rate for stage, rate in pairs for layer in stage.layers}


def _rates_by_name(
    model: keras.Model, trained: list[Any], rates: Mapping[str, float], optimizer: Any
) -> dict[int, float]:
    from headstart.learn.rates import current_rate

    named = _named(model)
    for name in rates:
        if name not in named:
            raise UnknownNameError("stage or layer", name, named)
    parts = {name: _part_of(named[name], trained).layers for name in rates}
    for name, layers in parts.items():
        if not layers:
            raise UsageError(f"{name!r} isn't trained at this depth, so it can't have a rate", "unfreeze deeper")
    found: dict[int, float] = {}
    for name in sorted(parts, key=lambda name: len(named[name].layers), reverse=True):  # a layer overrides its stage
        found |= dict.fromkeys(map(id, parts[name]), _checked(rates[name]))
    own = current_rate(optimizer)
    left = [layer for layer in trained if id(layer) not in found]
    if left and own is None:
        raise UsageError(
            f"{left[0].name!r} was given no learning rate, and the optimizer's own isn't a number",
            "name every unfrozen stage",
        )
    return found | {id(layer): own for layer in left if own is not None}


def _named(model: keras.Model) -> dict[str, Stage]:
    """All that a rate can be given to; a name that a layer and a stage share means the stage."""
    layers = {layer.name: Stage(layer.name, (layer,)) for layer in in_order(model)}
    nested = {part.name: Stage(part.name, tuple(in_order(part))) for part in containers(model)}
    return layers | nested | {stage.name: stage for stage in find_stages(model)}


def _part_of(stage: Stage, trained: list[Any]) -> Stage:
    wanted = set(map(id, trained))
    return Stage(stage.name, tuple(layer for layer in stage.layers if id(layer) in wanted))


def _checked(rate: float) -> float:
    try:
        number = float(rate)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number < math.inf:
        raise UsageError(f"a learning rate is a number above 0, not {rate!r}", "to keep a layer fixed, freeze it")
    return number
