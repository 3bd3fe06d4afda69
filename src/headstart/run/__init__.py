"""The run folder: everything that `train` leaves behind, and all that later commands need.

A run is data, never a program: JSON that is validated when it is read, weights as safetensors, the engine's network,
tables as CSV, and the sha256 of each file. Loading one imports neither Keras nor TensorFlow.
"""

from headstart.run.answers import Prediction, answers_of, kind_of
from headstart.run.draft import RunDraft
from headstart.run.loaded import Run
from headstart.run.records import (
    CARD,
    CHANGES,
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
    ClassesRecord,
    DataRecord,
    Manifest,
    MultiLabelRecord,
    RegressionRecord,
    SplitRecord,
    TaskRecord,
    ViewRecord,
)
from headstart.run.tables import Placed, read_placed, read_rows

__all__ = [
    "CARD",
    "CHANGES",
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
    "ClassesRecord",
    "DataRecord",
    "Manifest",
    "MultiLabelRecord",
    "Placed",
    "Prediction",
    "RegressionRecord",
    "Run",
    "RunDraft",
    "SplitRecord",
    "TaskRecord",
    "ViewRecord",
    "answers_of",
    "kind_of",
    "read_placed",
    "read_rows",
]
