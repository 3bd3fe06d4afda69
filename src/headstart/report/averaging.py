"""What looking at each image in several views brings, or would bring, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headstart.learn.kinds import Kind
from headstart.report.evidence import Evidence
from headstart.report.wording import counted, percent


@dataclass(frozen=True)
class Row:
    """One way of looking, on the validation part; its time an image is empty where it wasn't measured."""

    name: str
    goodness: str
    loss: float
    time: str
    is_kept: bool


@dataclass(frozen=True)
class Looks:
    """One view against several: what the rows compare and by what, and what the reader can do about it."""

    intro: str
    goodness: str
    loss: str
    rows: tuple[Row, Row]
    note: str


def looks(evidence: Evidence) -> Looks | None:
    """The comparison; None where no logits of several views were at hand."""
    views = evidence.metrics.get("views")
    if views is None:
        return None
    measured, is_averaging = views["measured"], views["averaged_over"] > 1
    times = views["milliseconds"] or {}
    kind, mean_of = evidence.kind, f"The mean over {measured['views']} views"
    rows = (
        _row(kind, "The plain view alone", measured["one_view"], times.get("one_view"), is_kept=not is_averaging),
        _row(kind, mean_of, measured["averaged"], times.get("averaged"), is_kept=is_averaging),
    )
    intro = _taken(measured, kind) if is_averaging else _offered(measured, kind)
    return Looks(intro, _title(kind.goodness_name), _title(kind.loss_name), rows, _chance(measured, kind))


def _row(kind: Kind, name: str, scores: dict[str, Any], milliseconds: float | None, *, is_kept: bool) -> Row:
    time = "" if milliseconds is None else f"{milliseconds:.3g}\u00a0ms"
    goodness = scores[kind.goodness_key]
    shown = kind.show(goodness) if kind.task == "regression" else percent(goodness)
    return Row(name, shown, scores[kind.loss_key], time, is_kept)


def _title(name: str) -> str:
    return name[:1].upper() + name[1:]


def _taken(measured: dict[str, Any], kind: Kind) -> str:
    alone = "The probe for the plain view alone was fitted to that alone. " if measured["classifier"] == "probe" else ""
    return (
        f"The {kind.noun} looks at each image in {measured['views']} mirrored or turned views and averages its logits, "
        f"which takes about {measured['views']} times the work. {alone}Both were measured on "
        f"{counted(measured['one_view']['n'], 'validation image')}."
    )


def _offered(measured: dict[str, Any], kind: Kind) -> str:
    count = measured["views"]
    start = f"The {kind.noun} looks at each image once. {counted(measured['one_view']['n'], 'validation image')} "
    cost = f"at about {count} times the work an image"
    if measured["classifier"] == "finetune":
        return f"{start}show what averaging over {count} views would bring, {cost}; --test-views {count} asks for it."
    return (
        f"{start}show what averaging the probe as it is over {count} views would bring, {cost}. Asked for with "
        f"--test-views {count}, it would be fitted to just those views, which wasn't tried here."
    )


def _chance(measured: dict[str, Any], kind: Kind) -> str:
    gain = measured["one_view"][kind.loss_key] - measured["averaged"][kind.loss_key]
    if gain <= 0:
        return f"Averaging didn't lower the {kind.loss_name}."
    unit = "" if kind.task == "regression" else " nats"
    return (
        f"Averaging lowered the {kind.loss_name} by {gain:.3f}{unit} an image. Were the two equally good, chance alone "
        f"would bring such a gain with a probability of {measured['p_value']:.2g} (paired permutation test)."
    )
