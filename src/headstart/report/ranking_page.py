"""The page of a ranking: which base to take and why, every candidate in a table, and how good against how quick."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from headstart.learn.ranking import Ranked, Ranking
from headstart.report.charts import front_chart
from headstart.report.page import make_environment
from headstart.report.wording import counted, duration, goodness, percent, tidy


def render_ranking(ranking: Ranking) -> str:
    """The page as HTML; it loads nothing from elsewhere."""
    return make_environment().get_template("ranking.html").render(_facts(ranking))


def goodness_of(ranking: Ranking, row: Ranked) -> str:
    """What people judge by, with its interval."""
    low, high = row.interval
    if not _is_share(ranking):
        return f"{row.goodness:.3f} ({low:.3f} to {high:.3f})"
    return f"{percent(row.goodness)} ({100 * low:.1f} to {100 * high:.1f})"


def verdict(row: Ranked) -> str:
    """How a candidate's loss stands beside the best one's: by how much it is larger, with the standard error."""
    if not row.in_reach:
        return "beyond the limits"
    if row.shortfall is None:
        return f"left after round {row.rounds}"
    if row.shortfall[0] == 0:
        return "smallest loss"
    return "within noise" if row.within_noise else f"{row.shortfall[0]:+.3f} ± {row.shortfall[1]:.3f}"


def tuned_of(ranking: Ranking, row: Ranked) -> str:
    """What a short fine-tuning made of what people judge by, or a dash."""
    if row.tuned is None:
        return "–"
    before, after = row.tuned
    return f"{100 * before:.1f} → {percent(after)}" if _is_share(ranking) else f"{before:.3f} → {after:.3f}"


def optional(value: float | None, decimals: int = 2) -> str:
    """A score, or a dash."""
    return "–" if value is None else f"{value:.{decimals}f}"


def _is_share(ranking: Ranking) -> bool:
    """Whether people judge by a share, 0 to 1, which numbers have none of."""
    return ranking.task != "regression"


def _facts(ranking: Ranking) -> dict[str, Any]:
    best = ranking.best
    dots = [(row.speed.milliseconds, row.goodness, row.interval, row.shortfall is not None) for row in ranking.rows]
    front = sorted((row.speed.milliseconds, row.goodness) for row in ranking.rows if row.is_on_front)
    return {
        "ranking": ranking,
        "name": tidy(PurePosixPath(ranking.source).name or ranking.source),
        "best": best,
        "said": goodness(best.goodness, ranking.task),
        "counted": counted,
        "goodness_of": goodness_of,
        "verdict_of": verdict,
        "optional": optional,
        "tuned_of": tuned_of,
        "has_tuned": any(row.tuned is not None for row in ranking.rows),
        "chart": front_chart(dots, front, ranking.goodness_name.capitalize(), _is_share(ranking)),
        "has_scores": any(row.neighbours is not None for row in ranking.rows),
        "time": duration(ranking.seconds),
    }
