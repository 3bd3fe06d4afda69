from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headstart.images.views import MIRRORED, PLAIN, View, make_views
from headstart.learn.labelled import Labelled
from headstart.learn.probe import Probe, fit_probe, refit_to_views
from headstart.run import Run
from headstart.workflow import teaching, train
from headstart.workflow.teaching import FEW_IMAGES, choose_taught, teach
from headstart.workflow.tuning_choice import TuningChoice

IMAGES = 40
FLIPS = make_views("flips", 4, seed=0)


class Cells:
    """Images of two classes whose features are noisy; each view of an image has noise of its own.

    Args:
        turned: what images of a class look like in a view that isn't plain: their class, or the other.
        noise: of each view.
    """

    def __init__(self, turned: Callable[[View], bool], noise: float = 2.0, images: int = IMAGES) -> None:
        self.labels = np.arange(images) % 2
        self.noise, self.turned, self.asked, self.said = noise, turned, set[View](), dict[str, tuple[str, str]]()
        spec = SimpleNamespace(height=32, width=32)
        watch = SimpleNamespace(stage=self.stage)
        self.session: Any = SimpleNamespace(
            features=SimpleNamespace(base=SimpleNamespace(spec=spec)),
            extract=lambda stage, title, files, pooled, views: self.asked.update(views),
            watch=watch,
            seed=0,
            choose=lambda what, value, reason: self.said.update({what: (value, reason)}),
        )
        part = Labelled([str(number) for number in range(images)], self.labels)
        self.images: Any = SimpleNamespace(part=lambda _: part, files=lambda _: [Path(name) for name in part.digests])
        self.pooled: Any = SimpleNamespace(load=self.load)

    @contextmanager
    def stage(self, *said: Any, **more: Any) -> Iterator[Callable[[int], None]]:
        yield lambda count: None

    def load(self, pairs: list[tuple[str, View]]) -> np.ndarray:
        found = []
        for digest, view in pairs:
            rng = np.random.default_rng([int(digest), FLIPS.index(view) if view in FLIPS else 9])
            shown = self.labels[int(digest)] ^ int(view != PLAIN and self.turned(view))
            found.append(np.eye(2)[shown].repeat(20) + rng.normal(0, self.noise, 40))
        return np.array(found, np.float32)

    def probe(self) -> Probe:
        return fit_probe(self.load([(str(number), PLAIN) for number in range(len(self.labels))]), self.labels, 2, 0)

    def taught(self, augment: str = "auto") -> tuple[View, ...]:
        return choose_taught(self.session, self.images, self.pooled, self.probe(), TuningChoice(augment=augment))


def test_a_probe_of_few_images_learns_from_views_that_show_the_same() -> None:
    cells = Cells(turned=lambda view: False)
    assert len(cells.taught()) > 1
    value, reason = cells.said["probe learns from"]
    assert value.endswith((" views an image, flips", " views an image, orientation-free"))
    assert reason.startswith("cross-validated log loss of 40 images as they are: ")
    assert "with none" in reason and "with natural" in reason


def test_views_that_show_another_class_are_left_out() -> None:
    cells = Cells(turned=lambda view: True)
    assert cells.taught() == (PLAIN,)
    assert cells.said["probe learns from"][0] == "1 view an image, none"


def test_those_that_are_upside_down_may_be_left_out_alone() -> None:
    cells = Cells(turned=lambda view: view.quarter_turns > 0)
    assert cells.taught() == (PLAIN, MIRRORED)


@pytest.mark.parametrize(("loss", "count"), [(0.4955, 1), (0.4945, 4)])
def test_a_tie_is_no_reason_for_views(monkeypatch: pytest.MonkeyPatch, loss: float, count: int) -> None:
    def loss_of(probe: Probe, features: np.ndarray, *rest: Any) -> float:
        return {1: 0.5, 2: 0.52, 4: loss, 8: 0.51}[len(features)]

    monkeypatch.setattr(teaching, "loss_of_views", loss_of)
    assert len(Cells(turned=lambda view: False).taught()) == count


@pytest.mark.parametrize(("augment", "most"), [("natural", (PLAIN, MIRRORED)), ("flips", FLIPS)])
def test_only_what_is_asked_for_is_tried(augment: str, most: tuple[View, ...]) -> None:
    cells = Cells(turned=lambda view: False)
    assert cells.taught(augment) == most
    assert cells.asked == set(most)


@pytest.mark.parametrize("augment", ["none", "text"])
def test_nothing_is_tried_where_no_other_view_is_wanted(augment: str) -> None:
    cells = Cells(turned=lambda view: False)
    assert cells.taught(augment) == (PLAIN,)
    assert not cells.asked and not cells.said


def test_nothing_is_tried_with_many_images() -> None:
    cells = Cells(turned=lambda view: False, images=FEW_IMAGES + 1)
    assert cells.taught() == (PLAIN,)
    assert not cells.asked


def test_a_run_says_what_its_probe_learned_from_and_looks_at_one_view(trained: Run) -> None:
    choices = {choice.what: choice.value for choice in trained.manifest.choices}
    assert " an image, " in choices["probe learns from"]
    assert len(trained.manifest.test_views) == 1


def test_a_plain_probe_is_to_be_had(photos: Path, warm_cache: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"finetune": False, "augment": "none"}
    run = train(photos, tmp_path / "run", base="untrained", cache=warm_cache, **options)
    assert all(choice.what != "probe learns from" for choice in run.manifest.choices)
    assert "--no-finetune --augment none" in run.manifest.command
    assert sum(run.metrics["features"].values()) == 72


def test_views_are_compared_and_learned_from_by_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    cells, seen = Cells(turned=lambda view: False), []
    part = replace(cells.images.part("train"), weights=np.random.default_rng(0).uniform(0.1, 4, IMAGES))
    cells.images.part = lambda _: part
    monkeypatch.setattr(teaching, "loss_of_views", lambda *given: seen.append(given[-1]) or 1.0)
    cells.taught()
    assert len(seen) == 4
    assert all(weights is part.weights for weights in seen)
    probe = cells.probe()
    taught = teach(cells.session, cells.images, cells.pooled, probe, FLIPS)
    in_views = np.stack([cells.load([(digest, view) for digest in part.digests]) for view in FLIPS])
    np.testing.assert_array_equal(taught.weights, refit_to_views(probe, in_views, part.labels, part.weights).weights)
