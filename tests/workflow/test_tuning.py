from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headstart.errors import EngineError
from headstart.features.openvino import convert
from headstart.images.spec import ImageSpec
from headstart.images.views import PLAIN
from headstart.learn.augmentation import Augmentation
from headstart.learn.finetune import Recipe
from headstart.learn.labelled import Labelled
from headstart.learn.soup import Soup, Weights
from headstart.run import Run
from headstart.workflow import outset, pace, train, tuning, tuning_plan
from headstart.workflow.classifiers import FinetunedClassifier


@pytest.fixture(scope="module")
def tuned(hard_photos: Path, warm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose answer is the fine-tuned network."""
    return train(hard_photos, tmp_path_factory.mktemp("tuned") / "run", base="untrained", cache=warm_cache)


@pytest.fixture(scope="module")
def easy_run(make_images: Callable[..., Path], warm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with images enough to fine-tune, on a task that leaves nothing to gain."""
    folder = tmp_path_factory.mktemp("easy")
    data = make_images(folder / "photos", {"cat": 80, "dog": 80}, size=32)
    return train(data, folder / "run", base="untrained", cache=warm_cache)


def choice(run: Run, what: str) -> str:
    return next(choice.reason for choice in run.manifest.choices if choice.what == what)


def test_fine_tuning_wins_where_it_helps(tuned: Run) -> None:
    metrics = tuned.metrics
    assert metrics["chosen"] == tuned.manifest.chosen == "finetune"
    assert metrics["finetune"]["log_loss"] < metrics["probe"]["log_loss"]
    assert metrics["finetune"]["accuracy"] >= metrics["probe"]["accuracy"]
    assert metrics["comparison"]["p_value"] < 0.05
    split = tuned.manifest.split.images
    assert metrics["comparison"]["images"] == split["train"] + split["validation"]
    assert metrics["comparison"]["folds"] == 4
    assert metrics["test"]["accuracy"] > 0.85
    assert "images, held out in 4 folds, fine-tuning changes the log loss by -" in choice(tuned, "classifier")
    assert all(choice.what != "probe fitted to" for choice in tuned.manifest.choices)


def test_a_network_that_isnt_the_one_that_was_trained_is_never_published(
    hard_photos: Path, warm_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_another(self: FinetunedClassifier, path: Path) -> None:
        model = self.result.model
        model.set_weights([0.5 * weights for weights in model.get_weights()])
        convert(model, path)

    monkeypatch.setattr(FinetunedClassifier, "write_network", write_another)
    with pytest.raises(EngineError, match="written differs from the one that was trained by up to 0"):
        train(hard_photos, tmp_path / "run", base="untrained", cache=warm_cache)
    assert not (tmp_path / "run").exists()


def test_the_probe_stays_where_nothing_is_gained(easy_run: Run) -> None:
    metrics = easy_run.metrics
    assert metrics["chosen"] == easy_run.manifest.chosen == "probe"
    assert metrics["finetune"] is not None
    assert "the gain could be chance (p must be below 0.2)" in choice(easy_run, "classifier")


def test_the_metrics_of_fine_tuning_are_those_of_the_probe_and_more(tuned: Run) -> None:
    found = tuned.metrics["finetune"]
    assert found.keys() >= {"accuracy", "balanced_accuracy", "macro_f1", "log_loss", "ece", "n"}
    assert found["n"] == tuned.metrics["probe"]["n"] == tuned.manifest.split.images["validation"]
    assert found["cut"] in ("stage0", "stage1")
    assert found["views"] >= 1
    assert tuned.metrics["seconds"]["finetune"] > 0


def test_the_history_starts_from_the_probe_and_the_best_epoch_is_the_best(tuned: Run) -> None:
    found = tuned.metrics["finetune"]
    history = found["history"]
    assert [epoch["epoch"] for epoch in history] == list(range(len(history)))
    assert history[0]["loss"] is None
    assert all(epoch["loss"] > 0 for epoch in history[1:])
    # Stored in half precision at the cut, so that an answer on the edge may tip.
    assert history[0]["validation_accuracy"] == pytest.approx(tuned.metrics["probe"]["accuracy"], abs=0.02)
    losses = [epoch["validation_loss"] for epoch in history]
    assert found["best_epoch"] == int(np.argmin(losses)) > 0
    assert found["accuracy"] == pytest.approx(history[found["best_epoch"]]["validation_accuracy"])


def test_cut_and_views_are_choices_with_reasons(tuned: Run) -> None:
    assert "multiplications" in choice(tuned, "fine-tuning from")
    assert "the probe is right for" in choice(tuned, "views")
    assert choice(tuned, "epochs").startswith("about 600 steps of 32 images")
    assert "measured" in choice(tuned, "learning rate")


def test_a_fine_tuned_network_and_its_keras_model_agree(tuned: Run, hard_photos: Path) -> None:
    spec = ImageSpec.from_dict(tuned.manifest.image_spec)
    paths = sorted(hard_photos.rglob("*.png"))[::50]
    inputs = np.stack([spec.render(path.read_bytes())[0] for path in paths])
    logits = np.asarray(Run.load(tuned.folder).to_keras().predict_on_batch(inputs))
    np.testing.assert_allclose(logits, tuned.predict_arrays(inputs), atol=2e-3)


def test_a_fine_tuned_network_can_be_averaged_over_views(hard_photos: Path, warm_cache: Path, tmp_path: Path) -> None:
    run = train(hard_photos, tmp_path / "run", base="untrained", cache=warm_cache, test_views=2, augment="flips")
    assert (run.manifest.chosen, len(run.manifest.test_views)) == ("finetune", 2)
    spec = ImageSpec.from_dict(run.manifest.image_spec)
    paths = sorted(hard_photos.rglob("*.png"))[::50]
    inputs = np.stack([spec.render(path.read_bytes())[0] for path in paths])
    logits = np.asarray(Run.load(run.folder).to_keras().predict_on_batch(inputs))
    np.testing.assert_allclose(logits, run.predict_arrays(inputs), atol=2e-3)
    # Turned upside down, an image shows the same two views.
    np.testing.assert_allclose(run.predict_arrays(inputs[:, ::-1, ::-1].copy()), logits, atol=2e-3)
    measured = run.metrics["views"]["measured"]
    assert (measured["classifier"], measured["averaged"]["log_loss"]) == (
        "finetune",
        run.metrics["finetune"]["log_loss"],
    )
    history = run.metrics["finetune"]["history"]
    assert history[run.metrics["finetune"]["best_epoch"]]["validation_loss"] < history[0]["validation_loss"]


def test_fine_tuning_changed_the_top_and_left_the_frozen_part_alone(tuned: Run) -> None:
    from safetensors.numpy import load_file

    from headstart.catalog import get_base

    before, after = get_base("untrained").weights.load(), load_file(tuned.folder / "weights.safetensors")
    assert set(after) == set(before) | {"logits/kernel", "logits/bias"}
    frozen = [f"stage{number}_" for number in range(int(tuned.metrics["finetune"]["cut"].removeprefix("stage")) + 1)]
    for name, array in before.items():
        is_frozen = name.startswith(tuple(frozen)) or "_bn/" in name
        assert np.array_equal(after[name], array) == is_frozen, name


def test_fine_tuning_again_reuses_every_feature_and_comes_to_the_same(
    tuned: Run, hard_photos: Path, warm_cache: Path, tmp_path: Path
) -> None:
    again = train(hard_photos, tmp_path / "again", base="untrained", cache=warm_cache)
    assert again.metrics["features"]["computed"] == 0
    assert again.metrics["features"]["reused"] == sum(tuned.metrics["features"].values())
    assert again.metrics["finetune"]["history"] == tuned.metrics["finetune"]["history"]
    assert (again.folder / "predictions.csv").read_bytes() == (tuned.folder / "predictions.csv").read_bytes()


def test_fine_tuning_can_be_switched_off(hard_photos: Path, warm_cache: Path, tmp_path: Path) -> None:
    run = train(hard_photos, tmp_path / "run", base="untrained", cache=warm_cache, finetune=False)
    assert (run.metrics["chosen"], run.metrics["finetune"]) == ("probe", None)
    assert choice(run, "classifier") == "fine-tuning was switched off"


def test_few_images_are_not_fine_tuned_on(trained: Run) -> None:
    assert trained.metrics["finetune"] is None
    assert choice(trained, "classifier") == ("with 17 training images a class, fewer than 50, fine-tuning isn't tried")


def test_what_would_take_far_too_long_is_not_tried(
    hard_photos: Path, warm_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning_plan, "TOO_MANY_MULTIPLICATIONS", 1e6)
    run = train(hard_photos, tmp_path / "run", base="untrained", cache=warm_cache)
    assert run.manifest.chosen == "probe"
    assert "so it isn't tried; a smaller base can be fine-tuned in less" in choice(run, "classifier")


def test_fine_tuning_must_beat_the_probe_that_would_be_the_answer_without_it(
    tuned: Run, hard_photos: Path, warm_cache: Path, tmp_path: Path
) -> None:
    alone = train(hard_photos, tmp_path / "run", base="untrained", cache=warm_cache, finetune=False)
    assert tuned.metrics["probe"] == alone.metrics["probe"]


def test_no_more_views_are_taken_than_the_store_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a megabyte holds two views of 80 + 20 images with 1,000 half-precision numbers each, and not three."""
    chosen: list[tuple[Any, ...]] = []
    monkeypatch.setattr(outset, "size_at", lambda model, stage: 1000)
    session = SimpleNamespace(
        store=SimpleNamespace(budget_bytes=1_000_000),
        seed=0,
        choose=lambda *said: chosen.append(said),
        features=SimpleNamespace(model=None),
    )
    start: Any = SimpleNamespace(stage="stage1", pace=SimpleNamespace(seconds_a_view=lambda stage: 1.0))
    sizes = {"train": 80, "validation": 20}
    images = SimpleNamespace(part=lambda part: Labelled([""] * sizes[part], np.zeros(sizes[part], np.int64)))
    augmentation = Augmentation("flips", "measured")
    assert len(tuning._affordable_views(session, images, start, augmentation, (1, 4), math.inf)) == 2
    assert chosen == [("views", "2, flips", "measured; the store has room for 2 of 4 views")]
    session.store.budget_bytes = 10_000_000
    assert len(tuning._affordable_views(session, images, start, augmentation, (1, 4), math.inf)) == 4
    assert len(tuning._affordable_views(session, images, start, augmentation, (1, 4), 6.0)) == 3
    assert chosen[-1][2] == "measured; more of the 4 wanted would take over half of the time that is left"
    assert len(tuning._affordable_views(session, images, start, augmentation, (2, 4), 0.1)) == 2


@pytest.fixture(scope="module")
def timed(hard_photos: Path, warm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with time enough for three ways of fine-tuning, and whose default way isn't from the deepest stage."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning_plan, "MOST_MULTIPLICATIONS", 0)
        patch.setattr(tuning, "MOST_TRIALS", 3)
        out = tmp_path_factory.mktemp("timed") / "run"
        return train(hard_photos, out, base="untrained", cache=warm_cache, epochs=3, time="1h")


def value(run: Run, what: str) -> str:
    return next(choice.value for choice in run.manifest.choices if choice.what == what)


def test_with_a_time_the_deepest_stage_comes_first_then_the_default_one_and_then_other_seeds(timed: Run) -> None:
    first, second, third = timed.metrics["finetune"]["trials"]
    assert (first["cut"], second["cut"]) == ("stage0", "stage1")
    assert third["cut"] in ("stage0", "stage1")
    assert [trial["seed"] for trial in (first, second, third)] == [0, 0, 1]
    assert first["learning_rate"] == 2 * second["learning_rate"]
    assert value(timed, "fine-tuning from") == "above stage0"
    assert choice(timed, "fine-tuning from").startswith("the deepest stage that the base has: 3 epochs above it fit")
    assert value(timed, "time") == "3600 s"
    assert choice(timed, "time") == "as asked; 3 ways of fine-tuning tried, which is all"
    assert "--time 3600s" in timed.manifest.command


def test_the_deepest_stage_is_chosen_by_steps_timed_on_this_machine(
    hard_photos: Path, warm_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {"stage0": 1e6, "stage1": 0.01}
    monkeypatch.setattr(tuning_plan, "MOST_MULTIPLICATIONS", 0)
    monkeypatch.setattr(tuning, "MOST_TRIALS", 1)
    monkeypatch.setattr(outset, "seconds_a_step", lambda base, probe, stage, detail, batch: seconds[stage])
    run = train(hard_photos, tmp_path / "run", base="untrained", cache=warm_cache, epochs=3, time="1h")
    assert [trial["cut"] for trial in run.metrics["finetune"]["trials"]] == ["stage1"]
    assert choice(run, "fine-tuning from").startswith("the deepest stage above which 3 epochs fit into the time")


def test_a_stage_above_the_default_one_is_taken_where_that_does_not_fit(
    hard_photos: Path, warm_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {"stage0": 1e6, "stage1": 0.01}
    monkeypatch.setattr(tuning, "MOST_TRIALS", 1)
    monkeypatch.setattr(outset, "seconds_a_step", lambda base, probe, stage, detail, batch: seconds[stage])
    run = train(hard_photos, tmp_path / "run", base="untrained", cache=warm_cache, epochs=3, time="1h")
    assert [(trial["cut"], trial["learning_rate"]) for trial in run.metrics["finetune"]["trials"]] == [("stage1", 2e-4)]


def test_with_a_small_validation_part_time_is_left_to_train_in_every_fold() -> None:
    trials: Any = SimpleNamespace(_left=lambda: 500.0, _is_small=True)
    assert tuning._Trials._time_for_one(trials) == 500 / (1 + tuning.FOLDS)
    trials._is_small = False
    assert tuning._Trials._time_for_one(trials) == 500


@pytest.mark.parametrize(
    ("fitting", "mapped", "expected"),
    [
        ("middle", None, ("middle", 9)),
        ("middle", "middle", ("middle", 9)),
        ("top", "middle", ("middle", 5)),  # it was thought to fit, so that little is missing
        ("bottom", "middle", ("bottom", 9)),
        (None, "bottom", ("bottom", 5)),
        (None, None, ("top", 5)),
    ],
)
def test_the_stage_whose_maps_are_there_is_not_left_for_one_above(
    fitting: str | None, mapped: str | None, expected: tuple[str, int]
) -> None:
    recipes = [Recipe(cut, (PLAIN,), 9) for cut in ("bottom", "middle", "top")]
    trials: Any = SimpleNamespace(
        _deepest=lambda given: next((recipe for recipe in given if recipe.cut == fitting), None),
        _time_for_one=lambda: 100.0,
        _pace=SimpleNamespace(
            has_maps=lambda recipe: recipe.cut == mapped, hurried=lambda recipe, left: replace(recipe, epochs=5)
        ),
    )
    first = tuning._Trials._first(trials, recipes)
    assert (first.cut, first.epochs) == expected


def test_where_the_input_has_shifted_the_whole_base_comes_first(
    hard_photos: Path, warm_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outset, "has_input_shift", lambda session, images, probe: True)
    monkeypatch.setattr(tuning, "MOST_TRIALS", 2)
    run = train(hard_photos, tmp_path / "run", base="untrained", cache=warm_cache, epochs=3, time="1h")
    assert run.metrics["finetune"]["trials"][0]["cut"] == "input"
    assert value(run, "fine-tuning from") == "above input"


def test_timing_steps_for_another_way_leaves_the_network_as_it_was_trained(
    hard_photos: Path, warm_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps are timed with the layers of the one network that there is."""
    seconds = {"stage0": 1e-3, "stage1": 1e6}
    monkeypatch.setattr(tuning_plan, "MOST_MULTIPLICATIONS", 0)
    monkeypatch.setattr(outset, "seconds_a_step", lambda base, probe, stage, detail, batch: seconds[stage])
    monkeypatch.setattr(tuning, "deepest_fitting", lambda pace, recipes, left: recipes[0])
    monkeypatch.setattr(tuning, "MOST_TRIALS", 2)
    monkeypatch.setattr(tuning, "is_too_small", lambda images: False)
    monkeypatch.setattr(tuning._Trials, "_fits", lambda trials, recipe: trials._pace._measure(recipe.cut) < 0)
    options: dict[str, Any] = {"epochs": 10, "learning_rate": 1e-3, "time": "1h"}
    run = train(hard_photos, tmp_path / "run", base="untrained", cache=warm_cache, **options)
    assert run.manifest.chosen == "finetune"
    validation = [row for row in _rows(run.folder / "split.csv") if row["part"] == "validation"]
    found = run.predict([hard_photos / row["file"] for row in validation])
    losses = [-np.log(seen.probabilities[row["label"]]) for row, seen in zip(validation, found, strict=True)]
    assert np.mean(losses) == pytest.approx(run.metrics["finetune"]["log_loss"], abs=1e-3)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_way_starts_from_the_probe(timed: Run, tuned: Run) -> None:
    """Had a second way gone on from where the first ended, its history would start elsewhere."""
    found, expected = (run.metrics["finetune"]["history"][0]["validation_loss"] for run in (timed, tuned))
    assert found == pytest.approx(expected, rel=0.01)


def test_the_answer_is_no_worse_than_the_best_way(timed: Run) -> None:
    best = min(trial["log_loss_in_views"] for trial in timed.metrics["finetune"]["trials"])
    reason = choice(timed, "fine-tuned network")
    assert float(reason.split("log loss ")[1].split(";")[0]) <= round(best, 3)
    assert all(f"above {trial['cut']}" in reason for trial in timed.metrics["finetune"]["trials"])


def test_the_network_of_several_ways_and_its_keras_model_agree(timed: Run, hard_photos: Path) -> None:
    assert timed.manifest.chosen == "finetune"
    spec = ImageSpec.from_dict(timed.manifest.image_spec)
    inputs = np.stack([spec.render(path.read_bytes())[0] for path in sorted(hard_photos.rglob("*.png"))[::50]])
    logits = np.asarray(Run.load(timed.folder).to_keras().predict_on_batch(inputs))
    np.testing.assert_allclose(logits, timed.predict_arrays(inputs), atol=2e-3)


def test_the_network_has_the_weights_of_the_soup(
    hard_photos: Path, warm_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed: list[np.ndarray] = []

    def half_of_each(candidates: list[Weights], losses: list[float], loss_of: Callable[[Weights], float]) -> Soup:
        mixed.extend((first + second) / 2 for first, second in zip(*candidates, strict=True))
        return Soup(mixed, (0, 1), loss_of(mixed))

    monkeypatch.setattr(tuning, "MOST_TRIALS", 2)
    monkeypatch.setattr(tuning, "greedy_soup", half_of_each)
    run = train(hard_photos, tmp_path / "run", base="untrained", cache=warm_cache, epochs=3, time="1h")
    assert run.manifest.chosen == "finetune"
    for written, wanted in zip(run.to_keras().get_weights(), mixed, strict=True):
        np.testing.assert_array_equal(written, wanted)


def test_too_little_time_leaves_the_probe(hard_photos: Path, warm_cache: Path, tmp_path: Path) -> None:
    run = train(hard_photos, tmp_path / "run", base="untrained", cache=warm_cache, time=20)
    assert run.manifest.chosen == "probe"
    assert choice(run, "classifier") == "the time given leaves less than 25 s for fine-tuning, so it isn't tried"


def test_what_more_time_would_have_tried_is_said(
    hard_photos: Path, warm_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning.Pace, "seconds", lambda pace, recipe: 1e6 + recipe.epochs)
    run = train(hard_photos, tmp_path / "run", base="untrained", cache=warm_cache, epochs=1, time="2m")
    (trial,) = run.metrics["finetune"]["trials"]
    assert trial["epochs"] == 1
    assert "as asked; 1 way of fine-tuning tried; fine-tuning above stage" in choice(run, "time")
    assert choice(run, "time").endswith("minutes more, would have been tried next")


def test_features_that_would_take_longer_than_the_time_are_not_begun(
    hard_photos: Path, warm_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "NEW_CUT_SECONDS", 1e6)
    run = train(hard_photos, tmp_path / "run", base="untrained", cache=warm_cache, epochs=1, time="2m")
    assert (run.manifest.chosen, run.metrics["finetune"]) == ("probe", None)
    assert choice(run, "classifier").startswith("the time given is too short for the features")
