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
    from headstart.errors import HeadstartWarning as HeadstartWarning
    from headstart.learn.attach import attach_head as attach_head
    from headstart.learn.fit import fit as fit
    from headstart.learn.freeze import freeze as freeze
    from headstart.learn.image_data import image_data as image_data
    from headstart.learn.losses import class_weights as class_weights
    from headstart.learn.losses import make_loss as make_loss
    from headstart.learn.own_base import base as base
    from headstart.learn.saved import custom_objects as custom_objects
    from headstart.learn.unfreeze import unfreeze as unfreeze
    from headstart.run import Prediction as Prediction
    from headstart.run import Run as Run
    from headstart.workflow import audit as audit
    from headstart.workflow import compare as compare
    from headstart.workflow import rank as rank
    from headstart.workflow import train as train

__version__ = "0.1.0"

# Where each public name lives. Importing headstart loads none of them.
_HOMES = {
    "HeadstartError": "headstart.errors",
    "HeadstartWarning": "headstart.errors",
    "Prediction": "headstart.run",
    "Run": "headstart.run",
    "attach_head": "headstart.learn.attach",
    "audit": "headstart.workflow",
    "base": "headstart.learn.own_base",
    "bases": "headstart.catalog",
    "class_weights": "headstart.learn.losses",
    "compare": "headstart.workflow",
    "custom_objects": "headstart.learn.saved",
    "fit": "headstart.learn.fit",
    "freeze": "headstart.learn.freeze",
    "image_data": "headstart.learn.image_data",
    "make_loss": "headstart.learn.losses",
    "rank": "headstart.workflow",
    "train": "headstart.workflow",
    "unfreeze": "headstart.learn.unfreeze",
}

__all__ = [
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
