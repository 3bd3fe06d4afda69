from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from headstart.evaluation.calibration import fit_temperature
from headstart.workflow.classifiers import FinetunedClassifier


def test_a_fine_tuned_candidate_answers_for_every_view_and_is_calibrated_on_the_plain_one() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 40, 2)).astype(np.float32)
    labels = np.arange(40) % 2
    result: Any = SimpleNamespace(validation_logits=logits)
    images: Any = SimpleNamespace(part=lambda part: SimpleNamespace(labels=labels))
    recipe: Any = SimpleNamespace(balance="none")
    candidate = FinetunedClassifier(recipe, result, images, SimpleNamespace(), ()).candidate
    np.testing.assert_array_equal(candidate.logits, logits[0])
    np.testing.assert_array_equal(candidate.more, logits[1:])
    assert candidate.temperature == fit_temperature(logits[0], labels)
