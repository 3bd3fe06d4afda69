"""The kinds of thing that can be learned, behind one interface; importing them loads NumPy alone."""

from __future__ import annotations

from headstart.data.labels import Task
from headstart.learn.kinds.classes import Classes
from headstart.learn.kinds.kind import Kind
from headstart.learn.kinds.multi_label import MultiLabel
from headstart.learn.kinds.regression import COVERAGE, Regression

__all__ = ["CLASSES", "COVERAGE", "KINDS", "Classes", "Kind", "MultiLabel", "Regression"]

CLASSES = Classes()
KINDS: dict[Task, type[Kind]] = {"classes": Classes, "multi-label": MultiLabel, "regression": Regression}
