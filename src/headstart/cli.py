"""The command line: parses, calls, prints. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.errors import HeadstartError, UsageError

if TYPE_CHECKING:
    from headstart.catalog.base import Base
    from headstart.progress import Display
    from headstart.run import Prediction, Run

INTERRUPTED = 130

app = typer.Typer(
    name="headstart",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cache_app = typer.Typer(no_args_is_help=True, help="Look at, or trim, the store of features.")
app.add_typer(cache_app, name="cache")

BaseOption = Annotated[
    str,
    typer.Option("--base", metavar="NAME|FILE", help="The pretrained network to build on, or your own Keras model."),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE|DIR|URL",
        help="The base's weights, or where they are; else $HEADSTART_WEIGHTS, after Keras' own cache.",
    ),
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Never fetch weights; so does HEADSTART_OFFLINE=1.")]
ImageSizeOption = Annotated[
    str | None,
    typer.Option("--image-size", metavar="PIXELS|HxW", help="Of the base's input; else what it was trained with."),
]
ScalingOption = Annotated[
    str | None,
    typer.Option(
        "--scaling", metavar="none|tf|torch|caffe", help="Of the pixels, for your own model that doesn't scale them."
    ),
]
TrustOption = Annotated[
    bool, typer.Option("--trust-model-file", help="Let your model file run its code: it is a program.")
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", help="Another seed is another split of the images.")]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="Where features are kept; else $HEADSTART_CACHE or the user's cache."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
PrecisionOption = Annotated[
    str,
    typer.Option(
        "--precision", metavar="auto|f32|bf16", help="Of the frozen part; auto takes bf16 where CPU and images allow."
    ),
]
FinetuneOption = Annotated[
    bool, typer.Option("--finetune/--no-finetune", help="Whether to try fine-tuning after the probe.")
]


@app.callback()
def root() -> None:
    """Transfer learning for image classification that never computes the frozen part twice.

    \b
    headstart train photos/ --out run
    headstart predict run new-photo.jpg
    """


@app.command()
def train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder with one subfolder of images per class.")],
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="The run folder to make.")],
    base: BaseOption = "efficientnet-lite0",
    weights: WeightsOption = None,
    offline: OfflineOption = False,
    image_size: ImageSizeOption = None,
    scaling: ScalingOption = None,
    trust_model_file: TrustOption = False,
    finetune: FinetuneOption = True,
    precision: PrecisionOption = "auto",
    seed: SeedOption = 0,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn a folder of labelled images into a classifier with an honest account of how good it is.

    DATA has one subfolder per class, or folders train, validation and test that do.

    \b
    headstart train photos/ --out run
    """
    from headstart.workflow import train as train_run
    from headstart.workflow.base_choice import parse_image_size

    with _display() as display:
        run = train_run(
            data,
            out,
            base=base,
            weights=weights,
            offline=offline,
            image_size=parse_image_size(image_size),
            scaling=scaling,
            trust_model_file=trust_model_file,
            finetune=finetune,
            precision=precision,
            seed=seed,
            cache=cache,
            display=display,
        )
    _show_run(run, as_json=as_json)


@app.command()
def demo(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="RUN", help="The run folder to make; else the next runs/demo.")
    ] = None,
    seed: SeedOption = 0,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train on 2,624 real images of solar cells, to see what comes out.

    \b
    headstart demo
    """
    from headstart.demo import free_name, lay_out
    from headstart.workflow import train as train_run

    out = out or free_name(Path("runs/demo"))
    data = out.parent / "solar-cells"
    lay_out(data)
    with _display() as display:
        run = train_run(data, out, seed=seed, cache=cache, display=display)
    _show_run(run, as_json=as_json)


@app.command()
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
        print(json.dumps([_as_dict(prediction, top) for prediction in predictions], indent=2, ensure_ascii=False))
    else:
        _print_predictions(predictions, top)
    if all(prediction.error for prediction in predictions):
        raise typer.Exit(1)


@app.command()
def bases(as_json: JsonOption = False) -> None:
    """List the pretrained bases: size, input, published accuracy, licence, and whether their weights are here.

    \b
    headstart bases
    """
    from headstart.catalog.keras_weights import located_bases
    from headstart.features.store import default_folder

    found = located_bases(default_folder())
    if as_json:
        print(json.dumps([_base_as_dict(base) for base in found], indent=2, ensure_ascii=False))
        return
    _print_table(
        ("base", "parameters", "input", "ImageNet top-1", "licence", "weights"),
        [
            (
                base.name,
                f"{base.parameters / 1e6:.1f} M",
                f"{base.spec.width}×{base.spec.height}",
                f"{base.imagenet_top1:.1%}",
                base.licence,
                _where(base),
            )
            for base in found
        ],
    )


@cache_app.command()
def info(cache: CacheOption = None, as_json: JsonOption = False) -> None:
    """Say how much the store of features holds.

    \b
    headstart cache info
    """
    with _open_store(cache) as store:
        found = store.info()
    if as_json:
        fields = {
            "path": str(found.path),
            "values": found.values,
            "file_bytes": found.file_bytes,
            "budget_bytes": found.budget_bytes,
        }
        print(json.dumps(fields, indent=2))
        return
    print(
        f"{found.path}: {found.values:,} features, {_megabytes(found.file_bytes)} of {_megabytes(found.budget_bytes)}"
    )


@cache_app.command()
def prune(
    keep: Annotated[float, typer.Option("--keep-mb", metavar="MB", min=0, help="How much to keep.")] = 0,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the features that were used longest ago, until the rest fits.

    \b
    headstart cache prune --keep-mb 500
    """
    with _open_store(cache) as store:
        removed = store.prune(int(keep * 1e6))
    print(json.dumps({"removed": removed}) if as_json else f"removed {removed:,} features")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; every error that is anybody's to mend becomes one line and an exit code."""
    # TensorFlow reads these when it is imported, which may be much later.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # File names needn't be Unicode, and a terminal needn't know every letter; \udcff is JSON too.
            stream.reconfigure(errors="backslashreplace")
    try:
        app(args=arguments, prog_name="headstart")
    except HeadstartError as error:
        print(f"headstart: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:  # a name that is too long, a folder that may not be listed
        print(f"headstart: {error}", file=sys.stderr)
        sys.exit(1)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # Typer takes the KeyboardInterrupt and leaves its exit code
            print("headstart: interrupted; what was computed is kept: start again to go on from there", file=sys.stderr)
        raise


@contextmanager
def _display() -> Iterator[Display]:
    """Progress on a descriptor of its own, so that silencing native libraries doesn't silence it."""
    from headstart.progress import RichDisplay

    with os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8") as file:
        yield RichDisplay(file)


def _open_store(cache: Path | None) -> Any:
    from headstart.features.store import Store, default_folder

    return Store(cache or default_folder())


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
    with _display() as display, display.stage(title, len(paths), "images") as advance:
        return run.predict(paths, advance)


def _where(base: Base) -> str:
    if base.weights.is_here():
        return "here"
    return "fetched when needed" if base.weights.install_command.startswith("curl") else base.weights.install_command


def _base_as_dict(base: Base) -> dict[str, Any]:
    return {
        "name": base.name,
        "parameters": base.parameters,
        "input": [base.spec.height, base.spec.width],
        "imagenet_top1": base.imagenet_top1,
        "licence": base.licence,
        "reference": base.reference,
        "weights_here": base.weights.is_here(),
        "install": base.weights.install_command,
    }


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
    _print_table(("file", "prediction"), rows)


def _show_run(run: Run, *, as_json: bool) -> None:
    metrics = run.metrics
    if as_json:
        document = {"run": str(run.folder), "report": str(run.report), **metrics}
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return
    test = metrics["test"]
    low, high = test["accuracy_ci95"]
    decision = next(choice for choice in run.manifest.choices if choice.what == "classifier")
    seconds = {stage: spent for stage, spent in metrics["seconds"].items() if stage not in ("total", "decode")}
    _print_table(
        ("", ""),
        [
            ("test accuracy", f"{test['accuracy']:.1%} (95 % interval {low:.1%} to {high:.1%}, {test['n']:,} images)"),
            ("chosen", f"{decision.value}: {decision.reason}"),
            ("seconds", ", ".join(f"{stage} {spent:.1f}" for stage, spent in seconds.items())),
            ("in all", f"{metrics['seconds']['total']:.1f} s"),
            ("report", str(run.report)),
            ("run", str(run.folder)),
        ],
    )


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, show_header=any(columns), pad_edge=False)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))  # as Text, so that brackets in names aren't markup
    # Where nobody looks at it, a table is as wide as its longest line: other programs read it line by line.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
