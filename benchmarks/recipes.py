"""Headstart beside the two recipes that people copy, on the ELPV solar cells: defective against functional.

    python benchmarks/recipes.py

The same divisions as in `elpv.py`, the same base (EfficientNet-Lite0) and the same machine, one process at a time:

- classic: the base frozen, average pooling, Dense(256, relu), dropout of a half and the answer, trained with Adam at
  1e-3; then the top of the base, above block 10, with it at 1e-5.
- guide: the recipe of Keras's guide to transfer learning: the base frozen, average pooling, dropout of a fifth and the
  answer, trained with Adam at 1e-3; then everything at 1e-5.

Both are given what helps them: BatchNorm in inference mode throughout, pixels decoded once and kept in memory, flips in
both directions, early stopping by validation accuracy in either phase, and the weights of the best epoch. Two times are
told of them, both from the start of the process on: until all epochs were over, which it takes to know which one was
best, and until the end of the best one, as if somebody had known to stop there. Headstart's is all of `headstart train`
from an empty store on, its report included: the probe alone, also of smaller images, and what it does without options.
What it does in ten minutes in eight views is taken from the result of `elpv_in_time.py`.

For each recipe, the time that Headstart needs is that of the quickest of these whose mean accuracy is at least the
recipe's; and, with the features in the store already, that of the probe run a second time. Nearly two hours on
two cores. With `--seeds`, those of the result that aren't named stay. Expect about 84 % for classic, 83 % for guide,
85 % for the probe of 128-pixel images and 87 % for the probe; this is as good as either over ten times sooner than
the whole recipe, and four to five times sooner than its best epoch ends.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from elpv import lay_out, over_seeds, timed, train
from recording import RESULTS, record, recorded, spread

SEEDS = (0, 1, 2, 3, 4)
RECIPES = ("classic", "guide")
HEADSTART = {
    "probe_of_128_pixels": ("--no-finetune", "--image-size", "128"),
    "probe_of_160_pixels": ("--no-finetune", "--image-size", "160"),
    "probe": ("--no-finetune",),
    "default": (),
}
# The probe, once more: its features are in the store by then.
AGAIN = "probe_again"
FROZEN_EPOCHS, TUNED_EPOCHS, PATIENCE = 20, 10, 3
BATCH_SIZE, VALIDATION_SHARE = 32, 0.18


def main() -> None:
    """Runs every seed and records what it comes to; with `--recipe`, one recipe in this process."""
    start = time.perf_counter()
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", nargs=3, metavar=("NAME", "DATA", "SEED"))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    chosen = parser.parse_args()
    if chosen.recipe:
        name, data, seed = chosen.recipe
        print(json.dumps(run_recipe(name, Path(data), int(seed), start)))
        return
    rows = [row for row in recorded("recipes", "seeds") if row["seed"] not in chosen.seeds]
    for seed in chosen.seeds:
        with tempfile.TemporaryDirectory(prefix="headstart-recipes-") as made:
            rows.append({"seed": seed, **measure(Path(made), seed)})
        rows.sort(key=lambda row: row["seed"])
        record("recipes", result(rows))


def result(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """All seeds so far."""
    sides = {side: summary([row[side] for row in rows]) for side in (*RECIPES, *HEADSTART, AGAIN)} | in_time()
    ratios = {recipe: ratio(sides, recipe) for recipe in RECIPES}
    return {"command": "python benchmarks/recipes.py", **ratios, "sides": sides, "seeds": rows}


def measure(folder: Path, seed: int) -> dict[str, Any]:
    """One division: each recipe, and each way of Headstart from an empty store on."""
    data = lay_out(folder / "data", seed)
    row: dict[str, Any] = {}
    for recipe in RECIPES:
        command = [sys.executable, __file__, "--recipe", recipe, str(data), str(seed)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        row[recipe] = json.loads(done.stdout.splitlines()[-1])
    for way, options in HEADSTART.items():
        found, seconds = timed(partial(train, data, folder / way, folder / f"cache-{way}", seed, *options))
        row[way] = {"accuracy": found["test"]["accuracy"], "seconds": round(seconds, 1)}
    again = partial(train, data, folder / AGAIN, folder / "cache-probe", seed, *HEADSTART["probe"])
    found, seconds = timed(again)
    row[AGAIN] = {"accuracy": found["test"]["accuracy"], "seconds": round(seconds, 1)}
    return row


def in_time() -> dict[str, Any]:
    """What ten minutes in eight views come to, if `elpv_in_time.py` has been run."""
    path = RESULTS / "elpv_in_time.json"
    if not path.exists():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    return {"ten_minutes": {"accuracy": found["accuracy"], "seconds": found["seconds"], "machine": found["machine"]}}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One side over the seeds."""
    names = [name for name in ("seconds", "all_seconds") if name in rows[0]]
    times = {name: spread([row[name] for row in rows]) for name in names}
    return {"accuracy": over_seeds([row["accuracy"] for row in rows])} | times


def ratio(sides: dict[str, Any], recipe: str) -> dict[str, Any]:
    """How many times sooner Headstart is as good on average."""
    wanted = sides[recipe]["accuracy"]["mean"]
    ways = [way for way in (*HEADSTART, "ten_minutes") if way in sides and sides[way]["accuracy"]["mean"] >= wanted]
    if not ways:
        return {"reached_by": None}
    quickest = min(ways, key=lambda way: sides[way]["seconds"]["median"])

    def times(taken: str, side: str) -> float:
        return round(sides[recipe][taken]["median"] / sides[side]["seconds"]["median"], 1)

    return {
        "reached_by": quickest,
        "times_sooner": times("all_seconds", quickest),
        "times_sooner_than_its_best_epoch": times("seconds", quickest),
        "times_sooner_with_a_full_store": times("all_seconds", AGAIN),
    }


def run_recipe(name: str, data: Path, seed: int, start: float) -> dict[str, Any]:
    """Train a recipe; its test accuracy with the weights of the best epoch, and the seconds until that one's end."""
    import keras

    from headstart.catalog import get_base

    keras.utils.set_random_seed(seed)
    base = get_base("efficientnet-lite0").build()
    train_part, validation, test = parts(data, base.input_shape[1:3], seed)
    base.trainable = False
    model = on(base, classic if name == "classic" else guide)
    best = BestSoFar(start)
    for epochs, rate in ((FROZEN_EPOCHS, 1e-3), (TUNED_EPOCHS, 1e-5)):
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        watch = best.callback()
        model.fit(train_part, validation_data=validation, epochs=epochs, callbacks=[watch], verbose=0)
        model.set_weights(best.weights)
        base.trainable = True
        if name == "classic":
            names = [layer.name for layer in base.layers]
            for layer in base.layers[: names.index("block10_add") + 1]:
                layer.trainable = False
    _, accuracy = model.evaluate(test, verbose=0)
    history = {"epochs": best.epochs, "best_epoch": best.epoch, "all_seconds": round(time.perf_counter() - start, 1)}
    return {"accuracy": round(accuracy, 4), "seconds": round(best.seconds, 1), **history}


class BestSoFar:
    """The weights of the epoch with the best validation accuracy, over both phases, and when it ended."""

    def __init__(self, start: float) -> None:
        self.start, self.accuracy, self.epochs, self.epoch, self.seconds = start, -1.0, 0, 0, 0.0
        self.weights: list[Any] = []

    def callback(self) -> Any:
        """For a phase; it ends the phase after three epochs that were no better than its best one."""
        import keras

        whole = self

        class Watch(keras.callbacks.Callback):
            best, waited = -1.0, 0

            def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
                accuracy = float((logs or {})["val_accuracy"])
                whole.see(accuracy, self.model)
                self.best, self.waited = max(self.best, accuracy), 0 if accuracy > self.best else self.waited + 1
                self.model.stop_training = self.waited >= PATIENCE

        return Watch()

    def see(self, accuracy: float, model: Any) -> None:
        """An epoch has ended."""
        self.epochs += 1
        if accuracy > self.accuracy:
            self.accuracy, self.epoch, self.weights = accuracy, self.epochs, model.get_weights()
            self.seconds = time.perf_counter() - self.start


def parts(data: Path, size: tuple[int, int], seed: int) -> tuple[Any, Any, Any]:
    """Training, validation and test images in batches, scaled as the base takes them."""
    import keras
    import tensorflow as tf

    settings: dict[str, Any] = {"image_size": size, "interpolation": "bicubic", "batch_size": None, "verbose": False}
    split = {"validation_split": VALIDATION_SHARE, "subset": "both", "seed": seed}
    train_part, validation = keras.utils.image_dataset_from_directory(data / "train", **settings, **split)
    test = keras.utils.image_dataset_from_directory(data / "test", shuffle=False, **settings)

    def scaled(image: Any, label: Any) -> tuple[Any, Any]:
        return (image - 127.0) / 128.0, label

    train_part, validation, test = (part.map(scaled).cache() for part in (train_part, validation, test))
    shuffled = train_part.shuffle(4096, seed=seed).batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE)
    return shuffled, validation.batch(BATCH_SIZE), test.batch(BATCH_SIZE)


def classic(features: Any) -> Any:
    """A hidden layer on the base, as in most tutorials."""
    from keras import layers

    return layers.Dropout(0.5)(layers.Dense(256, activation="relu")(features))


def guide(features: Any) -> Any:
    """Nothing between the base and the answer but dropout."""
    from keras import layers

    return layers.Dropout(0.2)(features)


def on(base: Any, head: Callable[[Any], Any]) -> Any:
    """A base with a head: from images, flipped in training, to probabilities."""
    import keras
    from keras import layers

    inputs = keras.Input(base.input_shape[1:])
    flipped = layers.RandomFlip("horizontal_and_vertical")(inputs)
    features = layers.GlobalAveragePooling2D()(base(flipped, training=False))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(head(features)))


if __name__ == "__main__":
    main()
