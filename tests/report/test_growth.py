from __future__ import annotations

import csv
import json
from collections.abc import Callable
from typing import Any

import pytest

from headstart.report import write_report
from headstart.report.evidence import read_evidence
from headstart.report.growth import Growth, answers_in_words, compared_lines, growth_of, images_in_words

COLUMNS = ("file", "since", "label", "earlier", "now", "change")


def section(**changed: Any) -> dict[str, Any]:
    """The section "earlier" of metrics.json."""
    return {
        "run": "runs/first",
        "created": "2027-01-01T03:04:05+00:00",
        "measure": "accuracy",
        "images": {"kept": 400, "new": 54, "gone": 1, "moved": 0, "relabelled": 0},
        "labels": {"new": ["cracked"], "gone": []},
        "test": {
            "old": {"images": 60, "earlier": 0.85, "now": 0.90, "p_value": 0.0312},
            "new": {"images": 9, "earlier": 0.5, "now": 0.4, "p_value": 0.75},
        },
        "left_out": 2,
        "changes": {"mended": 5, "broken": 2, "otherwise": 0},
        **changed,
    }


def growth_in(run: Any, earlier: dict[str, Any] | None, changes: list[tuple[str, ...]]) -> Growth | None:
    manifest = run.write()
    metrics = json.loads((run.folder / "metrics.json").read_text(encoding="utf-8"))
    (run.folder / "metrics.json").write_text(json.dumps(metrics | {"earlier": earlier}), encoding="utf-8")
    with (run.folder / "changes.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *changes])
    write_report(run.folder, manifest)
    return growth_of(read_evidence(run.folder, manifest))


CHANGES = [
    ("0001.png", "old", "defective", "defective", "functional", "broken"),
    ("0002.png", "new", "functional", "defective", "functional", "mended"),
    ("0003.png", "new", "functional", "", "defective", "otherwise"),
]


def test_what_was_lost_and_gained_is_shown_in_pictures(fake_run: Callable[..., Any]) -> None:
    run = fake_run()
    found = growth_in(run, section(), CHANGES)
    assert found is not None
    assert [(one.file, one.label, one.predicted, one.is_right) for one in found.broken] == [
        ("0001.png", "defective", "functional", False)
    ]
    assert [(one.file, one.note, one.is_right) for one in found.mended] == [
        ("0002.png", "said “defective” before", True)
    ]
    assert found.mended[0].data is not None
    page = run.folder.joinpath("report.html").read_text(encoding="utf-8")
    assert "What changed since the run of 2027-01-01" in page
    assert page.count("Wrong before, right now") == 1
    assert "2 test images are left out of this comparison" in page


def test_a_run_that_was_compared_with_none_has_no_such_section(fake_run: Callable[..., Any]) -> None:
    run = fake_run()
    assert growth_in(run, None, []) is None
    page = run.folder.joinpath("report.html").read_text(encoding="utf-8")
    assert "What changed since" not in page
    assert 'href="#growth"' not in page


def test_the_lines_say_which_is_better_and_whether_that_may_be_chance() -> None:
    old, new = compared_lines(section())
    assert (old.images, old.verdict) == (60, "better, p = 0.031")
    assert (new.images, new.verdict) == (9, "worse, p = 0.75: could be chance")
    errors = {"old": {"images": 60, "earlier": 2.5, "now": 2.0, "p_value": 0.01}, "new": None}
    (line,) = compared_lines(section(measure="mae", test=errors))
    assert (line.earlier, line.now, line.verdict) == ("2.5", "2", "better, p = 0.01")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, "54 images are new and 1 gone; none of the others changed sides"),
        ({"new": 1, "gone": 0}, "1 image is new and 0 gone; none of the others changed sides"),
        ({"relabelled": 3}, "54 images are new, 1 gone and 3 labelled otherwise; none of the others changed sides"),
        (
            {"moved": 2},
            "54 images are new and 1 gone; 2 changed sides, as near-duplicates, groups or given parts ask for it",
        ),
    ],
    ids=["usual", "one", "relabelled", "moved"],
)
def test_images_are_told_in_words(changed: dict[str, int], told: str) -> None:
    assert images_in_words(section()["images"] | changed) == told


def test_answers_are_told_in_words() -> None:
    assert answers_in_words({"mended": 0, "broken": 0, "otherwise": 0}) == "No answer changed."
    told = answers_in_words({"mended": 5, "broken": 1_200, "otherwise": 0})
    assert told == "Of the answers, 5 went from wrong to right and 1,200 went from right to wrong."


def test_labels_that_came_and_went_are_named(fake_run: Callable[..., Any]) -> None:
    found = growth_in(fake_run(), section(labels={"new": ["a", "b"], "gone": ["<c>"]}), [])
    assert found is not None
    assert found.labels == "Classes: “a” and “b” are new; “<c>” is gone."
