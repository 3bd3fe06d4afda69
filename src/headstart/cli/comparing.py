"""The command that compares ways to learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli.options import (
    BaseOption,
    CacheOption,
    GroupColumnOption,
    ImageColumnOption,
    JsonOption,
    LabelColumnsOption,
    OfflineOption,
    PrecisionOption,
    ScalingOption,
    SeedOption,
    SplitColumnOption,
    TaskOption,
    TrustOption,
    WeightColumnOption,
    WeightsOption,
)
from headstart.cli.page_folder import write_folder
from headstart.cli.printing import print_json, print_table, shown_progress
from headstart.errors import UsageError

if TYPE_CHECKING:
    from headstart.learn.benefit import Benefit

PAGE, DOCUMENT = "comparison.html", "comparison.json"


def compare(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="What train takes.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FOLDER", help="Where to write comparison.html and comparison.json, over earlier ones."
        ),
    ] = Path("comparison"),
    time: Annotated[
        str,
        typer.Option(
            "--time", metavar="TIME", help="What all of it may take; the same command goes on with what didn't fit."
        ),
    ] = "15m",
    fractions: Annotated[
        str, typer.Option("--fractions", metavar="PERCENTS", help="Shares of the labels to learn from.")
    ] = "5,10,25,50,100",
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", help="How often all is done, while there is time.")] = 3,
    image_size: Annotated[
        str | None,
        typer.Option(
            "--image-size", metavar="PIXELS|HxW", help="Of the input, for all ways; else the largest that time allows."
        ),
    ] = None,
    image_column: ImageColumnOption = None,
    label_columns: LabelColumnsOption = None,
    group_column: GroupColumnOption = None,
    weight_column: WeightColumnOption = None,
    split_column: SplitColumnOption = None,
    task: TaskOption = "auto",
    base: BaseOption = "efficientnet-lite0",
    weights: WeightsOption = None,
    offline: OfflineOption = False,
    scaling: ScalingOption = None,
    trust_model_file: TrustOption = False,
    precision: PrecisionOption = "auto",
    seed: SeedOption = 0,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether transfer learning is worth it on your images, and how much.

    The same architecture from scratch, frozen with a probe, frozen with the classic head, and fine-tuned, each with
    several shares of the labels, on the same test images and with as many settings to choose from: accuracy against
    labels and against seconds, with intervals, and what follows from it: time, accuracy and labels saved, or that
    transfer learning doesn't help here.

    \b
    headstart compare photos/ --time 15m --out comparison
    """
    from headstart.report import render_comparison
    from headstart.workflow import compare as compare_ways
    from headstart.workflow.base_choice import parse_image_size
    from headstart.workflow.comparing import parse_fractions

    _check_out(data, out)
    with shown_progress() as display:
        found = compare_ways(
            data,
            image_column=image_column,
            label_columns=label_columns or (),
            group_column=group_column,
            weight_column=weight_column,
            split_column=split_column,
            task=task,
            base=base,
            weights=weights,
            offline=offline,
            image_size=parse_image_size(image_size),
            scaling=scaling,
            trust_model_file=trust_model_file,
            fractions=parse_fractions(fractions),
            seeds=seeds,
            time=time,
            precision=precision,
            seed=seed,
            cache=cache,
            display=display,
        )
    write_folder(out, {DOCUMENT: json.dumps(found.as_dict(), indent=2), PAGE: render_comparison(found)})
    if as_json:
        print_json(found.as_dict())
    else:
        _show(found, out)


def _check_out(data: Path, out: Path) -> None:
    """Found out at the start, not after minutes of work; an earlier comparison may be written over."""
    if out.resolve().is_relative_to(data.resolve()):
        raise UsageError(
            f"{out} lies inside {data}, where it would pass for a class", "name a folder elsewhere with --out"
        )
    is_ours = out.is_dir() and {path.name for path in out.iterdir()} <= {PAGE, DOCUMENT}
    if out.exists() and not is_ours:
        raise UsageError(f"{out} exists already", "name another with --out, or remove that one")


def _show(found: Benefit, out: Path) -> None:
    from headstart.report.benefit_story import untold
    from headstart.report.comparison_page import comparison_rows

    print_table(
        ("way", "labels", "images", found.measure, "95 % interval", "time", "seeds"),
        [
            (row.way, row.share, row.images, row.goodness, row.interval, row.time, row.seeds)
            for row in comparison_rows(found)
        ],
    )
    print()
    rows = [("", found.headline)]
    rows += [(title, sentence) for title, _, sentence in (told.partition(": ") for told in found.sentences)]
    rows += [("Mind", found.caveat)] if found.caveat else []
    rows += [("Not done", said)] if (said := untold(found.standing)) else []
    rows += [(choice["what"].capitalize(), f"{choice['value']}: {choice['reason']}") for choice in found.choices]
    print_table(("", ""), [*rows, ("Page", str(out / PAGE))])
