"""The run folder: everything that `train` leaves behind, and all that later commands need.

A run is data, never a program: JSON that is validated when it is read, weights as safetensors, the engine's network,
tables as CSV, and the sha256 of each file. Loading one imports neither Keras nor TensorFlow.
"""

from headstart.run.draft import RunDraft
from headstart.run.loaded import Prediction, Run
from headstart.run.records import (
    CARD,
    FORMAT,
    MANIFEST,
    METRICS,
    NETWORK,
    NETWORK_WEIGHTS,
    PREDICTIONS,
    QUARANTINE,
    REPORT,
    SPLIT,
    WEIGHTS,
    BaseRecord,
    Choice,
    DataRecord,
    Manifest,
    SplitRecord,
    ViewRecord,
)

__all__ = [
    "CARD",
    "FORMAT",
    "MANIFEST",
    "METRICS",
    "NETWORK",
    "NETWORK_WEIGHTS",
    "PREDICTIONS",
    "QUARANTINE",
    "REPORT",
    "SPLIT",
    "WEIGHTS",
    "BaseRecord",
    "Choice",
    "DataRecord",
    "Manifest",
    "Prediction",
    "Run",
    "RunDraft",
    "SplitRecord",
    "ViewRecord",
]
