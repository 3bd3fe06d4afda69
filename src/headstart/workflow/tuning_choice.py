"""What the user says about fine-tuning; whatever is left open is decided from the images."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from headstart.catalog.base import Base
from headstart.errors import UnknownNameError, UsageError
from headstart.features.boundary import INPUT
from headstart.images.views import PRESETS, Preset

AUTO = "auto"
AS_ASKED = "as asked"
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}


@dataclass(frozen=True)
class TuningChoice:
    """What the user says about fine-tuning. None, and "auto", leave a thing to be decided.

    Attributes:
        wanted: whether it may be tried at all.
        stage: the stage above which everything is trained; "input" for the whole base.
        epochs: passes over the training images.
        learning_rate: at its peak.
        views: renderings of each image.
        augment: the preset that they come from, and those that a probe of few images learns from.
        test_views: most views that an image's logits are averaged over where the classifier is used. Not about
            fine-tuning alone, but these views come from the same preset.
        seconds: that the whole training run may take.
    """

    wanted: bool = True
    stage: str | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    views: int | None = None
    augment: str = AUTO
    test_views: int = 1
    seconds: float | None = None

    def check(self) -> None:
        """Refuses what no training run can do; the stage is looked at by `check_stage`, once there is a base.

        Raises:
            UsageError: a number is out of range, a name isn't known, or options don't go together.
        """
        how = self._tuning()
        if not self.wanted and how:
            raise UsageError(f"{how[0]} says how to fine-tune, and --no-finetune not to", "leave one out")
        for name, number in (("--epochs", self.epochs), ("--views", self.views), ("--test-views", self.test_views)):
            if number is not None and number < 1:
                raise UsageError(f"{name} is {number}", "give a whole number from 1 on")
        if self.views is not None and self.views < self.test_views:
            raise UsageError(
                f"--views is {self.views} and --test-views {self.test_views}, but views that are averaged over must be "
                "trained on as well",
                f"give --views {self.test_views} or more, or leave it out",
            )
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise UsageError(f"--lr is {self.learning_rate:g}", "give a rate above 0, such as 2e-4")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise UsageError(f"--time is {self.seconds:g} seconds", "give a time such as 90s, 5m or 1h")
        if self.augment != AUTO and self.augment not in PRESETS:
            raise UnknownNameError("augmentation", self.augment, (AUTO, *PRESETS))

    def check_stage(self, base: Base) -> None:
        """Refuses a stage that the base hasn't got, or above which there is nothing to train.

        Raises:
            UnknownNameError: the stage is none of those.
        """
        known = (INPUT, *base.stages[:-1])
        if self.stage is not None and self.stage not in known:
            raise UnknownNameError("stage to fine-tune from", self.stage, known)

    @property
    def is_asked_for(self) -> bool:
        """Whether somebody who says so much must mean that fine-tuning be tried, whatever it promises and costs."""
        return bool(self._tuning() + self._augment())

    @property
    def is_averaging(self) -> bool:
        """Whether logits are to be averaged over views, if there are several that show an image's class."""
        return self.test_views > 1

    @property
    def preset(self) -> Preset | None:
        """The preset that was asked for; None to measure which will do."""
        return next((preset for preset in PRESETS if preset == self.augment), None)

    def options(self) -> list[str]:
        """The options of the command line that say the same; those left out say nothing."""
        how = self._tuning() if self.wanted else ["--no-finetune"]
        test_views = ["--test-views", str(self.test_views)] if self.is_averaging else []
        time = [] if self.seconds is None else ["--time", f"{self.seconds:g}s"]
        return how + self._augment() + test_views + time

    def _tuning(self) -> list[str]:
        """Those that say how to fine-tune, and nothing else."""
        values = {
            "--finetune-from": self.stage,
            "--epochs": self.epochs,
            "--lr": self.learning_rate,
            "--views": self.views,
        }
        return [word for name, value in values.items() if value is not None for word in (name, str(value))]

    def _augment(self) -> list[str]:
        return [] if self.augment == AUTO else ["--augment", self.augment]


def parse_time(text: str | float | None) -> float | None:
    """A time as typed, in seconds: "90s", "5m", "1h30m"; a number is one of seconds already.

    Raises:
        UsageError: it is none.
    """
    if text is None or isinstance(text, int | float):
        return text
    compact = text.replace(" ", "").lower()
    if not re.fullmatch(r"(\d+(\.\d+)?[hms])+", compact):
        raise UsageError(f"{text!r} is no time", "give hours, minutes or seconds, such as 1h30m, 5m or 90s")
    return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(r"([\d.]+)([hms])", compact))
