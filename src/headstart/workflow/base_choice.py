"""Which base a training run stands on, from what the user says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headstart.catalog import get_base
from headstart.catalog.base import Base
from headstart.catalog.keras_weights import with_lookup
from headstart.catalog.lookup import make_lookup
from headstart.errors import UsageError
from headstart.learn.own_base import MODEL_SUFFIXES, load_own_base
from headstart.progress import Display

ImageSize = int | tuple[int, int]


@dataclass(frozen=True)
class BaseChoice:
    """What the user says about the base.

    Attributes:
        base: a name, the path of a model file, or a base.
        weights: a weights file, a folder of them, or an http(s) address that has them.
        offline: whether the network is out of bounds.
        image_size: side of the input in pixels, or its height and width; None for the base's own.
        scaling: of the pixels, for a model file.
        trust_model_file: whether a model file may run its code here.
    """

    base: str | Base
    weights: str | Path | None = None
    offline: bool = False
    image_size: ImageSize | None = None
    scaling: str | None = None
    trust_model_file: bool = False

    def resolve(self, cache: Path, display: Display | None) -> Base:
        """The base, with its weights on this machine.

        Raises:
            UsageError: a name isn't known, a size doesn't fit, or options don't go together.
            WeightsError: the weights aren't here and can't be fetched.
        """
        found = self._sized(self._find())
        lookup = make_lookup(self.weights, offline=self.offline, cache=cache, display=display)
        found = with_lookup(found, lookup)
        found.weights.require()
        return found

    def options(self) -> list[str]:
        """The options of the command line that say the same, besides ``--base``; those left out say nothing."""
        size = self.image_size if self.image_size is None else "x".join(map(str, sides(self.image_size)))
        values = {"--weights": self.weights, "--image-size": size, "--scaling": self.scaling}
        words = [word for name, value in values.items() if value is not None for word in (name, str(value))]
        flags = {"--offline": self.offline, "--trust-model-file": self.trust_model_file}
        return words + [name for name, is_set in flags.items() if is_set]

    @property
    def name(self) -> str:
        """What ``--base`` takes; of a model that was handed over, its name."""
        return self.base if isinstance(self.base, str) else self.base.name

    def _find(self) -> Base:
        if isinstance(self.base, str) and self.base.lower().endswith(MODEL_SUFFIXES):
            if self.weights is not None:
                raise UsageError("a model file brings its own weights", "leave --weights out")
            return load_own_base(Path(self.base), trust=self.trust_model_file, scaling=self.scaling)
        if self.scaling is not None:
            raise UsageError(
                f"the scaling of {self.name} is known; --scaling is for model files", "leave --scaling out"
            )
        return get_base(self.base) if isinstance(self.base, str) else self.base

    def _sized(self, base: Base) -> Base:
        return base if self.image_size is None else base.with_size(*sides(self.image_size))


def sides(size: ImageSize) -> tuple[int, int]:
    """Height and width."""
    return (size, size) if isinstance(size, int) else size


def parse_image_size(text: str | None) -> ImageSize | None:
    """An image size as typed: "224", or "224x320" for height and width.

    Raises:
        UsageError: it is neither.
    """
    if text is None:
        return None
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) > 2 or not all(side.strip().isdecimal() for side in sides):
        raise UsageError(f"{text!r} is no image size", "give pixels, such as 224, or height and width, such as 224x320")
    height, width = int(sides[0]), int(sides[-1])
    return height, width
