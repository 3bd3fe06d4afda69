from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from headstart.progress import Advance, Display, NoDisplay, RichDisplay, Stopwatch


class RecordingDisplay(Display):
    def __init__(self) -> None:
        self.events: list[object] = []

    @contextmanager
    def stage(self, title: str, total: int | None, unit: str) -> Iterator[Advance]:
        self.events.append((title, total, unit))
        yield self.events.append
        self.events.append("end")

    def say(self, sentence: str) -> None:
        self.events.append(sentence)


def test_a_stopwatch_times_each_stage() -> None:
    watch = Stopwatch()
    with watch.stage("nap", "Napping"):
        time.sleep(0.02)
    with watch.stage("blink", "Blinking"):
        pass
    assert list(watch.seconds) == ["nap", "blink"]
    assert 0.02 <= watch.seconds["nap"] < 2
    assert 0 <= watch.seconds["blink"] <= watch.total() - watch.seconds["nap"]


def test_a_stage_entered_twice_adds_up() -> None:
    watch = Stopwatch()
    for _ in range(3):
        with watch.stage("nap", "Napping"):
            time.sleep(0.01)
    assert watch.seconds["nap"] >= 0.03


def test_a_stage_that_fails_is_timed_too_and_lets_the_failure_through() -> None:
    watch = Stopwatch()
    with pytest.raises(ZeroDivisionError), watch.stage("nap", "Napping"):
        time.sleep(0.01)
        raise ZeroDivisionError
    assert watch.seconds["nap"] >= 0.01


def test_the_total_runs_from_the_start_and_covers_what_lies_between_the_stages() -> None:
    watch = Stopwatch()
    time.sleep(0.01)
    with watch.stage("nap", "Napping"):
        time.sleep(0.01)
    assert watch.total() >= 0.02
    assert watch.total() >= watch.seconds["nap"]


def test_a_stopwatch_passes_stages_and_steps_on_to_its_display() -> None:
    display = RecordingDisplay()
    watch = Stopwatch(display)
    with watch.stage("read", "Reading", total=8) as advance:
        advance(5)
        advance(3)
    with watch.stage("fit", "Fitting", unit="steps"):
        pass
    assert display.events == [("Reading", 8, "images"), 5, 3, "end", ("Fitting", None, "steps"), "end"]


def test_a_sentence_goes_to_the_display() -> None:
    display = RecordingDisplay()
    Stopwatch(display).say("It goes on.")
    Stopwatch().say("Nobody hears that.")
    assert display.events == ["It goes on."]


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_sentence_said_within_a_stage_stands_in_a_line_above_its_bar(is_terminal: bool) -> None:
    file = io.StringIO()
    if is_terminal:
        file.isatty = lambda: True  # type: ignore[method-assign]
    display, sentence = RichDisplay(file), f"It goes on {'and on ' * 20}[bold] in brackets."
    with display.stage("Reading", 4, "images") as advance:
        display.say(sentence)
        advance(4)
    display.say("It is done.")
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\r", "\n", file.getvalue())
    assert sentence in text.split("\n")
    assert "It is done." in text.split("\n")[-3:]
    assert text.index(sentence) < text.index("4/4")


def test_no_display_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    for watch in (Stopwatch(), Stopwatch(NoDisplay())):
        with watch.stage("read", "Reading", total=2) as advance:
            advance(2)
    assert capfd.readouterr() == ("", "")


def shown(total: int | None, *steps: int) -> str:
    """What a rich display writes where there is no terminal."""
    file = io.StringIO()
    with RichDisplay(file).stage("Reading", total, "images") as advance:
        for step in steps:
            advance(step)
    return file.getvalue()


def test_a_rich_display_shows_title_count_and_rate(capfd: pytest.CaptureFixture[str]) -> None:
    text = shown(40, 25, 15)
    assert text.count("Reading") == 1
    assert "40/40" in text
    assert re.search(r"[\d,]+\.\d images/s", text)
    assert capfd.readouterr() == ("", "")


def test_a_stage_that_took_less_than_announced_ends_full() -> None:
    assert "25/25" in shown(40, 25)


def test_a_stage_that_failed_shows_how_far_it_came() -> None:
    file = io.StringIO()
    with pytest.raises(RuntimeError, match="stop"), RichDisplay(file).stage("Reading", 40, "images") as advance:
        advance(25)
        raise RuntimeError("stop")
    assert "25/40" in file.getvalue()


def test_a_rich_display_needs_no_total() -> None:
    assert "7/7" in shown(None, 3, 4)


def test_a_rich_display_lets_a_failure_through_and_leaves_the_line_complete() -> None:
    file = io.StringIO()
    with pytest.raises(ZeroDivisionError), RichDisplay(file).stage("Reading", 4, "images") as advance:
        advance(1)
        raise ZeroDivisionError
    assert "Reading" in file.getvalue()
    assert file.getvalue().endswith("\n")
