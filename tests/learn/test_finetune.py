from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from headstart.catalog.untrained import BASE
from headstart.errors import StoreError
from headstart.evaluation.calibration import softmax
from headstart.evaluation.metrics import accuracy, balanced_accuracy, balanced_log_loss, log_loss
from headstart.features.boundary import suffix
from headstart.images.views import MIRRORED, PLAIN, UPSIDE_DOWN
from headstart.learn import finetune as module
from headstart.learn.finetune import INTERPOLATIONS, FineTuned, Recipe, finetune, logits_in_views
from headstart.learn.imbalance import adjustment
from headstart.learn.kinds import Kind, MultiLabel, Regression
from headstart.learn.labelled import Labelled

VIEWS = (PLAIN, UPSIDE_DOWN)
AsKind = Callable[[type[Kind]], Any]


@dataclass(frozen=True)
class Trained:
    """A fine-tuned base, the base's weights before, and the progress reported."""

    result: FineTuned
    base: Any
    before: dict[str, np.ndarray]
    advanced: list[int]


def weights(model: Any) -> dict[str, np.ndarray]:
    return {variable.path: np.copy(variable.numpy()) for variable in model.variables}


def tune(problem: Any, *, images: int | None = None, **recipe: Any) -> Trained:
    """Fine-tune a fresh base on the first few images of the problem."""
    settings = {"epochs": 2, "batch_size": 16, "learning_rate": 3e-3, "dropout": 0.2} | recipe
    train = Labelled(problem.train.digests[:images], problem.train.labels[:images], problem.train.kind)
    base, advanced = BASE.build(), []
    before = weights(base)
    result = finetune(
        base,
        Recipe(problem.cut, VIEWS, **settings),
        problem.features,
        problem.probe,
        train,
        problem.validation,
        advanced.append,
    )
    return Trained(result, base, before, advanced)


@pytest.fixture(scope="module")
def trained(problem: Any) -> Trained:
    return tune(problem, epochs=12)


@pytest.fixture(scope="module")
def spoilt(problem: Any) -> Trained:
    """Trained at a rate that ruins the network."""
    return tune(problem, images=32, epochs=2, learning_rate=1.0)


def from_images(result: FineTuned, problem: Any) -> np.ndarray:
    return np.asarray(result.model(problem.inputs, training=False))


def test_epoch_0_is_the_probe(trained: Trained, problem: Any) -> None:
    first = trained.result.history[0]
    probabilities = softmax(problem.probe.logits(problem.pooled))
    assert (first.epoch, first.loss) == (0, None)
    assert first.validation_loss == pytest.approx(log_loss(probabilities, problem.validation.labels), abs=1e-4)
    assert first.validation_accuracy == pytest.approx(accuracy(probabilities, problem.validation.labels), abs=0.02)


def test_fine_tuning_solves_what_the_probe_cannot(trained: Trained) -> None:
    probe, best = trained.result.history[0], trained.result.history[trained.result.best_epoch]
    assert probe.validation_accuracy < 0.65
    assert best.validation_accuracy > 0.85
    assert best.validation_loss < 0.75 * probe.validation_loss


def test_the_history_has_an_entry_an_epoch(trained: Trained) -> None:
    history = trained.result.history
    assert [entry.epoch for entry in history] == list(range(13))
    losses = [entry.loss for entry in history[1:]]
    assert all(loss is not None and math.isfinite(loss) for loss in losses)
    assert losses[-1] < 0.75 * losses[0]


def test_the_best_epoch_is_that_of_the_smallest_validation_loss(trained: Trained, spoilt: Trained) -> None:
    for result in (trained.result, spoilt.result):
        losses = [entry.validation_loss for entry in result.history]
        assert result.best_epoch == losses.index(min(losses))


def test_the_result_is_at_least_as_good_as_the_best_epoch(trained: Trained, problem: Any) -> None:
    best = trained.result.history[trained.result.best_epoch]
    found = log_loss(softmax(trained.result.validation_logits[0]), problem.validation.labels)
    assert found <= best.validation_loss + 1e-6
    assert trained.result.interpolation in INTERPOLATIONS


def test_weights_between_the_probe_and_the_best_epoch_are_tried(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for share in (0.5, 1.0):
        monkeypatch.setattr(module, "INTERPOLATIONS", (share,))
        found[share] = tune(problem, epochs=3)
        assert (found[share].result.interpolation, found[share].result.best_epoch) == (share, 3)
    half, full, before = weights(found[0.5].base), weights(found[1.0].base), found[1.0].before
    assert np.abs(full["stage1_conv/kernel"] - before["stage1_conv/kernel"]).max() > 0.01
    for path in half:
        np.testing.assert_allclose(half[path], (before[path] + full[path]) / 2, atol=1e-5)
    best = found[1.0].result
    loss = log_loss(softmax(best.validation_logits[0]), problem.validation.labels)
    assert loss == pytest.approx(best.history[3].validation_loss, rel=1e-5)


def test_the_share_of_the_way_with_the_smallest_loss_is_taken(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = {}
    for shares in ((0.25,), (1.0,), (1.0, 0.25)):
        monkeypatch.setattr(module, "INTERPOLATIONS", shares)
        result = tune(problem, epochs=3).result
        losses[shares] = log_loss(softmax(result.validation_logits[0]), problem.validation.labels)
    assert losses[1.0, 0.25] == pytest.approx(min(losses[0.25,], losses[1.0,]), rel=1e-5)
    assert losses[0.25,] != pytest.approx(losses[1.0,], rel=1e-3)
    assert result.interpolation == min((0.25, 1.0), key=lambda share: losses[share,])
    np.testing.assert_allclose(from_images(result, problem), result.validation_logits[0], atol=0.02)


def test_the_model_from_images_gives_the_logits_that_were_reported(trained: Trained, problem: Any) -> None:
    assert trained.result.validation_logits.shape == trained.result.start_logits.shape == (2, 80, 2)
    # The features that validation read are rounded to half precision, the model's own are not.
    np.testing.assert_allclose(from_images(trained.result, problem), trained.result.validation_logits[0], atol=0.02)
    top = suffix(trained.result.model, problem.cut)
    for view, logits in zip(VIEWS, trained.result.validation_logits, strict=True):
        stored = problem.features.load([(digest, view) for digest in problem.validation.digests]).astype(np.float32)
        np.testing.assert_allclose(top(stored, training=False), logits, atol=1e-3)


def test_where_logits_are_averaged_they_are_judged_by(
    trained: Trained, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_JUDGED", 2)
    result = tune(problem, epochs=3, test_views=VIEWS).result
    labels = problem.validation.labels
    for found, logits in (
        (result.history[0].validation_loss, result.start_logits),
        (trained.result.history[0].validation_loss, trained.result.start_logits[:1]),
    ):
        assert found == pytest.approx(log_loss(softmax(logits.mean(axis=0)), labels), rel=1e-6)
    best = result.history[result.best_epoch]
    assert log_loss(softmax(result.validation_logits.mean(axis=0)), labels) <= best.validation_loss + 1e-6
    assert result.history[0].validation_loss != trained.result.history[0].validation_loss


def test_few_views_may_judge_an_epoch(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_JUDGED", 1)
    result = tune(problem, epochs=3, test_views=VIEWS).result
    first = log_loss(softmax(result.start_logits[0]), problem.validation.labels)
    assert result.history[0].validation_loss == pytest.approx(first, rel=1e-6)
    assert result.validation_logits.shape == (2, 80, 2)


@pytest.mark.parametrize(("as_good", "expected"), [(math.inf, 2), (0.0, 0)])
def test_where_few_views_judge_the_last_epoch_is_taken_if_it_is_about_as_good(
    problem: Any, monkeypatch: pytest.MonkeyPatch, as_good: float, expected: int
) -> None:
    monkeypatch.setattr(module, "MOST_JUDGED", 1)
    monkeypatch.setattr(module, "INTERPOLATIONS", (1.0,))
    monkeypatch.setattr(module, "AS_GOOD", as_good)
    harmful = {"images": 32, "epochs": 2, "learning_rate": 1.0}
    run = tune(problem, test_views=VIEWS, **harmful)
    assert run.result.best_epoch == expected
    np.testing.assert_allclose(from_images(run.result, problem), run.result.validation_logits[0], rtol=0.02, atol=0.02)
    assert (np.abs(run.result.validation_logits - run.result.start_logits).max() > 0.1) == bool(expected)


def test_where_all_views_judge_the_best_epoch_is_taken_however_close_the_last_comes(
    problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AS_GOOD", math.inf)
    assert tune(problem, images=32, epochs=2, learning_rate=1.0).result.best_epoch == 0


def test_what_the_probe_says_need_not_be_asked_again(problem: Any) -> None:
    known = tune(problem, epochs=1).result.start_logits + 1e-3
    base, parts = BASE.build(), (problem.features, problem.probe, problem.train, problem.validation)
    result = finetune(base, Recipe(problem.cut, VIEWS, epochs=1), *parts, start_logits=known)
    np.testing.assert_array_equal(result.start_logits, known)
    first = log_loss(softmax(known[0]), problem.validation.labels)
    assert result.history[0].validation_loss == pytest.approx(first, rel=1e-6)


def test_the_probe_is_asked_of_every_view_as_well(trained: Trained, problem: Any) -> None:
    top = suffix(BASE.build(), problem.cut)
    for view, logits in zip(VIEWS, trained.result.start_logits, strict=True):
        stored = problem.features.load([(digest, view) for digest in problem.validation.digests]).astype(np.float32)
        pooled = np.asarray(top(stored, training=False)).mean(axis=(1, 2))
        np.testing.assert_allclose(logits, problem.probe.logits(pooled), atol=1e-5)
    plain, upside_down = trained.result.start_logits
    assert np.abs(upside_down - plain).max() > 1e-3


def test_training_that_only_does_harm_leaves_the_probe(spoilt: Trained, problem: Any) -> None:
    assert spoilt.result.best_epoch == 0
    assert spoilt.result.history[-1].validation_loss > spoilt.result.history[0].validation_loss
    np.testing.assert_allclose(from_images(spoilt.result, problem), problem.probe.logits(problem.pooled), atol=1e-3)
    for path, found in weights(spoilt.base).items():
        np.testing.assert_allclose(found, spoilt.before[path], rtol=1e-6)
    assert spoilt.result.interpolation == INTERPOLATIONS[0]


def test_layers_below_the_cut_stay_as_they_were_and_those_above_change(trained: Trained) -> None:
    after = weights(trained.base)
    np.testing.assert_array_equal(after["stage0_conv/kernel"], trained.before["stage0_conv/kernel"])
    for layer in ("stage1_conv", "stage2_conv"):
        assert np.abs(after[f"{layer}/kernel"] - trained.before[f"{layer}/kernel"]).max() > 1e-3


def test_batch_norms_stay_as_they_were(trained: Trained) -> None:
    after = weights(trained.base)
    norms = [path for path in after if "_bn/" in path]
    assert len(norms) == 12
    for path in norms:
        np.testing.assert_allclose(after[path], trained.before[path], rtol=1e-6)


def test_the_result_shares_its_layers_with_the_base(trained: Trained) -> None:
    assert set(trained.base.layers) <= set(trained.result.model.layers)


def test_the_same_seed_gives_the_same_history(problem: Any) -> None:
    one, two, other = (tune(problem, images=48, seed=seed).result for seed in (1, 1, 2))
    np.testing.assert_allclose(numbers(one), numbers(two), rtol=1e-5)
    np.testing.assert_allclose(one.validation_logits, two.validation_logits, atol=1e-5)
    assert one.history[1].loss != pytest.approx(other.history[1].loss, rel=1e-4)


def numbers(result: FineTuned) -> list[list[float]]:
    return [[entry.loss or 0.0, entry.validation_loss, entry.validation_accuracy] for entry in result.history]


def test_each_epoch_takes_every_image(problem: Any) -> None:
    run = tune(problem, images=40, epochs=3)
    assert run.advanced == [16, 16, 8] * 3
    assert len(run.result.history) == 4


def test_fewer_images_than_a_batch_make_one_batch(problem: Any) -> None:
    run = tune(problem, images=10, batch_size=32)
    assert run.advanced == [10, 10]
    assert len(run.result.history) == 3


def test_every_view_of_the_recipe_is_trained_on(problem: Any) -> None:
    """A view whose features aren't in the store can't be."""
    features, recipe = problem.features, Recipe(problem.cut, (PLAIN, MIRRORED), epochs=1)
    for digest in problem.validation.digests:
        features.store.put(features.key(digest, MIRRORED), features.load([(digest, PLAIN)])[0])
    features.store.flush()
    with pytest.raises(StoreError, match="160 features are gone from the store"):
        finetune(BASE.build(), recipe, problem.features, problem.probe, problem.train, problem.validation)


def test_labels_go_with_their_images(problem: Any) -> None:
    """With every label exchanged, the network learns the opposite."""
    swapped = replace(problem.train, labels=1 - problem.train.labels)
    found = tune(replace(problem, train=swapped), epochs=12).result
    assert found.history[-1].loss is not None
    assert found.history[-1].loss < 0.55
    assert found.history[-1].validation_accuracy < 0.2


def test_label_smoothing_keeps_the_training_loss_up(problem: Any) -> None:
    plain, smooth = (tune(problem, images=48, label_smoothing=share).result for share in (0.0, 0.5))
    assert plain.history[1].loss is not None
    assert smooth.history[1].loss is not None
    assert plain.history[1].loss != pytest.approx(smooth.history[1].loss, rel=1e-4)


def test_mixup_blends_what_is_trained_on(problem: Any) -> None:
    plain, again, mixed = (tune(problem, images=32, epochs=1, mixup=mixup).result for mixup in (0.0, 0.0, 1.0))
    assert plain.history == again.history
    assert mixed.history[1].loss != pytest.approx(plain.history[1].loss, rel=1e-4)
    assert mixed.history[0] == plain.history[0]


def test_when_time_is_up_the_best_so_far_must_do(problem: Any) -> None:
    base, advanced = BASE.build(), []
    recipe = Recipe(problem.cut, VIEWS, epochs=50, batch_size=16)
    parts = problem.train, problem.validation
    now = time.monotonic()
    result = finetune(base, recipe, problem.features, problem.probe, *parts, advanced.append, deadline=now)
    assert advanced == [16]
    assert [entry.epoch for entry in result.history] == [0, 1]
    best = result.history[result.best_epoch].validation_loss
    assert log_loss(softmax(result.validation_logits[0]), problem.validation.labels) <= best + 1e-6


def test_a_network_says_the_same_from_features_at_its_cut(trained: Trained, problem: Any) -> None:
    found = logits_in_views(trained.result.model, problem.cut, problem.features, problem.validation, VIEWS)
    np.testing.assert_allclose(found, trained.result.validation_logits, atol=1e-4)


def skewed(problem: Any) -> Any:
    """The problem with five images of one class for one of the other, to learn from and to decide by."""
    parts = {}
    for name in ("train", "validation"):
        part = getattr(problem, name)
        kept = np.concatenate([np.flatnonzero(part.labels == 0), np.flatnonzero(part.labels == 1)[::5]])
        parts[name] = Labelled([part.digests[place] for place in kept], part.labels[kept])
    return replace(problem, **parts)


def batches_of(problem: Any, balance: str) -> list[tuple[np.ndarray, ...]]:
    recipe = Recipe(problem.cut, VIEWS, epochs=1, balance=balance)
    sizes = module.batch_sizes(len(problem.train.digests), 16)
    found = module._batches(recipe, problem.features, problem.train, suffix(BASE.build(), problem.cut), sizes, 2, 0)
    return [found[number] for number in range(len(sizes))]


def test_class_weights_come_with_the_images(problem: Any) -> None:
    rare = skewed(problem)
    assert all(len(batch) == 2 for balance in ("none", "sampling", "logits") for batch in batches_of(rare, balance))
    for _, targets, weights in batches_of(rare, "weights"):
        np.testing.assert_allclose(weights, np.where(targets[:, 1] == 1, 96 / 32, 96 / 160))


def test_balanced_sampling_draws_as_many_images_of_each_class(problem: Any) -> None:
    rare = skewed(problem)
    plain, sampled = (
        np.sum([targets.sum(axis=0) for _, targets in batches_of(rare, balance)], axis=0)
        for balance in ("none", "sampling")
    )
    assert plain.tolist() == [80, 16]
    assert sampled.tolist() == [48, 48]


def test_the_adjusted_loss_puts_on_what_the_logits_lack(problem: Any) -> None:
    """From an adjusted probe, the first training loss is that of the probe as it was on images as they come."""
    rare = skewed(problem)
    taken_off = adjustment(rare.train.labels, 2, "logits")
    adjusted = replace(rare, probe=replace(rare.probe, bias=rare.probe.bias - taken_off))
    settings = {"epochs": 1, "learning_rate": 1e-9, "dropout": 0.0, "batch_size": 96}
    plain = tune(rare, **settings).result
    found = tune(adjusted, balance="logits", **settings).result
    assert plain.history[1].loss is not None
    assert found.history[1].loss == pytest.approx(plain.history[1].loss, rel=1e-4)
    np.testing.assert_allclose(found.start_logits, plain.start_logits - taken_off, atol=1e-4)


def test_training_with_the_adjusted_loss_is_training_as_it_is_and_adjusting_afterwards(problem: Any) -> None:
    rare = skewed(problem)
    taken_off = adjustment(rare.train.labels, 2, "logits")
    adjusted = replace(rare, probe=replace(rare.probe, bias=rare.probe.bias - taken_off))
    plain, found = tune(rare, epochs=1).result, tune(adjusted, balance="logits", epochs=1).result
    assert plain.history[1].loss == pytest.approx(found.history[1].loss, rel=1e-3)


@pytest.mark.parametrize("balance", ["weights", "sampling", "logits"])
def test_validation_lets_every_class_count_alike_where_classes_are_balanced(problem: Any, balance: str) -> None:
    rare = skewed(problem)
    result = tune(rare, epochs=1, balance=balance).result
    labels = rare.validation.labels
    start = softmax(result.start_logits[0])
    assert result.history[0].validation_loss == pytest.approx(balanced_log_loss(start, labels), rel=1e-5)
    assert result.history[0].validation_accuracy == pytest.approx(balanced_accuracy(start, labels))
    end = balanced_log_loss(softmax(result.validation_logits[0]), labels)
    assert end <= min(entry.validation_loss for entry in result.history) + 1e-6


@pytest.mark.parametrize("kind", [MultiLabel, Regression])
def test_labels_and_numbers_are_fine_tuned_from_their_probe(as_kind: AsKind, kind: type[Kind]) -> None:
    found = as_kind(kind)
    result = tune(found, epochs=12).result
    made, validation = found.validation.kind, found.validation
    assert result.validation_logits.shape == (2, 80, found.probe.bias.size)
    first, best = result.history[0], result.history[result.best_epoch]
    probe_scores = found.probe.logits(found.pooled)
    assert first.validation_loss == pytest.approx(made.loss(probe_scores, validation.labels), abs=1e-3)
    assert best.validation_loss < 0.75 * first.validation_loss
    assert best.validation_accuracy > first.validation_accuracy + 0.2
    assert made.loss(result.validation_logits[0], validation.labels) <= best.validation_loss + 1e-6
    assert result.history[-1].loss is not None
    assert result.history[-1].loss < 0.75 * (result.history[1].loss or 0)
    np.testing.assert_allclose(from_images(result, found), result.validation_logits[0], atol=0.03)


def test_another_kind_is_another_fine_tuning(problem: Any, as_kind: AsKind) -> None:
    """A checkpoint of one must never be taken for the other's, nor one of numbers in another unit."""
    numbers = as_kind(Regression)
    other = replace(numbers.train, kind=replace(numbers.train.kind, deviation=1.0))
    recipe = Recipe(problem.cut, VIEWS, epochs=1)
    names = [
        module._identity(recipe, problem.features, numbers.probe, train, numbers.validation, [])
        for train in (numbers.train, other)
    ]
    assert names[0] != names[1]
