"""The charts, as SVG that takes its colours and its font from the page, so that it is right in the dark too.

No text of the user's goes into a chart: it couldn't be wrapped there, and it is escaped in one place only, the
templates.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from headstart.evaluation.metrics import ReliabilityBin
from headstart.report.findings import Measure
from headstart.report.story import Column
from headstart.report.wording import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours that occur nowhere else, each replaced by the page's own.
INK, SOFT, LINE, ACCENT, WARM, GOOD = "#010203", "#010204", "#010205", "#010206", "#010207", "#010208"
_PAGE_COLOURS = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    WARM: "var(--warm)",
    GOOD: "var(--good)",
}
# Any, because matplotlib's types know every key that there is in one of its versions.
_STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": LINE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "lines.markersize": 5,
}
# Of the normal distribution, at 97.5 %.
_Z = 1.959964


def measures_chart(measures: Sequence[Measure]) -> Markup:
    """For each measure a dot and a whisker, and a diamond where always answering the most frequent class would be."""

    def paint(axes: Axes) -> None:
        for row, measure in enumerate(measures):
            axes.plot([measure.low, measure.high], [row, row], color=ACCENT, linewidth=3, solid_capstyle="round")
            axes.plot([measure.value], [row], "o", color=ACCENT, markersize=9)
            axes.plot([measure.guessing], [row], "D", color="none", markeredgecolor=WARM, markeredgewidth=1.8)
            axes.text(measure.value, row - 0.22, percent(measure.value), ha="center", va="bottom", fontweight="bold")
        axes.set_yticks(range(len(measures)), [measure.name for measure in measures])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.set(ylim=(len(measures) - 0.5, -0.7), xlim=(floor, 1.02))
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        in_percent(axes, "x")

    floor = _round_down(min(min(measure.low, measure.guessing) for measure in measures))
    texts = [
        f"{measure.name} {percent(measure.value)}, interval {measure.interval}, "
        f"by always answering the most frequent class {percent(measure.guessing)}"
        for measure in measures
    ]
    return draw(paint, "measures", f"{'; '.join(texts)}.", (5.4, 0.55 * len(measures) + 0.6))


def reliability_chart(bins: Sequence[ReliabilityBin]) -> Markup:
    """Accuracy against confidence; a bin's area goes with its images' weight, its whisker is the Wilson interval."""

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=SOFT, linestyle=(0, (4, 3)), linewidth=1.2)
        for found, (low, high) in zip(bins, whiskers, strict=True):
            axes.plot([found.confidence] * 2, [low, high], color=ACCENT, linewidth=1.5, alpha=0.6)
        sizes = [30 + 270 * found.weight / largest for found in bins]
        axes.scatter(
            [b.confidence for b in bins], [b.accuracy for b in bins], sizes, color=ACCENT, zorder=3, clip_on=False
        )
        axes.set(xlim=(left, 1.02), ylim=(bottom, 1.03), xlabel="How sure it was", ylabel="How often it was right")
        in_percent(axes, "x")
        in_percent(axes, "y")

    whiskers = [_wilson(found) for found in bins]
    largest = max(found.weight for found in bins)
    left = _round_down(bins[0].confidence)
    bottom = min(left, _round_down(min(low for low, _high in whiskers)))
    texts = [f"{percent(found.confidence)} sure, {percent(found.accuracy)} right" for found in bins]
    return draw(paint, "reliability", f"Reliability curve: {'; '.join(texts)}.", (4.6, 3.9))


def loss_chart(history: Sequence[dict[str, Any]], best_epoch: int, unit: str = "nats") -> Markup:
    """Training and validation loss by epoch, and the unit that it has, if any."""
    steps = [line for line in history if line["loss"] is not None]

    def paint(axes: Axes) -> None:
        axes.plot(
            [line["epoch"] for line in steps], [line["loss"] for line in steps], "o-", color=WARM, label="training"
        )
        _paint_epochs(axes, history, "validation_loss", best_epoch)
        axes.set(ylabel=f"Loss ({unit})" if unit else "Loss")
        axes.legend()

    best = history[best_epoch]["validation_loss"]
    first = history[0]["validation_loss"]
    text = f"Loss by epoch: on validation {first:.3f} before any step and {best:.3f} at its lowest, epoch {best_epoch}."
    return draw(paint, "loss", text, (4.6, 3.2))


def epochs_chart(history: Sequence[dict[str, Any]], best_epoch: int, column: Column) -> Markup:
    """What validation is judged by, by epoch."""

    def paint(axes: Axes) -> None:
        _paint_epochs(axes, history, column.key, best_epoch)
        axes.set(ylabel=f"{column.title} on validation")
        if column.show is percent:
            in_percent(axes, "y")

    first, best = (history[epoch][column.key] for epoch in (0, best_epoch))
    epochs = f"{column.show(first)} before any step, {column.show(best)} at epoch {best_epoch}"
    text = f"{column.title} on validation by epoch: {epochs}."
    return draw(paint, "accuracy", text, (4.6, 3.2))


def precision_recall_chart(
    precision: np.ndarray, recall: np.ndarray, chosen: tuple[float, float], share: float, name: str
) -> Markup:
    """Precision against recall of one label, a ring at the threshold, and a dashed line where chance would be.

    Args:
        precision: from the highest threshold on, as `recall`.
        recall: likewise.
        chosen: recall and precision at the threshold.
        share: of the images that have the label.
        name: of the chart, other than those of the page's others.
    """

    def paint(axes: Axes) -> None:
        axes.axhline(share, color=SOFT, linestyle=(0, (4, 3)), linewidth=1.2)
        axes.step(np.append(0, recall), np.append(precision[0], precision), color=ACCENT, where="pre")
        axes.plot(
            *[[place] for place in chosen],
            "o",
            color="none",
            markeredgecolor=WARM,
            markeredgewidth=2,
            ms=9,
            clip_on=False,
        )
        axes.set(xlim=(-0.02, 1.03), ylim=(-0.02, 1.05), xlabel="Found (recall)", ylabel="Right (precision)")
        axes.set_xticks([0, 0.5, 1])
        axes.set_yticks([0, 0.5, 1])
        in_percent(axes, "x")
        in_percent(axes, "y")

    text = (
        f"Precision against recall: at the threshold {percent(chosen[0])} found and {percent(chosen[1])} right, by "
        f"chance {percent(share)} right."
    )
    return draw(paint, name, text, (3.0, 2.5))


def scatter_chart(targets: np.ndarray, values: np.ndarray, half_width: float | None) -> Markup:
    """Predicted against true numbers, with the band in which the interval holds the truth."""

    def paint(axes: Axes) -> None:
        low, high = _span(np.concatenate([targets, values]))
        if half_width is not None:
            ends = np.array([low, high])
            axes.fill_between(ends, ends - half_width, ends + half_width, color=ACCENT, alpha=0.12, linewidth=0)
        axes.plot([low, high], [low, high], color=SOFT, linestyle=(0, (4, 3)), linewidth=1.2)
        _paint_dots(axes, targets, values)
        axes.set(xlim=(low, high), ylim=(low, high), xlabel="True", ylabel="Predicted")

    text = f"Predicted against true numbers of {len(targets)} test images; on the dashed line they are equal."
    return draw(paint, "scatter", text, (4.6, 4.4))


def residual_chart(values: np.ndarray, errors: np.ndarray, half_width: float | None) -> Markup:
    """Errors against predicted numbers, between the ends of the interval."""

    def paint(axes: Axes) -> None:
        if half_width is not None:
            axes.axhspan(-half_width, half_width, color=ACCENT, alpha=0.12, linewidth=0)
        axes.axhline(0, color=SOFT, linestyle=(0, (4, 3)), linewidth=1.2)
        _paint_dots(axes, values, errors)
        axes.set(xlabel="Predicted", ylabel="Predicted − true")

    text = f"Errors against predicted numbers of {len(values)} test images; on the dashed line there is no error."
    return draw(paint, "residuals", text, (4.6, 4.4))


def front_chart(
    dots: Sequence[tuple[float, float, tuple[float, float], bool]],
    front: Sequence[tuple[float, float]],
    title: str,
    is_share: bool,
) -> Markup:
    """How good against how quick, and the line of which none is both better and quicker.

    Args:
        dots: milliseconds, goodness and the ends of its interval of each candidate, and whether it was in the last
            round; that of the taken one first.
        front: milliseconds and goodness of those on the line, the quickest first.
        title: of what is good.
        is_share: whether that is one, 0 to 1.
    """

    def paint(axes: Axes) -> None:
        axes.set_xscale("log")
        axes.step(*zip(*front, strict=True), where="post", color=WARM, linewidth=1.5)
        for place, (milliseconds, goodness, ends, was_last) in enumerate(dots):
            axes.plot([milliseconds] * 2, ends, color=ACCENT, linewidth=1, alpha=0.35)
            axes.plot([milliseconds], [goodness], "o", color=ACCENT, markerfacecolor=ACCENT if was_last else "none")
            if place == 0:
                axes.plot([milliseconds], [goodness], "o", color="none", markeredgecolor=INK, markersize=12)
                axes.annotate("taken", (milliseconds, goodness), (0, 11), textcoords="offset points", ha="center")
        axes.set(xlabel="Milliseconds an image", ylabel=title)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:g}"))
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _position: _one_figure(value)))
        if is_share:
            in_percent(axes, "y")

    from matplotlib.ticker import FuncFormatter

    best = max(goodness for _, goodness in front)
    text = f"{title} against milliseconds an image of {len(dots)} candidates; the best comes to {best:.3f}."
    return draw(paint, "front", text, (7.2, 4.2))


def _one_figure(value: float) -> str:
    """Of the small marks of a logarithmic axis, those at 2 and 5."""
    return f"{value:g}" if f"{value:e}"[0] in "25" else ""


def _paint_dots(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Dots that are the fainter, the more there are, so that the many aren't one blot."""
    alpha = float(np.clip(12 / np.sqrt(len(x)), 0.15, 0.8))
    axes.scatter(x, y, 22, color=ACCENT, alpha=alpha, linewidths=0, zorder=3)


def _span(values: np.ndarray) -> tuple[float, float]:
    """From the smallest to the largest, with some room around them."""
    room = 0.04 * float(np.ptp(values)) or 1.0
    return float(values.min()) - room, float(values.max()) + room


def _paint_epochs(axes: Axes, history: Sequence[dict[str, Any]], field: str, best_epoch: int) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs, values = [line["epoch"] for line in history], [line[field] for line in history]
    axes.plot(epochs, values, "o-", color=ACCENT, label="validation")
    axes.plot([best_epoch], [values[best_epoch]], "o", color="none", markeredgecolor=INK, markersize=11)
    axes.annotate("kept", (best_epoch, values[best_epoch]), (0, 11), textcoords="offset points", ha="center")
    axes.margins(y=0.18)
    axes.set(xlabel="Epoch (0: the probe, before any step)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def in_percent(axes: Axes, which: str) -> None:
    """Ticks of the x or the y axis as percents of a share."""
    from matplotlib.ticker import FuncFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _position: f"{100 * value:.3g}\u00a0%"))


def _round_down(share: float) -> float:
    """To a tenth, with some room to the left."""
    return max(float(np.floor(10 * (share - 0.02)) / 10), -0.02)


def _wilson(found: ReliabilityBin) -> tuple[float, float]:
    """The 95 % interval of a share of n images (Wilson 1927); unlike the bootstrap's, it is right for few of them."""
    n, p = found.effective, found.accuracy
    centre = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * float(np.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2)))
    return centre - half, centre + half


def draw(paint: Callable[[Axes], None], name: str, description: str, inches: tuple[float, float]) -> Markup:
    """Paint a figure under settings of our own, whatever the user's matplotlibrc says."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        # The salt makes the ids in the file the same every time, and others than those of the page's other charts.
        matplotlib.rcParams.update(_STYLE | {"svg.hashsalt": name})
        figure = Figure(figsize=inches, layout="constrained")
        paint(figure.subplots())
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _inline(file.getvalue(), description)


def _inline(svg: str, description: str) -> Markup:
    """A file's drawing as an element of a page: no prologue, no rules for the whole page, no ids that may clash."""
    box = re.search(r'viewBox="([\d. ]+)"', svg)
    drawing = svg[svg.index("</defs>") + len("</defs>") :]
    drawing = re.sub(r'<g id="[\w.]+">', "<g>", drawing)
    drawing = drawing.replace("font-family: 'DejaVu Sans', sans-serif; ", "")
    for stand_in, colour in _PAGE_COLOURS.items():
        drawing = drawing.replace(stand_in, colour)
    frame = Markup('<svg class="chart" role="img" viewBox="{}" aria-label="{}">').format(box and box[1], description)
    return frame + Markup(drawing)
