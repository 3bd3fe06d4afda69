"""The page of an audit: each finding in words, with small copies of the images that it is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from headstart.data.source import image_at
from headstart.images.file import ImageFile
from headstart.inspection.findings import DataAudit, Finding, Item, Tone
from headstart.report.page import make_environment
from headstart.report.pictures import LONGEST_NAME, LONGEST_PATH
from headstart.report.thumbnails import thumbnail
from headstart.report.wording import counted, duration, tidy

MOST_ITEMS, MOST_FILES = 18, 6
# What spoils figures is told first.
URGENCY: tuple[Tone, ...] = ("poor", "fair", "good")


@dataclass(frozen=True)
class Copy:
    """A small copy of an image; its data is None where the original can't be shown."""

    data: str | None
    file: str
    name: str
    label: str


@dataclass(frozen=True)
class Group:
    """Images that are looked at together."""

    copies: tuple[Copy, ...]
    note: str
    more: int


def render_audit(audit: DataAudit) -> str:
    """The page as HTML; it loads nothing from elsewhere."""
    ordered = sorted(audit.findings, key=lambda finding: URGENCY.index(finding.tone))
    shown = [(finding, _groups(audit, finding)) for finding in ordered]
    return make_environment().get_template("audit.html").render(_facts(audit, shown))


def _facts(audit: DataAudit, shown: list[tuple[Finding, list[Group]]]) -> dict[str, Any]:
    open_ones = [finding for finding in audit.findings if finding.tone != "good"]
    verdict = (
        f"{counted(len(open_ones), 'thing')} to look at among {counted(audit.images, 'image')}."
        if open_ones
        else f"Nothing wrong was found with {counted(audit.images, 'image')}."
    )
    return {
        "audit": audit,
        "name": tidy(PurePosixPath(audit.source).name or audit.source),
        "verdict": verdict,
        "shown": shown,
        "counted": counted,
        "most": MOST_ITEMS,
        "largest": max(audit.counts.values(), default=0) or 1,
        "time": duration(audit.seconds),
    }


def _groups(audit: DataAudit, finding: Finding) -> list[Group]:
    find = partial(image_at, Path(audit.root))
    return [_group(find, item) for item in finding.items[:MOST_ITEMS]]


def _group(find: Callable[[str], ImageFile | None], item: Item) -> Group:
    files = list(zip(item.files, item.labels, strict=True))
    copies = tuple(
        Copy(thumbnail(find, file), tidy(file, LONGEST_PATH), tidy(PurePosixPath(file).name, LONGEST_NAME), tidy(label))
        for file, label in files[:MOST_FILES]
    )
    return Group(copies, tidy(item.note, 200), len(files) - len(copies))
