from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture
def options(warm_cache: Path, tmp_path: Path) -> list[object]:
    shutil.copytree(warm_cache / "prefixes", tmp_path / "cache" / "prefixes")
    return ["--base", "untrained", "--cache", tmp_path / "cache", "--fractions", "50,100", "--seeds", "1"]


def is_one_line(err: str) -> bool:
    return err.startswith("headstart: ") and err.count("\n") == 1 and err.endswith("\n")


def test_a_comparison_prints_a_table_and_writes_a_page_and_a_document(
    headstart: Command, photos: Path, options: list[object], tmp_path: Path
) -> None:
    out = tmp_path / "comparison"
    # In so little time the frozen ways may be finished, and what isn't is said.
    finished = headstart("compare", photos, "--out", out, "--time", "30s", *options)
    assert finished.code == 0, finished.err
    lines = finished.out.splitlines()
    assert lines[0].split() == ["way", "labels", "images", "accuracy", "95", "%", "interval", "time", "seeds"]
    assert len([line for line in lines if line.startswith(("from scratch", "frozen", "fine-tuned"))]) == 8
    assert any(line.startswith("Labels ") for line in lines)
    assert lines[-1].split() == ["Page", str(out / "comparison.html")]
    assert {path.name for path in out.iterdir()} == {"comparison.html", "comparison.json"}
    assert (out / "comparison.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    document = json.loads((out / "comparison.json").read_text("utf-8"))
    assert document["headline"] in finished.out
    # The same command goes on, and writes over what it wrote.
    again = headstart("compare", photos, "--out", out, "--time", "30s", *options, "--json")
    assert again.code == 0, again.err
    printed = json.loads(again.out)
    assert printed == json.loads((out / "comparison.json").read_text("utf-8"))
    done, before = ({(p["way"], p["fraction"]) for p in d["points"] if p["finished"]} for d in (printed, document))
    assert before <= done


def test_it_writes_over_nothing_else(headstart: Command, photos: Path, options: list[object], tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    finished = headstart("compare", photos, "--out", out, *options)
    assert finished.code == 2
    assert is_one_line(finished.err)
    assert finished.err.endswith("mine exists already; name another with --out, or remove that one\n")
    assert (out / "notes.txt").read_text() == "mine"


def test_the_page_may_not_lie_among_the_images(headstart: Command, photos: Path, options: list[object]) -> None:
    finished = headstart("compare", photos, "--out", photos / "page", *options)
    assert finished.code == 2
    assert "where it would pass for a class; name a folder elsewhere with --out" in finished.err
    assert not (photos / "page").exists()


def test_what_cannot_be_written_is_an_error(
    headstart: Command, photos: Path, options: list[object], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    finished = headstart("compare", photos, "--out", tmp_path / "file" / "page", "--time", "1s", *options)
    assert finished.code == 2
    assert finished.err.splitlines()[-1].startswith("headstart: ")
    assert "can't be written" in finished.err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--fractions", "many"], "'many' aren't shares of the labels"),
        (["--time", "soon"], "'soon' is no time"),
        (["--image-size", "large"], "'large' is no image size"),
    ],
)
def test_a_wrong_option_is_one_line(
    headstart: Command, photos: Path, tmp_path: Path, more: list[str], message: str
) -> None:
    finished = headstart("compare", photos, "--out", tmp_path / "out", "--base", "untrained", *more)
    assert finished.code == 2
    assert is_one_line(finished.err)
    assert message in finished.err
