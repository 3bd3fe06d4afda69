from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from headstart.images.spec import ImageSpec
from headstart.images.views import PLAIN, View, make_views
from headstart.learn.augmentation import Augmentation
from headstart.learn.decide import Candidate
from headstart.run import Run
from headstart.workflow import averaging as module
from headstart.workflow import train
from headstart.workflow.averaging import Gain, measure_gain, note_views
from headstart.workflow.view_choice import ONE_VIEW, Averaging

FLIPS = make_views("flips", 4, seed=0)


@pytest.fixture(scope="module")
def alone(photos: Path, warm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A probe that looks once."""
    return train(photos, tmp_path_factory.mktemp("alone") / "run", base="untrained", cache=warm_cache, finetune=False)


@pytest.fixture(scope="module")
def averaged(photos: Path, warm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A probe that looks at each image in four views."""
    out = tmp_path_factory.mktemp("averaged") / "run"
    options: dict[str, Any] = {"finetune": False, "test_views": 4, "augment": "flips"}
    return train(photos, out, base="untrained", cache=warm_cache, **options)


def choice(run: Run) -> Any:
    return next((choice for choice in run.manifest.choices if choice.what == "test views"), None)


def rendered(run: Run, photos: Path, view: View = PLAIN) -> np.ndarray:
    spec = ImageSpec.from_dict(run.manifest.image_spec)
    return np.stack([spec.render(path.read_bytes(), (view,))[0] for path in sorted(photos.rglob("*.png"))[::9]])


def in_one_view(run: Run, inputs: np.ndarray) -> np.ndarray:
    """What the run's weights give for inputs as they are: a mean over one view."""
    plain = Run(run.folder, run.manifest.model_copy(update={"test_views": run.manifest.test_views[:1]}))
    return np.asarray(plain.to_keras().predict_on_batch(inputs))


def test_the_network_gives_the_mean_over_the_views_of_an_image(averaged: Run, photos: Path) -> None:
    each = [in_one_view(averaged, rendered(averaged, photos, view)) for view in FLIPS]
    found = averaged.predict_arrays(rendered(averaged, photos))
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-3)
    assert np.abs(found - each[0]).max() > 1e-2


def test_the_keras_model_is_the_same_function(averaged: Run, photos: Path) -> None:
    inputs = rendered(averaged, photos)
    model = Run.load(averaged.folder).to_keras()
    np.testing.assert_allclose(model.predict_on_batch(inputs), averaged.predict_arrays(inputs), atol=1e-3)
    assert len(model.weights) == len(load_file(averaged.folder / "weights.safetensors"))


def test_the_manifest_has_the_views_and_the_command_that_asks_for_them(averaged: Run, alone: Run) -> None:
    found = [View(quarter_turns=view.quarter_turns, mirrored=view.mirrored) for view in averaged.manifest.test_views]
    assert found == list(FLIPS)
    assert averaged.manifest.command.endswith("--no-finetune --augment flips --test-views 4")
    assert len(alone.manifest.test_views) == 1


def test_the_gain_is_measured_against_the_probe_that_would_be_the_answer_without(averaged: Run, alone: Run) -> None:
    found = averaged.metrics["views"]
    assert found["averaged_over"] == found["measured"]["views"] == 4
    plain = alone.metrics["probe"]
    assert found["measured"]["one_view"] == {name: plain[name] for name in found["measured"]["one_view"]}
    assert found["measured"]["averaged"]["log_loss"] == averaged.metrics["probe"]["log_loss"] != plain["log_loss"]
    assert 0 < found["measured"]["p_value"] <= 1
    assert min(found["milliseconds"].values()) > 0
    before, after = plain["log_loss"], averaged.metrics["probe"]["log_loss"]
    assert choice(averaged).value == "4, flips"
    assert f"takes the log loss from {before:.3f} to {after:.3f} (p = " in choice(averaged).reason
    assert choice(averaged).reason.endswith(", at 4 times the work; as asked")


def test_the_probe_is_fitted_to_all_views_and_to_all_but_the_test_images(averaged: Run, alone: Run) -> None:
    kernels = [load_file(run.folder / "weights.safetensors")["logits/kernel"] for run in (averaged, alone)]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3
    assert averaged.metrics["probe"]["strength"] == alone.metrics["probe"]["strength"]
    assert "probe fitted to" in {choice.what for choice in averaged.manifest.choices}


def test_the_predictions_in_the_run_are_those_of_its_network(averaged: Run, photos: Path, table: Any) -> None:
    rows = table(averaged.folder / "predictions.csv")
    for row, found in zip(rows, averaged.predict([photos / row["file"] for row in rows]), strict=True):
        assert float(row["confidence"]) == pytest.approx(found.confidence, abs=1e-3)


def test_nothing_but_the_run_s_files_is_left_in_its_folder(averaged: Run, alone: Run) -> None:
    names = [sorted(path.name for path in run.folder.iterdir()) for run in (averaged, alone)]
    assert names[0] == names[1]


def test_where_nobody_asks_and_nothing_was_measured_nothing_is_said(alone: Run) -> None:
    assert (alone.metrics["views"], choice(alone)) == (None, None)


def test_a_preset_without_whole_views_leaves_the_plain_one_and_says_why(
    photos: Path, warm_cache: Path, tmp_path: Path, alone: Run
) -> None:
    options: dict[str, Any] = {"finetune": False, "test_views": 4, "augment": "text"}
    run = train(photos, tmp_path / "run", base="untrained", cache=warm_cache, **options)
    assert (choice(run).value, run.metrics["views"]) == ("1, text", None)
    assert choice(run).reason == "4 were asked for, but text has no mirrored or turned views"
    assert (run.folder / "network.bin").read_bytes() == (alone.folder / "network.bin").read_bytes()


def test_views_are_measured_also_where_fine_tuning_is_not_tried(
    photos: Path, warm_cache: Path, tmp_path: Path, headstart: Callable[..., Any]
) -> None:
    out = tmp_path / "run"
    arguments = ["--base", "untrained", "--cache", warm_cache, "--no-finetune", "--test-views", 2]
    finished = headstart("train", photos, "--out", out, *arguments)
    assert finished.code == 0, finished.err
    assert "a probe that learns from such views" in choice(Run.load(out)).reason
    assert any(line.startswith("views") for line in finished.out.splitlines())


LABELS = np.arange(40) % 2


def candidate(noise: float, seed: int) -> Candidate:
    logits = 3 * np.eye(2)[LABELS] + np.random.default_rng(seed).normal(scale=noise, size=(40, 2))
    return Candidate.of(logits.astype(np.float32), LABELS)


def outcome_of(chosen: str, views: tuple[View, ...] = FLIPS) -> Any:
    """The outcome of a run that looks once and was fine-tuned on four views."""
    rng = np.random.default_rng(5)
    start, end = (rng.normal(size=(len(views), 40, 2)).astype(np.float32) for _ in range(2))
    tuned = SimpleNamespace(
        candidate=Candidate.of(end[0], LABELS, list(end[1:])),
        views=(PLAIN,),
        recipe=SimpleNamespace(views=views),
        result=SimpleNamespace(start_logits=start, validation_logits=end),
    )
    probe = SimpleNamespace(candidate=Candidate.of(start[0], LABELS, list(start[1:])), views=(PLAIN,))
    answer = tuned if chosen == "finetune" else probe
    return SimpleNamespace(chosen=answer, tuned=tuned, probe=probe, decision=SimpleNamespace(chosen=chosen))


@pytest.mark.parametrize("chosen", ["probe", "finetune"])
def test_what_averaging_would_bring_comes_from_logits_that_are_there(chosen: str) -> None:
    outcome = outcome_of(chosen)
    found = measure_gain(outcome, outcome.probe.candidate, ONE_VIEW, seed=0)
    result = outcome.tuned.result
    logits = result.validation_logits if chosen == "finetune" else result.start_logits
    assert (found.of, found.views) == (chosen, 4)
    np.testing.assert_allclose(found.averaged.logits, logits.mean(axis=0), rtol=1e-5)
    assert found.one_view == replace(outcome.chosen.candidate, more=())


def test_crops_are_not_averaged_over() -> None:
    outcome = outcome_of("finetune", make_views("natural", 4, seed=0))
    found = measure_gain(outcome, outcome.probe.candidate, ONE_VIEW, seed=0)
    np.testing.assert_allclose(found.averaged.logits, outcome.tuned.result.validation_logits[:2].mean(axis=0))
    crops = outcome_of("finetune", make_views("text", 4, seed=0))
    assert measure_gain(crops, crops.probe.candidate, ONE_VIEW, seed=0) is None


def noted(gain: Gain | None, averaging: Averaging, views: int) -> tuple[Any, ...]:
    said: list[tuple[Any, ...]] = []
    session: Any = SimpleNamespace(choose=lambda *words: said.append(words))
    outcome: Any = SimpleNamespace(chosen=SimpleNamespace(views=FLIPS[:views]))
    note_views(session, outcome, averaging, gain)
    return said[0] if said else ()


def test_what_is_offered_is_what_was_measured() -> None:
    gain = Gain("finetune", 4, candidate(2.0, 1), candidate(1.0, 2), 0.012)
    what, value, reason = noted(gain, ONE_VIEW, 1)
    assert (what, value) == ("test views", 1)
    assert reason.startswith("as nothing else was asked for; on 40 validation images averaging over 4 views takes the")
    assert reason.endswith(", at 4 times the work an image: --test-views 4")
    _, _, reason = noted(replace(gain, one_view=gain.averaged, averaged=gain.one_view), ONE_VIEW, 1)
    assert reason.endswith(", at 4 times the work an image")
    _, _, reason = noted(replace(gain, of="probe"), ONE_VIEW, 1)
    assert "averaging the probe as it is over 4 views takes the log loss from" in reason
    assert "--test-views 4 would fit it to just these, which wasn't tried" in reason
    assert noted(None, ONE_VIEW, 1) == ()


def test_fewer_views_than_were_asked_for_are_explained() -> None:
    gain = Gain("probe", 4, candidate(2.0, 1), candidate(1.0, 2), 0.012)
    _, value, reason = noted(gain, Averaging(8, FLIPS, FLIPS, Augmentation("flips", "measured")), 4)
    assert value == "4, flips"
    assert reason.endswith("; 8 were asked for, but flips has 4 views; measured")


def test_both_networks_are_timed_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    engine = lambda path, hint: SimpleNamespace(run=lambda sample: ran.append(f"{path} {len(sample)}"))  # noqa: E731
    monkeypatch.setattr(module, "OpenVINOEngine", engine)
    pace = module._time([Path("one"), Path("all")], np.zeros((1, 2, 2, 3), np.float32))
    assert ran == ["one 1", "all 1"] * (1 + module.TIMED_ROUNDS)
    assert min(pace.one_view, pace.averaged) >= 0
