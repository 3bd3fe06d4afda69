"""The story for each kind of thing that is predicted."""

from __future__ import annotations

from headstart.data.labels import Task
from headstart.report.class_story import ClassStory
from headstart.report.evidence import Evidence
from headstart.report.label_story import LabelStory
from headstart.report.number_story import NumberStory
from headstart.report.story import Story

STORIES: dict[Task, type[Story]] = {"classes": ClassStory, "multi-label": LabelStory, "regression": NumberStory}


def story_of(evidence: Evidence) -> Story:
    """The story of a run."""
    return STORIES[evidence.manifest.task.kind](evidence)
