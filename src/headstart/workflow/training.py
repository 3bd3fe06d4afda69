"""Training: features, audit, split, probe, fine-tune, decide, evaluate, write."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from headstart.backend import keep_freed_memory, prefer_onednn
from headstart.catalog import DEFAULT_BASE
from headstart.catalog.base import Base
from headstart.data.audit import audit
from headstart.data.dataset import Dataset
from headstart.data.pairs import Pair
from headstart.data.table import TableChoice
from headstart.errors import UnknownNameError, UsageError
from headstart.features.extract import FeatureSet
from headstart.features.looks import with_looks
from headstart.features.store import Store, default_folder
from headstart.images.views import PLAIN
from headstart.learn.base_features import BaseFeatures
from headstart.learn.decide import decide
from headstart.learn.imbalance import ASKED, NAMES, Asked
from headstart.learn.labelled import joined
from headstart.learn.probe import Probe, fit_probe, most_fits
from headstart.progress import Display, Stopwatch
from headstart.run import Run, RunDraft
from headstart.workflow.audit_findings import find_all
from headstart.workflow.averaging import Gain, measure_gain, note_views
from headstart.workflow.base_choice import BaseChoice, ImageSize
from headstart.workflow.classifiers import FinetunedClassifier, ProbeClassifier
from headstart.workflow.dividing import divide, note_absent_labels, read_labelled
from headstart.workflow.examining import examine
from headstart.workflow.finishing import finish
from headstart.workflow.growth import Earlier, read_earlier
from headstart.workflow.held_out import FOLDS
from headstart.workflow.images import Images
from headstart.workflow.input_size import smaller_input
from headstart.workflow.outcome import Outcome
from headstart.workflow.outset import Outset, set_out
from headstart.workflow.preparing import prepare
from headstart.workflow.session import Session, check_precision, check_seed
from headstart.workflow.settling import BY_MEASUREMENT, base_by_measurement, candidates_of, size_by_measurement
from headstart.workflow.teaching import teach
from headstart.workflow.tuning import tune
from headstart.workflow.tuning_choice import AUTO, TuningChoice, parse_time
from headstart.workflow.tuning_plan import Untuned
from headstart.workflow.view_choice import Averaging, choose_averaging


def train(
    data: str | Path | Iterable[Pair],
    out: str | Path,
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
    finetune: bool = True,
    finetune_from: str | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    views: int | None = None,
    augment: str = AUTO,
    time: str | float | None = None,
    balance: str = AUTO,
    test_views: int = 1,
    precision: str = "auto",
    seed: int = 0,
    compare_to: str | Path | None = None,
    cache: str | Path | None = None,
    display: Display | None = None,
) -> Run:
    """Turn labelled images into a classifier, or a predictor of numbers, with an honest account of how good it is.

    Args:
        data: a folder with one subfolder of images per class, or with folders train, validation and test that have; a
            zip or tar archive of such; a table (CSV, TSV, JSON Lines, Parquet or Arrow) with a row per image: its path,
            relative to the table, or its bytes, and what is said of it; or a data set as WebDataset or the Hugging Face
            libraries keep it; or, in Python, pairs of a path or an array (uint8, shape (height, width) or (height,
            width, channels)) and a class, a number, or a list of labels.
        out: the run folder to make.
        image_column: the table's column of paths; by default it is found by its name or its cells.
        label_columns: the table's column of classes, of labels divided by "|", ";" or ",", or of numbers; or several
            columns that say 0 or 1 of a label each. By default they are found likewise.
        group_column: the table's column that says what each image was taken of, such as a patient: images of one are
            never both learned from and tested with. By default it is found by its name; "none" for no groups.
        weight_column: the table's column of how much each image counts in learning, numbers from 0 on; each still
            counts once in whatever is measured. By default it is found by its name; "none" for no weights.
        split_column: the table's column of parts, train, validation or test. By default it is found by its name; "none"
            for none, so that parts are drawn.
        task: what the labels are, "classes" (one an image), "multi-label" (any number), "regression" (a number), or
            "auto": what the cells look like.
        base: the pretrained network to build on, by name (`headstart.bases()` lists them), the path of a Keras model
            file, what `headstart.base` made of a model, or "auto": of those whose weights are here, the one that does
            best on training images, as `rank` compares them.
        weights: the base's weights: a file, a folder of files, or an http(s) address that has them; by default they
            are looked for in Keras' cache, in $HEADSTART_WEIGHTS, and where Keras publishes them.
        offline: never fetch weights.
        image_size: side of the base's input in pixels, or its height and width; by default the base's own, or, where
            images are at most a third as large, a smaller one unless the base's own is found to do clearly better.
        scaling: how pixels are scaled for a model file, "none", "tf", "torch" or "caffe".
        trust_model_file: let a model file run its code on this machine.
        finetune: whether to try fine-tuning after the probe.
        finetune_from: the stage above which everything is trained, "input" for the whole base; this and the next four
            are decided from the images where they are left out, and whoever gives one has fine-tuning tried in any
            case.
        epochs: passes over the training images.
        learning_rate: at its peak.
        views: renderings of each image that are trained on.
        augment: what they are made of, "none", "text" (moved and enlarged only), "natural", "flips",
            "orientation-free", or "auto": what the probe is found to recognise. A probe of few images learns from
            mirrored and turned ones as well, where cross-validation finds that better; "none" keeps it from that.
        time: what all of it may take, in seconds or such as "5m". Fine-tuning then starts from as deep as that allows,
            other ways follow while they fit, and their weights are averaged where validation finds it better; without
            it, one way is tried.
        balance: what is done about classes of unequal size, "none", "weights" (a rare class's images count more),
            "sampling" (as many images of each class an epoch), "logits" (logit adjustment), or "auto": what
            cross-validation finds best by balanced accuracy where the largest class has over three times the images of
            the smallest, and else nothing. Of classes alone.
        test_views: the most mirrored and turned views of each image that the classifier averages its logits over, of
            those in `augment`; each takes as long as one image does without.
        precision: of the frozen part, "f32", "bf16", or "auto": bf16 where the CPU has it and the images allow it.
        seed: another seed is another split of the images.
        compare_to: an earlier run, on fewer images or others: what it placed stays in the part where it was, and the
            report says what changed, on the test images of both and on new ones.
        cache: where features are kept; by default $HEADSTART_CACHE or the user's cache folder.
        display: shows the progress, such as ``headstart.progress.RichDisplay(sys.stderr)``; by default nothing does.

    Returns:
        The run. Its folder is complete, or not there at all.

    Raises:
        UsageError: the images aren't there, `out` is, a name isn't known, a number is out of range, or the run to
            compare with predicts something else.
        DataError: the images can't be learned from.
        WeightsError: the base's weights aren't here.
        StoreError: features can't be kept.
        RunError: the run can't be written, or the one to compare with can't be read.
    """
    prefer_onednn()
    keep_freed_memory()
    watch = Stopwatch(display)
    draft = RunDraft(Path(out))
    if not isinstance(data, str | Path):
        data = list(data)  # it may be counted only once
    _check(data, Path(out), precision, seed, balance)
    how = (finetune, finetune_from, epochs, learning_rate, views, augment)
    tuning = TuningChoice(*how, test_views, parse_time(time))
    tuning.check()
    cache_folder = Path(cache) if cache else default_folder()
    table = TableChoice(image_column, tuple(label_columns), task, group_column, weight_column, split_column)
    dataset = read_labelled(data, table)  # before anything is fetched
    earlier = None if compare_to is None else read_earlier(compare_to, dataset)
    _check_balance(dataset, balance)
    choice = BaseChoice(base, weights, offline, image_size, scaling, trust_model_file)
    candidates = candidates_of(choice, finetune_from) if base == BY_MEASUREMENT else None
    found = candidates.resolve(cache_folder, display) if candidates else [choice.resolve(cache_folder, display)]
    chosen_base = found[0]
    if candidates is None:
        tuning.check_stage(chosen_base)
    with Store(cache_folder) as store:
        budget = tuning.seconds or math.inf
        smaller = smaller_input(chosen_base, dataset) if image_size is None else None
        session = Session(BaseFeatures(smaller or chosen_base, store), store, seed, watch, budget)
        pooled = prepare(session, dataset, precision)
        images = _audit_and_divide(session, dataset, pooled, earlier)
        if candidates is not None:
            pooled = base_by_measurement(session, images, candidates, found, precision)
        elif smaller is not None:
            pooled = size_by_measurement(session, images, pooled, chosen_base, precision)
        probe = _fit_probe(session, images, pooled, cast(Asked, balance))
        outcome, gain = _learn_further(session, images, pooled, probe, tuning)
        if outcome.chosen is outcome.probe and not images.kind.keeps_validation:
            _refit_probe(session, images, outcome.probe)
        options = {"base": choice.name, "precision": precision, "seed": seed}
        options |= {} if balance == AUTO else {"balance": balance}
        options |= {} if compare_to is None else {"compare-to": compare_to}
        command = _command(data, out, options, table.options() + choice.options() + tuning.options())
        with draft:
            run = finish(session, draft, images, probe, outcome, gain, command, earlier)
        session.checkpoints.remove_used()  # not before the run is there
        return run


def _check(data: str | Path | Sequence[Pair], out: Path, precision: str, seed: int, balance: str) -> None:
    """Refuses what no training run can do, before anything is read."""
    if isinstance(data, str | Path) and out.resolve().is_relative_to(Path(data).resolve()):
        raise UsageError(
            f"{out} lies inside {data}, where it would pass for a class", "name a folder elsewhere with --out"
        )
    check_precision(precision)
    check_seed(seed)
    if balance not in ASKED:
        raise UnknownNameError("balance", balance, ASKED)


def _check_balance(dataset: Dataset, balance: str) -> None:
    if dataset.task != "classes" and balance not in (AUTO, "none"):
        raise UsageError(
            f"--balance {balance} is for classes of unequal size, and the task is {dataset.task}", "leave it out"
        )


def _audit_and_divide(session: Session, dataset: Dataset, pooled: FeatureSet, earlier: Earlier | None) -> Images:
    files = [sample.file for sample in dataset.samples]
    extraction = session.extract("features", "Computing features", files, with_looks(pooled))
    audited = audit(dataset, extraction.digests, extraction.unreadable)
    examined = examine(session, dataset, audited, pooled)
    division = divide(session, dataset, audited, examined.alike, earlier.parts if earlier else {})
    images = Images(dataset, audited, division, tuple(find_all(examined)[0]))
    if dataset.task == "multi-label":
        note_absent_labels(session, images)
    return images


def _fit_probe(session: Session, images: Images, pooled: FeatureSet, balance: Asked) -> Probe:
    train = images.part("train")
    labels, kind, outputs = train.labels, train.kind, len(images.classes)
    fits = most_fits(labels, balance, kind)
    with session.watch.stage("probe", "Fitting the probe", fits, unit="fits") as advance:
        wanted = [(digest, PLAIN) for digest in train.digests]
        features = pooled.load(wanted)
        settings = session.seed, advance, balance, kind
        probe = fit_probe(features, labels, outputs, *settings, train.together, train.weights)
    if kind.task == "classes":
        session.choose("class balance", NAMES[probe.balancing.kind], probe.balancing.reason)
    smallest = f"smallest {kind.loss_name} in {probe.folds}-fold cross-validation"
    how = smallest if probe.folds else "too few images to choose"
    session.choose("probe strength", f"{probe.strength:g}", how)
    return probe


def _learn_further(
    session: Session, images: Images, pooled: FeatureSet, probe: Probe, tuning: TuningChoice
) -> tuple[Outcome, Gain | None]:
    """Views, fine-tuning, and the decision between what they come to and the probe; and what averaging brings."""
    outset = set_out(session, images, probe, tuning)
    seen = _features_of_views(session, pooled, outset)
    averaging = choose_averaging(session, images, seen, probe, tuning)
    # Before fine-tuning, which takes what time is left.
    taught = teach(session, images, seen, probe, averaging.taught)
    tuned = tune(session, images, seen, taught, tuning, outset, averaging)
    answering = _answering(session, images, pooled, taught, averaging, tuned)
    outcome = _decide(session, answering, tuned)
    plain = answering if taught is probe else ProbeClassifier(session, images, pooled, probe)
    gain = measure_gain(outcome, plain.candidate, averaging, session.seed)
    note_views(session, outcome, averaging, gain)
    return outcome, gain


def _features_of_views(session: Session, pooled: FeatureSet, outset: Outset | Untuned) -> FeatureSet:
    """Pooled features, with the maps that fine-tuning will most likely need of the same views."""
    if isinstance(outset, Untuned) or outset.likely is None:
        return pooled
    with session.watch.stage("prepare", "Preparing the base for views", total=None, unit="steps"):
        return session.features.pooled_with_map(outset.likely, pooled.precision)


def _answering(
    session: Session,
    images: Images,
    pooled: FeatureSet,
    probe: Probe,
    averaging: Averaging,
    tuned: FinetunedClassifier | Untuned,
) -> ProbeClassifier:
    """The probe as it would answer; where nothing is averaged, with what it says of the views that fine-tuning saw."""
    of_start = tuned.result.start_logits if isinstance(tuned, FinetunedClassifier) else ()
    more = tuple(of_start[1:]) if averaging.views == (PLAIN,) else ()
    return ProbeClassifier(session, images, pooled, probe, more, averaging.views, averaging.taught)


def _decide(session: Session, probe: ProbeClassifier, tuned: FinetunedClassifier | Untuned) -> Outcome:
    if isinstance(tuned, Untuned):
        outcome = Outcome(probe, None, decide(probe.candidate, None, tuned.reason, session.seed))
    elif tuned.held_out is None:
        outcome = Outcome(probe, tuned, decide(probe.candidate, tuned.candidate, "", session.seed))
    else:
        compared = tuned.held_out.probe, tuned.held_out.tuned
        outcome = Outcome(probe, tuned, decide(*compared, "", session.seed, FOLDS))
    session.choose(probe.candidate.kind.noun, outcome.decision.chosen, outcome.decision.reason)
    return outcome


def _refit_probe(session: Session, images: Images, probe: ProbeClassifier) -> None:
    """Validation has nothing left to decide, so its images are learned from as well."""
    parts = images.part("train"), images.part("validation")
    with session.watch.stage("probe", "Fitting the probe to all but the test images", total=1, unit="fits") as advance:
        probe.refit(*parts)
        advance(1)
    count = len(joined(*parts).learned_from.digests)
    session.choose("probe fitted to", f"{count:,} images", "training and validation, which has nothing left to decide")


def _command(data: str | Path | Sequence[Pair], out: str | Path, options: dict[str, object], more: list[str]) -> str:
    source = str(data) if isinstance(data, str | Path) else f"({len(data):,} images, a list in Python)"
    words = ["headstart", "train", source, "--out", str(out)]
    words += [word for name, value in options.items() for word in (f"--{name}", str(value))] + more
    return shlex.join(words)
