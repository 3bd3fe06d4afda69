from __future__ import annotations

import os

import pytest

from headstart.backend import prefer_onednn

NAME = "TF_ENABLE_ONEDNN_OPTS"


def test_onednn_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    prefer_onednn()
    assert os.environ[NAME] == "1"


def test_who_decided_against_it_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "0")
    prefer_onednn()
    assert os.environ[NAME] == "0"
