"""A trained network, loaded from its run folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.errors import EngineError, RunError, UnknownNameError, UsageError, WeightsError
from headstart.features.extract import render_all
from headstart.images.arrays import Arrays
from headstart.images.file import ImageFile, Member
from headstart.images.spec import ImageSpec
from headstart.images.views import PLAIN, View
from headstart.run.answers import Prediction, answers_of, kind_of
from headstart.run.records import (
    METRICS,
    NETWORK,
    NETWORK_WEIGHTS,
    REPORT,
    SPLIT,
    WEIGHTS,
    Manifest,
    read_manifest,
    sha256_of,
)
from headstart.run.tables import Placed, read_placed

if TYPE_CHECKING:
    import keras

    from headstart.catalog.base import Base
    from headstart.features.openvino import OpenVINOEngine


class Run:
    """A trained network, loaded from its folder.

    Attributes:
        folder: where it lies.
        manifest: what it is and how it came about.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._engine: OpenVINOEngine | None = None

    @classmethod
    def load(cls, folder: str | Path) -> Run:
        """The run in a folder.

        Raises:
            UsageError: there is no such folder.
            RunError: it isn't a run, is of another format, or its files aren't those that were written.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise UsageError(f"there is no run folder {folder}", "give a folder that `headstart train` wrote")
        manifest = read_manifest(folder)
        for name in (NETWORK, NETWORK_WEIGHTS):
            _verify(folder / name, manifest.files.get(name))
        return cls(folder, manifest)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes or labels, in the order of the network's outputs, or the name of the number that is predicted."""
        return self.manifest.labels

    @property
    def metrics(self) -> dict[str, Any]:
        """What metrics.json says.

        Raises:
            RunError: it is missing or damaged.
        """
        _verify(self.folder / METRICS, self.manifest.files.get(METRICS))
        metrics: dict[str, Any] = json.loads((self.folder / METRICS).read_text(encoding="utf-8"))
        return metrics

    @property
    def placed(self) -> list[Placed]:
        """What split.csv says: the part of each image.

        Raises:
            RunError: it is missing or damaged.
        """
        _verify(self.folder / SPLIT, self.manifest.files.get(SPLIT))
        return read_placed(self.folder / SPLIT)

    @property
    def report(self) -> Path:
        """The report's path."""
        return self.folder / REPORT

    def predict(
        self, images: Sequence[str | Path | np.ndarray], advance: Callable[[int], None] = lambda count: None
    ) -> list[Prediction]:
        """Calibrated predictions for images, in their order; unreadable ones say why.

        Args:
            images: paths, or arrays, uint8 of shape (height, width) or (height, width, channels). An array's source is
                its place among the images, from 0 on.
            advance: called with the number of images done since the last call.
        """
        files: list[ImageFile] = [
            Member(str(place), Arrays([image]), "0") if isinstance(image, np.ndarray) else Path(image)
            for place, image in enumerate(images)
        ]
        return self.predict_files(files, advance)

    def predict_files(
        self, files: Sequence[ImageFile], advance: Callable[[int], None] = lambda count: None
    ) -> list[Prediction]:
        """The same for images wherever they are kept.

        Args:
            files: in folders of their own, or in larger files.
            advance: called with the number of images done since the last call.
        """
        found = dict(self._as_they_come(files, advance))
        return [found[number] for number in range(len(files))]

    def predict_arrays(self, inputs: np.ndarray) -> np.ndarray:
        """The network's scores of its inputs.

        Args:
            inputs: as the image spec makes them, float32, shape (images, height, width, 3).

        Returns:
            float32, shape (images, outputs). For classes, softmax of these divided by the manifest's temperature is
            calibrated, and for labels sigmoid; a number is mean + deviation · score, as the manifest has them.
        """
        return self._load_engine(many=len(inputs) > 1).run(inputs)

    def to_keras(self, model: keras.Model | None = None) -> keras.Model:
        """The network as a Keras model from its inputs to scores. Needs Keras and TensorFlow.

        Args:
            model: the user's own model that the run was made from, if it was; only its architecture is used.

        Raises:
            RunError: the weights aren't those that were written, or the run's own model is missing.
            WeightsError: the model isn't the one that the run was made from.
        """
        from safetensors.numpy import load_file

        from headstart.catalog.base import assign
        from headstart.learn.heads import attach_linear_head, average_over_views

        _verify(self.folder / WEIGHTS, self.manifest.files.get(WEIGHTS))
        base = self._base(model)
        classifier = attach_linear_head(base.architecture(), len(self.labels), base.detail)
        arrays = load_file(self.folder / WEIGHTS)
        assign(classifier, arrays)
        if model is not None and len(arrays) > len(classifier.weights):
            raise WeightsError(
                f"the run has {len(arrays)} weights, and a classifier on this model {len(classifier.weights)}",
                "hand in the model that the run was made from",
            )
        views = [View(quarter_turns=view.quarter_turns, mirrored=view.mirrored) for view in self.manifest.test_views]
        return classifier if views == [PLAIN] else average_over_views(classifier, views)

    def _base(self, model: keras.Model | None) -> Base:
        """The base that the run stands on, of the run's image size."""
        from headstart.catalog import get_base
        from headstart.learn.own_base import base

        spec, name = ImageSpec.from_dict(self.manifest.image_spec), self.manifest.base.name
        if model is not None:
            return base(model, spec, name)
        try:
            return get_base(name).with_size(spec.height, spec.width)
        except UnknownNameError:
            raise RunError(
                f"the run stands on {name!r}, which isn't a base of this Headstart",
                "if that is a model of your own, hand it in: run.to_keras(model)",
            ) from None

    def _as_they_come(
        self, files: Sequence[ImageFile], advance: Callable[[int], None]
    ) -> Iterator[tuple[int, Prediction]]:
        """Each image's number and prediction, in whatever order they get done."""
        spec = ImageSpec.from_dict(self.manifest.image_spec)
        kind = kind_of(self.manifest.task)
        answers = answers_of(kind, self.labels)
        failures: list[tuple[int, Prediction]] = []

        def inputs() -> Iterator[tuple[int, np.ndarray]]:
            for number, (file, rendered) in enumerate(render_all(files, spec, advance)):
                if isinstance(rendered, str):
                    failures.append((number, Prediction(str(file), {}, rendered)))
                else:
                    yield number, rendered

        for number, scores in self._load_engine(many=len(files) > 1).stream(inputs()):
            (found,) = kind.predict(scores[None], self.manifest.temperature)
            yield number, answers.answer(str(files[number]), found)
        yield from failures

    def _load_engine(self, *, many: bool) -> OpenVINOEngine:
        from headstart.features.openvino import OpenVINOEngine

        if self._engine is None:
            try:
                self._engine = OpenVINOEngine(self.folder / NETWORK, hint="throughput" if many else "latency")
            except EngineError as error:
                raise RunError(f"the network of {self.folder} can't be loaded", "train again") from error
            self._check_shapes(self._engine)
        return self._engine

    def _check_shapes(self, engine: OpenVINOEngine) -> None:
        """A manifest that was edited may promise other images or labels than the network takes and gives."""
        spec = ImageSpec.from_dict(self.manifest.image_spec)
        promised = (spec.height, spec.width, 3), (len(self.labels),)
        if (engine.input_shape, engine.output_shape) != promised:
            raise RunError(
                f"{self.folder}: the manifest's image size and labels don't fit the network",
                "copy the whole run folder again, or train again",
            )


def _verify(path: Path, expected: str | None) -> None:
    if not path.is_file() or expected != sha256_of(path):
        state = "is missing" if not path.is_file() else "isn't the file that was written: its sha256 differs"
        raise RunError(f"{path} {state}", "copy the whole run folder again, or train again")
