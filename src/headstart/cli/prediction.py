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
    """Say what images show, with calibrated probabilities. Unreadable files are reported, and the rest goes on.

    \b
    headstart predict run new-photo.jpg more-photos/ --top 3
    """
    from headstart.run import Run

    loaded = Run.load(run)
    paths = _expand(images)
    predictions = _with_bar("Predicting", paths, loaded)
    if as_json:
        print_json([_as_dict(prediction, top) for prediction in predictions])
    else:
        _print_predictions(predictions, top)
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


def _as_dict(prediction: Prediction, top: int) -> dict[str, Any]:
    if prediction.error:
        return {"file": prediction.source, "error": prediction.error}
    best = list(prediction.probabilities.items())[:top]
    return {
        "file": prediction.source,
        "label": prediction.label,
        "confidence": prediction.confidence,
        "top": [{"label": label, "probability": probability} for label, probability in best],
    }


def _print_predictions(predictions: Sequence[Prediction], top: int) -> None:
    rows = []
    for prediction in predictions:
        best = list(prediction.probabilities.items())[:top]
        answer = ", ".join(f"{label} {probability:.1%}" for label, probability in best)
        rows.append((prediction.source, (prediction.error and f"can't be read: {prediction.error}") or answer))
    print_table(("file", "prediction"), rows)
