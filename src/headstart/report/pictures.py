"""Test images as they are shown, with what is true of them and what was said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from headstart.report.evidence import Evidence
from headstart.report.thumbnails import thumbnail
from headstart.report.wording import tidy

MOST_PICTURES = 12
LONGEST_PATH, LONGEST_NAME = 96, 32


@dataclass(frozen=True)
class Picture:
    """A test image with what it is and what was said of it; its data is None where the original is gone."""

    data: str | None
    file: str
    name: str
    label: str
    predicted: str
    note: str
    is_right: bool


def picture(evidence: Evidence, file: str, label: str, predicted: str, note: str, *, is_right: bool) -> Picture:
    """An image of the data as a picture.

    Args:
        evidence: finds it.
        file: its name in the data.
        label: what is true of it.
        predicted: what was said.
        note: how sure that was, or how far off.
        is_right: whether that is right.
    """
    return Picture(
        data=thumbnail(evidence.image, file),
        file=tidy(file, LONGEST_PATH),
        name=tidy(PurePosixPath(file).name, LONGEST_NAME),
        label=tidy(label),
        predicted=tidy(predicted),
        note=note,
        is_right=is_right,
    )
