"""What changed since an earlier run, in words, figures and pictures; for the report and the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headstart.data.labels import Task
from headstart.evaluation.comparison import SIGNIFICANCE
from headstart.report.evidence import Evidence
from headstart.report.pictures import MOST_PICTURES, Picture, picture
from headstart.report.wording import counted, day, listed, percent, quoted

# Each measure's name, whether more of it is better, and how it is written.
MEASURES: dict[str, tuple[str, bool, Callable[[float], str]]] = {
    "accuracy": ("accuracy", True, percent),
    "exact_match": ("share of images with all labels right", True, percent),
    "mae": ("mean absolute error", False, "{:.4g}".format),
}
NOUNS: dict[Task, str] = {"classes": "Classes", "multi-label": "Labels", "regression": "The number's name"}
TESTED = {"old": "that both runs were tested with", "new": "that are new since"}
CHANGES = {
    "mended": "went from wrong to right",
    "broken": "went from right to wrong",
    "otherwise": "went from one wrong answer to another",
    "nearer": "came nearer to the true number",
    "farther": "went farther from it",
}


@dataclass(frozen=True)
class Line:
    """Test images of one kind: which, how many, what the two runs come to on them, and whether that may be chance."""

    name: str
    images: int
    earlier: str
    now: str
    verdict: str


@dataclass(frozen=True)
class Growth:
    """The report's section.

    Attributes:
        since: when the earlier run was made.
        images: what became of images.
        labels: what became of classes or labels; empty where none came or went.
        measure: what the lines compare.
        lines: of old and of new test images.
        left_out: about test images that can't be compared; empty where there are none.
        answers: how many answers changed, and how.
        broken, mended: some of them.
    """

    since: str
    images: str
    labels: str
    measure: str
    lines: list[Line]
    left_out: str
    answers: str
    broken: list[Picture]
    mended: list[Picture]


def growth_of(evidence: Evidence) -> Growth | None:
    """What the report shows; None where no earlier run was named."""
    found = evidence.metrics.get("earlier")
    if found is None:
        return None
    return Growth(
        since=day(found["created"]),
        images=images_in_words(found["images"]),
        labels=_labels(evidence.kind.task, found["labels"]),
        measure=MEASURES[found["measure"]][0],
        lines=compared_lines(found),
        left_out=_left_out(found["left_out"]),
        answers=answers_in_words(found["changes"]),
        broken=_pictures(evidence, "broken"),
        mended=_pictures(evidence, "mended"),
    )


def images_in_words(images: Mapping[str, int]) -> str:
    """How many came, went, moved to another part, or have another label."""
    told = [f"{counted(images['new'], 'image is', 'images are')} new", f"{images['gone']:,} gone"]
    told += [f"{images['relabelled']:,} labelled otherwise"] if images["relabelled"] else []
    sides = "none of the others changed sides"
    if images["moved"]:
        sides = f"{images['moved']:,} changed sides, as near-duplicates, groups or given parts ask for it"
    return f"{listed(told)}; {sides}"


def compared_lines(found: Mapping[str, Any]) -> list[Line]:
    """What both runs come to on the same images."""
    _, more_is_better, show = MEASURES[found["measure"]]
    return [
        Line(
            f"Images {TESTED[since]}",
            compared["images"],
            show(compared["earlier"]),
            show(compared["now"]),
            _verdict(compared, more_is_better=more_is_better),
        )
        for since, compared in found["test"].items()
        if compared is not None
    ]


def answers_in_words(changes: Mapping[str, int]) -> str:
    """How many answers changed, and how."""
    told = [f"{count:,} {CHANGES[change]}" for change, count in changes.items() if count]
    return f"Of the answers, {listed(told)}." if told else "No answer changed."


def _verdict(compared: Mapping[str, Any], *, more_is_better: bool) -> str:
    if compared["earlier"] == compared["now"]:
        return "the same"
    better = (compared["now"] > compared["earlier"]) == more_is_better
    chance = compared["p_value"] >= SIGNIFICANCE
    return f"{'better' if better else 'worse'}, p = {compared['p_value']:.2g}{': could be chance' if chance else ''}"


def _labels(task: Task, labels: Mapping[str, list[str]]) -> str:
    told = [f"{listed([*map(quoted, names)])} {came}" for came, names in _came_and_went(labels) if names]
    return f"{NOUNS[task]}: {'; '.join(told)}." if told else ""


def _came_and_went(labels: Mapping[str, list[str]]) -> list[tuple[str, list[str]]]:
    new, gone = labels["new"], labels["gone"]
    return [("is new" if len(new) == 1 else "are new", new), ("is gone" if len(gone) == 1 else "are gone", gone)]


def _left_out(count: int) -> str:
    if not count:
        return ""
    images = counted(count, "test image is", "test images are")
    return f"{images} left out of this comparison: the earlier run had learned from them or was chosen by them."


def _pictures(evidence: Evidence, change: str) -> list[Picture]:
    rows = [row for row in evidence.changes if row["change"] == change][:MOST_PICTURES]
    return [
        picture(
            evidence,
            row["file"],
            row["label"],
            row["now"] or "nothing",
            f"said {quoted(row['earlier'] or 'nothing')} before",
            is_right=change == "mended",
        )
        for row in rows
    ]
