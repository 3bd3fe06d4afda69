"""Unfreezing: what lies above a chosen depth is trained, what lies below stays exactly as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

from headstart.errors import UnknownNameError, UsageError
from headstart.learn.freeze import freeze, freeze_batch_norm, is_batch_norm, thaw
from headstart.learn.recompile import compile_again, warn_of_fast_rate
from headstart.learn.stages import HEAD, containers, find_stages, has_weights, in_order

if TYPE_CHECKING:
    import keras

Depth = int | str | Sequence[str]


def unfreeze(
    model: keras.Model,
    *,
    stages: Depth | None = None,
    layers: Depth | None = None,
    fraction: float | None = None,
    learning_rates: float | Sequence[float] | Mapping[str, float] | None = None,
) -> keras.Model:
    """Train a model from its top down to a depth, through all nesting, and freeze what lies below that.

    Give one of `stages`, `layers` and `fraction`, or none to unfreeze everything. BatchNorm stays frozen in any case,
    in inference mode; dropout that `freeze` switched off comes back to life in what is unfrozen.

    A model that is compiled is compiled again, since Keras would otherwise go on as before: with its own loss, metrics
    and settings, and a new optimizer of the same class and settings. Its learning rate stays unless `learning_rates`
    says otherwise. Freshly unfrozen layers want a small one: 1e-5 for Adam, a hundredth of its default.

    Args:
        model: a Keras model with its head on.
        stages: how many stages of the base, from the top; or the name of the lowest one (several names: the lowest of
            them). A stage is what works on maps of one size, and is called after its last layer. The head, all that
            lies above the last map, is unfrozen too.
        layers: how many layers, from the top, the head's included; or the name of the lowest one, or of a nested model.
        fraction: share of the layers, from the top; above 0, at most 1.
        learning_rates: one rate; or one for each unfrozen stage, the lowest first and the head's last; or a rate by
            the name of a stage, nested model or layer, or "head", the rest keeping the optimizer's own. The highest
            becomes the optimizer's `learning_rate`, and the others follow it in proportion, so that a callback may set
            it, or it may be set to a schedule.

    Returns:
        The same model, so that calls can be chained.

    Raises:
        UsageError: the depth or the rates don't fit the model, or nothing would be trained.
        UnknownNameError: the model has no such stage or layer.

    Warns:
        HeadstartWarning: a base is to be trained at Adam's default rate, or the model has a `compile` of its own, which
            can't be repeated.
    """
    _require_model(model)
    order = in_order(model)
    start = _lowest(model, order, stages, layers, fraction)
    unfrozen = order[start:]
    _require_something_to_train(unfrozen)
    with_new_rates = compile_again(model, unfrozen, learning_rates)
    _set_depth(model, order[:start], unfrozen)
    with_new_rates()
    if learning_rates is None:
        warn_of_fast_rate(model, unfrozen)
    return model


def _require_model(model: Any) -> None:
    import keras

    if not isinstance(model, keras.Model):
        raise UsageError(
            f"unfreeze takes a Keras model, not {type(model).__name__}",
            "for a single layer, set layer.trainable = True",
        )


def _lowest(
    model: keras.Model, order: list[Any], stages: Depth | None, layers: Depth | None, fraction: float | None
) -> int:
    """The place of the lowest layer to train."""
    given = [
        name for name, value in (("stages", stages), ("layers", layers), ("fraction", fraction)) if value is not None
    ]
    if len(given) > 1:
        raise UsageError(f"unfreeze was given {' and '.join(given)}", "give one of stages, layers and fraction")
    if stages is not None:
        return _lowest_of_stages(model, order, stages)
    if layers is not None:
        return _lowest_of_layers(model, order, layers)
    return 0 if fraction is None else len(order) - _count_of(fraction, len(order))


def _lowest_of_stages(model: keras.Model, order: list[Any], wanted: Depth) -> int:
    found = [stage for stage in find_stages(model) if stage.name != HEAD]
    if not found:
        raise UsageError(
            f"no stages can be told apart in {model.name!r}, since no graph of its layers leads from map to map",
            "say layers= or fraction= instead",
        )
    names = [stage.name for stage in found]
    first = found[_place(wanted, names, "stage")].layers[0]
    return next(place for place, layer in enumerate(order) if layer is first)


def _lowest_of_layers(model: keras.Model, order: list[Any], wanted: Depth) -> int:
    names = [layer.name for layer in order]
    if isinstance(wanted, int):
        return _place(wanted, names, "layer")
    nested = {part.name: in_order(part)[0].name for part in containers(model) if part.name not in names}
    return min(_place(nested.get(name, name), names, "layer", nested) for name in _as_names(wanted))


def _place(wanted: Depth, names: list[str], kind: str, others: Mapping[str, str] | None = None) -> int:
    """The place of the lowest of the names that are wanted, or of the one that is so many from the top."""
    if isinstance(wanted, int):
        if isinstance(wanted, bool) or not 1 <= wanted <= len(names):
            listed = f" ({', '.join(names)})" if kind == "stage" else ""
            raise UsageError(
                f"there are {len(names)} {kind}s{listed}, so {wanted} of them can't be unfrozen",
                f"give a number from 1 to {len(names)}",
            )
        return len(names) - wanted
    wanted = _as_names(wanted)
    for name in wanted:
        if name not in names:
            raise UnknownNameError(kind, name, (*names, *(others or ())))
    return min(map(names.index, wanted))


def _as_names(wanted: str | Sequence[str]) -> list[str]:
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    if not names:
        raise UsageError("unfreeze was given an empty list of names", "name the lowest stage or layer to train")
    return names


def _count_of(fraction: float, layers: int) -> int:
    if not 0 < fraction <= 1:
        raise UsageError(f"fraction is a share of the layers, not {fraction}", "give a number above 0 and at most 1")
    return ceil(fraction * layers)


def _require_something_to_train(unfrozen: list[Any]) -> None:
    if not any(has_weights(layer) and not is_batch_norm(layer) for layer in unfrozen):
        names = ", ".join(layer.name for layer in unfrozen[:3])
        raise UsageError(
            f"there is nothing to unfreeze at that depth: only layers without weights, or BatchNorm ({names})",
            "go deeper",
        )


def _set_depth(model: keras.Model, below: list[Any], above: list[Any]) -> None:
    thawed = set(map(id, above))
    model.trainable = True  # a model passes its flag on to all that it holds, and with False would train none of it
    for layer in above:
        thaw(layer)
    for layer in below:
        freeze(layer)
    for part in containers(model):
        if thawed.isdisjoint(map(id, in_order(part))):
            freeze(part)
    freeze_batch_norm(model)
