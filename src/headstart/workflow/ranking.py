"""Which base suits a person's images: candidates compared on a sample, and one taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from headstart.backend import prefer_onednn
from headstart.catalog.base import Base
from headstart.data.audit import Audit, audit
from headstart.data.dataset import Dataset
from headstart.data.pairs import Pair
from headstart.data.split import units_of
from headstart.data.table import AUTO, TableChoice
from headstart.features.extract import FeatureSet
from headstart.features.looks import looks_of
from headstart.features.store import Store, default_folder
from headstart.learn.base_features import BaseFeatures
from headstart.learn.kinds import KINDS
from headstart.learn.labelled import Labelled
from headstart.learn.ranking import Ranking
from headstart.progress import Display, Stopwatch
from headstart.workflow.base_choice import ImageSize
from headstart.workflow.candidates import CandidateChoice
from headstart.workflow.dividing import read_labelled
from headstart.workflow.halving import Halving, Limits, Pool, compare_candidates
from headstart.workflow.images import stratified, weights_of
from headstart.workflow.near import alike_among
from headstart.workflow.session import Session, check_precision, check_seed
from headstart.workflow.settling import SAMPLE
from headstart.workflow.tuning_choice import parse_time


def rank(
    data: str | Path | Sequence[Pair],
    *,
    bases: Sequence[str | Base] = (),
    image_sizes: Sequence[ImageSize] = (),
    max_latency: float | None = None,
    max_size: float | None = None,
    image_column: str | None = None,
    label_columns: Sequence[str] = (),
    group_column: str | None = None,
    weight_column: str | None = None,
    split_column: str | None = None,
    task: str = AUTO,
    weights: str | Path | None = None,
    offline: bool = False,
    time: str | float | None = None,
    precision: str = "auto",
    seed: int = 0,
    cache: str | Path | None = None,
    display: Display | None = None,
) -> Ranking:
    """Compare pretrained bases on labelled images, and say which to build on.

    Every base is looked at whole and up to two lower stages, at its own input size and at a smaller one. Probes are
    cross-validated on a stratified sample of the images, in rounds of more images and fewer candidates.

    Args:
        data: what `train` takes. Of divided images, those to train on alone are looked at.
        bases: those to compare, by name or as bases; by default all whose weights are here.
        image_sizes: sides of the input in pixels, or heights and widths; by default each base's own and a smaller one.
        max_latency: milliseconds that an image may take on this machine.
        max_size: millions of bytes that the base's weights may have.
        image_column: a table's column of paths; this and the next five are found where they are left out.
        label_columns: its column of classes, labels or numbers, or several columns of 0 and 1.
        group_column: its column of what each image was taken of, or "none".
        weight_column: its column of how much each image counts in learning, or "none".
        split_column: its column of parts, or "none".
        task: "classes", "multi-label", "regression" or "auto".
        weights: a folder of weights, or an http(s) address that has them.
        offline: never fetch weights.
        time: what it may take, in seconds or such as "2m"; candidates and rounds are left out where it is too short.
        precision: of features, "f32", "bf16" or "auto".
        seed: draws the sample and its folds.
        cache: where features are kept, which `train` then finds there.
        display: shows the progress.

    Raises:
        UsageError: the images aren't there, a name isn't known, or no base keeps the limits.
        DataError: the images can't be learned from.
        WeightsError: the weights of a base that was named aren't here.
        StoreError: features can't be kept.
    """
    prefer_onednn()
    watch = Stopwatch(display)
    check_precision(precision)
    check_seed(seed)
    limits = Limits(max_latency, max_size)
    table = TableChoice(image_column, tuple(label_columns), task, group_column, weight_column, split_column)
    dataset = _to_learn_from(read_labelled(data, table))
    cache_folder = Path(cache) if cache else default_folder()
    choice = CandidateChoice(tuple(bases), tuple(image_sizes), weights, offline)
    found = choice.resolve(cache_folder, display)
    with Store(cache_folder) as store:
        session = Session(BaseFeatures(found[0], store), store, seed, watch)
        pool = _sample(session, dataset)
        left = (parse_time(time) or math.inf) - watch.total()
        compared = compare_candidates(session, pool, choice.sized(found, dataset), precision, limits, left)
    source = str(data) if isinstance(data, str | Path) else f"a list of {len(data):,} images"
    return _account(dataset, source, pool, compared, limits, watch.total())


def _to_learn_from(dataset: Dataset) -> Dataset:
    """Without what was set aside for validation and test."""
    kept = [sample for sample in dataset.samples if sample.part in (None, "train") and sample.is_learned_from]
    return replace(dataset, samples=tuple(kept))


def _sample(session: Session, dataset: Dataset) -> Pool:
    """So many images with their share of every stratum, readable, each with what it stays together with."""
    kind = KINDS[dataset.task]
    targets = kind.encode([sample.label for sample in dataset.samples], dataset.labels)
    strata = kind.of(targets, dataset.labels).strata(targets)
    names = [f"{place:09}" for place in np.random.default_rng(session.seed).permutation(len(strata))]
    chosen = sorted(stratified(strata, names, SAMPLE))
    drawn = replace(dataset, samples=tuple(dataset.samples[place] for place in chosen))
    looks = looks_of(session.features.base.spec, session.store)
    files = [sample.file for sample in drawn.samples]
    extraction = session.extract("inspect", "Looking at images", files, looks)
    left = audit(drawn, extraction.digests, extraction.unreadable)
    return _without_copies(session, dataset, left, looks)


def _without_copies(session: Session, dataset: Dataset, left: Audit, looks: FeatureSet) -> Pool:
    """Each image once, and near-duplicates in one unit: with one of them learned from, the other one would flatter."""
    places = left.different()
    samples = [left.samples[place] for place in places.values()]
    grouped = [(sample.group, digest) for sample, digest in zip(samples, places, strict=True)]
    units = units_of(grouped, alike_among(session, left, looks))
    targets = KINDS[dataset.task].encode([sample.label for sample in samples], dataset.labels)
    kind = KINDS[dataset.task].of(targets, dataset.labels)
    part = Labelled(list(places), targets, kind, units, weights_of(samples))
    return Pool([sample.file for sample in samples], part, len(dataset.labels))


def _account(dataset: Dataset, source: str, pool: Pool, compared: Halving, limits: Limits, seconds: float) -> Ranking:
    kind, targets = pool.part.kind, pool.part.labels
    guessing = float(np.bincount(targets).max() / len(targets)) if kind.task == "classes" else None
    return Ranking(
        source,
        kind.task,
        kind.goodness_name,
        kind.loss_name,
        len(dataset.samples),
        compared.rows,
        compared.reason,
        str(limits),
        compared.left_out,
        seconds,
        guessing,
    )
