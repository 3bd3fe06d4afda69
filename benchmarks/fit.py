"""`hs.fit` against `keras.Model.fit`, on the same models and the same arrays.

    python benchmarks/fit.py                    # everything, about an hour
    python benchmarks/fit.py vgg16 additions    # some parts; the others' results stay

Synthetic images and untrained networks: neither bears on the time. Both sides run in one process, in turn; each turn's
first run starts from an empty store and includes dividing and converting the network. Compiling the training step is
part of both sides. Where the long plain side is measured fewer times than the other, or over fewer epochs and scaled
(the time of an epoch doesn't change), the result says so.

Expect `hs.fit` to be this much faster than `model.fit`, on two cores with AVX2 and without bf16:

    vgg16           the script in examples, frozen, 10 epochs    8 to 9 times; full store and another head: 50 or more
    mobilenetv2     frozen, 10 epochs, pooled, one dense layer   10 times or more
    efficientnetb0  the same, its stochastic depth switched off  10 times or more
    views           MobileNetV2, augmented, 8 views, 30 epochs   3 times or more
    top             MobileNetV2 from block 16 on, 10 epochs      4 times or more
    unfrozen        nothing frozen: no more than 3 % slower
    additions       1 % more images: 1 % more features, and at most 3 % of the first run's time for them
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
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from recording import RESULTS, record, spread

import headstart as hs
from headstart.features.openvino import cpu_has_bf16

SIZE = 224
CLASSES = 10
EPOCHS = 10
REPEATS = 3

Arrays = tuple[np.ndarray, np.ndarray]
Build = Callable[[], keras.Model]


def main() -> None:
    """Runs the parts that were asked for and merges their results into what is recorded."""
    parser = argparse.ArgumentParser(description="Compares hs.fit with keras.Model.fit.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all of them by default")
    for part in parser.parse_args().parts or PARTS:
        keras.utils.set_random_seed(0)
        result = PARTS[part]()
        keras.backend.clear_session()
        path = RESULTS / "fit.json"
        earlier = json.loads(path.read_text("utf-8"))["parts"] if path.exists() else {}
        merged = {name: value for name, value in {**earlier, part: result}.items() if name in PARTS}
        record("fit", {"command": "python benchmarks/fit.py", "unit": "seconds", "parts": merged})


def vgg16() -> dict[str, Any]:
    """The frozen phase of examples/classic_vgg16.py with 200 training and 50 validation images."""
    script = example("classic_vgg16")
    training, validation = script.draw_images(25, SIZE).split()

    def train(fit: Callable[..., Any]) -> tuple[float, Any]:
        model, base = script.build_model(CLASSES, SIZE, None)
        base.set_weights(weights)
        start = time.perf_counter()
        history = script.train_head(fit, model, base, training, validation, EPOCHS)
        return time.perf_counter() - start, history

    weights = script.build_model(CLASSES, SIZE, None)[1].get_weights()
    first, warm = [], []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory(prefix="headstart-fit-") as folder:
            fit = stored_in(folder)
            first.append(train(fit)[0])
            warm += [train(fit)[0] for _ in range(2)]  # each with a new head
    plain = [train(silent)[0]]
    return {
        "model_fit": spread(plain),
        "hs_fit_first_run": spread(first),
        "hs_fit_warm_store_another_head": spread(warm),
        "times_faster_first_run": ratio(plain, first),
        "times_faster_warm_store": ratio(plain, warm),
        "bf16": bf16(lambda fit: train(fit)[0], plain),
        "images": {"training": len(training.x), "validation": len(validation.x)},
        "note": "model.fit takes minutes and was measured once",
    }


def bf16(train: Callable[[Callable[..., Any]], float], plain: list[float]) -> dict[str, Any]:
    """The first run in bf16, where the CPU computes in it by itself."""
    if not cpu_has_bf16():
        return {"note": "not measurable here: this CPU doesn't compute in bf16"}
    runs = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory(prefix="headstart-fit-") as folder:
            runs.append(train(stored_in(folder, precision="bf16")))
    return {"hs_fit_first_run": spread(runs), "times_faster_first_run": ratio(plain, runs)}


def mobilenetv2() -> dict[str, Any]:
    """MobileNetV2 frozen, 800 training and 200 validation images."""
    return frozen_base(keras.applications.MobileNetV2)


def efficientnetb0() -> dict[str, Any]:
    """EfficientNetB0 frozen, with the rates of its dropouts at 0: they would be random though frozen, on both sides."""
    return frozen_base(keras.applications.EfficientNetB0) | {
        "note": "model.fit was measured once; the rates of the frozen dropouts (stochastic depth) are 0 on both sides"
    }


def frozen_base(application: Callable[..., keras.Model]) -> dict[str, Any]:
    """A frozen base under one dense layer, first runs."""
    training, validation = images(800), images(200, seed=1)
    base = frozen(application)

    def train(fit: Callable[..., Any]) -> float:
        return timed(fit, pooled(base), training, validation_data=validation, epochs=EPOCHS)

    first, warm = [], []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory(prefix="headstart-fit-") as folder:
            first.append(train(stored_in(folder)))
            warm.append(train(stored_in(folder)))
    plain = [train(silent)]
    return {
        "model_fit": spread(plain),
        "hs_fit_first_run": spread(first),
        "hs_fit_warm_store_another_head": spread(warm),
        "times_faster_first_run": ratio(plain, first),
        "times_faster_warm_store": ratio(plain, warm),
        "images": {"training": 800, "validation": 200},
        "note": "model.fit takes minutes and was measured once",
    }


def views() -> dict[str, Any]:
    """MobileNetV2 behind augmenting layers, 30 epochs; `hs.fit` draws each epoch among eight renderings of an image."""
    count, epochs, measured = 160, 30, 4
    training, base = images(count), frozen(keras.applications.MobileNetV2)
    first, plain = [], []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory(prefix="headstart-fit-") as folder:
            first.append(timed(stored_in(folder, views=8), augmented(base), training, epochs=epochs))
        clock = EpochClock()
        silent(augmented(base), *training, epochs=1 + measured, callbacks=[clock])
        plain.append(clock.seconds[0] + (epochs - 1) * sum(clock.seconds[1:]) / measured)
    return {
        "model_fit": spread(plain),
        "hs_fit_first_run": spread(first),
        "times_faster_first_run": ratio(plain, first),
        "images": {"training": count},
        "note": f"model.fit was measured over a first epoch and {measured} more, and scaled to {epochs}",
    }


def top() -> dict[str, Any]:
    """MobileNetV2's top stage, from block 16 on, trained from stored features, BatchNorm frozen."""
    training, base = images(400), frozen(keras.applications.MobileNetV2)
    first, warm, plain = [], [], []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory(prefix="headstart-fit-") as folder:
            for times in (first, warm):
                times.append(timed(stored_in(folder), unfrozen_top(base), training, epochs=EPOCHS))
        plain.append(timed(silent, unfrozen_top(base), training, epochs=EPOCHS))
    return {
        "model_fit": spread(plain),
        "hs_fit_first_run": spread(first),
        "hs_fit_warm_store": spread(warm),
        "times_faster_first_run": ratio(plain, first),
        "times_faster_warm_store": ratio(plain, warm),
        "images": {"training": 400},
    }


def unfrozen() -> dict[str, Any]:
    """A model with nothing frozen, for which `hs.fit` can only do what `model.fit` does."""
    training = images(256, size=96)
    stored, plain = [], []
    with tempfile.TemporaryDirectory(prefix="headstart-fit-") as folder:
        sides = ((stored_in(folder), stored), (silent, plain))
        for turn in range(2 * REPEATS + 1):
            for fit, times in sides if turn % 2 else reversed(sides):
                times.append(timed(fit, small_network(), training, epochs=3))
    del stored[0], plain[0]  # the first turn warms up
    differences = [mine / theirs - 1 for mine, theirs in zip(stored, plain, strict=True)]
    return {
        "model_fit": spread(plain),
        "hs_fit": spread(stored),
        "share_slower": round(float(np.median(stored) / np.median(plain) - 1), 4),
        "share_slower_each_turn": spread(differences),
        "images": {"training": 256, "size": 96},
    }


def additions() -> dict[str, Any]:
    """1 % more images after a first run: what is computed, and what the feature stage takes."""
    x, y = images(1010)
    base = frozen(keras.applications.MobileNetV2)
    first, again, parts = [], [], []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory(prefix="headstart-fit-") as folder:
            fit = stored_in(folder)
            before, after = (fit(pooled(base), x[:count], y[:count], epochs=1).frozen_part for count in (1000, 1010))
        first.append(before.seconds)
        again.append(after.seconds)
        parts.append({"computed": after.computed, "reused": after.reused})
    return {
        "feature_stage_first_run": spread(first),
        "feature_stage_with_additions": spread(again),
        "share_of_first_run": ratio(again, first),
        "second_run": parts[0],
        "images": {"training": 1000, "added": 10},
    }


PARTS = {part.__name__: part for part in (vgg16, mobilenetv2, efficientnetb0, views, top, unfrozen, additions)}


class EpochClock(keras.callbacks.Callback):
    """The seconds that each epoch took; the first includes compiling."""

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


def stored_in(folder: str, **settings: Any) -> Callable[..., Any]:
    """`hs.fit` with a store in this folder."""
    return lambda *data, **training: hs.fit(*data, **training, **settings, store=folder, verbose=0)


def silent(*data: Any, **training: Any) -> Any:
    """`keras.Model.fit` without its progress bar."""
    return keras.Model.fit(*data, **training, verbose=0)


def timed(fit: Callable[..., Any], model: keras.Model, data: Arrays, **training: Any) -> float:
    """Seconds that training takes."""
    start = time.perf_counter()
    fit(model, *data, **training)
    return time.perf_counter() - start


def ratio(above: list[float], below: list[float]) -> float:
    """Of the medians."""
    return round(float(np.median(above) / np.median(below)), 4)


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
