from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headstart.catalog.untrained import BASE
from headstart.errors import UsageError
from headstart.run import Run
from headstart.workflow import settling, train
from headstart.workflow.base_choice import BaseChoice
from headstart.workflow.candidates import CandidateChoice
from headstart.workflow.settling import candidates_of


@pytest.fixture
def only_untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if these were all bases whose weights are here."""
    monkeypatch.setattr(CandidateChoice, "resolve", lambda self, cache, display: [BASE])


def choices(run: Run) -> dict[str, Any]:
    return {choice.what: choice for choice in run.manifest.choices}


@pytest.mark.usefixtures("only_untrained")
def test_the_base_is_chosen_by_training_images_alone(photos: Path, tmp_path: Path, warm_cache: Path) -> None:
    run = train(photos, tmp_path / "run", base="auto", finetune=False, cache=warm_cache)
    chosen = choices(run)["base"]
    assert chosen.value.startswith("untrained")
    assert "cross-validated accuracy of the probe: untrained" in chosen.reason
    assert "--base auto" in run.manifest.command
    assert choices(run)["image size"].reason == "taken along with the base"
    assert run.manifest.base.name == chosen.value
    assert run.predict([next(photos.rglob("*.png"))])[0].label


@pytest.mark.usefixtures("only_untrained")
def test_a_run_on_a_lower_part_can_be_fine_tuned_and_loaded(
    hard_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CandidateChoice, "sized", lambda self, bases, dataset: [BASE.up_to("stage1")])
    run = train(hard_photos, tmp_path / "run", base="auto", cache=tmp_path / "cache")
    assert run.manifest.base.name.startswith("untrained@")
    again = Run.load(tmp_path / "run")
    some = sorted(hard_photos.rglob("*.png"))[:2]
    assert [found.label for found in again.predict(some)] == [found.label for found in run.predict(some)]


def test_what_is_about_one_base_is_refused() -> None:
    with pytest.raises(UsageError, match="about a model file"):
        candidates_of(BaseChoice("auto", scaling="tf"), None)
    with pytest.raises(UsageError, match="stages differ from base to base"):
        candidates_of(BaseChoice("auto"), "stage1")
    assert candidates_of(BaseChoice("auto", image_size=96), "input").image_sizes == (96,)


def test_choosing_takes_a_quarter_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []

    def compare(*arguments: Any, seconds: float) -> Any:
        told.append(seconds)
        raise InterruptedError

    monkeypatch.setattr(settling, "compare_candidates", compare)
    images: Any = type("Images", (), {"some": lambda *_: ([], None), "classes": ("a", "b"), "dataset": None})()
    session: Any = type("Session", (), {"budget": 100.0, "watch": type("W", (), {"total": lambda self: 20.0})()})()
    with pytest.raises(InterruptedError):
        settling.base_by_measurement(session, images, CandidateChoice(image_sizes=(32,)), [BASE], "f32")
    assert told == [20.0]
