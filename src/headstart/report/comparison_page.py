"""The page of a comparison: what it comes to, the picture, and every figure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from headstart.learn.benefit import WAYS, Benefit, Point, Standing
from headstart.report.benefit_charts import labels_chart, seconds_chart
from headstart.report.benefit_story import is_saving, share, shown, untold
from headstart.report.page import make_environment
from headstart.report.wording import counted, duration, interval, tidy

NO_TIME = "no time"


@dataclass(frozen=True)
class Row:
    """A way with a share of the labels, as the table shows it."""

    way: str
    share: str
    images: str
    goodness: str
    interval: str
    time: str
    seeds: str
    details: tuple[str, ...]


def render_comparison(benefit: Benefit) -> str:
    """The page as HTML; it loads nothing from elsewhere."""
    return make_environment().get_template("comparison.html").render(_facts(benefit))


def comparison_rows(benefit: Benefit) -> list[Row]:
    """Every way with every share of the labels; also what there was no time for."""
    return [_row(benefit, point) for point in benefit.standing.points]


def _facts(benefit: Benefit) -> dict[str, Any]:
    standing = benefit.standing
    has_points = any(point.is_there for point in standing.points)
    titles = ("Time saved", f"{benefit.measure[0].upper()}{benefit.measure[1:]} gained", "Labels saved")
    return {
        "benefit": benefit,
        "name": tidy(PurePosixPath(benefit.source).name or benefit.source),
        "told": list(zip(titles, _tones(standing), map(_alone, benefit.sentences), strict=True)),
        "charts": [draw(standing, benefit.kind) for draw in (labels_chart, seconds_chart)] if has_points else [],
        "rows": comparison_rows(benefit),
        "notes": list(filter(None, (benefit.caveat, untold(standing)))),
        "guessing": shown(benefit.kind, standing.guessing),
        "counted": counted,
        "time": duration(benefit.seconds),
    }


def _tones(standing: Standing) -> tuple[str, str, str]:
    """Of the sentences on time, accuracy and labels: good where something is gained."""
    is_learned = standing.verdict != "nothing learned"
    gains = is_saving(standing.time), standing.gained is not None and standing.gained.is_clear, standing.labels
    time, accuracy, labels = ("good" if is_learned and gain else "fair" for gain in gains)
    return time, accuracy, labels


def _alone(sentence: str) -> str:
    """A sentence without the word that it starts with, which is a title here."""
    text = sentence.partition(": ")[2]
    return text[0].upper() + text[1:]


def _row(benefit: Benefit, point: Point) -> Row:
    show = partial(shown, benefit.kind)
    told = WAYS[point.way], share(point.fraction), f"{point.images:,}"
    if not point.is_there:
        return Row(*told, NO_TIME, "", "", "0", ())
    low, high = point.interval
    between = f"{low:.3f} to {high:.3f}" if benefit.task == "regression" else interval(low, high)
    details = tuple(
        f"{show(goodness)} in {duration(seconds)}, {setting}"
        for goodness, seconds, setting in zip(point.goodness, point.seconds, point.settings, strict=True)
    )
    return Row(*told, show(point.mean), between, duration(point.time), str(len(point.goodness)), details)
