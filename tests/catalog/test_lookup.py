from __future__ import annotations

from pathlib import Path

import pytest

from headstart.catalog.lookup import Lookup, keras_models, make_lookup
from headstart.errors import UsageError


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEADSTART_WEIGHTS", "HEADSTART_OFFLINE", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_word_there_is_no_place_and_the_network_is_open() -> None:
    found = make_lookup(None, offline=False, cache=None)
    assert (found.file, found.folder, found.mirror, found.is_offline) == (None, None, None, False)


def test_a_file_a_folder_and_an_address_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "own.h5"
    file.touch()
    assert make_lookup(file, offline=False, cache=tmp_path) == Lookup(file=file, cache=tmp_path)
    assert make_lookup(str(tmp_path), offline=False, cache=None).folder == tmp_path
    mirror = make_lookup("https://example.org/weights/", offline=False, cache=None)
    assert (mirror.mirror, mirror.folder) == ("https://example.org/weights", None)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        make_lookup(tmp_path / "absent.h5", offline=False, cache=None)
    assert str(caught.value) == (
        f"there is no weights file or folder {tmp_path / 'absent.h5'}; "
        "give a weights file, a folder of them, or an http or https address"
    )


def test_the_environment_names_a_place_unless_the_caller_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_WEIGHTS", "https://example.org")
    assert Lookup().mirror == "https://example.org"
    assert Lookup(place=str(tmp_path)).mirror is None
    monkeypatch.setenv("HEADSTART_WEIGHTS", str(tmp_path))
    assert Lookup().folder == tmp_path


@pytest.mark.parametrize(("value", "offline"), [("1", True), ("true", True), ("0", False), ("", False)])
def test_the_environment_can_forbid_the_network(monkeypatch: pytest.MonkeyPatch, value: str, offline: bool) -> None:
    monkeypatch.setenv("HEADSTART_OFFLINE", value)
    assert Lookup().is_offline is offline
    assert Lookup(offline=True).is_offline


def test_keras_keeps_its_weights_in_its_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert keras_models() == Path.home() / ".keras" / "models"
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert keras_models() == tmp_path / "models"
