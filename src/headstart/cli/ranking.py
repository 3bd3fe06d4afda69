"""The command that ranks bases."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli.options import (
    CacheOption,
    GroupColumnOption,
    ImageColumnOption,
    JsonOption,
    LabelColumnsOption,
    OfflineOption,
    PrecisionOption,
    SeedOption,
    SplitColumnOption,
    TaskOption,
    WeightColumnOption,
    WeightsOption,
)
from headstart.cli.page_folder import check_unmade, write_folder
from headstart.cli.printing import print_json, print_table, shown_progress
from headstart.errors import UsageError

if TYPE_CHECKING:
    from headstart.learn.ranking import Ranked, Ranking

PAGE, DOCUMENT = "ranking.html", "ranking.json"


def rank(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="What train takes.")],
    bases: Annotated[
        list[str] | None,
        typer.Option(
            "--bases",
            metavar="NAME",
            help="A base to compare, or several, with commas; else all whose weights are here.",
        ),
    ] = None,
    image_sizes: Annotated[
        list[str] | None,
        typer.Option(
            "--image-size",
            metavar="PIXELS|HxW",
            help="Of the bases' input; several, if given again; else each one's own and a smaller one.",
        ),
    ] = None,
    max_latency: Annotated[
        str | None, typer.Option("--max-latency", metavar="20ms", help="That an image may take on this machine.")
    ] = None,
    max_size: Annotated[
        str | None, typer.Option("--max-size", metavar="20MB", help="That the base's weights may have.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where to write ranking.html and ranking.json.")
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            "--time", metavar="TIME", help="What it may take, such as 2m; what it is too short for is left out."
        ),
    ] = None,
    image_column: ImageColumnOption = None,
    label_columns: LabelColumnsOption = None,
    group_column: GroupColumnOption = None,
    weight_column: WeightColumnOption = None,
    split_column: SplitColumnOption = None,
    task: TaskOption = "auto",
    weights: WeightsOption = None,
    offline: OfflineOption = False,
    precision: PrecisionOption = "auto",
    seed: SeedOption = 0,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare pretrained bases on your own images, and say which to build on.

    Every base is looked at whole and up to two lower stages, at its own input size and at a smaller one. Probes are
    cross-validated on a sample of at most 1,000 images, in rounds of more images and fewer candidates; what can't be
    told apart is decided by what is quicker. Test images aren't looked at.

    \b
    headstart rank photos/
    headstart rank photos/ --bases resnet50,mobilenetv2 --max-latency 20ms --out ranking
    """
    from headstart.report import render_ranking
    from headstart.workflow import rank as rank_bases
    from headstart.workflow.base_choice import parse_image_size

    check_unmade(out, "--out")
    sizes = [size for size in map(parse_image_size, image_sizes or ()) if size is not None]
    with shown_progress() as display:
        found = rank_bases(
            data,
            bases=[name.strip() for names in bases or () for name in names.split(",")],
            image_sizes=sizes,
            max_latency=parse_amount(max_latency, "ms", "--max-latency"),
            max_size=parse_amount(max_size, "MB", "--max-size"),
            image_column=image_column,
            label_columns=label_columns or (),
            group_column=group_column,
            weight_column=weight_column,
            split_column=split_column,
            task=task,
            weights=weights,
            offline=offline,
            time=time,
            precision=precision,
            seed=seed,
            cache=cache,
            display=display,
        )
    if out:
        write_folder(out, {DOCUMENT: json.dumps(found.as_dict(), indent=2), PAGE: render_ranking(found)})
    if as_json:
        print_json(found.as_dict())
    else:
        _show(found, out)


def parse_amount(text: str | None, unit: str, option: str) -> float | None:
    """An amount as typed, such as "20ms" or "20".

    Raises:
        UsageError: it is none, or has another unit.
    """
    if text is None:
        return None
    found = re.fullmatch(rf"\s*(\d+(?:\.\d+)?)\s*(?:{unit})?\s*", text, re.IGNORECASE)
    if not found or float(found[1]) <= 0:
        raise UsageError(f"{option} {text!r} can't be read", f"give an amount such as 20{unit}")
    return float(found[1])


def _show(found: Ranking, out: Path | None) -> None:
    columns = (
        "base",
        "input",
        found.goodness_name,
        "loss",
        "images",
        "beside the best",
        "tuned",
        "ms",
        "images/s",
        "MB",
    )
    scores = ("neighbours", "LogME", "H-score", "N-LEEP")
    print_table((*columns, "memory", *scores, "ImageNet", "licence"), [_cells(found, row) for row in found.rows])
    rows = [("Take", f"{found.best.options}: {found.reason}")]
    rows += [("Limits", found.limits)] if found.limits else []
    rows += [("Left out", found.left_out)] if found.left_out else []
    rows += [("Page", str(out / PAGE))] if out else []
    print_table(("", ""), rows)


def _cells(found: Ranking, row: Ranked) -> tuple[str, ...]:
    from headstart.report.ranking_page import goodness_of, optional, tuned_of, verdict

    speed = row.speed
    measured = goodness_of(found, row), f"{row.loss:.3f}", f"{row.images:,}", verdict(row), tuned_of(found, row)
    speeds = f"{speed.milliseconds:.1f}", f"{speed.images_per_second:.0f}", f"{speed.size_mb:.1f}"
    scores = optional(row.neighbours), optional(row.log_me, 3), optional(row.h_score), optional(row.n_leep, 3)
    published = optional(row.imagenet_top1, 3), row.licence
    return row.base, row.size, *measured, *speeds, optional(speed.memory_mb, 0), *scores, *published
