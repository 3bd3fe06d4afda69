"""`hs.fit` against `keras.Model.fit`, on the same models and the same arrays.

    python benchmarks/fit.py                    # everything, about half an hour
    python benchmarks/fit.py vgg16 additions    # some parts; the others' results stay
    python benchmarks/fit.py --whole            # every epoch of model.fit, some hours
    python benchmarks/fit.py --repeats 1 vgg16  # fewer turns than three

Synthetic images and untrained networks: neither bears on the time. Both sides run in one process, in turn, and ratios
are taken within a turn, since machines slow down and speed up. A turn's first run starts from an empty store and
includes dividing and converting the network. Compiling the training step is part of both sides.

An epoch of `model.fit` takes as long as any other, except for the first, which compiles. So, unless asked for the whole
of it, a first epoch and a few more are measured and scaled; the result says how many. `hs.fit` always runs to its end.

Expect `hs.fit` to be this much faster than `model.fit`, on two cores with AVX2 and without bf16, turns differing by a
third on a busy machine:

    vgg16           the script in examples, frozen, 10 epochs    16 times; full store and another head: 126 times
    mobilenetv2     frozen, 10 epochs, pooled, one dense layer   38 times; 162 times
    efficientnetb0  the same, its stochastic depth switched off  27 times; 175
    views           MobileNetV2, augmented, 8 views, MobileNetV2, augmented, 8 views, 30 epochs   8 times
    top             MobileNetV2 from block 16 on, 10 epochs      5 times
    unfrozen        nothing frozen: within 3 % by the medians, with turns from 17 % faster to 18 % slower
    additions       1 % more images: only theirs computed, in 2 (ResNet50) to 3 % (MobileNetV2) of the first time
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from PIL import Image
from recording import RESULTS, record, spread

import headstart as hs
from headstart.features.openvino import cpu_has_bf16
from headstart.learn.image_data import ImageData

SIZE = 224
CLASSES = 10
EPOCHS = 10

Arrays = tuple[np.ndarray, np.ndarray]
Fit = Callable[..., Any]


def main() -> None:
    """Runs the parts that were asked for and merges their results into what is recorded."""
    parser = argparse.ArgumentParser(description="Compares hs.fit with keras.Model.fit.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all of them by default")
    parser.add_argument("--whole", action="store_true", help="measure every epoch of model.fit")
    parser.add_argument("--repeats", type=int, default=3, help="turns")
    options = parser.parse_args()
    for part in options.parts or PARTS:
        keras.utils.set_random_seed(0)
        keep = partial(merge, part)
        keep(PARTS[part](Extent(options.repeats, options.whole, keep)))
        keras.backend.clear_session()


def merge(part: str, result: dict[str, Any]) -> None:
    """Record a part's result beside the other parts'."""
    path = RESULTS / "fit.json"
    earlier = json.loads(path.read_text("utf-8"))["parts"] if path.exists() else {}
    merged = {name: value for name, value in {**earlier, part: result}.items() if name in PARTS}
    record("fit", {"command": "python benchmarks/fit.py", "unit": "seconds", "parts": merged})


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Attributes:
        repeats: turns.
        whole: whether `model.fit` runs to its end.
        keep: records what the turns so far came to, so that nothing is lost if the next is cut short.
    """

    repeats: int
    whole: bool
    keep: Callable[[dict[str, Any]], None]


def vgg16(extent: Extent) -> dict[str, Any]:
    """The frozen phase of examples/classic_vgg16.py with 200 training and 50 validation images."""
    script = example("classic_vgg16")
    training, validation = script.draw_images(25, SIZE).split()
    weights = script.build_model(CLASSES, SIZE, None)[1].get_weights()

    def train(fit: Fit) -> float:
        model, base = script.build_model(CLASSES, SIZE, None)
        base.set_weights(weights)  # the same base, another head
        return timed(script.train_head, fit, model, base, training, validation, EPOCHS)

    figures = compare(train, extent, 1)
    bf16 = "measured as well" if cpu_has_bf16() else "not measurable here: this CPU doesn't compute in bf16"
    if cpu_has_bf16():
        figures["in_bf16"] = compare(train, extent, 1, precision="bf16")
    return figures | {"images": {"training": len(training.x), "validation": len(validation.x)}, "bf16": bf16}


def mobilenetv2(extent: Extent) -> dict[str, Any]:
    """MobileNetV2 frozen."""
    return frozen_base(keras.applications.MobileNetV2, extent)


def efficientnetb0(extent: Extent) -> dict[str, Any]:
    """EfficientNetB0 frozen. At their usual rates its dropouts would be random though frozen."""
    figures = frozen_base(keras.applications.EfficientNetB0, extent)
    return figures | {"dropout": "the rates of the frozen dropouts (stochastic depth) are 0 on both sides"}


def frozen_base(application: Callable[..., keras.Model], extent: Extent) -> dict[str, Any]:
    """A frozen base under one dense layer, 800 training and 200 validation images."""
    training, validation = images(800), images(200, seed=1)
    base = frozen(application)

    def train(fit: Fit) -> float:
        return timed(fit, pooled(base), *training, validation_data=validation, epochs=EPOCHS)

    return compare(train, extent, 2) | {"images": {"training": 800, "validation": 200}}


def views(extent: Extent) -> dict[str, Any]:
    """MobileNetV2 behind augmenting layers, 30 epochs; `hs.fit` draws each epoch among eight renderings of an image."""
    training, base = images(160), frozen(keras.applications.MobileNetV2)

    def train(fit: Fit) -> float:
        return timed(fit, augmented(base), *training, epochs=30)

    return compare(train, extent, 3, views=8) | {"images": {"training": 160}}


def top(extent: Extent) -> dict[str, Any]:
    """MobileNetV2's top stage, from block 16 on, trained from stored features, BatchNorm frozen."""
    training, base = images(240), frozen(keras.applications.MobileNetV2)

    def train(fit: Fit) -> float:
        return timed(fit, unfrozen_top(base), *training, epochs=EPOCHS)

    return compare(train, extent, 3) | {"images": {"training": 240}}


def unfrozen(extent: Extent) -> dict[str, Any]:
    """A model with nothing frozen, for which `hs.fit` can only do what `model.fit` does."""
    training = images(256, size=96)
    stored, plain = [], []
    with tempfile.TemporaryDirectory(prefix="headstart-fit-") as folder:
        sides = ((stored_in(folder), stored), (silent, plain))
        for turn in range(2 * extent.repeats + 1):
            for fit, times in sides if turn % 2 else reversed(sides):
                times.append(timed(fit, small_network(), *training, epochs=3))
    del stored[0], plain[0]  # the first turn warms up
    differences = [mine / theirs - 1 for mine, theirs in zip(stored, plain, strict=True)]
    return {
        "model_fit": spread(plain),
        "hs_fit": spread(stored),
        "share_slower": round(float(np.median(stored) / np.median(plain) - 1), 4),
        "share_slower_each_turn": spread(differences),
        "images": {"training": 256, "size": 96},
    }


def additions(extent: Extent) -> dict[str, Any]:
    """1 % more images after a first run: what is computed, and what the feature stage takes."""
    x, y = images(1010)
    small, large = frozen(keras.applications.MobileNetV2), frozen(keras.applications.ResNet50)
    with tempfile.TemporaryDirectory(prefix="headstart-fit-images-") as folder:
        files = write_files(Path(folder), 3030)
        return {
            "MobileNetV2_1000_in_arrays": added(small, lambda count: (x[:count], y[:count]), 1000, extent),
            "ResNet50_1000_in_arrays": added(large, lambda count: (x[:count], y[:count]), 1000, extent),
            "MobileNetV2_3000_in_files": added(small, lambda count: (first_files(files, count),), 3000, extent),
        }


def added(base: keras.Model, data: Callable[[int], tuple[Any, ...]], count: int, extent: Extent) -> dict[str, Any]:
    """The feature stages of two runs, the first with so many images and the second with a hundredth more."""
    turns, counts = [], (count, count + count // 100)
    for _ in range(extent.repeats):
        with tempfile.TemporaryDirectory(prefix="headstart-fit-") as folder:
            fit = stored_in(folder)
            first, second = (fit(pooled(base), *data(some), epochs=1).frozen_part for some in counts)
        turns.append({"first_run": first.seconds, "second_run": second.seconds})
        turns[-1]["share_of_first_run"] = second.seconds / first.seconds
    figures = {side: spread([turn[side] for turn in turns]) for side in turns[0]}
    return figures | {"second_run_features": {"computed": second.computed, "reused": second.reused}}


def write_files(folder: Path, count: int) -> ImageData:
    """Noise as JPEGs, a folder a class."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / str(number % CLASSES) / f"{number:04}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)).save(path)
    return hs.image_data(folder, base="mobilenetv2")


def first_files(data: ImageData, count: int) -> ImageData:
    """The same data with fewer images."""
    return replace(data, paths=data.paths[:count], labels=data.labels[:count])


PARTS = {part.__name__: part for part in (vgg16, mobilenetv2, efficientnetb0, views, top, unfrozen, additions)}


def compare(train: Callable[[Fit], float], extent: Extent, more: int, **settings: Any) -> dict[str, Any]:
    """Both sides in turn: `hs.fit` with an empty store and with a full one, then `model.fit`.

    Args:
        train: makes a new head, trains with the function that it is given and gives the seconds.
        extent: how many turns.
        more: epochs of `model.fit` after the first, where it isn't measured whole.
        settings: further arguments of `hs.fit`.
    """
    turns, plain = [], Plain(None if extent.whole else more)
    for _ in range(extent.repeats):
        with tempfile.TemporaryDirectory(prefix="headstart-fit-") as folder:
            first, warm = (train(stored_in(folder, **settings)) for _ in range(2))
        train(plain)
        turns.append({"hs_fit_first_run": first, "hs_fit_full_store": warm, "model_fit": plain.seconds()})
        turns[-1] |= {"times_first_run": plain.seconds() / first, "times_full_store": plain.seconds() / warm}
        figures = {side: spread([turn[side] for turn in turns]) for side in turns[0]}
        figures["model_fit_measured"] = plain.extent()
        extent.keep(figures)
    return figures


class Plain:
    """`keras.Model.fit`, stopped after a first epoch and a few more.

    Args:
        more: epochs after the first; None for all of them.
    """

    def __init__(self, more: int | None) -> None:
        self._more = more

    def __call__(self, *data: Any, epochs: int, **training: Any) -> Any:
        self._epochs = epochs
        self._clock = EpochClock()
        measured = epochs if self._more is None else 1 + self._more
        return keras.Model.fit(*data, epochs=measured, callbacks=[self._clock], verbose=0, **training)

    def seconds(self) -> float:
        """Of all epochs."""
        first, *more = self._clock.seconds
        return first + (self._epochs - 1) * sum(more) / len(more)

    def extent(self) -> str:
        """How many epochs were measured, in words."""
        return f"{len(self._clock.seconds)} of {self._epochs} epochs"


class EpochClock(keras.callbacks.Callback):
    """The seconds that each epoch took, validation included."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self._start)


def frozen(application: Callable[..., keras.Model]) -> keras.Model:
    """A base that isn't trained and draws no random numbers."""
    base = application(weights=None, include_top=False, input_shape=(SIZE, SIZE, 3))
    base.trainable = False
    for layer in base.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return base


def pooled(base: keras.Model, *front: keras.Layer) -> keras.Model:
    """A new head on a base."""
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(CLASSES, activation="softmax")]
    return compiled(keras.Sequential([keras.Input((SIZE, SIZE, 3)), *front, base, *head]))


def augmented(base: keras.Model) -> keras.Model:
    """The same behind layers that mirror and turn images at random."""
    return pooled(base, keras.layers.RandomFlip("horizontal"), keras.layers.RandomRotation(0.1))


def unfrozen_top(base: keras.Model) -> keras.Model:
    """The same with the base's last stage trained."""
    copy = keras.models.clone_model(base)
    copy.set_weights(base.get_weights())
    copy.trainable = True
    first = next(place for place, layer in enumerate(copy.layers) if layer.name.startswith("block_16"))
    for place, layer in enumerate(copy.layers):
        layer.trainable = place >= first and not isinstance(layer, keras.layers.BatchNormalization)
    return pooled(copy)


def small_network() -> keras.Model:
    """Some convolutions, all of them trained."""
    layers = [keras.layers.Conv2D(filters, 3, strides=2, activation="relu") for filters in (32, 64, 128)]
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(CLASSES, activation="softmax")]
    return compiled(keras.Sequential([keras.Input((96, 96, 3)), *layers, *head]))


def compiled(model: keras.Model) -> keras.Model:
    """The model, ready to be trained."""
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def images(count: int, seed: int = 0, size: int = SIZE) -> Arrays:
    """Noise in the range of pixels scaled to -1 to 1, and classes as one-hot rows."""
    x = np.random.default_rng(seed).random((count, size, size, 3), np.float32) * 2 - 1
    return x, keras.utils.to_categorical(np.arange(count) % CLASSES, CLASSES)


def stored_in(folder: str, **settings: Any) -> Fit:
    """`hs.fit` with a store in this folder."""
    return lambda *data, **training: hs.fit(*data, **training, **settings, store=folder, verbose=0)


def silent(*data: Any, **training: Any) -> Any:
    """`keras.Model.fit` without its progress bar."""
    return keras.Model.fit(*data, **training, verbose=0)


def timed(work: Callable[..., Any], *arguments: Any, **named: Any) -> float:
    """Seconds that something takes."""
    start = time.perf_counter()
    work(*arguments, **named)
    return time.perf_counter() - start


def example(name: str) -> ModuleType:
    """A script in examples, imported."""
    path = Path(__file__).parents[1] / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look their module up
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
