from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from headstart.inspection.findings import DataAudit, Decided, Finding, FixedRow, Item
from headstart.report.audit_page import MOST_FILES, MOST_ITEMS, render_audit


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a/1.png", "a/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 30), "red").save(tmp_path / name)
    return tmp_path


def page(root: Path, *findings: Finding, source: str = "photos") -> str:
    rows = [FixedRow("a/1.png", "a", "", "", "", False)]
    sizes = {"smallest": (8, 9), "median": (40, 30), "largest": (400, 300)}
    audit = DataAudit(
        str(root), source, "classes", {"a": 1}, {"train": 1}, sizes, {"PNG": 1}, CHOICES, findings, rows, 2.0
    )
    return render_audit(audit)


CHOICES = [Decided("precision", "<f32>", "bf16 differs")]
GOOD = Finding("flaws", "Pictures that show little", "good", "None.")


def poor(*items: Item) -> Finding:
    return Finding("near-duplicates", "Near-duplicates", "poor", "2 images are the same.", "Group them.", items)


def test_findings_are_told_with_pictures_the_urgent_first(root: Path) -> None:
    html = page(root, GOOD, poor(Item(("a/1.png", "a/2.png"), ("a", "b"), "alike to 0.9990")))
    assert html.index("Near-duplicates</a>") < html.index("Pictures that show little")
    assert html.count('src="data:image/jpeg;base64,') == 2
    assert "alike to 0.9990" in html
    assert "Group them." in html
    assert "1 thing to look at among 1 image." in html
    assert "&lt;f32&gt;" in html
    assert "bf16 differs" in html


def test_it_loads_nothing_from_elsewhere(root: Path) -> None:
    html = page(root, poor(Item(("a/1.png",), ("a",), "x")))
    assert "default-src 'none'" in html
    assert not re.search(r'(?:src|href)="(?!data:|#)', html)
    assert "<script" not in html


def test_where_nothing_was_found_it_says_so(root: Path) -> None:
    html = page(root, GOOD)
    assert "Nothing wrong was found with 1 image." in html
    assert '<section id="flaws">' not in html


def test_what_comes_from_strangers_is_escaped_and_cut(root: Path) -> None:
    name = "<img onerror=x>\u202e.png"
    html = page(root, poor(Item((name,), ("<b>",), "<i>")), source="<u>")
    assert "<img onerror" not in html
    assert "<b>&lt;b&gt;</b>" in html
    assert "<i>" not in html
    assert "<u>" not in html
    assert "\u202e" not in html
    assert "Can&#39;t be shown" in html or "Can't be shown" in html


def test_of_many_items_some_are_shown_and_the_others_counted(root: Path) -> None:
    many = [Item(("a/1.png",) * (MOST_FILES + 2), ("a",) * (MOST_FILES + 2), f"item {number}") for number in range(30)]
    html = page(root, poor(*many))
    assert html.count("<figure>") == MOST_ITEMS * MOST_FILES
    assert f"And {30 - MOST_ITEMS} more, in audit.json." in html
    assert "and 2 more images" in html
