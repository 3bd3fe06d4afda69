from __future__ import annotations

import time

import numpy as np
import pytest

from headstart.catalog import get_base
from headstart.learn.baselines import (
    Lesson,
    Schedule,
    TimeUpError,
    classic_head,
    from_scratch,
    logits_of,
    train_plainly,
)
from headstart.learn.kinds import CLASSES


def lesson(inputs: np.ndarray, labels: np.ndarray, **more: object) -> Lesson:
    held_out = slice(None, None, 4)
    return Lesson(
        inputs,
        CLASSES.training_targets(labels, 2),
        None,
        inputs[held_out],
        lambda logits: CLASSES.loss(logits, labels[held_out]),
        CLASSES.keras_loss(0.0),
        **more,
    )


@pytest.fixture
def separable() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 100)
    return (rng.normal(0, 1, (100, 6)) + 2 * labels[:, None]).astype(np.float32), labels


def test_the_classic_head_learns_and_keeps_its_best_epoch(separable: tuple[np.ndarray, np.ndarray]) -> None:
    inputs, labels = separable
    model, told = classic_head(6, 2, seed=0), lesson(inputs, labels)
    before = told.judge(logits_of(model, told.held_out))
    seen: list[int] = []
    learned = train_plainly(model, told, Schedule((1e-2, 1e-5), 20, seed=0), seen.append)
    assert learned.loss < 0.5 * before
    assert learned.rate == 1e-2  # hardly anything is learned with the other
    assert 1 <= learned.best_epoch <= learned.epochs <= 20
    assert told.judge(logits_of(model, told.held_out)) == pytest.approx(learned.loss)
    assert set(seen) == {32}  # batches of one size, so that a step is traced once


def test_the_same_seed_comes_to_the_same_network(separable: tuple[np.ndarray, np.ndarray]) -> None:
    told = lesson(*separable)
    schedule = Schedule((1e-2,), 3, seed=4)
    losses = [train_plainly(classic_head(6, 2, seed), told, schedule).loss for seed in (1, 1, 2)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    assert losses[0] != pytest.approx(losses[2], abs=1e-6)


def test_each_rate_starts_from_the_same_weights(separable: tuple[np.ndarray, np.ndarray]) -> None:
    told = lesson(*separable)
    alone = train_plainly(classic_head(6, 2, 0), told, Schedule((1e-2,), 4, seed=0)).loss
    after = train_plainly(classic_head(6, 2, 0), told, Schedule((1e-6, 1e-2), 4, seed=0))
    assert after.rate == 1e-2
    assert after.loss == pytest.approx(alone, rel=0.2)  # dropout has gone on


def test_a_network_from_scratch_knows_nothing_and_trains_throughout() -> None:
    base = get_base("untrained")
    one, same, other = (from_scratch(base.architecture(), 2, seed).get_weights() for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    model = from_scratch(base.architecture(), 2, 0)
    pretrained = base.build()
    kernel = np.asarray(model.get_layer("stage1_conv").kernel)
    assert not np.allclose(kernel, np.asarray(pretrained.get_layer("stage1_conv").kernel))
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 8)), rel=0.2)
    before = [np.array(weights) for weights in model.trainable_weights]
    rng = np.random.default_rng(0)
    images, labels = rng.normal(0, 1, (40, 32, 32, 3)).astype(np.float16), np.arange(40) % 2
    train_plainly(model, lesson(images, labels, mirrored=(True, True)), Schedule((1e-2,), 2, seed=0))
    changed = [not np.array_equal(old, new) for old, new in zip(before, model.trainable_weights, strict=True)]
    assert all(changed)


def test_images_are_mirrored_where_that_is_allowed() -> None:
    from headstart.learn.baselines import _batches

    image = np.zeros((1, 2, 2, 1), np.float32)
    image[0, 0, 0] = 1
    images, labels = np.repeat(image, 64, axis=0), np.arange(64) % 2
    corners = {}
    for mirrored in ((False, False), (True, False), (True, True)):
        batches = _batches(lesson(images, labels, mirrored=mirrored), np.random.default_rng(0))
        shown = np.concatenate([batch[0] for batch in batches])[..., 0]
        corners[mirrored] = {(int(row), int(column)) for _, row, column in np.argwhere(shown)}
    assert corners[False, False] == {(0, 0)}
    assert corners[True, False] == {(0, 0), (0, 1)}
    assert corners[True, True] == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_weights_decide_what_is_learned(separable: tuple[np.ndarray, np.ndarray]) -> None:
    inputs, labels = separable
    weights = np.where(labels == 1, 2.0, 0.0)
    told = Lesson(
        inputs,
        CLASSES.training_targets(labels, 2),
        weights,
        inputs,
        lambda logits: CLASSES.loss(logits, np.ones_like(labels)),
        CLASSES.keras_loss(0.0),
    )
    model = classic_head(6, 2, 0)
    train_plainly(model, told, Schedule((1e-2,), 20, seed=0))
    assert (logits_of(model, inputs).argmax(axis=1) == 1).mean() > 0.95


def test_a_deadline_ends_it_without_a_result(separable: tuple[np.ndarray, np.ndarray]) -> None:
    schedule = Schedule((1e-2,), 20, seed=0, deadline=time.monotonic() - 1)
    with pytest.raises(TimeUpError):
        train_plainly(classic_head(6, 2, 0), lesson(*separable), schedule)
