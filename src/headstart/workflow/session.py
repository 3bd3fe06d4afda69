"""What the stages of one training run share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from headstart.features.extract import Extraction, FeatureSet, extract
from headstart.features.store import Store
from headstart.images.views import PLAIN, View
from headstart.learn.base_features import BaseFeatures
from headstart.learn.checkpoint import Checkpoints
from headstart.progress import Stopwatch
from headstart.run import Choice


@dataclass
class Session:
    """The tools of a training run, and its books.

    Attributes:
        features: of the base that was chosen.
        store: keeps them.
        seed: of everything that is drawn.
        watch: times and shows the stages.
        choices: what was decided so far, and why.
        computed: features that went through the engine.
        reused: features that the store had.
        decode_seconds: that threads spent on reading and decoding, added up.
    """

    features: BaseFeatures
    store: Store
    seed: int
    watch: Stopwatch
    choices: list[Choice] = field(default_factory=list)
    computed: int = 0
    reused: int = 0
    decode_seconds: float = 0.0

    @cached_property
    def checkpoints(self) -> Checkpoints:
        """Of the fine-tunings of this run, in the folder of the store."""
        return Checkpoints(self.store.folder, self.watch.say)

    def choose(self, what: str, value: object, reason: str) -> None:
        """Note a decision for the manifest and the report."""
        self.choices.append(Choice(what=what, value=str(value), reason=reason))

    def extract(
        self, stage: str, title: str, paths: Sequence[Path], features: FeatureSet, views: Sequence[View] = (PLAIN,)
    ) -> Extraction:
        """See to it that the store has these features, as a stage with a bar."""
        with self.watch.stage(stage, title, total=len(paths)) as advance:
            result = extract(paths, features, views, advance)
        self.computed += result.computed
        self.reused += result.reused
        self.decode_seconds += result.decode_seconds
        return result
