"""How far a long piece of work is, and how long each piece took.

Library code says what it does through a `Stopwatch`; who watches decides what that looks like. Nothing is drawn unless
a `RichDisplay` is handed in.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

Advance = Callable[[int], None]


class Display(ABC):
    """Shows a stage of work while it runs."""

    @abstractmethod
    def stage(self, title: str, total: int | None, unit: str) -> AbstractContextManager[Advance]:
        """Shows a stage; the callable that comes moves it on by so many units.

        Args:
            title: what is being done, in a few words.
            total: how many units there are; None when nobody knows.
            unit: what is counted, in the plural.
        """

    @abstractmethod
    def say(self, sentence: str) -> None:
        """Shows a sentence, within a stage or outside."""


class NoDisplay(Display):
    """Shows nothing."""

    @contextmanager
    def stage(self, title: str, total: int | None, unit: str) -> Iterator[Advance]:
        yield lambda count: None

    def say(self, sentence: str) -> None:
        """Nothing."""


class RichDisplay(Display):
    """A bar a stage on a terminal, with its rate and the time that remains; a line a stage where there is none."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    @cached_property
    def _console(self) -> Console:
        """One for all, so that a sentence said within a stage lands above its bar."""
        from rich.console import Console

        return Console(file=self._file)

    def say(self, sentence: str) -> None:
        self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def stage(self, title: str, total: int | None, unit: str) -> Iterator[Advance]:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(elapsed_when_finished=True, compact=True),
        )
        start, done = time.monotonic(), 0
        with Progress(*columns, console=self._console) as bars:
            task = bars.add_task(title, total=total, rate="")

            def advance(count: int) -> None:
                nonlocal done
                done += count
                rate = done / max(time.monotonic() - start, 1e-3)
                bars.update(task, completed=done, rate=f"{rate:,.1f} {unit}/s")

            yield advance
            # What got done is all there was to do, whether its amount was unknown or it took less than feared.
            bars.update(task, total=max(done, 1), completed=max(done, 1))


class Stopwatch:
    """Times the stages of a piece of work and passes each on to a display.

    Attributes:
        seconds: wall time spent in each stage so far, by key; a stage entered twice adds up.
    """

    def __init__(self, display: Display | None = None) -> None:
        self._display = display or NoDisplay()
        self._start = time.monotonic()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, key: str, title: str, total: int | None = None, unit: str = "images") -> Iterator[Advance]:
        """Times and shows one stage."""
        start = time.monotonic()
        try:
            with self._display.stage(title, total, unit) as advance:
                yield advance
        finally:
            self.seconds[key] = self.seconds.get(key, 0.0) + time.monotonic() - start

    def say(self, sentence: str) -> None:
        """Passes a sentence on to the display."""
        self._display.say(sentence)

    def total(self) -> float:
        """Seconds since the stopwatch was made."""
        return time.monotonic() - self._start
