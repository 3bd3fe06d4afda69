"""The command that audits."""

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
    ImageSizeOption,
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
from headstart.cli.page_folder import check_unmade, write_folder
from headstart.cli.printing import print_json, print_table, shown_progress

if TYPE_CHECKING:
    from headstart.inspection.findings import DataAudit

MARKS = {"good": "fine", "fair": "look", "poor": "mend"}
PAGE, DOCUMENT = "audit.html", "audit.json"


def audit(
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="What train takes, or a folder of images without labels."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where to write audit.html and audit.json.")
    ] = None,
    fix: Annotated[
        Path | None, typer.Option("--fix", metavar="TABLE.csv", help="Write a table of the images that can be used.")
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
    image_size: ImageSizeOption = None,
    scaling: ScalingOption = None,
    trust_model_file: TrustOption = False,
    precision: PrecisionOption = "auto",
    seed: SeedOption = 0,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with images and their labels, before anything is learned from them.

    Unreadable files, copies and near-copies, the same image under two labels, labels in doubt, classes that look alike,
    images that don't belong, pictures that show little, and file formats or sizes that give a class away. Your files
    are never changed: --fix writes a table for train, without what can't be used, and with near-duplicates in groups
    that stay on one side of a split.

    \b
    headstart audit photos/ --out audit
    headstart audit photos/ --fix clean.csv
    headstart train clean.csv --out run
    """
    from headstart.report import render_audit
    from headstart.workflow import audit as audit_data
    from headstart.workflow.auditing import write_fixed
    from headstart.workflow.base_choice import parse_image_size

    check_unmade(out, "--out")
    check_unmade(fix, "--fix")
    with shown_progress() as display:
        found = audit_data(
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
            precision=precision,
            seed=seed,
            cache=cache,
            display=display,
        )
    if fix:
        write_fixed(found, fix)
    if out:
        document = json.dumps(found.as_dict(), indent=2)
        write_folder(out, {DOCUMENT: document, PAGE: render_audit(found)})
    if as_json:
        print_json(found.as_dict())
    else:
        _show(found, out, fix)


def _show(found: DataAudit, out: Path | None, fix: Path | None) -> None:
    rows = [(MARKS[finding.tone], finding.title, finding.sentence) for finding in found.findings]
    sizes = ", ".join(f"{name} {width} × {height}" for name, (width, height) in found.sizes.items())
    formats = ", ".join(f"{name} {count:,}" for name, count in found.formats.items())
    rows.insert(0, ("", "Images", f"{found.images:,} that can be used; {formats}; {sizes}"))
    rows += [("", choice.what, f"{choice.value}: {choice.reason}") for choice in found.choices]
    rows += [("", "Page", str(out / PAGE))] if out else []
    rows += [("", "Table", str(fix))] if fix else []
    print_table(("", "", ""), rows)
