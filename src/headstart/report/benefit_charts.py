"""The picture of a comparison: how good each way is, against labels and against seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from markupsafe import Markup

from headstart.learn.benefit import WAYS, Point, Standing, Way
from headstart.learn.kinds import Kind
from headstart.report.benefit_story import share, shown
from headstart.report.charts import ACCENT, GOOD, SOFT, WARM, draw, in_percent
from headstart.report.wording import duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Told apart by their form too, for whoever sees no colours.
_LOOKS: dict[Way, tuple[str, str]] = {
    "scratch": (WARM, "o"),
    "probe": (ACCENT, "D"),
    "classic": (SOFT, "s"),
    "finetune": (GOOD, "^"),
}
# On a logarithmic axis, so that whiskers at the same share don't cover each other.
_BESIDE: dict[Way, float] = {"scratch": 0.955, "probe": 0.985, "classic": 1.015, "finetune": 1.045}
_INCHES = (4.9, 3.9)


def labels_chart(standing: Standing, kind: Kind) -> Markup:
    """How good each way is by the share of the labels, with 95 % intervals; dashed, what guessing comes to."""

    def paint(axes: Axes) -> None:
        _paint_ways(axes, standing, lambda point: point.fraction * _BESIDE[point.way])
        fractions = standing.fractions
        axes.set_xscale("log")
        axes.set_xticks(fractions, [share(fraction) for fraction in fractions])
        axes.set_xticks([], minor=True)
        _finish(axes, standing, kind, "Share of the labels")

    told = _told(standing, kind, lambda point: f"{share(point.fraction)} of the labels")
    return draw(paint, "labels", f"{kind.goodness_name.capitalize()} by share of the labels: {told}.", _INCHES)


def seconds_chart(standing: Standing, kind: Kind) -> Markup:
    """How good each way is by the time that it takes; a line leads from the smallest share of the labels to all."""

    def paint(axes: Axes) -> None:
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        _paint_ways(axes, standing, _seconds)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(numticks=6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _position: _brief(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        _finish(axes, standing, kind, "Time from nothing, features and tuning included")

    told = _told(standing, kind, lambda point: f"{duration(point.time)} with {share(point.fraction)}")
    return draw(paint, "seconds", f"{kind.goodness_name.capitalize()} by time: {told}.", _INCHES)


def _seconds(point: Point) -> float:
    return max(point.time, 0.01)


def _brief(seconds: float) -> str:
    """A time at a tick, such as "0.1 s", "10 s" or "17 min"."""
    return f"{seconds:g}\u00a0s" if seconds < 600 else f"{seconds / 60:.0f}\u00a0min"


def _paint_ways(axes: Axes, standing: Standing, place: Callable[[Point], float]) -> None:
    for way, name in WAYS.items():
        found = [point for point in standing.points if point.way == way and point.is_there]
        if not found:
            continue
        colour, form = _LOOKS[way]
        where = [place(point) for point in found]
        axes.plot(where, [point.mean for point in found], form, linestyle="-", color=colour, label=name, zorder=3)
        for x, point in zip(where, found, strict=True):
            axes.plot([x, x], point.interval, color=colour, linewidth=1.2, alpha=0.55)


def _finish(axes: Axes, standing: Standing, kind: Kind, across: str) -> None:
    axes.axhline(standing.guessing, color=SOFT, linestyle=(0, (4, 3)), linewidth=1.2, label="guessing")
    name = kind.goodness_name
    axes.set(xlabel=across, ylabel=name[0].upper() + name[1:])
    if kind.task != "regression":
        in_percent(axes, "y")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=9)


def _told(standing: Standing, kind: Kind, where: Callable[[Point], str]) -> str:
    there = [point for point in standing.points if point.is_there]
    return "; ".join(f"{WAYS[point.way]} {shown(kind, point.mean)}, {where(point)}" for point in there)
