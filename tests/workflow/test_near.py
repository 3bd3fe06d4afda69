from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from headstart.run import Run
from headstart.workflow import train

MakeImages = Callable[..., Path]


@pytest.fixture
def with_copies(make_images: MakeImages, tmp_path: Path) -> Path:
    """Two classes of 40 images, and a paler, re-encoded copy of half of them."""
    root = make_images(tmp_path / "photos", {"cat": 40, "dog": 40}, size=64)
    for path in sorted(root.rglob("*.png"))[::2]:
        Image.open(path).point(lambda value: 0.9 * value).save(path.with_suffix(".jpg"), quality=92)
    return root


def choices(run: Run) -> dict[str, tuple[str, str]]:
    return {choice.what: (choice.value, choice.reason) for choice in run.manifest.choices}


def test_near_duplicates_are_in_one_part_and_that_is_said(
    with_copies: Path, tmp_path: Path, warm_cache: Path, table: Callable[[Path], list[dict[str, str]]]
) -> None:
    run = train(with_copies, tmp_path / "run", base="untrained", cache=warm_cache, finetune=False)
    parts = {row["file"].rpartition(".")[0]: set[str]() for row in table(run.folder / "split.csv")}
    for row in table(run.folder / "split.csv"):
        parts[row["file"].rpartition(".")[0]].add(row["part"])
    assert len(parts) == 80
    assert all(len(found) == 1 for found in parts.values())
    value, reason = choices(run)["near-duplicates"]
    assert value == "80 images in 40 groups"
    assert "each group is on one side" in reason


def test_in_given_parts_they_stay_and_that_is_said_too(
    make_images: MakeImages, tmp_path: Path, warm_cache: Path
) -> None:
    make_images(tmp_path / "data" / "train", {"a": 20, "b": 20})
    make_images(tmp_path / "data" / "test", {"a": 6, "b": 6}, seed=1)
    Image.open(tmp_path / "data" / "test" / "a" / "002.png").save(
        tmp_path / "data" / "train" / "a" / "x.jpg", quality=92
    )
    run = train(tmp_path / "data", tmp_path / "run", base="untrained", cache=warm_cache, finetune=False)
    assert "1 of the groups lie in several given parts" in choices(run)["near-duplicates"][1]
    assert run.metrics["test"]["n"] == 12


def test_where_there_are_none_nothing_is_said(trained: Run) -> None:
    assert "near-duplicates" not in choices(trained)
