"""Transfer learning for image classification that never computes the frozen part twice.

import headstart as hs

run = hs.train("photos", "run")
print(run.metrics["test"]["accuracy"], run.report)
print(run.predict(["new-photo.jpg"]))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from headstart.catalog import bases as bases
    from headstart.errors import HeadstartError as HeadstartError
    from headstart.learn.own_base import base as base
    from headstart.run import Prediction as Prediction
    from headstart.run import Run as Run
    from headstart.workflow import train as train

__version__ = "0.1.0"

# Where each public name lives. Importing headstart loads none of them.
_HOMES = {
    "HeadstartError": "headstart.errors",
    "Prediction": "headstart.run",
    "Run": "headstart.run",
    "base": "headstart.learn.own_base",
    "bases": "headstart.catalog",
    "train": "headstart.workflow",
}

__all__ = ["HeadstartError", "Prediction", "Run", "__version__", "base", "bases", "load", "train"]


def load(folder: str | Path) -> Run:
    """The run in a folder that `train` made; needs neither Keras nor TensorFlow."""
    from headstart.run import Run

    return Run.load(folder)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'headstart' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
