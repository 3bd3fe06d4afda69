"""What training says of its images, as an audit of them does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from headstart.run import Run
from headstart.workflow import audit, examining, train

MakeImages = Callable[..., Path]


@pytest.fixture(scope="module")
def shortcut(make_images: MakeImages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, one all PNG and the other all JPEG, with a black picture."""
    root = make_images(tmp_path_factory.mktemp("shortcut") / "photos", {"cat": 30, "dog": 30}, size=48)
    for path in sorted((root / "dog").iterdir()):
        Image.open(path).save(path.with_suffix(".jpg"), quality=95)
        path.unlink()
    Image.new("RGB", (48, 48)).save(root / "cat" / "cap.png")
    return root


@pytest.fixture(scope="module")
def run(shortcut: Path, warm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "run"
    return train(shortcut, out, base="untrained", cache=warm_cache, finetune=False, augment="none")


def test_training_finds_what_an_audit_finds(run: Run, shortcut: Path, warm_cache: Path) -> None:
    told = run.metrics["audit"]
    assert told == [finding.summary() for finding in audit(shortcut, base="untrained", cache=warm_cache).findings]
    by_key = {finding["key"]: finding for finding in told}
    assert by_key["shortcuts"]["tone"] != "good"
    assert (by_key["flaws"]["tone"], by_key["flaws"]["images"]) == ("fair", 1)
    assert by_key["unreadable"]["tone"] == "good"


def test_the_report_tells_what_is_to_be_looked_at(run: Run, trained: Run) -> None:
    page = run.report.read_text(encoding="utf-8")
    assert "Looked over before training" in page
    for finding in run.metrics["audit"]:
        told = f"<dt>{finding['title']}</dt>"
        assert (told in page) == (finding["tone"] != "good"), finding["key"]
    assert "shows each finding in pictures" in page
    assert "Looked over before training" in trained.report.read_text(encoding="utf-8")


def test_the_command_line_names_it(
    shortcut: Path, warm_cache: Path, tmp_path: Path, headstart: Callable[..., object]
) -> None:
    options = ("--base", "untrained", "--no-finetune", "--augment", "none", "--cache", warm_cache)
    done = headstart("train", shortcut, "--out", tmp_path / "run", *options)
    assert done.code == 0, done.err
    line = " ".join(done.out.split())
    assert "look at" in line
    assert "`headstart audit` shows them" in line


def test_near_duplicates_are_held_out_together_where_labels_are_checked(
    make_images: MakeImages, fresh_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_images(tmp_path / "photos", {"cat": 20, "dog": 20}, size=64)
    Image.open(data / "cat" / "003.png").save(data / "cat" / "again.jpg", quality=92)
    asked: list[Sequence[str]] = []
    real = examining.out_of_fold

    def spy(features: Any, targets: Any, outputs: int, seed: int, kind: Any, units: Sequence[str], *rest: Any) -> Any:
        asked.append(units)
        return real(features, targets, outputs, seed, kind, units, *rest)

    monkeypatch.setattr(examining, "out_of_fold", spy)
    audit(data, base="untrained", cache=fresh_cache)
    (units,) = asked
    assert (len(units), len(set(units))) == (41, 40)
