from __future__ import annotations

import re
from dataclasses import replace

import pytest

from headstart.features.speed import Speed
from headstart.learn.ranking import Ranked, Ranking
from headstart.report.ranking_page import render_ranking, verdict

SPEED = Speed(9.24, 118.2, 14.5, 166.0)
FIRST = Ranked(
    *("resnet50@conv4", 224, 224, 1024, 0.749, "MIT", SPEED, 1001, 0.853, (0.831, 0.874), 0.339),
    *(0.79, -0.492, 0.88, -0.494),
    rounds=3,
    is_on_front=True,
    shortfall=(0.0, 0.0),
)
SECOND = replace(FIRST, base="<b>vgg16</b>", rounds=1, shortfall=None, images=252, is_on_front=False, goodness=0.8)


def ranking(*rows: Ranked, **more: object) -> Ranking:
    made = Ranking("photos", "classes", "accuracy", "log loss", 2624, rows, "it is best", "", "", 41.0, 0.686)
    return replace(made, **more)  # type: ignore[arg-type]


def test_the_page_says_what_to_take_and_shows_every_candidate() -> None:
    html = render_ranking(ranking(FIRST, SECOND))
    assert "85.3\u00a0%" in html
    assert "Build on <b>resnet50@conv4 224×224</b>: it is best." in html
    assert "headstart train photos --out run --base resnet50@conv4 --image-size 224" in html
    assert "2 candidates, compared on 1,001 images of 2,624." in html
    assert "68.6\u00a0%, by always answering the most frequent class" in html
    assert "&lt;b&gt;vgg16&lt;/b&gt;" in html
    assert html.count('<tr><th scope="row">') == 4
    assert "left after round 1" in html
    assert "166" in html
    assert "Limits" not in html


def test_limits_and_what_there_was_no_time_for_are_told() -> None:
    html = render_ranking(ranking(FIRST, limits="at most 20 ms an image", left_out="there was time for 3"))
    assert "at most 20 ms an image" in html
    assert "<dt>Left out</dt><dd>there was time for 3</dd>" in html


def test_it_loads_nothing_from_elsewhere_and_has_a_picture() -> None:
    html = render_ranking(ranking(FIRST, SECOND))
    assert not re.search(r'(?:src|href)="(?!data:|#)', html)
    assert "Accuracy against milliseconds an image of 2 candidates; the best comes to 0.853." in html
    assert ">taken<" in html


def test_numbers_have_no_percent_and_only_the_score_there_is() -> None:
    plain = replace(FIRST, neighbours=None, h_score=None, n_leep=None, imagenet_top1=None)
    html = render_ranking(ranking(plain, task="regression", goodness_name="R²", guessing=None))
    assert "0.853 (0.831 to 0.874)" in html
    assert "N-LEEP" not in html
    assert "LogME" in html
    assert "Guessing" not in html


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "smallest loss"),
        ({"shortfall": (0.01, 0.02)}, "within noise"),
        ({"shortfall": (0.03, 0.02)}, "+0.030 ± 0.020"),
        ({"shortfall": None, "rounds": 2}, "left after round 2"),
        ({"in_reach": False}, "beyond the limits"),
    ],
)
def test_each_candidate_is_placed_beside_the_best(change: dict[str, object], said: str) -> None:
    assert verdict(replace(FIRST, **change)) == said  # type: ignore[arg-type]


def test_short_fine_tunings_have_a_column_where_there_were_any() -> None:
    html = render_ranking(ranking(replace(FIRST, tuned=(0.851, 0.872)), SECOND))
    assert "85.1 → 87.2\u00a0%" in html
    assert "Fine-tuned" not in render_ranking(ranking(FIRST, SECOND))
