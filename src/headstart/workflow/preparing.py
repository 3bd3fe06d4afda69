"""The base made ready to run: which it is, what its features are, and in which precision they are computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

import numpy as np

from headstart.catalog.base import Base
from headstart.data.dataset import Dataset
from headstart.errors import ImageError
from headstart.features.extract import FeatureSet
from headstart.features.openvino import Precision, choose_precision
from headstart.images.file import ImageFile, read_file
from headstart.images.spec import ImageSpec
from headstart.workflow.session import Session

# Images that bf16 is tried on before it is trusted, and that the finished network is checked on.
SAMPLE = 8


def prepare(session: Session, dataset: Dataset, precision: str) -> FeatureSet:
    """The pooled features of the base, in the precision that was asked for or that proves sound."""
    base = session.features.base
    whole = "" if base.whole is None else f"what lies above {base.stages[-1]} is left off; with it, "
    of_it = f"{base.parameters / 1e6:.1f} M parameters, ImageNet top-1 {_top1(base)}"
    session.choose("base", base.name, f"{whole}{of_it}")
    below = f", and average, maximum and deviation of {base.detail}, which shows what is small" if base.detail else ""
    if (base.spec.offset, base.spec.divisor) == (0, 1):
        session.choose("pixel scaling", "none", "the network scales its input itself")
    size = f"{base.spec.height}×{base.spec.width}"
    session.choose(
        "image size", size, "as asked; the base was trained with another" if base.resized else "the base's own"
    )
    session.choose("features", f"{base.features:,} an image", f"the average of the last map{below}")
    with session.watch.stage("prepare", "Preparing the base", total=None, unit="steps"):
        files = [sample.file for sample in dataset.samples]
        network, inputs = session.features.pooled_network, first_inputs(files, base.spec)
        taken, reason = cast(Precision, precision), "as asked"
        if precision == "auto":
            taken, reason = choose_precision(network, inputs)
        session.choose("precision", taken, reason)
        session.precision = taken
        pooled = session.features.pooled(taken)
        if session.budget < math.inf:
            session.time_network(pooled.engine, inputs)
        return pooled


def first_inputs(files: Sequence[ImageFile], spec: ImageSpec) -> np.ndarray:
    """Network inputs of the first readable images."""
    inputs: list[np.ndarray] = []
    for file in files:
        with suppress(ImageError):
            inputs.append(spec.render(read_file(file))[0])
        if len(inputs) == SAMPLE:
            break
    return np.stack(inputs) if inputs else np.zeros((1, spec.height, spec.width, 3), np.float32)


def _top1(base: Base) -> str:
    return "not published" if base.imagenet_top1 is None else f"{base.imagenet_top1:.1%}"
