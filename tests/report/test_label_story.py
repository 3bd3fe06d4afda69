from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headstart.learn.kinds import MultiLabel
from headstart.report.evidence import LabelPredictions
from headstart.report.label_story import MOST_CURVES, LabelStory
from headstart.run import MultiLabelRecord

NAMES = ("wet", "cold", "rare")


def story(*, images: int = 200, skill: float = 2.0, names: tuple[str, ...] = NAMES, rare: int = 4) -> LabelStory:
    """A test part whose scores say something of its labels; the last label is on so many images."""
    rng = np.random.default_rng(0)
    targets = (rng.uniform(size=(images, len(names))) < 0.4).astype(float)
    targets[:, -1] = 0
    targets[:rare, -1] = 1
    kind = MultiLabel((0.5,) * len(names))
    scores = skill * (2 * targets - 1) + rng.normal(0, 1, targets.shape)
    probabilities = kind.predict(scores)
    predictions = LabelPredictions(
        tuple(f"{number}.png" for number in range(images)), targets > 0, kind.given(probabilities), probabilities
    )
    intervals = {f"{n}_ci95": i for n, i in kind.confidence_intervals(probabilities, targets, 0).items()}
    test = {
        "n": images,
        **kind.score(probabilities, targets),
        **intervals,
        **kind.details(probabilities, targets, names),
    }
    manifest = SimpleNamespace(
        labels=names,
        temperature=1.5,
        task=MultiLabelRecord(thresholds=kind.thresholds),
        data=SimpleNamespace(root="/nowhere", images=dict.fromkeys(names, 10)),
        split=SimpleNamespace(origin="drawn", images={"train": 500, "validation": 100, "test": images}),
    )
    counts = Counter({(name, "train"): 5 * number for number, name in enumerate(names, 1)})
    files = {"image": lambda name: None}  # they are gone
    evidence: Any = SimpleNamespace(
        manifest=manifest,
        labels=names,
        test=test,
        predictions=predictions,
        part_counts=counts,
        metrics={"test": test},
        **files,
    )
    return LabelStory(evidence)


def answers(found: LabelStory) -> dict[str, tuple[str, str]]:
    return {finding.question: (finding.tone, finding.answer.replace("\u00a0", " ")) for finding in found.findings}


def test_the_headline_is_mean_average_precision_and_the_verdict_says_how_many_are_all_right() -> None:
    found = story()
    test = found.evidence.test
    assert found.headline == f"{100 * test['mean_average_precision']:.1f}\u00a0%"
    assert found.headline_note == "mean average precision"
    assert f"exactly the right labels to {100 * test['exact_match']:.1f}\u00a0%" in found.verdict
    assert found.purpose == "says which of 3 labels apply to an image: wet, cold and rare"


def test_good_scores_are_better_than_guessing_and_bad_ones_are_not() -> None:
    tone, answer = answers(story())["Better than guessing?"]
    assert (tone, answer[:4]) == ("good", "Yes.")
    test = story().evidence.test
    chance = np.mean([score["images"] / 200 for score in test["per_label"].values()])
    assert f"would reach a mean average precision of {100 * chance:.1f} %" in answer
    tone, answer = answers(story(skill=-2.0))["Better than guessing?"]
    assert (tone, answer[:3]) == ("poor", "No.")
    assert answers(story(skill=0.02, images=60))["Better than guessing?"][0] != "good"


def test_the_weakest_label_is_that_of_the_smallest_average_precision() -> None:
    found = story()
    per_label = found.evidence.test["per_label"]
    weakest = min(per_label, key=lambda label: per_label[label]["average_precision"])
    _, answer = answers(found)["Its weakest label?"]
    assert answer.startswith(f"“{weakest}”: average precision {100 * per_label[weakest]['average_precision']:.1f} %")
    assert found.facts()["label_rows"][0].label == weakest
    assert ("With so few images that is a rough figure." in answer) == (weakest == "rare")


def test_probabilities_are_believed_as_far_as_they_come_true() -> None:
    rng = np.random.default_rng(0)
    sure = story()
    calibrated = np.clip(rng.uniform(size=(200, 3)), 0.01, 0.99)
    targets = rng.uniform(size=(200, 3)) < calibrated
    for probabilities, tone in ((calibrated, "good"), (np.where(calibrated > 0.5, 0.999, 0.001), "poor")):
        found = story()
        found.evidence.predictions = LabelPredictions(  # type: ignore[misc]
            sure._predictions.files, targets, probabilities > 0.5, probabilities
        )
        assert answers(found)["Can its confidence be believed?"][0] == tone


def test_few_images_are_told_of() -> None:
    assert "How sure is that?" in answers(story(images=60))
    assert "How sure is that?" not in answers(story(images=200))
    assert any("1 label has fewer than 10 test images" in limit for limit in story().limits)
    assert not any("fewer than 10" in limit for limit in story(rare=20).limits)


def test_a_label_that_no_test_image_has_comes_last_and_without_a_curve() -> None:
    found = story(rare=0)
    facts = found.facts()
    assert [row.label for row in facts["label_rows"]][-1] == "rare"
    assert facts["label_rows"][-1].average_precision is None
    assert [label for label, _, _ in facts["curves_of_labels"]] == [row.label for row in facts["label_rows"][:-1]]


def test_many_labels_get_the_curves_of_the_weakest() -> None:
    names = tuple(f"label {number}" for number in range(20))
    facts = story(names=names).facts()
    assert len(facts["curves_of_labels"]) == MOST_CURVES
    assert facts["more_labels"] == 20 - MOST_CURVES
    ids = [chart for _, _, chart in facts["curves_of_labels"]]
    assert len(set(ids)) == MOST_CURVES


def test_every_mistake_shown_is_one_and_the_most_surprising_comes_first() -> None:
    found = story()
    predictions = found._predictions
    mistakes = found.facts()["mistakes"]
    assert len(mistakes) == 12
    losses = -np.log(np.where(predictions.targets, predictions.probabilities, 1 - predictions.probabilities)).mean(
        axis=1
    )
    wrong = (predictions.given != predictions.targets).any(axis=1)
    first = int(mistakes[0].name.removesuffix(".png"))
    assert wrong[first]
    assert losses[first] == losses[wrong].max()
    number = int((predictions.given[first] != predictions.targets[first]).sum())
    assert mistakes[0].note == f"{number} wrong answer{'s' * (number > 1)}"
    assert not any(picture.is_right for picture in mistakes)


def test_no_mistakes_are_no_pictures() -> None:
    assert story(skill=50.0).facts()["mistakes"] == []


@pytest.mark.parametrize("term", ["Temperature", "Thresholds"])
def test_what_scores_are_read_by_is_told(term: str) -> None:
    assert term in dict(story().settings)
    assert dict(story().settings)["Temperature"] == "1.500"
    assert "wet 0.500" in dict(story().settings)["Thresholds"]
