"""Reading labelled images, and dividing what can be used of them into parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from headstart.data.audit import Audit
from headstart.data.dataset import PARTS, Dataset, Part
from headstart.data.pairs import Pair, read_pairs
from headstart.data.source import read_source
from headstart.data.split import Split, split
from headstart.data.table import TableChoice
from headstart.errors import DataError, UsageError
from headstart.workflow.images import Images
from headstart.workflow.near import note_near_duplicates
from headstart.workflow.session import Session
from headstart.workflow.tuning_choice import AUTO


def read_labelled(data: str | Path | Sequence[Pair], table: TableChoice) -> Dataset:
    """The data set that a path or pairs in Python stand for.

    Raises:
        UsageError: the images aren't there, or something is said of a table where there is none.
        DataError: they can't be learned from.
    """
    if isinstance(data, str | Path):
        return read_source(Path(data), table)
    if said := replace(table, task=AUTO).options():
        raise UsageError(f"{said[0]} is about a table, and the images are a list", "leave it out")
    return read_pairs(data, table.task)


def divide(
    session: Session,
    dataset: Dataset,
    audited: Audit,
    alike: Sequence[Sequence[str]],
    placed: Mapping[str, Part] = MappingProxyType({}),
) -> Split:
    """The part of each image that can be used, with a note of what was decided.

    Args:
        session: in which this is done.
        dataset: as it was read.
        audited: what of it can be used.
        alike: the digests of near-duplicates, group by group.
        placed: the part of each digest in an earlier run, which it keeps.
    """
    note_near_duplicates(session, audited, alike)
    for choice in dataset.choices:
        session.choose(*choice)
    division = split(audited.samples, audited.digests, session.seed, dataset.task, dataset.origin, alike, placed)
    counts = ", ".join(f"{count:,} {part}" for part, count in division.counts().items())
    session.choose("split", counts, division.origin)
    return division


def note_absent_labels(session: Session, images: Images) -> None:
    """Where the parts were given, or a label is rare, a part may lack it.

    Raises:
        DataError: a part has no label at all.
    """
    for part in PARTS[1:]:
        absent = images.absent(part)
        if len(absent) == len(images.classes):
            raise DataError(f"no image of the {part} part has any label", "put images with each label into every part")
        if absent:
            reason = f"no {part} image has them, so that part says nothing of them"
            session.choose(f"labels not in {part}", ", ".join(absent), reason)
