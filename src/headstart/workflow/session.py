"""What the stages of one training run share."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from headstart.errors import UnknownNameError, UsageError
from headstart.features.engine import Engine
from headstart.features.extract import Extraction, FeatureSet, extract
from headstart.features.openvino import PRECISIONS, Precision
from headstart.features.store import Store
from headstart.images.file import ImageFile
from headstart.images.views import PLAIN, View
from headstart.learn.base_features import BaseFeatures
from headstart.learn.checkpoint import Checkpoints
from headstart.progress import Advance, Stopwatch
from headstart.run import Choice

# Converting a network that was fine-tuned, and writing the run and its report.
FINISHING_SECONDS = 15.0


# NumPy's legacy generator, which scikit-learn uses, takes no larger one.
LARGEST_SEED = 2**32 - 1


def check_seed(seed: int, largest: int = LARGEST_SEED) -> None:
    """Refuses a seed that nothing can be drawn from.

    Raises:
        UsageError: it is out of range.
    """
    if not 0 <= seed <= largest:
        raise UsageError(f"the seed {seed} is out of range", f"give a whole number from 0 to {largest}")


def check_precision(precision: str) -> None:
    """Refuses a precision that isn't offered.

    Raises:
        UnknownNameError: it is none.
    """
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)


@dataclass
class Session:
    """The tools of a training run, and its books.

    Attributes:
        features: of the base that was chosen.
        store: keeps them.
        seed: of everything that is drawn.
        watch: times and shows the stages.
        budget: seconds that the run may take.
        precision: that the frozen part is run in.
        choices: what was decided so far, and why.
        computed: features that went through the engine.
        reused: features that the store had.
        decode_seconds: that threads spent on reading and decoding, added up.
        network_seconds: that the network took for an image, where it was timed.
    """

    features: BaseFeatures
    store: Store
    seed: int
    watch: Stopwatch
    budget: float = math.inf
    precision: Precision = "f32"
    choices: list[Choice] = field(default_factory=list)
    computed: int = 0
    reused: int = 0
    decode_seconds: float = 0.0
    network_seconds: float = 0.0
    _before: tuple[float, int] = (0.0, 0)

    @cached_property
    def checkpoints(self) -> Checkpoints:
        """Of the fine-tunings of this run, in the folder of the store."""
        return Checkpoints(self.store.folder, self.watch.say)

    def choose(self, what: str, value: object, reason: str) -> None:
        """Note a decision for the manifest and the report, in place of an earlier one on the same thing."""
        choice = Choice(what=what, value=str(value), reason=reason)
        place = next((place for place, earlier in enumerate(self.choices) if earlier.what == what), len(self.choices))
        self.choices[place : place + 1] = [choice]

    def stand_on(self, features: BaseFeatures) -> None:
        """Go on with other features; how long those so far took says nothing of them."""
        self.features = features
        self._before = self.watch.seconds.get("features", 0.0), self.computed

    def seconds_left(self, looks: int) -> float:
        """Seconds for learning: what is left of the budget once the network ran so often and everything is written."""
        return self.budget - self.watch.total() - FINISHING_SECONDS - looks * self.seconds_an_image()

    def time_network(self, engine: Engine, inputs: np.ndarray) -> None:
        """Find out how long an image takes, since the store may have all features, so that none is computed."""
        engine.run(inputs)  # the first time it sets things up
        start = time.perf_counter()
        engine.run(inputs)
        self.network_seconds = (time.perf_counter() - start) / len(inputs)

    def seconds_an_image(self) -> float:
        """Of running the network, with reading and decoding where features were computed."""
        seconds, computed = self.watch.seconds.get("features", 0.0) - self._before[0], self.computed - self._before[1]
        return seconds / computed if computed else self.network_seconds

    def extract(
        self, stage: str, title: str, files: Sequence[ImageFile], features: FeatureSet, views: Sequence[View] = (PLAIN,)
    ) -> Extraction:
        """See to it that the store has these features, as a stage with a bar."""
        with self.watch.stage(stage, title, total=len(files)) as advance:
            return self.extract_within(advance, files, features, views)

    def extract_within(
        self, advance: Advance, files: Sequence[ImageFile], features: FeatureSet, views: Sequence[View]
    ) -> Extraction:
        """The same within a stage, whose bar goes on by an image at a time."""
        result = extract(files, features, views, advance)
        self.computed += result.computed
        self.reused += result.reused
        self.decode_seconds += result.decode_seconds
        return result
