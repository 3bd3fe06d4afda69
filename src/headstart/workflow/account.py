"""The account that a training run gives of itself: its metrics, its tables and its manifest."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from headstart.data.dataset import PARTS
from headstart.data.labels import written
from headstart.data.layout import readable
from headstart.inspection.findings import Finding
from headstart.learn.course import Epoch
from headstart.learn.kinds import CLASSES, Kind
from headstart.learn.probe import Probe
from headstart.run import (
    PREDICTIONS,
    QUARANTINE,
    SPLIT,
    BaseRecord,
    DataRecord,
    Manifest,
    RunDraft,
    SplitRecord,
    ViewRecord,
    answers_of,
)
from headstart.workflow.classifiers import FinetunedClassifier, Trial
from headstart.workflow.images import Images
from headstart.workflow.outcome import Outcome
from headstart.workflow.session import Session

PACKAGES = ("headstart", "keras", "numpy", "openvino", "pillow", "scikit-learn", "tensorflow")


def test_metrics(
    predictions: np.ndarray, targets: np.ndarray, names: Sequence[str], seed: int, kind: Kind = CLASSES
) -> dict[str, Any]:
    """Every measure on the test part, with intervals, and what more a kind has to tell, such as each class's scores."""
    intervals = kind.confidence_intervals(predictions, targets, seed)
    return {
        "n": len(targets),
        **kind.score(predictions, targets),
        **{f"{name}_ci95": list(interval) for name, interval in intervals.items()},
        **kind.details(predictions, targets, names),
    }


def run_metrics(
    session: Session,
    probe: Probe,
    outcome: Outcome,
    test: dict[str, Any],
    views: dict[str, Any] | None,
    findings: Sequence[Finding],
    earlier: dict[str, Any] | None,
) -> dict[str, Any]:
    """All of metrics.json."""
    decision = outcome.decision
    compared = {"images": decision.images, "folds": decision.folds}
    return {
        "chosen": decision.chosen,
        "test": test,
        "probe": {**outcome.probe.candidate.scores(), "strength": probe.strength, "folds": probe.folds},
        "finetune": outcome.tuned and _finetune_metrics(outcome.tuned),
        "comparison": decision.comparison and asdict(decision.comparison) | compared,
        "balance": asdict(probe.balancing) if probe.kind.task == "classes" else None,
        "views": views,
        "audit": [finding.summary() for finding in findings],
        "earlier": earlier,
        "seconds": _seconds(session),
        "features": {"computed": session.computed, "reused": session.reused},
    }


def _finetune_metrics(tuned: FinetunedClassifier) -> dict[str, Any]:
    return {
        **tuned.candidate.scores(),
        "cut": tuned.recipe.cut,
        "views": len(tuned.recipe.views),
        "best_epoch": tuned.result.best_epoch,
        "interpolation": tuned.result.interpolation,
        "history": [_epoch(epoch, tuned.candidate.kind) for epoch in tuned.result.history],
        "trials": [_trial(trial, tuned.candidate.kind) for trial in tuned.trials],
    }


def _epoch(epoch: Epoch, kind: Kind) -> dict[str, Any]:
    """A line of the training curve, with what validation is judged by under its own name."""
    line = asdict(epoch)
    return line | {f"validation_{kind.goodness_key}": line.pop("validation_accuracy")}


def _trial(trial: Trial, kind: Kind) -> dict[str, Any]:
    """A way of fine-tuning that was tried; its loss is an average over the views of each validation image."""
    recipe = trial.recipe
    made = {"cut": recipe.cut, "epochs": recipe.epochs, "learning_rate": recipe.learning_rate, "seed": recipe.seed}
    return made | {f"{kind.loss_key}_in_views": trial.loss}


def _seconds(session: Session) -> dict[str, float]:
    """Wall time a stage and in all; "decode" is the time of the threads that decode beside the engine, added up."""
    spent = dict.fromkeys(("features", "probe", "finetune", "evaluate"), 0.0) | session.watch.seconds
    spent |= {"decode": session.decode_seconds, "total": session.watch.total()}
    return {stage: round(seconds, 3) for stage, seconds in spent.items()}


def write_tables(draft: RunDraft, images: Images, predictions: np.ndarray, kind: Kind) -> None:
    """Write what was said of each test image, where each image went, and what was left out."""
    answers = answers_of(kind, images.classes)
    tested = zip(images.files("test"), images.part("test").labels, predictions, strict=True)
    rows = (answers.row(images.name(file), target, found) for file, target, found in tested)
    draft.write_table(PREDICTIONS, answers.columns, rows)
    audit = images.audit
    places = zip(audit.samples, audit.digests, images.split.parts, strict=True)
    split_rows = ((images.name(sample.file), digest, written(sample.label), part) for sample, digest, part in places)
    draft.write_table(SPLIT, ("file", "sha256", "label", "part"), split_rows)
    left_out = ((images.name(found.file), found.reason, found.byte_size) for found in audit.quarantined)
    draft.write_table(QUARANTINE, ("file", "reason", "bytes"), left_out)


def make_manifest(session: Session, images: Images, outcome: Outcome, command: str) -> Manifest:
    """The manifest, but for the files' sums, which are added when the run is published."""
    base = session.features.base
    return Manifest(
        headstart=version("headstart"),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=readable(command),
        base=BaseRecord(
            name=base.name,
            revision=base.revision,
            weights=base.weights.identity,
            licence=base.licence,
            reference=base.reference,
            parameters=base.parameters,
        ),
        image_spec=base.spec.as_dict(),
        labels=images.classes,
        task=answers_of(outcome.chosen.candidate.kind, images.classes).record,
        temperature=outcome.chosen.candidate.temperature,
        test_views=tuple(
            ViewRecord(quarter_turns=view.quarter_turns, mirrored=view.mirrored) for view in outcome.chosen.views
        ),
        chosen=outcome.decision.chosen,
        choices=tuple(session.choices),
        data=_data_record(images),
        split=SplitRecord(origin=images.split.origin, seed=session.seed, images=_counts(images)),
        packages=_packages(),
    )


def _data_record(images: Images) -> DataRecord:
    root = images.dataset.root
    return DataRecord(
        root=readable(str(root.absolute() if root.exists() else root)),  # arrays in memory lie nowhere
        fingerprint=images.fingerprint,
        images=images.dataset.counts(images.audit.samples),
        quarantined=len(images.audit.quarantined),
        duplicates=images.audit.duplicates,
    )


def _counts(images: Images) -> dict[str, int]:
    counts: Mapping[Any, int] = images.split.counts()
    return {part: counts[part] for part in PARTS}


def _packages() -> dict[str, str]:
    return {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}
