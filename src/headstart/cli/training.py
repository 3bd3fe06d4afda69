"""Commands that train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli.options import (
    AugmentOption,
    BalanceOption,
    BaseOrAutoOption,
    CacheOption,
    CompareOption,
    EpochsOption,
    FinetuneOption,
    GroupColumnOption,
    ImageColumnOption,
    ImageSizeOption,
    JsonOption,
    LabelColumnsOption,
    OfflineOption,
    PrecisionOption,
    RateOption,
    ScalingOption,
    SeedOption,
    SplitColumnOption,
    StageOption,
    TaskOption,
    TestViewsOption,
    TimeOption,
    TrustOption,
    ViewsOption,
    WeightColumnOption,
    WeightsOption,
)
from headstart.cli.printing import print_json, print_table, shown_progress

if TYPE_CHECKING:
    from headstart.data.labels import Task
    from headstart.run import Run

# What is shown of the test part: each measure's words, name and format.
HEADLINES: dict[Task, list[tuple[str, str, str]]] = {
    "classes": [("test accuracy", "accuracy", ".1%")],
    "multi-label": [
        ("test mean average precision", "mean_average_precision", ".1%"),
        ("micro F1", "micro_f1", ".1%"),
        ("all labels right", "exact_match", ".1%"),
    ],
    "regression": [("test mean absolute error", "mae", ".4g"), ("R²", "r2", ".3f")],
}


def train(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="A folder with one subfolder of images per class, an archive of one, or a table."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="The run folder to make.")],
    image_column: ImageColumnOption = None,
    label_columns: LabelColumnsOption = None,
    group_column: GroupColumnOption = None,
    weight_column: WeightColumnOption = None,
    split_column: SplitColumnOption = None,
    task: TaskOption = "auto",
    base: BaseOrAutoOption = "efficientnet-lite0",
    weights: WeightsOption = None,
    offline: OfflineOption = False,
    image_size: ImageSizeOption = None,
    scaling: ScalingOption = None,
    trust_model_file: TrustOption = False,
    finetune: FinetuneOption = True,
    finetune_from: StageOption = None,
    epochs: EpochsOption = None,
    learning_rate: RateOption = None,
    views: ViewsOption = None,
    augment: AugmentOption = "auto",
    time: TimeOption = None,
    balance: BalanceOption = "auto",
    test_views: TestViewsOption = 1,
    precision: PrecisionOption = "auto",
    seed: SeedOption = 0,
    compare_to: CompareOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn labelled images into a classifier, or a predictor of numbers, with an honest account of how good it is.

    DATA has one subfolder per class, or folders train, validation and test that do; so may a zip or tar archive, which
    isn't unpacked. Or it is a table (CSV, TSV, JSON Lines, Parquet) with a row per image: its path, relative to the
    table, or its bytes; its class, its labels or a number; and, if you like, in a column called split, its part. Data
    sets in the layouts of WebDataset and of the Hugging Face hub are read as well.

    \b
    headstart train photos/ --out run
    headstart train labels.csv --out run
    """
    from headstart.workflow import train as train_run
    from headstart.workflow.base_choice import parse_image_size

    with shown_progress() as display:
        run = train_run(
            data,
            out,
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
            finetune=finetune,
            finetune_from=finetune_from,
            epochs=epochs,
            learning_rate=learning_rate,
            views=views,
            augment=augment,
            time=time,
            balance=balance,
            test_views=test_views,
            precision=precision,
            seed=seed,
            compare_to=compare_to,
            cache=cache,
            display=display,
        )
    _show_run(run, as_json=as_json)


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
    with shown_progress() as display:
        run = train_run(data, out, seed=seed, cache=cache, display=display)
    _show_run(run, as_json=as_json)


def _show_run(run: Run, *, as_json: bool) -> None:
    metrics = run.metrics
    if as_json:
        print_json({"run": str(run.folder), "report": str(run.report), **metrics})
        return
    decision = next(choice for choice in run.manifest.choices if choice.what in ("classifier", "predictor"))
    views = [("views", choice.reason) for choice in run.manifest.choices if choice.what == "test views"]
    seconds = {stage: spent for stage, spent in metrics["seconds"].items() if stage not in ("total", "decode")}
    print_table(
        ("", ""),
        [
            *_of_test(run),
            *(_of_balance(run) if run.manifest.task.kind == "classes" else []),
            *_since_earlier(metrics["earlier"]),
            *_of_audit(metrics["audit"]),
            ("chosen", f"{decision.value}: {decision.reason}"),
            *views,
            ("seconds", ", ".join(f"{stage} {spent:.1f}" for stage, spent in seconds.items())),
            ("in all", f"{metrics['seconds']['total']:.1f} s"),
            ("report", str(run.report)),
            ("run", str(run.folder)),
        ],
    )


def _of_test(run: Run) -> list[tuple[str, str]]:
    """How good it is, by what people judge by."""
    test = run.metrics["test"]
    rows = [
        (name, _with_interval(test, key, form, "" if number else f", {test['n']:,} images"))
        for number, (name, key, form) in enumerate(HEADLINES[run.manifest.task.kind])
    ]
    if interval := test.get("interval"):
        within = f"±{interval['half_width']:.4g} held {interval['covered']:.1%} of test images"
        rows.append((f"{interval['coverage']:.0%} intervals", within))
    return rows


def _since_earlier(earlier: dict[str, Any] | None) -> list[tuple[str, str]]:
    """What changed since the run that was named."""
    if earlier is None:
        return []
    from headstart.report.growth import MEASURES, answers_in_words, compared_lines, images_in_words

    measure = MEASURES[earlier["measure"]][0]
    return [
        ("since then", f"of the images, {images_in_words(earlier['images'])}"),
        *(
            (f"{line.images:,} test images", f"{measure} {line.earlier}, now {line.now}: {line.verdict}; {line.name}")
            for line in compared_lines(earlier)
        ),
        ("answers", answers_in_words(earlier["changes"])),
    ]


def _of_audit(findings: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What is to be looked at among the images."""
    titles = [finding["title"].lower() for finding in findings if finding["tone"] != "good"]
    return [("look at", f"{', '.join(titles)}: `headstart audit` shows them")] if titles else []


def _with_interval(test: dict[str, Any], key: str, form: str, more: str) -> str:
    low, high = test[f"{key}_ci95"]
    return f"{test[key]:{form}} (95 % interval {low:{form}} to {high:{form}}{more})"


def _of_balance(run: Run) -> list[tuple[str, str]]:
    """Where classes are so unequal in size that accuracy alone would mislead: what tells more, and what was done."""
    from headstart.learn.imbalance import is_skewed

    metrics = run.metrics
    if not is_skewed(metrics["balance"]["skew"]):
        return []
    test = metrics["test"]
    low, high = test["balanced_accuracy_ci95"]
    largest = max(score["images"] for score in test["per_class"].values()) / test["n"]
    balance = next(choice for choice in run.manifest.choices if choice.what == "class balance")
    return [
        ("balanced accuracy", f"{test['balanced_accuracy']:.1%} (95 % interval {low:.1%} to {high:.1%})"),
        ("largest class", f"{largest:.1%} of test images: what always answering it would be right for"),
        ("class balance", f"{balance.value}: {balance.reason}"),
    ]
