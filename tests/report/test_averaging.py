from __future__ import annotations

from typing import Any

import pytest

from headstart.report import write_card, write_report
from headstart.report.averaging import Looks, looks
from headstart.report.evidence import read_evidence
from headstart.run import ViewRecord

FLIPS = tuple(ViewRecord(quarter_turns=turns, mirrored=mirrored) for mirrored in (False, True) for turns in (0, 2))


def section(*, averaged_over: int = 4, classifier: str = "probe", after: float = 0.304) -> dict[str, Any]:
    """The section "views" of metrics.json."""
    scores = {"balanced_accuracy": 0.85, "macro_f1": 0.85, "ece": 0.02, "n": 295}
    return {
        "averaged_over": averaged_over,
        "measured": {
            "classifier": classifier,
            "views": 4,
            "one_view": {"accuracy": 0.858, "log_loss": 0.330, **scores},
            "averaged": {"accuracy": 0.874, "log_loss": after, **scores},
            "p_value": 0.0123,
        },
        "milliseconds": {"one_view": 25.27, "averaged": 142.5} if averaged_over > 1 else None,
    }


def looks_of(run: Any) -> Looks | None:
    manifest = run.write()
    return looks(read_evidence(run.folder, manifest))


def text_of(run: Any, name: str) -> str:
    manifest = run.write()
    write_card(run.folder, manifest)
    write_report(run.folder, manifest)
    return (run.folder / name).read_text(encoding="utf-8").replace("\u00a0", " ")


def test_where_nothing_was_measured_nothing_is_said(fake_run) -> None:
    assert looks_of(fake_run(views=None)) is None
    assert "One view or several?" not in text_of(fake_run(views=None), "report.html")


def test_what_averaging_brings_is_said_with_its_cost(fake_run) -> None:
    found = looks_of(fake_run(finetuned=False, views=section()))
    assert found.intro.startswith("The classifier looks at each image in 4 mirrored or turned views and averages")
    assert "about 4 times the work. The probe for the plain view alone was fitted to that alone." in found.intro
    assert [(row.goodness, row.loss, row.time, row.is_kept) for row in found.rows] == [
        ("85.8\u00a0%", 0.330, "25.3\u00a0ms", False),
        ("87.4\u00a0%", 0.304, "142\u00a0ms", True),
    ]
    assert found.note.startswith("Averaging lowered the log loss by 0.026 nats an image. Were the two equally good")
    assert "a probability of 0.012 (" in found.note


def test_what_averaging_would_bring_a_fine_tuned_network_is_offered(fake_run) -> None:
    found = looks_of(fake_run(views=section(averaged_over=1, classifier="finetune")))
    assert found.intro == (
        "The classifier looks at each image once. 295 validation images show what averaging over 4 views would bring, "
        "at about 4 times the work an image; --test-views 4 asks for it."
    )
    assert [(row.time, row.is_kept) for row in found.rows] == [("", True), ("", False)]


def test_a_probe_that_was_not_fitted_to_views_is_no_promise_for_one_that_is(fake_run) -> None:
    found = looks_of(fake_run(finetuned=False, views=section(averaged_over=1)))
    assert "averaging the probe as it is over 4 views" in found.intro
    assert found.intro.endswith("it would be fitted to just those views, which wasn't tried here.")


@pytest.mark.parametrize("after", [0.33, 0.34])
def test_no_gain_is_called_none(fake_run, after: float) -> None:
    assert looks_of(fake_run(views=section(after=after))).note == "Averaging didn't lower the log loss."


def test_the_page_shows_both_ways_and_marks_the_one_that_was_kept(fake_run) -> None:
    page = text_of(fake_run(views=section(), manifest_fields={"test_views": FLIPS}), "report.html")
    part = page[page.index("One view or several?") : page.index('<section id="accuracy">')]
    assert '<tr class="kept"><th scope="row">The mean over 4 views <span class="tag">kept</span></th>' in part
    for figure in ("85.8 %", "87.4 %", "0.330", "0.304", "25.3 ms", "142 ms", "Time an image"):
        assert figure in part
    assert "with the logits of each averaged over its views, as in the table" in page
    offered = text_of(fake_run(views=section(averaged_over=1)), "report.html")
    assert "Time an image" not in offered
    assert "averaged over 8 views of each; the table has the plain one" in offered


def test_the_card_says_that_several_views_are_looked_at(fake_run) -> None:
    told = "It looks at each image in 4 mirrored or turned views and averages its logits, inside the network."
    assert told in text_of(fake_run(manifest_fields={"test_views": FLIPS}), "README.md")
    assert "mirrored or turned views" not in text_of(fake_run(), "README.md")
