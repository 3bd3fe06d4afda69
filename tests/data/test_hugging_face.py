from __future__ import annotations

import os
from pathlib import Path

import pytest

from headstart.data.hugging_face import cached_dataset

VARIABLES = ("HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def folder(path: Path, age: int = 0) -> Path:
    path.mkdir(parents=True)
    os.utime(path, (10**9 - age, 10**9 - age))
    return path


def test_what_the_hub_s_library_downloaded_is_found(home: Path) -> None:
    cache = home / ".cache" / "huggingface" / "hub"
    snapshot = folder(cache / "datasets--owner--my.data-1" / "snapshots" / "abc")
    folder(cache / "models--owner--my.data-1" / "snapshots" / "abc")
    folder(cache / "datasets--owner--my.data-10" / "snapshots" / "abc")
    assert cached_dataset("owner/my.data-1") == snapshot
    assert cached_dataset("owner/other") is None


def test_what_the_datasets_library_made_is_found(home: Path) -> None:
    cache = home / ".cache" / "huggingface" / "datasets"
    made = folder(cache / "owner___data" / "default" / "0.0.0" / "abc")
    plain = folder(cache / "mnist" / "mnist" / "1.0.0" / "abc")
    assert cached_dataset("owner/data") == made
    assert cached_dataset("mnist") == plain


def test_the_newest_of_several_is_taken(home: Path) -> None:
    hub = home / ".cache" / "huggingface" / "hub" / "datasets--o--d" / "snapshots"
    folder(hub / "old", age=100)
    newest = folder(hub / "new", age=10)
    folder(home / ".cache" / "huggingface" / "datasets" / "o___d" / "default" / "0.0.0" / "abc", age=50)
    assert cached_dataset("o/d") == newest


def test_files_and_what_is_still_being_made_are_passed_over(home: Path) -> None:
    version = home / ".cache" / "huggingface" / "datasets" / "o___d" / "default" / "0.0.0"
    folder(version / "abc.incomplete")
    (version / "abc.lock").write_text("")
    assert cached_dataset("o/d") is None


@pytest.mark.parametrize(
    ("variable", "hub", "datasets"),
    [
        ("HF_HOME", "x/hub", "x/datasets"),
        ("HF_HUB_CACHE", "x", ".cache/huggingface/datasets"),
        ("HF_DATASETS_CACHE", ".cache/huggingface/hub", "x"),
    ],
)
def test_the_environment_says_where_the_caches_are(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, hub: str, datasets: str
) -> None:
    monkeypatch.setenv(variable, str(home / "x"))
    snapshot = folder(home / hub / "datasets--o--d" / "snapshots" / "abc")
    made = folder(home / datasets / "mnist" / "mnist" / "1.0.0" / "abc")
    assert (cached_dataset("o/d"), cached_dataset("mnist")) == (snapshot, made)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "o/..", "a/b/c", "*", "o/*", "o/d\n", "/o/d", "o\\d", "[o]/d"])
def test_what_is_no_name_of_a_data_set_is_not_looked_for(home: Path, name: str) -> None:
    hub = home / ".cache" / "huggingface" / "hub"
    folder(hub / "datasets--o--d" / "snapshots" / "abc")
    folder(home / ".cache" / "huggingface" / "a" / "b" / "c")
    folder(home / ".cache" / "huggingface" / "datasets" / "o___.." / "b" / "c" / "d")
    assert cached_dataset(name) is None


def test_without_a_cache_nothing_is_found() -> None:
    assert cached_dataset("o/d") is None
