"""That a fine-tuning that was stopped and called again comes to the very same bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.catalog.untrained import BASE
from headstart.images.views import PLAIN, UPSIDE_DOWN
from headstart.learn.checkpoint import Checkpoints
from headstart.learn.finetune import FineTuned, Recipe, finetune
from headstart.learn.kinds import Kind, MultiLabel, Regression
from headstart.learn.labelled import Labelled

EPOCHS, IMAGES, BATCH = 4, 40, 16
STEPS = 3  # an epoch
RECIPE = Recipe("stage0", (PLAIN, UPSIDE_DOWN), EPOCHS, batch_size=BATCH, learning_rate=3e-3, dropout=0.5, seed=3)

Advance = Callable[[int], None]


class Killed(BaseException):
    """Stands for a kill."""


def tune(problem: Any, checkpoints: Checkpoints | None, advance: Advance = lambda count: None, **changes: Any) -> Any:
    train = Labelled(problem.train.digests[:IMAGES], problem.train.labels[:IMAGES], problem.train.kind)
    recipe = replace(RECIPE, **changes)
    return finetune(
        BASE.build(), recipe, problem.features, problem.probe, train, problem.validation, advance, checkpoints
    )


def killed_after(problem: Any, checkpoints: Checkpoints, steps: int, **changes: Any) -> int:
    """Starts a fine-tuning and stops it after so many more steps; the number of images that it went on from."""
    advanced: list[int] = []

    def advance(count: int) -> None:
        advanced.append(count)
        if len([count for count in advanced if count <= BATCH]) > steps:
            raise Killed

    with pytest.raises(Killed):
        tune(problem, checkpoints, advance, **changes)
    return sum(count for count in advanced if count > BATCH)


@pytest.fixture(scope="module")
def uninterrupted(problem: Any) -> FineTuned:
    return tune(problem, None)


def assert_same(found: FineTuned, expected: FineTuned) -> None:
    """Bit for bit."""
    assert found.history == expected.history
    assert (found.best_epoch, found.interpolation) == (expected.best_epoch, expected.interpolation)
    np.testing.assert_array_equal(found.start_logits, expected.start_logits)
    np.testing.assert_array_equal(found.validation_logits, expected.validation_logits)
    assert [variable.path for variable in found.model.weights] == [variable.path for variable in expected.model.weights]
    for one, two in zip(found.model.weights, expected.model.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())


def test_keeping_checkpoints_changes_nothing(problem: Any, uninterrupted: FineTuned, tmp_path: Path) -> None:
    assert uninterrupted.best_epoch > 0  # otherwise the weights would say little
    assert_same(tune(problem, Checkpoints(tmp_path)), uninterrupted)


@pytest.mark.parametrize(("epoch", "step"), [(0, 0), (1, 1), (2, 2), (3, 0)])
def test_killed_in_any_epoch_it_ends_as_if_nothing_had_been(
    problem: Any, uninterrupted: FineTuned, epoch: int, step: int, tmp_path: Path
) -> None:
    sentences: list[str] = []
    assert killed_after(problem, Checkpoints(tmp_path), epoch * STEPS + step) == 0
    advanced: list[int] = []
    found = tune(problem, Checkpoints(tmp_path, sentences.append), advanced.append)
    assert_same(found, uninterrupted)
    assert advanced == ([epoch * IMAGES] if epoch else []) + [16, 16, 8] * (EPOCHS - epoch)
    goes_on = [f"Fine-tuning goes on after epoch {epoch}, where it was stopped."]
    assert sentences == (goes_on if epoch else [])


def test_blends_go_on_as_well(problem: Any, tmp_path: Path) -> None:
    uninterrupted = tune(problem, None, mixup=0.5)
    killed_after(problem, Checkpoints(tmp_path), STEPS + 1, mixup=0.5)
    assert_same(tune(problem, Checkpoints(tmp_path), mixup=0.5), uninterrupted)


def test_killed_again_and_again_it_ends_as_if_nothing_had_been(
    problem: Any, uninterrupted: FineTuned, tmp_path: Path
) -> None:
    went_on_from = [killed_after(problem, Checkpoints(tmp_path), steps) for steps in (4, 1, 3, 5)]
    assert went_on_from == [0, IMAGES, IMAGES, 2 * IMAGES]
    assert_same(tune(problem, Checkpoints(tmp_path)), uninterrupted)


def test_a_fine_tuning_that_was_finished_is_not_trained_again(
    problem: Any, uninterrupted: FineTuned, tmp_path: Path
) -> None:
    tune(problem, Checkpoints(tmp_path))
    advanced: list[int] = []
    assert_same(tune(problem, Checkpoints(tmp_path), advanced.append), uninterrupted)
    assert advanced == [EPOCHS * IMAGES]


def test_one_that_did_only_harm_goes_on_as_well(problem: Any, tmp_path: Path) -> None:
    spoilt = tune(problem, None, learning_rate=1.0)
    assert spoilt.best_epoch == 0
    killed_after(problem, Checkpoints(tmp_path), 2 * STEPS + 1, learning_rate=1.0)
    assert_same(tune(problem, Checkpoints(tmp_path), learning_rate=1.0), spoilt)


def test_a_damaged_checkpoint_means_starting_over(problem: Any, uninterrupted: FineTuned, tmp_path: Path) -> None:
    killed_after(problem, Checkpoints(tmp_path), 2 * STEPS)
    (path,) = (tmp_path / "checkpoints").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    sentences: list[str] = []
    assert_same(tune(problem, Checkpoints(tmp_path, sentences.append)), uninterrupted)
    assert sentences == ["The checkpoint of fine-tuning is damaged; fine-tuning starts over."]


def test_any_other_fine_tuning_starts_at_the_beginning(problem: Any, tmp_path: Path) -> None:
    killed_after(problem, Checkpoints(tmp_path), 2 * STEPS)
    swapped = replace(problem, train=replace(problem.train, labels=1 - problem.train.labels))
    other_validation = replace(problem, validation=replace(problem.validation, labels=1 - problem.validation.labels))
    other_probe = replace(problem, probe=replace(problem.probe, bias=problem.probe.bias + 1e-6))
    assert killed_after(swapped, Checkpoints(tmp_path), 0) == 0
    assert killed_after(other_validation, Checkpoints(tmp_path), 0) == 0
    assert killed_after(other_probe, Checkpoints(tmp_path), 0) == 0
    for changes in ({"seed": 4}, {"epochs": EPOCHS + 1}):
        assert killed_after(problem, Checkpoints(tmp_path), 0, **changes) == 0
    assert killed_after(problem, Checkpoints(tmp_path), 0) == 2 * IMAGES


@pytest.mark.parametrize("kind", [MultiLabel, Regression])
def test_labels_and_numbers_go_on_as_well(
    as_kind: Callable[[type[Kind]], Any], kind: type[Kind], tmp_path: Path
) -> None:
    problem = as_kind(kind)
    uninterrupted = tune(problem, None)
    assert uninterrupted.best_epoch > 0
    killed_after(problem, Checkpoints(tmp_path), 2 * STEPS + 1)
    advanced: list[int] = []
    assert_same(tune(problem, Checkpoints(tmp_path), advanced.append), uninterrupted)
    assert advanced[0] == 2 * IMAGES
