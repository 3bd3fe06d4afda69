"""What a run folder holds: its files' names, and its manifest as records that are validated when they are read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from headstart.errors import RunError

FORMAT = 1
CHANNELS = 3
MANIFEST = "manifest.json"
METRICS = "metrics.json"
PREDICTIONS = "predictions.csv"
QUARANTINE = "quarantine.csv"
SPLIT = "split.csv"
CHANGES = "changes.csv"
WEIGHTS = "weights.safetensors"
NETWORK = "network.xml"
NETWORK_WEIGHTS = "network.bin"
REPORT = "report.html"
CARD = "README.md"


class _Record(BaseModel):
    """Read strictly: a field too many or of another type is an error, not a surprise later on."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class BaseRecord(_Record):
    """Which base the run stands on."""

    name: str
    revision: int
    weights: str = Field(description="what identifies the pretrained numbers")
    licence: str
    reference: str
    parameters: int


class _ImageSpecFields(_Record):
    """What an `ImageSpec` is made from, within what any base takes."""

    height: int = Field(gt=0, le=4096)
    width: int = Field(gt=0, le=4096)
    interpolation: Literal["bilinear", "bicubic"]
    offset: float = Field(allow_inf_nan=False)
    divisor: float = Field(gt=0, allow_inf_nan=False)
    channels: Literal["rgb", "bgr"] = "rgb"


def _check_image_spec(fields: dict[str, Any]) -> dict[str, Any]:
    """Offset and divisor may be lists of three, one a channel: then each channel's fields must be sound."""
    lists = {name: fields[name] for name in ("offset", "divisor") if isinstance(fields.get(name), list)}
    if any(len(value) != CHANNELS for value in lists.values()):
        raise ValueError(f"offset and divisor are one number each, or {CHANNELS}")
    for channel in range(CHANNELS):
        _ImageSpecFields.model_validate(fields | {name: value[channel] for name, value in lists.items()})
    return fields


class Choice(_Record):
    """Something that was decided for the user, and why."""

    what: str
    value: str
    reason: str


class ViewRecord(_Record):
    """A view of the whole image: turned, then mirrored."""

    quarter_turns: int = Field(default=0, ge=0, le=3, description="anticlockwise")
    mirrored: bool = False


class ClassesRecord(_Record):
    """One class an image: the network's outputs are logits, of which softmax makes probabilities."""

    kind: Literal["classes"] = "classes"


class MultiLabelRecord(_Record):
    """Any number of labels an image: the network's outputs are logits, of each of which sigmoid makes a probability."""

    kind: Literal["multi-label"] = "multi-label"
    thresholds: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        description="from which probability on each label is given, in the order of the labels"
    )


class RegressionRecord(_Record):
    """A number an image: the network's output is in units of the training targets' deviation from their mean."""

    kind: Literal["regression"] = "regression"
    mean: float = Field(allow_inf_nan=False)
    deviation: float = Field(gt=0, allow_inf_nan=False)
    coverage: float = Field(gt=0, lt=1, description="share of new images whose number the interval holds")
    half_width: float | None = Field(
        ge=0, allow_inf_nan=False, description="of the interval around a prediction; null where nobody can tell"
    )


TaskRecord = Annotated[ClassesRecord | MultiLabelRecord | RegressionRecord, Field(discriminator="kind")]


class DataRecord(_Record):
    """The images that the run was made from."""

    root: str
    fingerprint: str = Field(description="sha256 over the sha256 of every usable image, with its label")
    images: dict[str, int] = Field(description="usable images a class or a label; of a number, all")
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
    image_spec: Annotated[dict[str, Any], AfterValidator(_check_image_spec)]
    labels: tuple[str, ...] = Field(description="the classes, the labels, or the number's name: one a network's output")
    task: TaskRecord = ClassesRecord()
    temperature: float = Field(gt=0, allow_inf_nan=False)
    test_views: tuple[ViewRecord, ...] = Field(
        default=(ViewRecord(),), min_length=1, max_length=8, description="that the network averages its logits over"
    )
    chosen: str = Field(description='"probe" or "finetune"')
    choices: tuple[Choice, ...]
    data: DataRecord
    split: SplitRecord
    packages: dict[str, str]
    files: dict[str, str] = Field(default={}, description="sha256 of every other file in the folder")

    @model_validator(mode="after")
    def _check_task(self) -> Manifest:
        """A threshold a label, and one number."""
        if isinstance(self.task, MultiLabelRecord) and len(self.task.thresholds) != len(self.labels):
            raise ValueError("there must be as many thresholds as labels")
        if isinstance(self.task, RegressionRecord) and len(self.labels) != 1:
            raise ValueError("a regression has one label, the number's name")
        return self


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a run folder.

    Raises:
        RunError: there is none, it isn't one, or it is of another format.
    """
    mend = "give a folder that `headstart train` wrote"
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{folder} isn't a run: it has no readable {MANIFEST}", mend) from error
    try:
        _check_format(folder, _Format.model_validate_json(text).format)
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise RunError(f"{folder / MANIFEST} isn't a manifest: {where}: {first['msg']}", mend) from error


class _Format(BaseModel):
    """The one field that every format has."""

    format: int


def _check_format(folder: Path, found: int) -> None:
    if found != FORMAT:
        raise RunError(
            f"{folder} is a run of format {found}; this Headstart reads format {FORMAT}",
            "train again, or use the Headstart that made it",
        )


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
