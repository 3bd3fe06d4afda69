"""The run folder: everything that `train` leaves behind, and all that later commands need.

A run is data, never a program: JSON that is validated when it is read, weights as safetensors, the engine's network,
tables as CSV, and the sha256 of each file. Loading one imports neither Keras nor TensorFlow.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headstart.errors import EngineError, RunError, UsageError
from headstart.evaluation.calibration import softmax
from headstart.features.extract import render_all
from headstart.images.spec import ImageSpec

if TYPE_CHECKING:
    import keras

    from headstart.features.openvino import OpenVINOEngine

FORMAT = 1
MANIFEST = "manifest.json"
METRICS = "metrics.json"
PREDICTIONS = "predictions.csv"
QUARANTINE = "quarantine.csv"
SPLIT = "split.csv"
WEIGHTS = "weights.safetensors"
NETWORK = "network.xml"
NETWORK_WEIGHTS = "network.bin"
REPORT = "report.html"
CARD = "README.md"


class _Record(BaseModel):
    """Read strictly: a field too many or of another type is an error, not a surprise later on."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BaseRecord(_Record):
    """Which base the run stands on."""

    name: str
    revision: int
    weights: str = Field(description="what identifies the pretrained numbers")
    licence: str
    reference: str
    parameters: int


class Choice(_Record):
    """Something that was decided for the user, and why."""

    what: str
    value: str
    reason: str


class DataRecord(_Record):
    """The images that the run was made from."""

    root: str
    fingerprint: str = Field(description="sha256 over the sha256 of every usable image, with its label")
    images: dict[str, int] = Field(description="usable images a class")
    quarantined: int
    duplicates: int


class SplitRecord(_Record):
    """How the images were divided; split.csv has each one's part."""

    origin: str
    seed: int
    images: dict[str, int]


class Manifest(_Record):
    """manifest.json: what the run is and how it came about."""

    format: int = FORMAT
    headstart: str
    created: str = Field(description="UTC, ISO 8601")
    command: str = Field(description="makes the run again")
    base: BaseRecord
    image_spec: dict[str, Any]
    labels: tuple[str, ...]
    temperature: float
    chosen: str = Field(description='"probe" or "finetune"')
    choices: tuple[Choice, ...]
    data: DataRecord
    split: SplitRecord
    packages: dict[str, str]
    files: dict[str, str] = Field(default={}, description="sha256 of every other file in the folder")


@dataclass(frozen=True)
class Prediction:
    """What a run says of one image.

    Attributes:
        source: the file's path, or the number of the image among those given.
        probabilities: calibrated, by label, the most probable first; empty where there is an error.
        error: why the image couldn't be read; None if it could.
    """

    source: str
    probabilities: dict[str, float]
    error: str | None = None

    @property
    def label(self) -> str | None:
        """The most probable class."""
        return next(iter(self.probabilities), None)

    @property
    def confidence(self) -> float | None:
        """The probability of that class."""
        return next(iter(self.probabilities.values()), None)


class Run:
    """A trained classifier, loaded from its folder.

    Attributes:
        folder: where it lies.
        manifest: what it is and how it came about.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._engine: OpenVINOEngine[Any] | None = None

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
        manifest = _read_manifest(folder)
        for name in (NETWORK, NETWORK_WEIGHTS):
            _verify(folder / name, manifest.files.get(name))
        return cls(folder, manifest)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the network's outputs."""
        return self.manifest.labels

    @property
    def metrics(self) -> dict[str, Any]:
        """What metrics.json says."""
        import json

        metrics: dict[str, Any] = json.loads((self.folder / METRICS).read_text(encoding="utf-8"))
        return metrics

    @property
    def report(self) -> Path:
        """The report's path."""
        return self.folder / REPORT

    def predict(
        self, images: Sequence[str | Path], advance: Callable[[int], None] = lambda count: None
    ) -> list[Prediction]:
        """Calibrated predictions for image files, in their order; unreadable ones say why.

        Args:
            images: paths.
            advance: called with the number of images done since the last call.
        """
        paths = [Path(image) for image in images]
        found = dict(self._as_they_come(paths, advance))
        return [found[number] for number in range(len(paths))]

    def predict_arrays(self, inputs: np.ndarray) -> np.ndarray:
        """Logits of network inputs.

        Args:
            inputs: as the image spec makes them, float32, shape (images, height, width, 3).

        Returns:
            float32, shape (images, classes); softmax of these divided by the manifest's temperature is calibrated.
        """
        return self._load_engine(many=len(inputs) > 1).run(inputs)

    def to_keras(self) -> keras.Model:
        """The classifier as a Keras model from network inputs to logits. Needs Keras and TensorFlow.

        Raises:
            RunError: the weights aren't those that were written.
        """
        from headstart.catalog import get_base
        from headstart.catalog.base import assign
        from headstart.learn.heads import attach_linear_head
        from safetensors.numpy import load_file

        _verify(self.folder / WEIGHTS, self.manifest.files.get(WEIGHTS))
        model = attach_linear_head(get_base(self.manifest.base.name).architecture(), len(self.labels))
        assign(model, load_file(self.folder / WEIGHTS))
        return model

    def _as_they_come(self, paths: list[Path], advance: Callable[[int], None]) -> Iterator[tuple[int, Prediction]]:
        """Each image's number and prediction, in whatever order they get done."""
        spec = ImageSpec.from_dict(self.manifest.image_spec)
        failures: list[tuple[int, Prediction]] = []

        def inputs() -> Iterator[tuple[int, np.ndarray]]:
            for number, (path, rendered) in enumerate(render_all(paths, spec, advance)):
                if isinstance(rendered, str):
                    failures.append((number, Prediction(str(path), {}, rendered)))
                else:
                    yield number, rendered

        for number, logits in self._load_engine(many=len(paths) > 1).stream(inputs()):
            yield number, Prediction(str(paths[number]), self._probabilities(logits))
        yield from failures

    def _probabilities(self, logits: np.ndarray) -> dict[str, float]:
        values = softmax(logits[None], self.manifest.temperature)[0]
        return {self.labels[index]: float(values[index]) for index in np.argsort(-values, kind="stable")}

    def _load_engine(self, *, many: bool) -> OpenVINOEngine[Any]:
        from headstart.features.openvino import OpenVINOEngine

        if self._engine is None:
            try:
                self._engine = OpenVINOEngine(self.folder / NETWORK, hint="throughput" if many else "latency")
            except EngineError as error:
                raise RunError(f"the network of {self.folder} can't be loaded", "train again") from error
        return self._engine


class RunDraft:
    """A run folder in the making. It appears under its name when it is complete, or not at all.

    Args:
        out: the folder to make.

    Raises:
        UsageError: it is there already, or can't be made.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out.parent / f".{out.name}.partial"
        if out.exists() or out.is_symlink():
            raise UsageError(f"{out} exists already", "name another folder with --out, or remove that one")
        _check_writable(out)

    def __enter__(self) -> RunDraft:
        with _explained(self.out):
            shutil.rmtree(self.folder, ignore_errors=True)  # left by a process that was killed
            self.folder.mkdir(parents=True)
        return self

    def __exit__(self, *exc: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def publish(self, manifest: Manifest) -> Run:
        """Complete the folder with its manifest and give it its name.

        Raises:
            RunError: the disk is full, or the name has been taken meanwhile.
        """
        with _explained(self.out):
            sums = {path.name: _sha256(path) for path in sorted(self.folder.iterdir())}
            manifest = manifest.model_copy(update={"files": sums})
            (self.folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
            for path in (*self.folder.iterdir(), self.folder):
                _sync(path)
            self.folder.rename(self.out)
        return Run(self.out, manifest)


def write_text(path: Path, text: str) -> None:
    """Write a file of a run, as UTF-8 with line ends as they are."""
    with _explained(path.parent):
        path.write_text(text, encoding="utf-8", newline="")


class _explained:
    """Turns the operating system's errors while writing a run into errors that say what to do."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise RunError(
                f"the run can't be written to {self._folder} ({error.strerror})",
                "free some space or name a folder elsewhere with --out; what was computed is kept in the store",
            ) from error


def _check_writable(out: Path) -> None:
    """Found out at the start, not after minutes of work."""
    parent = next(folder for folder in out.absolute().parents if folder.exists())
    try:
        Path(tempfile.mkdtemp(dir=parent, prefix=f".{out.name}.")).rmdir()
    except OSError as error:
        raise UsageError(
            f"the run folder {out} can't be made: {parent} can't be written ({error.strerror})",
            "name a folder elsewhere with --out",
        ) from error


def _read_manifest(folder: Path) -> Manifest:
    mend = "give a folder that `headstart train` wrote"
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{folder} isn't a run: it has no readable {MANIFEST}", mend) from error
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise RunError(f"{folder / MANIFEST} isn't a manifest: {where}: {first['msg']}", mend) from error
    if manifest.format != FORMAT:
        raise RunError(
            f"{folder} is a run of format {manifest.format}; this Headstart reads format {FORMAT}",
            "train again, or use the Headstart that made it",
        )
    return manifest


def _verify(path: Path, expected: str | None) -> None:
    if not path.is_file() or expected != _sha256(path):
        state = "is missing" if not path.is_file() else "isn't the file that was written: its sha256 differs"
        raise RunError(f"{path} {state}", "copy the whole run folder again, or train again")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Have the operating system put a file or a folder's entries on the disk itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
