"""The command that predicts."""

from __future__ import annotations

from collections.abc import Sequence
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli.options import JsonOption
from headstart.cli.printing import print_json, print_table, shown_progress
from headstart.errors import UsageError

if TYPE_CHECKING:
    from headstart.run import Prediction, Run


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    images: Annotated[list[str], typer.Argument(metavar="IMAGE…", help="Files, folders or patterns such as '*.jpg'.")],
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="How many classes to show an image.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Say what images show, with calibrated probabilities, or numbers with 90 % intervals.

    Where several labels may apply, those that pass their thresholds are shown. Unreadable files are reported, and the
    rest goes on.

    \b
    headstart predict run new-photo.jpg more-photos/ --top 3
    """
    from headstart.run import Run

    loaded = Run.load(run)
    several = loaded.manifest.task.kind == "multi-label"
    paths = _expand(images)
    predictions = _with_bar("Predicting", paths, loaded)
    if as_json:
        print_json([_as_dict(prediction, top, several=several) for prediction in predictions])
    else:
        _print_predictions(predictions, top, several=several)
    if all(prediction.error for prediction in predictions):
        raise typer.Exit(1)


def _expand(images: Sequence[str]) -> list[Path]:
    """Files, what folders hold, and what patterns match, in the order given and each once."""
    from headstart.data.scan import list_files

    found: dict[Path, None] = {}
    for image in images:
        path = Path(image)
        # Path.glob refuses absolute patterns, and people write those.
        matches = [path] if path.exists() else [Path(match) for match in sorted(glob(image, recursive=True))]  # noqa: PTH207
        if not matches:
            raise UsageError(f"there is no file, folder or match for {image!r}", "check the spelling")
        for match in matches:
            found |= dict.fromkeys(list_files(match) if match.is_dir() else [match])
    if not found:
        raise UsageError(f"there are no files in {', '.join(images)}", "name image files, or a folder that holds some")
    return list(found)


def _with_bar(title: str, paths: list[Path], run: Run) -> list[Prediction]:
    """Predictions, with a bar where there are enough images to wait for."""
    if len(paths) <= 32:
        return run.predict(paths)
    with shown_progress() as display, display.stage(title, len(paths), "images") as advance:
        return run.predict(paths, advance)


def _as_dict(prediction: Prediction, top: int, *, several: bool) -> dict[str, Any]:
    if prediction.error:
        return {"file": prediction.source, "error": prediction.error}
    if prediction.value is not None:
        return {"file": prediction.source, "value": prediction.value, "interval": prediction.interval}
    best = list(prediction.probabilities.items())[:top]
    if several:
        return {
            "file": prediction.source,
            "labels": list(prediction.labels),
            "probabilities": prediction.probabilities,
        }
    return {
        "file": prediction.source,
        "label": prediction.label,
        "confidence": prediction.confidence,
        "top": [{"label": label, "probability": probability} for label, probability in best],
    }


def _print_predictions(predictions: Sequence[Prediction], top: int, *, several: bool) -> None:
    rows = [(prediction.source, _in_words(prediction, top, several=several)) for prediction in predictions]
    print_table(("file", "prediction"), rows)


def _in_words(prediction: Prediction, top: int, *, several: bool) -> str:
    """The most probable classes; the labels that apply, or if none does the nearest; or the number."""
    if prediction.error:
        return f"can't be read: {prediction.error}"
    if prediction.value is not None:
        low, high = prediction.interval or (None, None)
        return f"{prediction.value:.4g}" if low is None else f"{prediction.value:.4g} ({low:.4g} to {high:.4g})"
    shown = prediction.labels if several else tuple(prediction.probabilities)[:top]
    told = ", ".join(f"{label} {prediction.probabilities[label]:.1%}" for label in shown)
    return told or f"none (nearest: {prediction.label} {prediction.confidence or 0:.1%})"
