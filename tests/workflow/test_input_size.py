from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from headstart.catalog import get_base
from headstart.catalog.base import Base
from headstart.catalog.untrained import BASE as UNTRAINED
from headstart.data.scan import scan
from headstart.features.extract import FeatureSet
from headstart.learn.labelled import Labelled
from headstart.learn.probe import fit_probe
from headstart.run import Choice, Run
from headstart.workflow import input_size, train
from headstart.workflow.input_size import settle_size, smaller_input

LITE0 = get_base("efficientnet-lite0")


def smaller(make_images: Callable[..., Path], tmp_path: Path, side: int, base: Base = LITE0) -> int | None:
    found = smaller_input(base, scan(make_images(tmp_path / f"{side}", {"cat": 2, "dog": 2}, size=side)))
    return found and found.spec.height


@pytest.mark.parametrize(("side", "expected"), [(8, 64), (28, 64), (40, 96), (74, 160), (75, None), (300, None)])
def test_images_at_most_a_third_as_large_call_for_a_smaller_input(
    make_images: Callable[..., Path], tmp_path: Path, side: int, expected: int | None
) -> None:
    assert smaller(make_images, tmp_path, side) == expected


def test_networks_that_need_more_or_know_nothing_are_left_as_they_are(
    make_images: Callable[..., Path], tmp_path: Path
) -> None:
    assert smaller(make_images, tmp_path, 9, replace(LITE0, smallest=75)) == 75
    assert smaller(make_images, tmp_path, 10, UNTRAINED) is None
    assert smaller(make_images, tmp_path, 11, LITE0.with_size(64, 64)) is None


def test_unreadable_images_say_nothing_of_the_size(tmp_path: Path, make_images: Callable[..., Path]) -> None:
    root = make_images(tmp_path / "images", {"cat": 2, "dog": 2}, size=20)
    (root / "cat" / "000.png").write_bytes(b"none")
    found = smaller_input(LITE0, scan(root))
    assert found is not None
    for path in root.rglob("*.png"):
        path.write_bytes(b"none")
    assert smaller_input(LITE0, scan(root)) is None


SOME = [f"{number:04}" for number in range(1000)]
IMAGES: Any = SimpleNamespace(
    some=lambda part, most: (list(map(Path, SOME)), Labelled(SOME, np.repeat([0, 1], [990, 10]))),
    classes=("a", "b"),
    kind=SimpleNamespace(loss_name="log loss"),
)


def settled(monkeypatch: pytest.MonkeyPatch, losses: dict[int, float], small: int = 64) -> tuple[int, str]:
    """What is settled where the probe has these losses, by size."""
    looked_at: list[int] = []
    session: Any = SimpleNamespace(
        features=SimpleNamespace(base=LITE0.with_size(small, small)),
        store=None,
        seed=0,
        extract=lambda stage, title, files, features: looked_at.append(features.side),
        watch=SimpleNamespace(stage=lambda *named, **said: _Quiet()),
    )

    def of_base(base: Base, store: None) -> Any:
        return SimpleNamespace(pooled=lambda precision: SimpleNamespace(side=base.spec.height))

    monkeypatch.setattr(input_size, "BaseFeatures", of_base)
    monkeypatch.setattr(input_size, "_loss", lambda features, *rest: losses[features.side])
    base, reason = settle_size(session, IMAGES, cast(FeatureSet, SimpleNamespace(precision="f32", side=small)), LITE0)
    assert looked_at == [size for size in losses if size != small]  # and no other
    return base.spec.height, reason


class _Quiet:
    def __enter__(self) -> Callable[[int], None]:
        return lambda count: None

    def __exit__(self, *error: object) -> None:
        pass


ON = "images are far smaller than the base's own; cross-validated log loss of the probe on 1,000 training images: "


def test_the_smaller_input_stays_unless_the_own_one_does_clearly_better(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = "0.500 at 64 pixels and 0.460 at 224, which takes 12 times as long"
    assert settled(monkeypatch, {224: 0.46, 64: 0.5}) == (64, f"{ON}{verdict}")


def test_where_it_does_one_between_them_may_do(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = "0.510 at 64 pixels, 0.450 at 96 pixels and 0.450 at 224, which takes 5 times as long"
    assert settled(monkeypatch, {224: 0.45, 64: 0.51, 96: 0.45}) == (96, f"{ON}{verdict}")


def test_the_own_one_is_taken_where_both_do_clearly_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = "0.500 at 64 pixels, 0.496 at 96 pixels and 0.450 at 224, which is clearly less"
    assert settled(monkeypatch, {224: 0.45, 64: 0.5, 96: 0.496}) == (224, f"{ON}{verdict}")


def test_there_is_none_between_two_that_are_close(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = "0.500 at 160 pixels and 0.450 at 224, which is clearly less"
    assert settled(monkeypatch, {224: 0.45, 160: 0.5}, small=160) == (224, f"{ON}{verdict}")


def test_too_few_images_to_tell_leave_the_base_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "the base's own; images are far smaller, but too few to tell whether less would do"
    assert settled(monkeypatch, {224: math.inf}) == (224, reason)


def choice(run: Run, what: str) -> Choice:
    return next(choice for choice in run.manifest.choices if choice.what == what)


@pytest.mark.parametrize("clearly", [0.0, 1e9])
def test_a_run_of_tiny_images_stands_on_the_size_that_was_chosen(
    make_images: Callable[..., Path], tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch, clearly: float
) -> None:
    monkeypatch.setattr(input_size, "CLEARLY_LARGER", clearly)
    photos = make_images(tmp_path / "tiny", {"cat": 20, "dog": 20}, size=16)
    run = train(photos, tmp_path / "run", base="efficientnet-lite0", cache=cache_dir, finetune=False, augment="none")
    side = 64 if clearly else 224
    assert (run.manifest.image_spec["height"], run.manifest.image_spec["width"]) == (side, side)
    assert choice(run, "image size").value == f"{side}×{side}"
    assert "images are far smaller" in choice(run, "image size").reason
    assert [choice.what for choice in run.manifest.choices].count("base") == 1
    assert run.metrics["test"]["accuracy"] > 0.5
    asked = train(photos, tmp_path / "asked", base="efficientnet-lite0", cache=cache_dir, image_size=96, finetune=False)
    assert asked.manifest.image_spec["height"] == 96
    assert choice(asked, "image size").reason == "as asked; the base was trained with another"


def test_images_count_by_their_weights_where_sizes_are_compared() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    features = (rng.normal(0, 1, (60, 5)) + labels[:, None]).astype(np.float32)
    pooled: Any = SimpleNamespace(load=lambda pairs: features)
    part = Labelled([str(number) for number in range(60)], labels, weights=rng.uniform(0.1, 4, 60))
    wanted = fit_probe(features, labels, 2, 0, units=part.together, weights=part.weights).cross_validated
    assert input_size._loss(pooled, part, 2, 0) == min(wanted.values())
    assert input_size._loss(pooled, replace(part, weights=None), 2, 0) != min(wanted.values())
