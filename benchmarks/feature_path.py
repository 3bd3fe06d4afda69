"""The feature path, decoding included, against what the cores allow and against TensorFlow.

    python benchmarks/feature_path.py

EfficientNet-Lite0's pooled features of JPEG files, an empty store each time, everything in one process. The sides are
run in turn, REPEATS times, and ratios are taken within a turn, since machines slow down and speed up.

What the cores allow is 1 / (1 / engine alone + decoding time an image / cores): both take all cores, so their times
add up however well they overlap. Decoding is measured in one thread while the engine is idle.

Expect, on two cores: a share of what the cores allow from 0.95 to 1.0; in f32 3 to 4 times `tf.data` decoding with
`keras.Model.predict` on 224-pixel files; on 12-megapixel files 5 to 6 times decoding at full size. bf16 is measured
where the CPU has it.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image
from recording import record, spread
from skimage import data

from headstart.catalog import get_base
from headstart.features.extract import FeatureSet, extract
from headstart.features.openvino import OpenVINOEngine, Precision, cpu_has_bf16
from headstart.features.store import Store
from headstart.images.decode import decode
from headstart.images.spec import ImageSpec
from headstart.images.views import PLAIN, View
from headstart.learn.base_features import BaseFeatures

REPEATS = 5
SMALL, LARGE = 384, 24
LARGE_SIZE = (4000, 3000)
ENGINE_INPUTS = 256


def main() -> None:
    """Measures both kinds of files and records the rates and their ratios."""
    with tempfile.TemporaryDirectory(prefix="headstart-path-") as made:
        folder = Path(made)
        small = write_photos(folder / "small", SMALL, (224, 224))
        large = write_photos(folder / "large", LARGE, LARGE_SIZE)
        with Store(folder / "cache") as store:
            bench = Bench(BaseFeatures(get_base("efficientnet-lite0"), store), folder)
            results = {
                "jpeg_224": bench.small_files(small, "f32"),
                "jpeg_12_megapixels": bench.large_files(large),
            }
            if cpu_has_bf16():
                results["jpeg_224_bf16"] = bench.small_files(small, "bf16")
    record("feature_path", {"command": "python benchmarks/feature_path.py", "images_per_second": results})


class Bench:
    """The sides that are compared, each giving images a second."""

    def __init__(self, features: BaseFeatures, folder: Path) -> None:
        self._features = features
        self._folder = folder
        self._spec = features.base.spec
        self._stores = 0

    def small_files(self, paths: list[Path], precision: Precision) -> dict[str, Any]:
        """Against what the cores allow, and against `tf.data` with `predict`."""
        features = self._features.pooled(precision)
        engine: OpenVINOEngine = OpenVINOEngine(self._features.pooled_network, precision)
        predict = tensorflow_side(self._features)
        turns = [
            {
                "headstart": self._path(paths, features),
                "engine_alone": self._engine_alone(engine, paths),
                "decode_one_thread": self._decode(paths),
                "tf_data_and_predict": rate(len(paths), lambda: predict(paths)),
            }
            for _ in range(REPEATS + 1)
        ][1:]  # the first turn warms everything up
        for turn in turns:
            cores = len(os.sched_getaffinity(0))
            allowed = 1 / (1 / turn["engine_alone"] + 1 / turn["decode_one_thread"] / cores)
            turn["share_of_what_cores_allow"] = turn["headstart"] / allowed
            turn["times_tensorflow"] = turn["headstart"] / turn["tf_data_and_predict"]
        return by_side(turns)

    def large_files(self, paths: list[Path]) -> dict[str, Any]:
        """Against the same path with decoding at full size."""
        features = self._features.pooled("f32")
        full = FullSizeSpec(**self._spec.as_dict())
        turns = [
            {
                "headstart": self._path(paths, features),
                "decoding_at_full_size": self._path(paths, replace(features, spec=full)),
            }
            for _ in range(REPEATS + 1)
        ][1:]
        for turn in turns:
            turn["times_full_size"] = turn["headstart"] / turn["decoding_at_full_size"]
        return by_side(turns)

    def _path(self, paths: list[Path], features: FeatureSet) -> float:
        """The whole path into an empty store."""
        self._stores += 1
        with Store(self._folder / f"store-{self._stores}") as store:
            fresh = replace(features, store=store)
            return rate(len(paths), lambda: extract(paths, fresh))

    def _engine_alone(self, engine: OpenVINOEngine, paths: list[Path]) -> float:
        inputs = [self._spec.render(path.read_bytes())[0] for path in paths[:ENGINE_INPUTS]]
        return rate(len(inputs), lambda: list(engine.stream(enumerate(inputs))))

    def _decode(self, paths: list[Path]) -> float:
        return rate(len(paths), lambda: [self._spec.render(path.read_bytes()) for path in paths])


class FullSizeSpec(ImageSpec):
    """The same spec without the shortcut of decoding a JPEG at a fraction of its size."""

    def render(self, data: bytes, views: tuple[View, ...] = (PLAIN,)) -> list[np.ndarray]:
        """As the spec does, from all pixels."""
        image = decode(data).resize((self.width, self.height), Image.Resampling.BICUBIC)
        return [self.scale(np.asarray(image)) for _ in views]


def tensorflow_side(features: BaseFeatures) -> Callable[[list[Path]], object]:
    """What one writes without Headstart: `tf.data` decodes in parallel, `predict` runs batches of 32."""
    model = features.model
    import keras
    import tensorflow as tf

    spec = features.base.spec
    pooled = keras.Model(model.input, keras.layers.GlobalAveragePooling2D()(model.output))

    def load(path: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        image = tf.image.resize(image, (spec.height, spec.width), "bicubic", antialias=True)
        return (image - spec.offset) / spec.divisor

    def predict(paths: list[Path]) -> object:
        files = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
        images = files.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(32).prefetch(tf.data.AUTOTUNE)
        return pooled.predict(images, verbose=0)

    return predict


def write_photos(folder: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """Real photographs, cropped at different places so that no two files are equal, as JPEG."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    photos = [Image.fromarray(photo) for photo in (data.astronaut(), data.chelsea(), data.coffee(), data.rocket())]
    paths = []
    for number in range(count):
        photo = photos[number % len(photos)]
        left, top = rng.integers(0, 64, 2)
        paths.append(folder / f"{number}.jpg")
        crop = (int(left), int(top), int(left) + photo.width - 64, int(top) + photo.height - 64)
        photo.resize(size, Image.Resampling.BICUBIC, box=crop).save(paths[-1], quality=90)
    return paths


def by_side(turns: list[dict[str, float]]) -> dict[str, Any]:
    """The turns' figures gathered a side."""
    return {side: spread([turn[side] for turn in turns]) for side in turns[0]}


def rate(images: int, work: Callable[[], object]) -> float:
    """Images a second."""
    start = time.perf_counter()
    work()
    return images / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
