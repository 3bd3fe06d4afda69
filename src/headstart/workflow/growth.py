"""What changed since an earlier run: images and labels, and what the two answer for the same test images.

Both runs answer for all test images of this one: for those that the earlier run was tested with as well, where the two
can be compared fairly, and for those that are new. Images that the earlier run learned from or was chosen by are left
out, since it knows their answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from headstart.data.dataset import PARTS, Dataset, Part
from headstart.data.labels import Task, names_in, written
from headstart.errors import DataError, RunError, UsageError
from headstart.evaluation.comparison import compare_paired
from headstart.learn.kinds import Kind
from headstart.progress import Advance
from headstart.run import CHANGES, Placed, Prediction, Run, RunDraft, answers_of
from headstart.workflow.images import Images

Since = Literal["old", "new"]
MEASURES: dict[Task, str] = {"classes": "accuracy", "multi-label": "exact_match", "regression": "mae"}
COLUMNS = ("file", "since", "label", "earlier", "now", "change")
MEND = "compare with another run, or leave --compare-to out"


@dataclass(frozen=True)
class Earlier:
    """The run that is compared with.

    Attributes:
        run: itself.
        placed: where it put each image, by the sha256 of the file.
    """

    run: Run
    placed: Mapping[str, Placed]

    @cached_property
    def parts(self) -> dict[str, Part]:
        """The part of each image, by the sha256 of the file."""
        return {sha256: cast(Part, placed.part) for sha256, placed in self.placed.items()}


@dataclass(frozen=True)
class Answered:
    """A test image and what the two runs say of it.

    Attributes:
        file: its name.
        since: whether the earlier run was tested with it, or it is new.
        label: what is true of it, as written.
        earlier, now: what the runs say.
        change: "mended" or "broken", where one of the two is right; "otherwise" where both are wrong in different ways;
            of numbers "nearer" or "farther"; empty where they say the same.
        losses: of the earlier run and of this one: 1 for a wrong answer and 0 for a right one, or how far off it is.
    """

    file: str
    since: Since
    label: str
    earlier: str
    now: str
    change: str
    losses: tuple[float, float]


def read_earlier(folder: str | Path, dataset: Dataset) -> Earlier:
    """The run that is to be compared with.

    Args:
        folder: of the run.
        dataset: what this run is made from.

    Raises:
        UsageError: there is no such folder, or that run predicts something else.
        RunError: it isn't a run, or its files aren't those that were written.
    """
    run = Run.load(folder)
    if run.manifest.task.kind != dataset.task:
        raise UsageError(f"the run {folder} is of the task {run.manifest.task.kind}, and this is {dataset.task}", MEND)
    try:
        placed = {row.sha256: row for row in run.placed}
    except (ValueError, KeyError) as error:
        raise RunError(f"the split of the run {folder} can't be read ({error!r})", MEND) from error
    if any(row.part not in PARTS for row in placed.values()):
        raise RunError(f"the split of the run {folder} has parts that there aren't", MEND)
    return Earlier(run, placed)


def answer_both(
    earlier: Earlier, images: Images, predictions: np.ndarray, kind: Kind, advance: Advance
) -> list[Answered]:
    """What the earlier run and this one say of the test images that the earlier one hasn't learned from.

    Args:
        earlier: the run that is compared with.
        images: of this run.
        predictions: of this run, for its test images.
        kind: of this run, settled.
        advance: called with the number of images done since the last call.

    Raises:
        DataError: an image can't be read any more.
    """
    tested = [(images.audit.samples[place], images.audit.digests[place]) for place in images.split.indices("test")]
    fair = [
        (row, sample, since)
        for row, (sample, digest) in enumerate(tested)
        if (since := _since(earlier, digest)) is not None
    ]
    said = earlier.run.predict_files([sample.file for _, sample, _ in fair], advance)
    answers = answers_of(kind, images.classes)
    found = []
    for (row, sample, since), before in zip(fair, said, strict=True):
        if before.error:
            raise DataError(f"{sample.file} can't be read any more: {before.error}", "leave the images alone")
        now = answers.answer(before.source, predictions[row])
        losses = _loss(before, sample.label), _loss(now, sample.label)
        told = written(sample.label), _words(before), _words(now), _change(before, now, losses)
        found.append(Answered(images.name(sample.file), since, *told, losses))
    return found


def growth_metrics(earlier: Earlier, images: Images, answered: Sequence[Answered], seed: int) -> dict[str, Any]:
    """What metrics.json says of the change.

    Args:
        earlier: the run that is compared with.
        images: of this run.
        answered: what the two say of test images.
        seed: of the permutation tests.
    """
    manifest, task = earlier.run.manifest, images.dataset.task
    tested = images.split.counts()["test"]
    return {
        "run": str(earlier.run.folder),
        "created": manifest.created,
        "measure": MEASURES[task],
        "images": _moves(earlier, images),
        "labels": {
            "new": [name for name in images.classes if name not in manifest.labels],
            "gone": [name for name in manifest.labels if name not in images.classes],
        },
        "test": {
            since: _compared([one for one in answered if one.since == since], task, seed) for since in ("old", "new")
        },
        "left_out": tested - len(answered),
        "changes": {change: sum(one.change == change for one in answered) for change in _changes(task)},
    }


def write_changes(draft: RunDraft, answered: Sequence[Answered]) -> None:
    """Write the test images whose answers differ."""
    differing = (asdict(one) for one in answered if one.change)
    draft.write_table(CHANGES, COLUMNS, ([one[column] for column in COLUMNS] for one in differing))


def _since(earlier: Earlier, digest: str) -> Since | None:
    """None for an image that the earlier run has seen before it was tested."""
    placed = earlier.placed.get(digest)
    if placed is None:
        return "new"
    return "old" if placed.part == "test" else None


def _moves(earlier: Earlier, images: Images) -> dict[str, int]:
    """What became of images, each counted once however many copies there are."""
    now = {
        digest: (written(sample.label), part)
        for digest, sample, part in zip(images.audit.digests, images.audit.samples, images.split.parts, strict=True)
    }
    both = [(earlier.placed[digest], *found) for digest, found in now.items() if digest in earlier.placed]
    return {
        "kept": len(both),
        "new": len(now) - len(both),
        "gone": len(earlier.placed) - len(both),
        "moved": sum(before.part != part for before, _, part in both),
        "relabelled": sum(before.label != label for before, label, _ in both),
    }


def _compared(answered: Sequence[Answered], task: Task, seed: int) -> dict[str, Any] | None:
    """The two on the same images; p is two-sided, from the paired permutation test."""
    if not answered:
        return None
    earlier, now = np.array([one.losses for one in answered], np.float64).T
    p_value = min(1.0, 2 * min(compare_paired(*pair, seed).p_value for pair in ((earlier, now), (now, earlier))))
    figures = [float(losses.mean() if task == "regression" else 1 - losses.mean()) for losses in (earlier, now)]
    return {"images": len(answered), "earlier": figures[0], "now": figures[1], "p_value": p_value}


def _changes(task: Task) -> tuple[str, ...]:
    return ("nearer", "farther") if task == "regression" else ("mended", "broken", "otherwise")


def _loss(prediction: Prediction, label: Any) -> float:
    if prediction.value is not None:
        return abs(prediction.value - float(label))
    return float(set(prediction.labels) != set(names_in(label)))


def _change(earlier: Prediction, now: Prediction, losses: tuple[float, float]) -> str:
    before, after = losses
    if now.value is not None:
        return "" if before == after else "nearer" if after < before else "farther"
    if set(earlier.labels) == set(now.labels):
        return ""
    return "otherwise" if before == after else "mended" if after < before else "broken"


def _words(prediction: Prediction) -> str:
    return f"{prediction.value:.9g}" if prediction.value is not None else written(tuple(sorted(prediction.labels)))
