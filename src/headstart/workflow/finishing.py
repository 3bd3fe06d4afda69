"""The end of a training run: the network is written, measured on the test part, and everything is written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import EngineError
from headstart.features.openvino import OpenVINOEngine, Precision
from headstart.images.file import read_file
from headstart.images.spec import ImageSpec
from headstart.learn.decide import Candidate
from headstart.learn.kinds import Kind
from headstart.learn.probe import Probe
from headstart.report import write_card, write_report
from headstart.run import METRICS, NETWORK, WEIGHTS, Run, RunDraft
from headstart.workflow.account import make_manifest, run_metrics, test_metrics, write_tables
from headstart.workflow.averaging import Gain, view_metrics, write_network
from headstart.workflow.growth import Earlier, answer_both, growth_metrics, write_changes
from headstart.workflow.images import Images
from headstart.workflow.outcome import Outcome
from headstart.workflow.preparing import SAMPLE
from headstart.workflow.session import Session

# A probability, or a number in standard deviations, may differ by so much between the network that is written, which
# runs in f32, and the one that was trained on features of either precision.
TOLERANCE: dict[Precision, float] = {"f32": 0.02, "bf16": 0.1}


def finish(
    session: Session,
    draft: RunDraft,
    images: Images,
    probe: Probe,
    outcome: Outcome,
    gain: Gain | None,
    command: str,
    earlier: Earlier | None = None,
) -> Run:
    """Write the network, measure it on the test part, and write down everything else.

    Args:
        session: the training run.
        draft: of the run's folder.
        images: audited and divided.
        probe: as it was fitted to the plain views of the training part.
        outcome: what was learned, and what was chosen.
        gain: of averaging over views, where it was looked at.
        command: makes the run again.
        earlier: a run to compare with.
    """
    chosen = outcome.chosen
    network = draft.folder / NETWORK
    labels = images.part("test").labels
    with session.watch.stage("evaluate", "Evaluating", total=len(labels)) as advance, draft.writing():
        sample = _first_validation_inputs(images, session.features.base.spec)
        latency = write_network(chosen, network, sample)
        _check_network(
            network, sample, chosen.validation_logits(images), chosen.candidate, TOLERANCE[session.precision]
        )
        logits = chosen.test_logits(network, images, advance)
        kind = chosen.candidate.kind
        predictions = kind.predict(logits, chosen.candidate.temperature)
        test = test_metrics(predictions, labels, images.classes, session.seed, kind)
    draft.write_weights(WEIGHTS, chosen.arrays())
    write_tables(draft, images, predictions, kind)
    compared = _compare(session, draft, images, predictions, kind, earlier) if earlier else None
    views = view_metrics(outcome, gain, latency)
    draft.write_json(METRICS, run_metrics(session, probe, outcome, test, views, images.findings, compared))
    manifest = make_manifest(session, images, outcome, command)
    with session.watch.stage("report", "Writing the report", total=None, unit="files"), draft.writing():
        write_card(draft.folder, manifest)
        write_report(draft.folder, manifest, {images.name(file): file for file in images.files("test")})
    return draft.publish(manifest)


def _compare(
    session: Session, draft: RunDraft, images: Images, predictions: np.ndarray, kind: Kind, earlier: Earlier
) -> dict[str, Any]:
    """What changed since an earlier run."""
    with session.watch.stage("evaluate", "Asking the earlier run", total=len(predictions)) as advance:
        answered = answer_both(earlier, images, predictions, kind, advance)
        advance(len(predictions) - len(answered))
    write_changes(draft, answered)
    return growth_metrics(earlier, images, answered, session.seed)


def _first_validation_inputs(images: Images, spec: ImageSpec) -> np.ndarray:
    return np.stack([spec.render(read_file(file))[0] for file in images.files("validation")[:SAMPLE]])


def _check_network(
    network: Path, inputs: np.ndarray, logits: np.ndarray, candidate: Candidate, tolerance: float
) -> None:
    """The network that is written must say what learning came to, from the files' bytes on."""
    kind, temperature = candidate.kind, candidate.temperature
    written = kind.predict(OpenVINOEngine(network, hint="latency").run(inputs), temperature)
    gap = float(np.abs(written - kind.predict(logits[: len(inputs)], temperature)).max()) / kind.unit
    if gap > tolerance:
        raise EngineError(
            "the network that was written differs from the one that was trained by up to "
            f"{gap:.3f} in {kind.unit_name}",
            "train again with --precision f32; if it recurs, please report it",
        )
