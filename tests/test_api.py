from __future__ import annotations

import importlib
import re
from importlib.metadata import version
from pathlib import Path

import pytest

import headstart

PUBLIC = [
    "HeadstartError",
    "HeadstartWarning",
    "Prediction",
    "Run",
    "__version__",
    "attach_head",
    "audit",
    "base",
    "bases",
    "class_weights",
    "compare",
    "custom_objects",
    "fit",
    "freeze",
    "image_data",
    "load",
    "make_loss",
    "rank",
    "train",
    "unfreeze",
]


def test_the_public_names_are_exactly_these() -> None:
    assert sorted(headstart.__all__) == PUBLIC
    assert len(set(headstart.__all__)) == len(headstart.__all__)
    assert dir(headstart) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_and_is_described(name: str) -> None:
    found = getattr(headstart, name)
    if name == "__version__":
        assert re.fullmatch(r"\d+\.\d+\.\d+", found)
    else:
        assert found.__name__ == name
        assert found.__module__.startswith("headstart")


def test_the_names_are_those_of_their_homes() -> None:
    homes = {"HeadstartError": "errors", "Run": "run", "bases": "catalog", "fit": "learn.fit", "train": "workflow"}
    for name, home in homes.items():
        assert getattr(headstart, name) is getattr(importlib.import_module(f"headstart.{home}"), name)


def test_everything_can_be_imported_at_once() -> None:
    names: dict[str, object] = {}
    exec("from headstart import *", names)
    assert set(PUBLIC) <= set(names)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'headstart' has no attribute 'trian'"):
        headstart.trian  # noqa: B018 - reading the attribute is the test
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from headstart import nothing  # noqa: F401


def test_the_version_is_that_of_the_package() -> None:
    assert headstart.__version__ == version("headstart")


def test_loading_takes_text_and_paths(trained: headstart.Run) -> None:
    for folder in (trained.folder, str(trained.folder)):
        assert headstart.load(folder).manifest == trained.manifest


def test_loading_what_is_no_run_raises_headstarts_error(tmp_path: Path) -> None:
    with pytest.raises(headstart.HeadstartError, match=r"isn't a run: it has no readable manifest\.json"):
        headstart.load(tmp_path)


def test_bases_are_pretrained_and_named_once() -> None:
    names = [base.name for base in headstart.bases()]
    assert names[:3] == ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]
    assert len(set(names)) == len(names)
    assert all(base.imagenet_top1 > 0.65 for base in headstart.bases())
