"""Tar files as WebDataset has them: what belongs to one image has one name, with suffixes that say what it is."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.data.cells import as_text
from headstart.data.layout import PART_COLUMN, part_in
from headstart.data.table_file import Table
from headstart.errors import DataError, ImageError
from headstart.images.file import Member, read_file

IMAGE_SUFFIXES = frozenset({"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic", "heif"})
TEXT_SUFFIXES = frozenset({"cls", "txt"})
LABEL_SUFFIXES = TEXT_SUFFIXES | {"json"}
IMAGE_COLUMN = "image"


def is_web_dataset(members: Sequence[Member]) -> bool:
    """Whether images have files of the same name beside them that say what they are."""
    return any(_image_of(found) and LABEL_SUFFIXES & found.keys() for found in _by_stem(members).values())


def read_web_dataset(root: Path, members: Sequence[Member]) -> Table:
    """The images with what lies beside each: the text of .cls and .txt files, and what .json files hold.

    Raises:
        DataError: one of those is damaged, or isn't text or JSON.
    """
    rows: list[dict[str, str]] = []
    images: list[Member] = []
    for stem, found in _by_stem(members).items():
        image = _image_of(found)
        if image is not None:
            images.append(image)
            part = part_in(stem.rpartition("/")[0])
            rows.append({IMAGE_COLUMN: image.name, **_said(found), **({PART_COLUMN: part} if part else {})})
    columns = tuple(dict.fromkeys(column for row in rows for column in row))
    cells = tuple(tuple(row.get(column, "") for column in columns) for row in rows)
    return Table(root, columns, cells, tuple(range(1, len(rows) + 1)), {IMAGE_COLUMN: tuple(images)})


def _by_stem(members: Sequence[Member]) -> Mapping[str, dict[str, Member]]:
    """The members of each name, by what follows the first point in it."""
    found: defaultdict[str, dict[str, Member]] = defaultdict(dict)
    for member in members:
        folder, _, file = member.name.rpartition("/")
        stem, _, suffix = file.partition(".")
        found[f"{folder}/{stem}"][suffix.lower()] = member
    return found


def _image_of(found: Mapping[str, Member]) -> Member | None:
    return next((member for suffix, member in found.items() if suffix in IMAGE_SUFFIXES), None)


def _said(found: Mapping[str, Member]) -> dict[str, str]:
    said: dict[str, str] = {}
    for suffix in sorted(TEXT_SUFFIXES & found.keys()):
        said[suffix] = _text(found[suffix]).strip()
    if "json" in found:
        for column, value in _object(found["json"]).items():
            text = as_text(value)
            if text is not None:
                said[column] = text
    return said


def _object(member: Member) -> dict[str, Any]:
    try:
        said = json.loads(_text(member))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{member} isn't JSON ({error})", "make the archive again") from error
    if not isinstance(said, dict):
        raise DataError(f"{member} is no JSON object", "make the archive again")
    return said


def _text(member: Member) -> str:
    try:
        return read_file(member).decode("utf-8")
    except ImageError as error:
        raise DataError(f"{member}: {error}", "make the archive again") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{member} isn't UTF-8", "make the archive again") from error
