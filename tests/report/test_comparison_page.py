from __future__ import annotations

import json
import re
from collections.abc import Callable

from headstart.learn.benefit import Benefit
from headstart.report.benefit_story import caveat
from headstart.report.comparison_page import NO_TIME, comparison_rows, render_comparison

MakeBenefit = Callable[..., Benefit]


def test_the_page_has_the_sentences_the_picture_and_the_figures(make_benefit: MakeBenefit) -> None:
    benefit = make_benefit()
    html = render_comparison(benefit)
    assert html.count('<svg class="chart"') == 2
    assert benefit.headline in html
    assert html.count('<div class="good"><dt>') == 3
    assert "A probe with 10\u00a0% of the labels equals training from scratch with all labels" in html
    assert "The same 400 test images throughout" in html
    assert html.count("12 of 12") == 0
    assert html.count("epoch 7 of 12") == 16
    assert "&lt;there is no time&gt; for more" in html


def test_it_loads_nothing_from_elsewhere(make_benefit: MakeBenefit) -> None:
    html = render_comparison(make_benefit())
    assert "default-src 'none'" in html
    assert not re.search(r'(?:src|href)="(?!data:|#)', html)
    assert "<script" not in html
    assert "copies of the images" not in html  # there are none on this page


def test_no_gain_is_not_shown_as_one(make_benefit: MakeBenefit) -> None:
    for benefit in (make_benefit(transferred=0.6), make_benefit(transferred=0.5, scratch=0.5)):
        html = render_comparison(benefit)
        assert '<div class="good">' not in html
        assert html.count('<div class="fair"><dt>') == 3


def test_what_there_was_no_time_for_stands_in_the_table(make_benefit: MakeBenefit) -> None:
    benefit = make_benefit(missing=[("scratch", 1.0)])
    rows = {(row.way, row.share): row for row in comparison_rows(benefit)}
    missing = rows["from scratch", "100\u00a0%"]
    assert (missing.goodness, missing.time, missing.seeds, missing.details) == (NO_TIME, "", "0", ())
    assert rows["frozen, probe", "100\u00a0%"].goodness == "85.0\u00a0%"
    html = render_comparison(benefit)
    assert f">{NO_TIME}</td>" in html
    assert "There was no time for training from scratch with 100\u00a0% of the labels" in html
    everything = [(way, share) for way in ("scratch", "probe", "classic", "finetune") for share in (0.1, 1.0)]
    assert "<svg" not in render_comparison(make_benefit(missing=everything))


def test_a_caveat_stands_by_the_sentences(make_benefit: MakeBenefit) -> None:
    said = caveat(steps=125)
    html = render_comparison(make_benefit(said=said))
    assert "for about 125 steps only. That is hardest on training from scratch" in html
    assert html.index(said) < html.index('id="picture"')
    assert "steps only" not in render_comparison(make_benefit())


def test_names_from_strangers_are_escaped(make_benefit: MakeBenefit) -> None:
    html = render_comparison(make_benefit(source="<script>\u202e"))
    assert "<script" not in html
    assert "\u202e" not in html


def test_the_document_is_json_and_says_the_same(make_benefit: MakeBenefit) -> None:
    benefit = make_benefit(missing=[("finetune", 1.0)])
    document = json.loads(json.dumps(benefit.as_dict()))
    assert document["verdict"] == "helps"
    assert document["sentences"] == list(benefit.sentences)
    points = {(point["way"], point["fraction"]): point for point in document["points"]}
    assert points["finetune", 1.0] == {
        "way": "finetune",
        "fraction": 1.0,
        "images": 400,
        "finished": False,
        "mean": None,
        "interval": None,
        "seconds": None,
        "seeds": [],
    }
    assert points["probe", 1.0]["mean"] == 0.85
    assert len(points["probe", 1.0]["seeds"]) == 2
    assert document["labels"]["better"] == {"way": "probe", "fraction": 0.1}
