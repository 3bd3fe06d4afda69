from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headstart.catalog.untrained import BASE
from headstart.learn.kinds import CLASSES, Regression
from headstart.learn.probe import Probe
from headstart.workflow import shift as module
from headstart.workflow.shift import COLLAPSED, has_input_shift


class Said:
    """A session that keeps what was chosen and said."""

    def __init__(self) -> None:
        self.features = SimpleNamespace(base=BASE, model=object())
        self.watch = SimpleNamespace(say=lambda sentence: self.sentences.append(sentence))
        self.choices: dict[str, tuple[str, str]] = {}
        self.sentences: list[str] = []

    def choose(self, what: str, value: object, reason: str) -> None:
        self.choices[what] = str(value), reason


def probe(share: float, **fields: Any) -> Probe:
    """A probe of two classes whose cross-validated loss is a share of that of guessing."""
    flat, losses = np.zeros(2, np.float32), {0.1: share * math.log(2), 1.0: 9.0}
    return Probe(np.zeros((3, 2), np.float32), flat, flat, flat, 0.1, 5, losses, **fields)


@pytest.fixture
def images(photos: Path) -> Any:
    paths = sorted(photos.rglob("*.png"))
    return SimpleNamespace(files=lambda part: paths)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The inputs that statistics were taken of; they are far from pretraining's."""
    seen: list[np.ndarray] = []
    monkeypatch.setattr(module, "low_level_shift", lambda model, inputs: seen.append(inputs) or 1.5)
    return seen


def asked(images: Any, probe: Probe) -> tuple[bool, Said]:
    session: Any = Said()
    return has_input_shift(session, images, probe), session


def test_a_probe_that_tells_little_of_strange_images_means_a_shift(images: Any, looked_at: list[np.ndarray]) -> None:
    found, session = asked(images, probe(0.9))
    assert found
    value, reason = session.choices["input-level shift"]
    assert value == "yes"
    assert "log loss is 90% of that of guessing" in reason
    assert "1.50 nats" in reason
    assert "--finetune-from input" in reason
    assert "--finetune-from input" in session.sentences[0]
    assert looked_at[0].shape[1:] == (BASE.spec.height, BASE.spec.width, 3)
    assert 1 < len(looked_at[0]) <= 32


def test_where_the_probe_tells_enough_nothing_is_looked_at(images: Any, looked_at: list[np.ndarray]) -> None:
    found, session = asked(images, probe(COLLAPSED))
    assert (found, looked_at, session.sentences) == (False, [], [])
    assert session.choices["input-level shift"][0] == "none"


@pytest.mark.parametrize(("shift", "value"), [(0.1, "none"), (None, "unknown")])
def test_images_like_those_of_pretraining_are_no_shift(
    images: Any, monkeypatch: pytest.MonkeyPatch, shift: float | None, value: str
) -> None:
    monkeypatch.setattr(module, "low_level_shift", lambda model, inputs: shift)
    found, session = asked(images, probe(0.95))
    assert (found, session.choices["input-level shift"][0], session.sentences) == (False, value, [])


def test_of_numbers_nothing_is_said(images: Any, looked_at: list[np.ndarray]) -> None:
    found, session = asked(images, probe(0.95, kind=Regression(0.0, 1.0)))
    assert (found, session.choices, looked_at) == (False, {}, [])


def test_only_classes_have_a_share_of_guessing() -> None:
    assert probe(0.4).share_of_guessing == pytest.approx(0.4)
    assert probe(0.4, kind=Regression(0.0, 1.0)).share_of_guessing is None
    assert probe(0.4, kind=CLASSES).share_of_guessing == pytest.approx(0.4)
