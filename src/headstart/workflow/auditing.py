"""The audit of a data set: features, what can't be used, copies, suspects, odd ones, and what misleads."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from headstart.backend import prefer_onednn
from headstart.catalog import DEFAULT_BASE
from headstart.catalog.base import Base
from headstart.data.audit import leave_out
from headstart.data.dataset import Dataset, Sample
from headstart.data.pairs import Pair as LabelledPath
from headstart.data.pairs import read_pairs
from headstart.data.source import read_source
from headstart.data.table import AUTO, TableChoice
from headstart.data.unlabelled import UNLABELLED, scan_unlabelled
from headstart.errors import DataError, ImageError, UsageError
from headstart.features.extract import FeatureSet, cpu_cores
from headstart.features.looks import with_looks
from headstart.features.store import Store, default_folder
from headstart.images.decode import Header, header_of
from headstart.images.file import ImageFile, read_file
from headstart.images.views import PLAIN
from headstart.inspection.findings import DataAudit, FixedRow
from headstart.inspection.near_duplicates import groups
from headstart.inspection.odd_ones import OddOne, odd_ones
from headstart.learn.base_features import BaseFeatures
from headstart.learn.kinds import KINDS, Kind
from headstart.learn.out_of_fold import fits_of, out_of_fold
from headstart.progress import Display, Stopwatch
from headstart.workflow.audit_findings import Examined, find_all
from headstart.workflow.base_choice import BaseChoice, ImageSize
from headstart.workflow.near import find_near_duplicates, look_at, once
from headstart.workflow.preparing import prepare
from headstart.workflow.session import Session

FIXED_COLUMNS = ("image", "label", "split", "group", "finding")


def audit(
    data: str | Path | Sequence[LabelledPath],
    *,
    image_column: str | None = None,
    label_columns: Sequence[str] = (),
    group_column: str | None = None,
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
        image_column: as for `train`, and so are the options that follow.
        label_columns: likewise.
        group_column: likewise.
        task: likewise.
        base: likewise.
        weights: likewise.
        offline: likewise.
        image_size: likewise.
        scaling: likewise.
        trust_model_file: likewise.
        precision: likewise.
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
    dataset = _read(data, TableChoice(image_column, tuple(label_columns), task, group_column))
    cache_folder = Path(cache) if cache else default_folder()
    choice = BaseChoice(base, weights, offline, image_size, scaling, trust_model_file)
    chosen_base = choice.resolve(cache_folder, display)
    with Store(cache_folder) as store:
        session = Session(BaseFeatures(chosen_base, store), store, seed, watch)
        pooled = prepare(session, dataset, precision)
        examined = _examine(session, dataset, pooled)
    source = str(data) if isinstance(data, str | Path) else f"a list of {len(data):,} images"
    return _account(examined, source, watch.total())


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
        raise UsageError(f"the images of {audit.source} aren't files, so a table can't name them", "unpack them first")
    above = os.path.relpath(root, table.absolute().parent)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIXED_COLUMNS)
    writer.writerows((Path(above, row.file).as_posix(), row.label, row.part, row.group, row.finding) for row in kept)
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


def _examine(session: Session, dataset: Dataset, pooled: FeatureSet) -> Examined:
    files = [sample.file for sample in dataset.samples]
    extraction = session.extract("features", "Computing features", files, with_looks(pooled))
    left = leave_out(dataset, extraction.digests, extraction.unreadable)
    if not left.samples:
        reason = left.quarantined[0].reason if left.quarantined else "there is none"
        raise DataError(f"no image can be used: {reason}", "check the files")
    places = left.different()
    different, first = list(places), tuple(places.values())
    samples = [left.samples[place] for place in first]
    looks = look_at(session, different, [sample.file for sample in samples], pooled)
    pairs = find_near_duplicates(session, different, looks, pooled)
    kind, targets = _kind(dataset, samples)
    units = _units(groups(pairs), [sample.group for sample in samples])
    features = pooled.load([(digest, PLAIN) for digest in different])
    odd = _odd_ones(session, different, pooled, features)
    scores = None
    if kind is not None and targets is not None:
        scores = _scores(session, different, pooled, features, (kind, targets, len(dataset.labels), units))
    headers = _headers(session, [sample.file for sample in samples])
    return Examined(dataset, left, first, looks, tuple(headers), tuple(pairs), tuple(odd), kind, targets, scores)


def _odd_ones(session: Session, digests: Sequence[str], pooled: FeatureSet, features: np.ndarray) -> list[OddOne]:
    def compute() -> np.ndarray:
        with session.watch.stage("inspect", "Looking for odd ones", len(digests)) as advance:
            found = odd_ones(features, session.seed, advance)
        return np.array([(one.place, one.times) for one in found], np.float64).reshape(-1, 2)

    of = "odd-ones-1", pooled.network, pooled.spec.key, pooled.precision, str(session.seed)
    return [OddOne(int(place), float(times)) for place, times in once(session, (*of, *digests), compute)]


def _scores(
    session: Session,
    digests: Sequence[str],
    pooled: FeatureSet,
    features: np.ndarray,
    task: tuple[Kind, np.ndarray, int, list[str]],
) -> np.ndarray:
    kind, targets, outputs, units = task

    def compute() -> np.ndarray:
        with session.watch.stage("inspect", "Checking labels", fits_of(targets, kind), unit="fits") as advance:
            return out_of_fold(features, targets, outputs, session.seed, kind, units, advance)

    of = "out-of-fold-1", pooled.network, pooled.spec.key, pooled.precision, str(session.seed)
    labels = hashlib.sha256(targets.tobytes()).hexdigest()
    return once(session, (*of, kind.task, labels, *units, *digests), compute)


def _kind(dataset: Dataset, samples: Sequence[Sample]) -> tuple[Kind | None, np.ndarray | None]:
    """What labels say, as far as anything can be learned from them."""
    if dataset.labels == (UNLABELLED,):
        return None, None
    targets = KINDS[dataset.task].encode([sample.label for sample in samples], dataset.labels)
    try:
        return KINDS[dataset.task].of(targets, dataset.labels), targets
    except DataError:
        return None, None


def _units(near: Sequence[Sequence[int]], given: Sequence[str | None]) -> list[str]:
    """What is held out together: near-duplicates, and images of a group."""
    units = [f"group {group}" if group else str(place) for place, group in enumerate(given)]
    for group in near:
        replaced = {units[place] for place in group}
        units = [units[group[0]] if unit in replaced else unit for unit in units]
    return units


def _headers(session: Session, files: Sequence[ImageFile]) -> list[Header | None]:
    """What files say of themselves; None for one that is gone by now."""
    found = []
    with (
        session.watch.stage("inspect", "Reading headers", len(files)) as advance,
        ThreadPoolExecutor(cpu_cores()) as pool,
    ):
        for header in pool.map(_header, files):
            found.append(header)
            advance(1)
    return found


def _header(file: ImageFile) -> Header | None:
    try:
        return header_of(read_file(file))
    except ImageError:
        return None


def _account(examined: Examined, source: str, seconds: float) -> DataAudit:
    dataset, left = examined.dataset, examined.left
    findings, notes = find_all(examined)
    group_of = examined.group_names()
    seen: set[str] = set()
    fixed = []
    for sample, digest in zip(left.samples, left.digests, strict=True):
        name = examined.name(sample.file)
        group = sample.group or group_of.get(digest, "")
        fixed.append(
            FixedRow(name, examined.label_of(sample), sample.part or "", group, notes.get(name, ""), digest in seen)
        )
        seen.add(digest)
    sides = np.array([(header.width, header.height) for header in examined.headers if header] or [(0, 0)])
    order = np.argsort(sides.prod(axis=1), kind="stable")
    sizes = {
        name: (int(sides[place][0]), int(sides[place][1]))
        for name, place in (("smallest", order[0]), ("median", order[len(order) // 2]), ("largest", order[-1]))
    }
    formats: dict[str, int] = {}
    for header in examined.headers:
        if header:
            formats[header.format] = formats.get(header.format, 0) + 1
    parts: dict[str, int] = {}
    for sample in left.samples:
        if sample.part:
            parts[sample.part] = parts.get(sample.part, 0) + 1
    task = "unlabelled" if dataset.labels == (UNLABELLED,) else dataset.task
    return DataAudit(
        str(dataset.root), source, task, dataset.counts(left.samples), parts, sizes, formats, findings, fixed, seconds
    )
