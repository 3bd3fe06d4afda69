"""The audit of a data set: features, what can't be used, copies, suspects, odd ones, and what misleads."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from headstart.backend import prefer_onednn
from headstart.catalog import DEFAULT_BASE
from headstart.catalog.base import Base
from headstart.data.audit import Audit, leave_out
from headstart.data.dataset import Dataset
from headstart.data.pairs import Pair as LabelledPath
from headstart.data.pairs import read_pairs
from headstart.data.source import read_source
from headstart.data.table import AUTO, TableChoice
from headstart.data.unlabelled import UNLABELLED, scan_unlabelled
from headstart.errors import DataError, UsageError
from headstart.features.extract import FeatureSet
from headstart.features.looks import with_looks
from headstart.features.store import Store, default_folder
from headstart.images.decode import Header
from headstart.inspection.findings import DataAudit, Decided, FixedRow
from headstart.learn.base_features import BaseFeatures
from headstart.progress import Display, Stopwatch
from headstart.workflow.audit_findings import Examined, find_all
from headstart.workflow.base_choice import BaseChoice, ImageSize
from headstart.workflow.examining import examine
from headstart.workflow.preparing import prepare
from headstart.workflow.session import Session

FIXED_COLUMNS = ("image", "label", "split", "group", "finding")
# Called so that `train` takes it for weights, whatever they are.
WEIGHT_COLUMN = "sample_weight"


def audit(
    data: str | Path | Sequence[LabelledPath],
    *,
    image_column: str | None = None,
    label_columns: Sequence[str] = (),
    group_column: str | None = None,
    weight_column: str | None = None,
    split_column: str | None = None,
    task: str = AUTO,
    base: str | Base = DEFAULT_BASE,
    weights: str | Path | None = None,
    offline: bool = False,
    image_size: ImageSize | None = None,
    scaling: str | None = None,
    trust_model_file: bool = False,
    precision: str = "auto",
    seed: int = 0,
    cache: str | Path | None = None,
    display: Display | None = None,
) -> DataAudit:
    """Say what is wrong with labelled images, and with unlabelled ones; nothing of theirs is changed.

    Args:
        data: what `train` takes, or a folder of images without labels.
        image_column: a table's column of paths; this and the next five are found where they are left out.
        label_columns: its column of classes, labels or numbers, or several columns of 0 and 1.
        group_column: its column of what each image was taken of, or "none".
        weight_column: its column of how much each image counts in learning, or "none".
        split_column: its column of parts, or "none".
        task: "classes", "multi-label", "regression" or "auto".
        base: the pretrained network whose features are looked at: a name, a Keras model file, or a base.
        weights: its weights: a file, a folder, or an http(s) address.
        offline: never fetch weights.
        image_size: side of its input in pixels, or height and width.
        scaling: how pixels are scaled for a model file.
        trust_model_file: let a model file run its code on this machine.
        precision: "f32", "bf16" or "auto".
        seed: shuffles the folds in which labels are checked.
        cache: where features are kept, which `train` then finds there.
        display: shows the progress.

    Raises:
        UsageError: the images aren't there, or a name isn't known.
        DataError: no image can be read.
        WeightsError: the base's weights aren't here.
        StoreError: features can't be kept.
    """
    prefer_onednn()
    watch = Stopwatch(display)
    dataset = _read(
        data, TableChoice(image_column, tuple(label_columns), task, group_column, weight_column, split_column)
    )
    cache_folder = Path(cache) if cache else default_folder()
    choice = BaseChoice(base, weights, offline, image_size, scaling, trust_model_file)
    chosen_base = choice.resolve(cache_folder, display)
    with Store(cache_folder) as store:
        session = Session(BaseFeatures(chosen_base, store), store, seed, watch)
        pooled = prepare(session, dataset, precision)
        for decided in dataset.choices:
            session.choose(*decided)
        examined = examine(session, dataset, _usable(session, dataset, pooled), pooled)
    source = str(data) if isinstance(data, str | Path) else f"a list of {len(data):,} images"
    choices = [Decided(made.what, made.value, made.reason) for made in session.choices]
    return _account(examined, source, choices, watch.total())


def write_fixed(audit: DataAudit, table: Path) -> None:
    """Write a table of the images that can be used, for `train` to read; the images stay where they are.

    What can't be used and second copies are left out, near-duplicates are put into one group, so that a split keeps
    them together, and what is to be looked at is named in the column "finding".

    Raises:
        UsageError: the table is there already or can't be written, or the images aren't files of their own.
    """
    if table.exists():
        raise UsageError(f"{table} exists already", "name another file with --fix, or remove that one")
    root = Path(audit.root)
    kept = [row for row in audit.fixed if not row.is_copy]
    if kept and not (root / kept[0].file).exists():
        raise UsageError(
            f"the images of {audit.source} aren't files, so a table can't name them", "unpack or save them first"
        )
    above = os.path.relpath(root, table.absolute().parent)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    has_weights = any(row.weight is not None for row in kept)
    writer.writerow((*FIXED_COLUMNS, WEIGHT_COLUMN) if has_weights else FIXED_COLUMNS)
    for row in kept:
        cells = Path(above, row.file).as_posix(), row.label, row.part, row.group, row.finding
        writer.writerow((*cells, row.weight) if has_weights else cells)
    partial = table.with_name(f".{table.name}.partial")
    try:
        partial.write_bytes(text.getvalue().encode("utf-8", "surrogateescape"))
        partial.replace(table)
    except OSError as error:
        raise UsageError(f"{table} can't be written ({error.strerror})", "name another file with --fix") from error


def _read(data: str | Path | Sequence[LabelledPath], table: TableChoice) -> Dataset:
    if not isinstance(data, str | Path):
        return read_pairs(data, table.task)
    try:
        return read_source(Path(data), table)
    except DataError as error:
        if not Path(data).is_dir() or table != TableChoice():
            raise
        return scan_unlabelled(Path(data), error.problem)


def _usable(session: Session, dataset: Dataset, pooled: FeatureSet) -> Audit:
    files = [sample.file for sample in dataset.samples]
    extraction = session.extract("features", "Computing features", files, with_looks(pooled))
    left = leave_out(dataset, extraction.digests, extraction.unreadable)
    if not left.samples:
        reason = left.quarantined[0].reason if left.quarantined else "there is none"
        raise DataError(f"no image can be used: {reason}", "check the files")
    return left


def _account(examined: Examined, source: str, choices: Sequence[Decided], seconds: float) -> DataAudit:
    dataset, left = examined.dataset, examined.left
    findings, notes = find_all(examined)
    group_of = examined.group_names()
    seen: set[str] = set()
    fixed = []
    for sample, digest in zip(left.samples, left.digests, strict=True):
        name = examined.name(sample.file)
        group = sample.group or group_of.get(digest, "")
        said = examined.label_of(sample), sample.part or "", group, notes.get(name, "")
        fixed.append(FixedRow(name, *said, digest in seen, sample.weight))
        seen.add(digest)
    headers = [header for header in examined.headers if header]
    formats = Counter(header.format for header in headers)
    parts = Counter(str(sample.part) for sample in left.samples if sample.part)
    task = "unlabelled" if dataset.labels == (UNLABELLED,) else dataset.task
    counts, sizes = dataset.counts(left.samples), _sizes(headers)
    return DataAudit(str(dataset.root), source, task, counts, parts, sizes, formats, choices, findings, fixed, seconds)


def _sizes(headers: Sequence[Header]) -> dict[str, tuple[int, int]]:
    """The smallest, the median and the largest width and height, by pixels."""
    found = sorted(((header.width, header.height) for header in headers), key=lambda size: (size[0] * size[1], size))
    return {"smallest": found[0], "median": found[len(found) // 2], "largest": found[-1]} if found else {}
