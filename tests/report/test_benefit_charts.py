from __future__ import annotations

import re
from collections.abc import Callable

from headstart.learn.benefit import WAYS, Benefit
from headstart.report.benefit_charts import labels_chart, seconds_chart

MakeBenefit = Callable[..., Benefit]


def test_both_charts_show_every_way_and_tell_its_figures(make_benefit: MakeBenefit) -> None:
    benefit = make_benefit()
    for draw in (labels_chart, seconds_chart):
        chart = draw(benefit.standing, benefit.kind)
        texts = re.findall(r">([^<>]+)</text>", chart)
        assert {*WAYS.values(), "guessing"} <= set(texts)
        description = re.search(r'aria-label="([^"]+)"', chart)
        assert description is not None
        assert "frozen, probe 85.0\u00a0%" in description[1]
        assert "var(--warm)" in chart and "var(--good)" in chart
        assert "#0102" not in chart


def test_the_axes_are_labels_and_time(make_benefit: MakeBenefit) -> None:
    benefit = make_benefit()
    assert {"10\u00a0%", "100\u00a0%"} <= set(
        re.findall(r">([^<>]+)</text>", labels_chart(benefit.standing, benefit.kind))
    )
    times = set(re.findall(r">([^<>]+)</text>", seconds_chart(benefit.standing, benefit.kind)))
    assert {"1\u00a0s", "10\u00a0s", "100\u00a0s"} <= times


def test_a_way_that_was_not_finished_is_not_drawn(make_benefit: MakeBenefit) -> None:
    benefit = make_benefit(missing=[("scratch", 0.1), ("scratch", 1.0)])
    chart = labels_chart(benefit.standing, benefit.kind)
    assert ">from scratch</text>" not in chart
    assert "from scratch" not in chart
