"""Where images and labels come from. Each kind of source is a module of its own; this one tells which it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from headstart.data import arrow, json_lines, table_file
from headstart.data.archive import archives_in, is_archive, open_archive, scan_members
from headstart.data.arrow_table import arrow_files, read_arrow
from headstart.data.dataset import Dataset
from headstart.data.hugging_face import cached_dataset
from headstart.data.scan import scan
from headstart.data.table import TableChoice, images_of
from headstart.data.table_file import Table
from headstart.data.web_dataset import IMAGE_SUFFIXES, is_web_dataset, read_web_dataset
from headstart.errors import HeadstartError, UsageError
from headstart.images.file import ImageFile, Member


def read_source(path: Path, choice: TableChoice | None = None) -> Dataset:
    """The images of a source with what is said of them; no image is opened.

    Args:
        path: a folder of class folders; a table (CSV, TSV, JSON Lines, Parquet or Arrow); an archive (zip or tar) of
            class folders or in the manner of WebDataset; a folder of Parquet files or of archives; or the name of a
            data set in the local cache of the Hugging Face libraries.
        choice: what the user says about the table.

    Raises:
        UsageError: it is none of these, or what is said about a table is said of folders.
        DataError: it can't be learned from.
    """
    choice = choice or TableChoice()
    choice.check()
    root = _locate(path)
    table = _read_table(root)
    if table is not None:
        return images_of(table, choice)
    archives = _archives(root)
    if archives:
        return _read_archives(root, archives, choice)
    dataset = scan(root)
    _check_unsaid(choice, root)
    return dataset


def image_at(root: Path, name: str) -> ImageFile | None:
    """An image of a data set that was read before; None where it is gone.

    Args:
        root: of the data set.
        name: of the image in it, with slashes; one that leads out of it counts as gone.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        return None
    if root.is_dir() and (root / path).exists():
        return root / path
    return _members_of(root, _changed(root)).get(name)


@lru_cache(maxsize=1)
def _members_of(root: Path, changed: int) -> Mapping[str, Member]:
    """The images of a data set, by name; `changed` tells when, so that what is remembered of it isn't outdated."""
    try:
        table = _read_table(root)
        images = [member for column in table.images.values() for member in column] if table else []
        members = images or [member for found in _open_all(root, _archives(root)) for member in found[1]]
    except HeadstartError:
        return {}
    return {member.name: member for member in members if isinstance(member, Member)}


def _changed(root: Path) -> int:
    return root.stat().st_mtime_ns if root.exists() else 0


def _locate(path: Path) -> Path:
    try:
        return path if path.exists() else cached_dataset(path.as_posix()) or path
    except OSError as error:  # a name that is too long
        raise UsageError(
            f"there is no folder or file {path.as_posix()[:80]!r}… ({error.strerror})", "check it"
        ) from error


def _read_table(root: Path) -> Table | None:
    suffix = root.suffix.lower()
    if root.is_dir():
        files = arrow_files(root)
        return read_arrow(root, files) if files and not _has_class_folders(root) else None
    if not root.is_file():
        return None
    if suffix in table_file.SUFFIXES:
        return table_file.read_table_file(root)
    if suffix in json_lines.SUFFIXES:
        return json_lines.read_json_lines(root)
    return read_arrow(root, [root]) if suffix in arrow.SUFFIXES else None


def _archives(root: Path) -> list[Path]:
    """The archive, or those in a folder without class folders."""
    if not root.is_dir():
        return [root] if root.is_file() and is_archive(root) else []
    return [] if _has_class_folders(root) else archives_in(root)


def _has_class_folders(root: Path) -> bool:
    """Whether a folder within this one holds an image, by its name: then what else lies about is no data set."""
    return any(path.suffix.lower().lstrip(".") in IMAGE_SUFFIXES for path in root.glob("*/*"))


def _read_archives(root: Path, archives: Sequence[Path], choice: TableChoice) -> Dataset:
    opened = _open_all(root, archives)
    members = [member for _, found, _ in opened for member in found]
    if is_web_dataset(members):
        dataset = images_of(read_web_dataset(root, members), choice)
    else:
        dataset = scan_members(root, members)
        _check_unsaid(choice, root)
    notes = [(f"archive {path.name}", "read as far as it goes", problem) for path, _, problem in opened if problem]
    return replace(dataset, choices=(*dataset.choices, *notes))


def _open_all(root: Path, archives: Sequence[Path]) -> list[tuple[Path, list[Member], str | None]]:
    return [(path, *open_archive(path, "" if path == root else f"{path.name}/")) for path in archives]


def _check_unsaid(choice: TableChoice, root: Path) -> None:
    said = [*choice.options()]
    if said and choice != TableChoice(task="classes"):
        raise UsageError(
            f"{said[0]} is about a table, and in {root} folders are classes", "give a table, or leave it out"
        )
