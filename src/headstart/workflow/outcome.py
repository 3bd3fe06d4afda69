"""What a training run came to."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.learn.decide import Decision
from headstart.workflow.classifiers import Classifier, FinetunedClassifier, ProbeClassifier


@dataclass(frozen=True)
class Outcome:
    """The candidates, and which of them is the answer."""

    probe: ProbeClassifier
    tuned: FinetunedClassifier | None
    decision: Decision

    @property
    def chosen(self) -> Classifier:
        if self.decision.chosen == "finetune" and self.tuned is not None:
            return self.tuned
        return self.probe
