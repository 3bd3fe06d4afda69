"""Options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

BaseOption = Annotated[
    str,
    typer.Option("--base", metavar="NAME|FILE", help="The pretrained network to look with, or your own Keras model."),
]
BaseOrAutoOption = Annotated[
    str,
    typer.Option(
        "--base",
        metavar="NAME|FILE|auto",
        help="The pretrained network to build on, or your own Keras model; auto takes what does best on your images.",
    ),
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
    typer.Option(
        "--image-size",
        metavar="PIXELS|HxW",
        help="Of the base's input; else what it was trained with, or less where images are tiny.",
    ),
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
ImageColumnOption = Annotated[
    str | None, typer.Option("--image-column", metavar="NAME", help="The table's column of paths; else it is found.")
]
LabelColumnsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--label-column",
        metavar="NAME",
        help="The table's column of labels or numbers; several, if each says 0 or 1 of a label; else they are found.",
    ),
]
GroupColumnOption = Annotated[
    str | None,
    typer.Option(
        "--group-column",
        metavar="NAME|none",
        help="The table's column of what an image is of, such as a patient: none is in two parts; else it is found.",
    ),
]
WeightColumnOption = Annotated[
    str | None,
    typer.Option(
        "--weight-column",
        metavar="NAME|none",
        help="The table's column of how much an image counts in learning, from 0 on; else it is found.",
    ),
]
SplitColumnOption = Annotated[
    str | None,
    typer.Option(
        "--split-column",
        metavar="NAME|none",
        help="The table's column of parts: train, validation or test; else it is found.",
    ),
]
TaskOption = Annotated[
    str,
    typer.Option(
        "--task",
        metavar="auto|classes|multi-label|regression",
        help="One class an image, any number of labels, or a number; auto takes what the table's cells look like.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", help="Another seed is another split of the images.")]
CompareOption = Annotated[
    Path | None,
    typer.Option(
        "--compare-to",
        metavar="RUN",
        help="An earlier run: its images stay in their parts, and the report says what changed since.",
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        help="Where features and checkpoints are kept; else $HEADSTART_CACHE or the user's cache.",
    ),
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
StageOption = Annotated[
    str | None,
    typer.Option(
        "--finetune-from",
        metavar="STAGE",
        help="Train all above this stage; names are in `headstart bases --json`, and `input` trains the whole base.",
    ),
]
EpochsOption = Annotated[int | None, typer.Option("--epochs", metavar="N", help="Passes over the images.")]
RateOption = Annotated[float | None, typer.Option("--lr", metavar="RATE", help="Learning rate at its peak.")]
ViewsOption = Annotated[int | None, typer.Option("--views", metavar="N", help="Renderings of each image.")]
TimeOption = Annotated[
    str | None,
    typer.Option(
        "--time", metavar="TIME", help="What all of it may take, such as 5m: fine-tuning goes as deep as fits."
    ),
]
BalanceOption = Annotated[
    str,
    typer.Option(
        "--balance",
        metavar="auto|none|weights|sampling|logits",
        help="What is done about classes of unequal size; above 3:1 auto takes what cross-validation finds best.",
    ),
]
TestViewsOption = Annotated[
    int,
    typer.Option(
        "--test-views",
        metavar="N",
        help="Average over up to N mirrored and turned views of each image; that takes N times as long.",
    ),
]
AugmentOption = Annotated[
    str,
    typer.Option(
        "--augment",
        metavar="auto|none|text|natural|flips|orientation-free",
        help="What further views show; auto takes what the probe is found to recognise. Text reads one way only.",
    ),
]
