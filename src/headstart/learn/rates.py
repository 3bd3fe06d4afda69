"""Optimizers that train some layers more slowly than others.

Each Keras optimizer gets a companion that passes a smaller learning rate on for some variables. It scales the step
rather than the gradient, since Adam and its kin take steps of the same size whatever the gradient's size is.
Discriminative rates follow Howard and Ruder 2018 (arXiv:1801.06146).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import keras

from headstart.errors import UsageError

# How much of the optimizer's learning rate each variable gets, by the variable's path and in the model's order.
Shares = Sequence[tuple[str, float]]

_PACKAGE = "headstart"


class _SharesOfTheRate(keras.optimizers.Optimizer):
    """What turns an optimizer into its companion; `learning_rate` stays the rate of a share of 1.

    A schedule, or a callback that sets `learning_rate`, therefore moves all rates in proportion.
    """

    weight_decay: float | None

    def __init__(self, *args: Any, shares: Shares = (), **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.shares = tuple((path, float(share)) for path, share in shares)
        self._share_by_index: tuple[float, ...] = ()

    def build(self, variables: list[Any]) -> None:
        # Keras wraps lists and dictionaries that an optimizer holds; a tuple of numbers is left as it is.
        self._share_by_index = _in_order_of(variables, self.shares)
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        share = self._share_by_index[self._get_variable_index(variable)]
        super().update_step(gradient, variable, keras.ops.multiply(learning_rate, share))

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        # Keras shrinks weights by rate × decay with the common rate, so slower layers need as much less decay.
        if not self.weight_decay:
            return
        decay: float = self.weight_decay
        try:
            for share, group in self._by_share(variables):
                self.weight_decay = decay * share
                super()._apply_weight_decay(group)
        finally:
            self.weight_decay = decay

    def _by_share(self, variables: list[Any]) -> Iterator[tuple[float, list[Any]]]:
        def share(variable: Any) -> float:
            found: float = self._share_by_index[self._get_variable_index(variable)]
            return found

        for found, group in groupby(sorted(variables, key=share), key=share):
            yield found, list(group)

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().get_config()
        return config | {"shares": [list(pair) for pair in self.shares]}


def _in_order_of(variables: list[Any], shares: Shares) -> tuple[float, ...]:
    """Each variable's share, found by its path or, where paths don't tell or have changed, by its place."""
    by_path = dict(shares)
    paths = [getattr(variable, "path", "") for variable in variables]
    if len(by_path) == len(shares) and all(path in by_path for path in paths):
        return tuple(by_path[path] for path in paths)
    if len(paths) == len(shares):
        return tuple(share for _, share in shares)
    raise UsageError(
        f"the optimizer has learning rates for {len(shares)} variables, but was given {len(paths)} others to train",
        "call unfreeze again with learning_rates, or compile with a new optimizer",
    )


def _companion(plain: type) -> type:
    made = type(f"LayerRates{plain.__name__}", (_SharesOfTheRate, plain), {"__doc__": _SharesOfTheRate.__doc__})
    keras.saving.register_keras_serializable(_PACKAGE)(made)
    return made


# Made at import, so that a saved model finds them. LossScaleOptimizer and MultiOptimizer hold others.
_COMPANIONS = {
    plain: _companion(plain)
    for _, plain in inspect.getmembers(keras.optimizers, inspect.isclass)
    if issubclass(plain, keras.optimizers.Optimizer)
    and plain not in (keras.optimizers.Optimizer, keras.optimizers.LossScaleOptimizer, keras.optimizers.MultiOptimizer)
}


def saved_classes() -> dict[str, type]:
    """The classes that a saved model may name, by the name that Keras saves."""
    return {keras.saving.get_registered_name(made): made for made in _COMPANIONS.values()}


def fresh(optimizer: Any, *, rate: float | None = None, shares: Shares | None = None) -> Any:
    """A new optimizer of the same class and settings, without any state.

    Args:
        optimizer: a Keras optimizer.
        rate: its learning rate; None keeps the one it has, be it a number or a schedule.
        shares: how much of the rate each variable gets; None for the same rate for all.

    Raises:
        UsageError: it holds several optimizers, which have rates of their own.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        settings = optimizer.get_config() | {
            "inner_optimizer": fresh(optimizer.inner_optimizer, rate=rate, shares=shares)
        }
        return type(optimizer)(**settings)
    if isinstance(optimizer, keras.optimizers.MultiOptimizer) and (rate is not None or shares is not None):
        raise UsageError(
            "a MultiOptimizer has learning rates of its own", "compile with a plain optimizer, such as Adam"
        )
    plain = _plain_class(optimizer)
    config = optimizer.get_config()
    config.pop("shares", None)
    if rate is not None:
        config["learning_rate"] = float(rate)
    kind: Any = plain if shares is None else _rated(plain)
    made = kind.from_config(config if shares is None else config | {"shares": shares})
    _copy_exceptions_from_decay(optimizer, made)
    return made


def current_rate(optimizer: Any) -> float | None:
    """The learning rate, or None where it isn't one number: on a schedule, and with a MultiOptimizer."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return current_rate(optimizer.inner_optimizer)
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        return None
    rate = optimizer.get_config()["learning_rate"]
    return float(rate) if isinstance(rate, float) else None


def shares_of(optimizer: Any) -> dict[str, float]:
    """The shares that an optimizer was made with, by path; none for a plain one."""
    return dict(getattr(getattr(optimizer, "inner_optimizer", optimizer), "shares", ()))


def _plain_class(optimizer: Any) -> type:
    """The class without shares, and without what a backend puts on top of it."""
    return next(
        kind
        for kind in type(optimizer).__mro__
        if not issubclass(kind, _SharesOfTheRate) and not kind.__module__.startswith("keras.src.backend.")
    )


def _rated(plain: type) -> type:
    # One's own optimizer gets a companion when it is first asked for.
    if plain not in _COMPANIONS:
        _COMPANIONS[plain] = _companion(plain)
    return _COMPANIONS[plain]


def _copy_exceptions_from_decay(optimizer: Any, made: Any) -> None:
    # Keras doesn't count what `exclude_from_weight_decay` was told among an optimizer's settings.
    for name in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):
        if hasattr(optimizer, name):
            setattr(made, name, getattr(optimizer, name))
