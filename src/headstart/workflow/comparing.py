"""Comparing: is transfer learning worth it on these images, and how much?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from headstart.backend import keep_freed_memory, prefer_onednn
from headstart.catalog import DEFAULT_BASE
from headstart.catalog.base import Base
from headstart.data.audit import audit
from headstart.data.dataset import Dataset
from headstart.data.pairs import Pair
from headstart.data.table import TableChoice
from headstart.errors import UsageError
from headstart.features.boundary import INPUT
from headstart.features.extract import FeatureSet
from headstart.features.looks import with_looks
from headstart.features.store import Store, default_folder
from headstart.images.views import make_views
from headstart.learn.base_features import BaseFeatures
from headstart.learn.benefit import WAYS, Benefit, Cell, weigh
from headstart.learn.labelled import Labelled, joined
from headstart.learn.subsets import Subset, draw_subset
from headstart.progress import Display, Stopwatch
from headstart.report.benefit_story import caveat, tell
from headstart.workflow.base_choice import BaseChoice, ImageSize
from headstart.workflow.comparing_cells import fill
from headstart.workflow.comparing_plan import MOST_FINETUNING_EPOCHS, STEPS, Plan, epochs_for, make_plan
from headstart.workflow.dividing import divide, note_absent_labels, read_labelled
from headstart.workflow.images import Images
from headstart.workflow.near import alike_among
from headstart.workflow.preparing import prepare
from headstart.workflow.session import LARGEST_SEED, Session, check_precision, check_seed
from headstart.workflow.tuning_choice import AUTO, TuningChoice, parse_time
from headstart.workflow.tuning_plan import VIEWS, Untuned, choose_stage
from headstart.workflow.view_choice import find_augmentation
from headstart.workflow.ways import Grounds, fit_probe, settings_of

FRACTIONS = (0.05, 0.1, 0.25, 0.5, 1.0)
SEEDS = 3
TIME = "15m"


def compare(
    data: str | Path | Iterable[Pair],
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
    fractions: Sequence[float] = FRACTIONS,
    seeds: int = SEEDS,
    time: str | float = TIME,
    precision: str = "auto",
    seed: int = 0,
    cache: str | Path | None = None,
    display: Display | None = None,
) -> Benefit:
    """Say whether transfer learning is worth it on these images: one architecture, learned in four ways.

    From scratch; frozen, with a probe; frozen, with the classic head; and fine-tuned. Each with several shares of the
    labels, the same test images throughout, and as many settings to choose from. Interrupted, or ended by its time, and
    called again with the same arguments, it goes on from there.

    Args:
        data: what `train` takes.
        image_column: a table's column of paths; this and the next five are found where they are left out.
        label_columns: its column of classes, labels or numbers, or several columns of 0 and 1.
        group_column: its column of what each image was taken of, or "none".
        weight_column: its column of how much each image counts in learning, or "none".
        split_column: its column of parts, or "none".
        task: "classes", "multi-label", "regression" or "auto".
        base: the pretrained network, and the architecture that is trained from scratch.
        weights: its weights: a file, a folder, or an http(s) address.
        offline: never fetch weights.
        image_size: side of its input in pixels, or height and width; by default the largest that there is time for.
        scaling: how pixels are scaled for a model file.
        trust_model_file: let a model file run its code on this machine.
        fractions: shares of the labels to learn from, each above 0 and up to 1.
        seeds: how often all is done, each time with other images of the smaller shares, while there is time.
        time: what all of it may take, in seconds or such as "15m".
        precision: of the frozen part, "f32", "bf16" or "auto".
        seed: another seed is another split of the images.
        cache: where features and finished networks are kept.
        display: shows the progress.

    Raises:
        UsageError: the images aren't there, a name isn't known, or a number is out of range.
        DataError: the images can't be learned from.
        WeightsError: the base's weights aren't here.
        StoreError: features can't be kept.
    """
    prefer_onednn()
    keep_freed_memory()
    watch = Stopwatch(display)
    if not isinstance(data, str | Path):
        data = list(data)
    shares, budget = _checked(fractions, seeds, time, precision, seed)
    table = TableChoice(image_column, tuple(label_columns), task, group_column, weight_column, split_column)
    dataset = read_labelled(data, table)
    cache_folder = Path(cache) if cache else default_folder()
    choice = BaseChoice(base, weights, offline, image_size, scaling, trust_model_file)
    chosen_base = choice.resolve(cache_folder, display)
    with Store(cache_folder) as store:
        session = Session(BaseFeatures(chosen_base, store), store, seed, watch, budget)
        plan = make_plan(session, chosen_base, dataset, shares, image_size is not None)
        session.stand_on(BaseFeatures(plan.base, store))
        size = next(choice for choice in session.choices if choice.what == "image size")
        pooled = prepare(session, dataset, precision)
        session.choose(size.what, size.value, size.reason)
        images = _divided(session, dataset, pooled)
        learned_from = joined(images.part("train"), images.part("validation")).learned_from
        subsets = {each: [draw_subset(learned_from, share, each) for share in shares] for each in _seeds(seed, seeds)}
        grounds = _grounds(session, images, pooled, plan, learned_from)
        _note_tuning(session, plan, subsets[seed][-1])
        cells = fill(grounds, subsets)
        source = str(data) if isinstance(data, str | Path) else f"a list of {len(data):,} images"
        return _benefit(source, grounds, images, learned_from, subsets[seed], cells)


def parse_fractions(text: str) -> tuple[float, ...]:
    """Shares of the labels as typed, in percent: "5,10,25,50,100".

    Raises:
        UsageError: one is no number.
    """
    try:
        return tuple(float(word.strip().removesuffix("%")) / 100 for word in text.split(","))
    except ValueError as error:
        raise UsageError(f"{text!r} aren't shares of the labels", "give percents such as 5,10,25,50,100") from error


def _checked(
    fractions: Sequence[float], seeds: int, time: str | float, precision: str, seed: int
) -> tuple[tuple[float, ...], float]:
    """The shares, rising, and the seconds; whatever no comparison can do is refused before anything is read."""
    shares = tuple(sorted(set(fractions)))
    if not shares or not all(0 < share <= 1 for share in shares):
        raise UsageError("a share of the labels is out of range", "give percents above 0 and up to 100")
    if seeds < 1:
        raise UsageError(f"--seeds is {seeds}", "give a whole number from 1 on")
    check_precision(precision)
    check_seed(seed, LARGEST_SEED - seeds)
    seconds = parse_time(time)
    TuningChoice(seconds=seconds).check()
    return shares, float(seconds or 0.0)


def _seeds(seed: int, count: int) -> range:
    return range(seed, seed + count)


def _divided(session: Session, dataset: Dataset, pooled: FeatureSet) -> Images:
    files = [sample.file for sample in dataset.samples]
    extraction = session.extract("features", "Computing features", files, with_looks(pooled))
    audited = audit(dataset, extraction.digests, extraction.unreadable)
    images = Images(dataset, audited, divide(session, dataset, audited, alike_among(session, audited, pooled)))
    if dataset.task == "multi-label":
        note_absent_labels(session, images)
    return images


def _grounds(session: Session, images: Images, pooled: FeatureSet, plan: Plan, learned_from: Labelled) -> Grounds:
    """What all ways have in common: views of the images, and from which stage to fine-tune, too."""
    train, validation = images.part("train"), images.part("validation")
    parts = Subset(1.0, session.seed, train, train, validation)
    test, outputs = images.part("test"), len(images.classes)
    probe = fit_probe(pooled, parts, outputs, plan.tried)
    augmentation = find_augmentation(session, images, pooled, probe, TuningChoice())
    session.choose("views", augmentation.preset, augmentation.reason)
    views = make_views(augmentation.preset, VIEWS, session.seed)
    wanted = {*learned_from.digests, *test.digests}
    samples = zip(images.audit.digests, images.audit.samples, strict=True)
    files = {digest: sample.file for digest, sample in samples if digest in wanted}
    return Grounds(session, plan, pooled, _cut(session, images), views, test, files, outputs)


def _cut(session: Session, images: Images) -> str:
    """As deep as `train` would fine-tune from without a time."""
    stages = session.features.base.stages
    if len(stages) < 2:
        return INPUT
    epochs = min(epochs_for(len(images.part("train").digests), STEPS), MOST_FINETUNING_EPOCHS)
    chosen = choose_stage(session, images, TuningChoice(), epochs)
    return stages[-2] if isinstance(chosen, Untuned) else chosen


def _note_tuning(session: Session, plan: Plan, whole: Subset) -> None:
    """What each way tries, and by what it is chosen."""
    tried = "; ".join(f"{name}: {settings_of(way, plan.tried)}" for way, name in WAYS.items())
    judged = f"chosen by about a fifth of the labels ({len(whole.held_out.digests):,} of all)"
    reason = f"{plan.tried} each, {judged}, and all of it is in the seconds"
    if plan.tried == 1:
        reason = "one each, since there is no time to train for long enough with several"
    session.choose("settings tried", tried, reason)


def _benefit(
    source: str,
    grounds: Grounds,
    images: Images,
    learned_from: Labelled,
    subsets: Sequence[Subset],
    cells: Sequence[Cell],
) -> Benefit:
    session, kind, base = grounds.session, images.kind, grounds.plan.base
    counts = {subset.fraction: len(subset.whole.digests) for subset in subsets}
    standing = weigh(cells, counts, learned_from, grounds.test, grounds.outputs, session.seed)
    headline, sentences = tell(standing, kind)
    return Benefit(
        source,
        kind.task,
        kind.goodness_name,
        base.name,
        (base.spec.height, base.spec.width),
        len(learned_from.digests),
        len(grounds.test.digests),
        standing,
        kind,
        headline,
        sentences,
        caveat(grounds.plan.steps) if grounds.plan.is_short else "",
        tuple({"what": made.what, "value": made.value, "reason": made.reason} for made in session.choices),
        session.watch.total(),
    )
