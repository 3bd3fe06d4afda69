"""Comparisons by images held out in turn, with stubs for what is trained, and through a whole run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headstart.images.views import MIRRORED, PLAIN, View
from headstart.learn.finetune import Recipe
from headstart.learn.labelled import Labelled
from headstart.workflow import held_out as module
from headstart.workflow import train
from headstart.workflow.held_out import FOLDS, JUDGING, SHARE_TRAINED, hold_out, is_too_small

COPIES = 3


def images_of(train_labels: list[int], validation_labels: list[int]) -> Any:
    parts = {
        "train": Labelled([f"t{number // COPIES}" for number in range(len(train_labels))], np.array(train_labels)),
        "validation": Labelled([f"v{number}" for number in range(len(validation_labels))], np.array(validation_labels)),
    }
    return SimpleNamespace(part=lambda part: parts[part])


@pytest.mark.parametrize(
    ("in_training", "in_validation", "expected"),
    [(100, 99, True), (100, 100, False), (2 * JUDGING, 10, True), (2 * JUDGING - 1, 10, False)],
)
def test_a_small_validation_part_with_images_enough_to_divide_is_too_small(
    in_training: int, in_validation: int, expected: bool
) -> None:
    images = images_of([0] * in_training + [1] * 200, [0] * in_validation)
    assert is_too_small(images) == expected


def test_images_of_a_group_are_held_out_together(asked: list[tuple[set[str], set[str], set[str]]]) -> None:
    labels = np.array([0, 1] * 60)
    digests, units = [f"t{number}" for number in range(120)], [f"group {number // 6}" for number in range(120)]
    everything = Labelled(digests, labels, units=units)
    parts = {"train": everything.some(np.arange(84)), "validation": everything.some(np.arange(84, 120))}
    ask(SimpleNamespace(part=lambda part: parts[part]))
    assert len(asked) == FOLDS
    for sides in asked:
        groups = [{int(digest[1:]) // 6 for digest in side} for side in sides]
        assert sum(map(len, groups)) == len(set.union(*groups)) == 20


def test_few_groups_cannot_be_divided_into_folds_however_many_images_they_have() -> None:
    labels = np.array([0, 1] * 100)
    for groups, expected in ((2 * JUDGING, True), (2 * JUDGING - 1, False)):
        train = Labelled([str(n) for n in range(200)], labels, units=[f"{n // 2 % groups}" for n in range(200)])
        images: Any = SimpleNamespace(part=lambda part, train=train: train if part == "train" else train.some(range(9)))
        assert is_too_small(images) == expected


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[set[str], set[str], set[str]]]:
    """The images that each fold trained on, judged epochs by and was asked about; both answer by the digest."""
    folds: list[tuple[set[str], set[str], set[str]]] = []

    def answer(part: Labelled) -> np.ndarray:
        return np.array([[0.0, float(digest[1:])] for digest in part.digests], np.float32)

    def logits_in_views(model: Any, cut: str, features: Any, part: Labelled, views: Any) -> np.ndarray:
        folds.append((*model, set(part.digests)))
        return -answer(part)[None]

    monkeypatch.setattr(module, "refit_in_views", lambda probe, pooled, views, part: ("probe of", set(part.digests)))
    monkeypatch.setattr(module, "logits_over_views", lambda probe, pooled, views, part: answer(part))
    monkeypatch.setattr(module, "logits_in_views", logits_in_views)
    return folds


def ask(images: Any, probes: list[Any] | None = None, taught: tuple[View, ...] = (PLAIN,)) -> Any:
    def train_again(train: Labelled, validation: Labelled, probe: Any) -> Any:
        if probes is not None:
            probes.append(probe)
        return set(train.digests), set(validation.digests)

    nothing: Any = None
    return hold_out(images, nothing, nothing, taught, Recipe("cut", (PLAIN,), 1), nothing, train_again)


def test_each_image_is_held_out_once_from_what_answers_for_it(asked: list[tuple[set[str], set[str], set[str]]]) -> None:
    images = images_of([0] * 60 + [1] * 60, [0] * 20 + [1] * 20)
    found = ask(images)
    everything = {digest for part in ("train", "validation") for digest in images.part(part).digests}
    assert len(asked) == FOLDS
    for trained, judged, held in asked:
        assert not trained & judged and not trained & held and not judged & held
        assert trained | judged | held == everything
        assert judged
    assert set.union(*(held for _, _, held in asked)) == everything
    assert len(found.probe.labels) == len(found.tuned.labels) == 160
    shares = [len(trained) / len(everything) for trained, _, _ in asked]
    assert np.mean(shares) == pytest.approx(SHARE_TRAINED, abs=0.06)


def test_answers_stay_with_their_images(asked: list[tuple[set[str], set[str], set[str]]]) -> None:
    images = images_of([0, 1] * 60, [0, 1] * 20)
    found = ask(images)
    np.testing.assert_array_equal(found.tuned.logits, -found.probe.logits)
    numbers = sorted(found.probe.logits[:, 1].tolist())
    assert numbers == sorted(
        [float(number // COPIES) for number in range(120)] + [float(number) for number in range(40)]
    )
    assert sorted(found.probe.labels.tolist()) == [0] * 80 + [1] * 80


def test_the_probe_of_a_fold_has_seen_what_its_network_trains_on(
    asked: list[tuple[set[str], set[str], set[str]]],
) -> None:
    probes: list[Any] = []
    ask(images_of([0] * 60 + [1] * 60, [0] * 20 + [1] * 20), probes)
    assert [seen for _, seen in probes] == [trained for trained, _, _ in asked]


def test_a_run_with_a_small_validation_part_decides_by_folds(
    hard_photos: Path, warm_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(hard_photos, tmp_path / "run", base="untrained", cache=warm_cache)
    images = run.manifest.split.images
    assert images["validation"] < module.ENOUGH_TO_DECIDE
    reason = next(choice.reason for choice in run.manifest.choices if choice.what == "classifier")
    count = images["train"] + images["validation"]
    assert reason.startswith(f"on {count} images, held out in {FOLDS} folds, fine-tuning changes the log loss by ")
    # What is tried in folds leaves no trace in the network.
    monkeypatch.setattr(module, "ENOUGH_TO_DECIDE", 0)
    plain = train(hard_photos, tmp_path / "plain", base="untrained", cache=warm_cache)
    if plain.manifest.chosen == run.manifest.chosen == "finetune":
        weights = ((some.folder / "weights.safetensors").read_bytes() for some in (run, plain))
        assert next(weights) == next(weights)
    assert run.metrics["finetune"] == plain.metrics["finetune"]


def test_the_probe_of_a_fold_learns_from_the_views_of_the_run(
    asked: list[tuple[set[str], set[str], set[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[Any] = []
    monkeypatch.setattr(module, "refit_in_views", lambda probe, pooled, views, part: learned.append(views))
    ask(images_of([0, 1] * 60, [0, 1] * 20), taught=(PLAIN, MIRRORED))
    assert learned == [(PLAIN, MIRRORED)] * FOLDS


def test_weights_stay_with_their_images_in_every_fold(asked: list[tuple[set[str], set[str], set[str]]]) -> None:
    everything = Labelled([f"t{number}" for number in range(160)], np.array([0, 1] * 80), weights=np.arange(1.0, 161))
    parts = {"train": everything.some(range(120)), "validation": everything.some(range(120, 160))}
    images: Any = SimpleNamespace(part=lambda part: parts[part])
    trained: dict[str, float] = {}

    def train_again(train: Labelled, validation: Labelled, probe: Any) -> Any:
        assert train.weights is not None
        trained.update(zip(train.digests, train.weights, strict=True))
        return set(train.digests), set(validation.digests)

    nothing: Any = None
    hold_out(images, nothing, nothing, (PLAIN,), Recipe("cut", (PLAIN,), 1), nothing, train_again)
    assert len(trained) > 140
    assert all(weight == float(digest[1:]) + 1 for digest, weight in trained.items())
