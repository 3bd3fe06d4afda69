"""A zip or tar archive of class folders, read where it is: nothing is unpacked.

Archives come from strangers. One with a name that leads out of it, or with a link, is refused as a whole, since it was
made to harm whoever unpacks it. A member that would unpack to more than any image is set aside like a damaged file,
before it fills the memory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from headstart.data.dataset import Dataset, Part, Sample
from headstart.data.layout import are_parts, is_junk, labelled, part_in, part_of, readable
from headstart.data.tar_file import COMPRESSED, TarContainer
from headstart.data.zip_file import ZipContainer
from headstart.errors import DataError, UsageError
from headstart.images.file import Member

SUFFIXES = (".zip", ".tar")
_DRIVE = re.compile(r"[A-Za-z]:")


def is_archive(path: Path) -> bool:
    """Whether a name is that of an archive, of a kind that is read here or not."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    is_compressed = suffixes[-1:] == [".tgz"] or (suffixes[-2:-1] == [".tar"] and suffixes[-1] in COMPRESSED)
    return path.suffix.lower() in SUFFIXES or is_compressed


def archives_in(folder: Path) -> list[Path]:
    """The archives that lie in a folder, by name, as the shards of a large data set do."""
    return sorted(path for path in folder.iterdir() if _is_shard(path))


def _is_shard(path: Path) -> bool:
    return path.is_file() and is_archive(path) and not is_junk(path.name)


def open_archive(path: Path, prefix: str = "") -> tuple[list[Member], str | None]:
    """The visible files of an archive, by name, and what is wrong with it as a whole, if it can be read all the same.

    Args:
        path: of the archive.
        prefix: put before each name, to tell several archives' members apart.

    Raises:
        UsageError: it can't be opened, or is compressed as a whole, so that nothing in it can be found quickly.
        DataError: it is damaged, or holds a name that leads out of it, a link or a name twice.
    """
    suffix = path.suffix.lower()
    if suffix in COMPRESSED:
        raise UsageError(
            f"{path} is compressed as a whole, so that images in it can't be read one by one",
            f"run `{COMPRESSED[suffix]} {path.name}` and give the .tar file, or make a .zip of it",
        )
    container = ZipContainer(path) if suffix == ".zip" else TarContainer(path)
    seen: set[str] = set()
    for name, is_plain in container.members():
        _check_name(path, name, is_plain=is_plain, is_new=name not in seen)
        seen.add(name)
    visible = [name for name in seen if not any(is_junk(folder) for folder in _folders(name))]
    problem = container.problem if isinstance(container, TarContainer) else None
    return [Member(prefix + name, container, name) for name in sorted(visible)], problem


def scan_members(path: Path, members: Sequence[Member]) -> Dataset:
    """The files of an archive, or of several, by the folders that they lie in, as `scan` reads folders.

    A folder that everything lies in, as most programs make it, doesn't count. Where several archives' names all tell a
    part, as train.zip and test.zip do, their files belong to it.

    Raises:
        DataError: it has no class folders, only one class, or mixes both layouts.
    """
    placed = [(member, _folders(member.key)) for member in members]
    while (top := _only_folder([folders for _, folders in placed])) is not None and part_of(top) is None:
        placed = [(member, folders[1:]) for member, folders in placed]
    is_divided = are_parts(sorted({folders[0] for _, folders in placed if len(folders) > 1}), path)
    parts = _parts_of_archives(members)
    samples = [
        Sample(member, readable(folders[is_divided]), part_of(folders[0]) if is_divided else parts[_archive_of(member)])
        for member, folders in placed
        if len(folders) > 1 + is_divided
    ]
    return labelled(path, samples, has_loose_files=len(samples) < len(members))


def _only_folder(placed: Sequence[Sequence[str]]) -> str | None:
    """The folder that all files lie in, if it has folders of its own."""
    depths = [len(folders) for folders in placed]
    tops = {folders[0] for folders in placed}
    return tops.pop() if len(tops) == 1 and min(depths) > 1 and max(depths) > 2 else None


def _parts_of_archives(members: Sequence[Member]) -> dict[str, Part | None]:
    parts = {archive: part_in(archive) for archive in map(_archive_of, members)}
    return dict.fromkeys(parts) if None in parts.values() else parts


def _archive_of(member: Member) -> str:
    """What stands before a member's name to tell several archives apart."""
    return member.name.removesuffix(member.key)


def _folders(name: str) -> list[str]:
    """A member's name in pieces, the file's own the last; archives made on Windows may have backslashes."""
    return re.split(r"[/\\]", name.removeprefix("./"))


def _check_name(path: Path, name: str, *, is_plain: bool, is_new: bool) -> None:
    folders = _folders(name)
    if ".." in folders or not folders[0] or _DRIVE.match(name) or "\0" in name:
        raise DataError(
            f"{path} holds {name!r}, a name that leads out of it, as archives have that are made to do harm",
            "don't unpack it; ask whoever made it for another",
        )
    if not is_plain:
        raise DataError(
            f"{path} holds {name!r}, which is a link or a device and no file",
            "make the archive again with the files themselves",
        )
    if not is_new:
        raise DataError(f"{path} holds {name!r} twice", "make the archive again with each file once")
