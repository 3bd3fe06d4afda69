from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headstart.learn.kinds import Regression
from headstart.report.evidence import NumberPredictions
from headstart.report.number_story import NumberStory
from headstart.run import RegressionRecord

DEVIATION = 20.0


def story(
    *, images: int = 200, noise: float = 8.0, slope: float = 1.0, half_width: float | None = 13.2, whole: bool = False
) -> NumberStory:
    """A test part with numbers around 100; predictions keep so much to the middle, and are off by so much."""
    rng = np.random.default_rng(0)
    targets = rng.choice([80.0, 100.0, 120.0], images) if whole else rng.normal(100, DEVIATION, images)
    values = 100 + slope * (targets - 100) + rng.normal(0, noise, images)
    kind = Regression(100.0, DEVIATION, half_width)
    intervals = {f"{n}_ci95": i for n, i in kind.confidence_intervals(values, targets, 0).items()}
    test = {"n": images, **kind.score(values, targets), **intervals, **kind.details(values, targets, ("weight",))}
    record = RegressionRecord(mean=100.0, deviation=DEVIATION, coverage=0.9, half_width=half_width)
    manifest = SimpleNamespace(
        labels=("weight",),
        task=record,
        data=SimpleNamespace(root="/nowhere"),
        split=SimpleNamespace(origin="drawn", images={"train": 500, "validation": 200, "test": images}),
    )
    predictions = NumberPredictions(tuple(f"{number}.png" for number in range(images)), targets, values)
    gone = {"image": lambda name: None}  # all of them
    evidence: Any = SimpleNamespace(manifest=manifest, labels=("weight",), test=test, predictions=predictions, **gone)
    return NumberStory(evidence)


def answers(found: NumberStory) -> dict[str, tuple[str, str]]:
    return {finding.question: (finding.tone, finding.answer.replace("\u00a0", " ")) for finding in found.findings}


def test_the_headline_is_the_mean_absolute_error_in_the_numbers_own_unit() -> None:
    found = story()
    assert found.headline == f"{found.evidence.test['mae']:.1f}"
    assert f"off by {found.headline} on average" in found.verdict
    assert f"explained {100 * found.evidence.test['r2']:.1f}\u00a0% of how the true numbers vary" in found.verdict
    assert found.purpose == "predicts the number “weight” from an image"


def test_worse_than_the_mean_is_never_more_than_nothing_explained() -> None:
    found = story(noise=60.0)
    assert found.evidence.test["r2"] < 0
    assert "explained 0.0\u00a0% of" in found.verdict
    assert answers(found)["Better than guessing?"][0] == "poor"


def test_good_predictions_are_better_than_always_saying_the_mean() -> None:
    found = story()
    targets = found._predictions.targets
    by_mean = np.abs(targets - 100).mean()
    tone, answer = answers(found)["Better than guessing?"]
    assert tone == "good"
    assert f"Always saying 100.0, the mean of the training images, would be off by {by_mean:.1f} on average" in answer
    assert f"off by {100 * (1 - found.evidence.test['mae'] / by_mean):.1f} % less" in answer


def test_a_gain_that_chance_allows_is_doubted() -> None:
    tone, answer = answers(story(images=30, noise=14.0))["Better than guessing?"]
    assert (tone, answer[:8]) == ("fair", "Perhaps.")


@pytest.mark.parametrize(
    ("half_width", "tone", "start"),
    [
        (13.2, "good", "Yes."),
        (6.0, "poor", "No."),
        (40.0, "fair", "They are cautious."),
        (None, "fair", "There are none"),
    ],
)
def test_intervals_are_believed_as_far_as_they_hold(half_width: float | None, tone: str, start: str) -> None:
    found, answer = answers(story(half_width=half_width))["Can its intervals be believed?"]
    assert found == tone
    assert answer.startswith(start)


def test_predictions_that_keep_to_the_middle_are_told_of() -> None:
    tone, answer = answers(story(slope=0.6, noise=2.0))["Is it off in one direction?"]
    assert tone == "fair"
    assert answer.endswith("Like any predictor that isn't sure, it keeps to the middle.")
    assert "too much on average, for the third with the highest" in answer
    assert answers(story())["Is it off in one direction?"][0] == "good"


def test_numbers_that_are_many_are_told_in_thirds_and_few_one_by_one() -> None:
    groups = story().facts()["groups"]
    assert [name.split(" (")[0] for name, *_ in groups] == ["Lowest third", "Middle third", "Highest third"]
    assert sum(images for _, images, _, _ in groups) == 200
    found = story(whole=True)
    groups = found.facts()["groups"]
    assert [name for name, *_ in groups] == ["80.0", "100.0", "120.0"]
    targets, errors = found._predictions.targets, found._errors
    bias = errors[targets == 80].mean()
    assert groups[0][2] == f"{'+' if bias > 0 else '−'}{abs(bias):.1f}"
    assert groups[0][3] == f"{np.abs(errors[targets == 80]).mean():.1f}"


def test_the_largest_errors_are_shown_the_worst_first() -> None:
    found = story()
    errors = found._errors
    mistakes = found.facts()["mistakes"]
    order = np.argsort(-np.abs(errors), kind="stable")[:12]
    assert [picture.name for picture in mistakes] == [f"{number}.png" for number in order]
    worst = order[0]
    assert mistakes[0].note == f"{abs(errors[worst]):.1f} too {'much' if errors[worst] > 0 else 'little'}"
    assert mistakes[0].label == f"{found._predictions.targets[worst]:.1f}"


def test_what_an_interval_is_and_isnt_is_told() -> None:
    assert "hold the true number of 90% of new images" in story().meaning
    assert story(half_width=None).meaning.startswith("There is no interval")
    assert any("equally wide" in limit for limit in story().limits)
    assert not any("equally wide" in limit for limit in story(half_width=None).limits)
    assert dict(story().settings) == {"Mean and deviation": "100 and 20", "Interval": "± 13.2, to hold 90%"}
    assert dict(story(half_width=None).settings)["Interval"] == "none"


def test_few_images_are_told_of() -> None:
    assert "How sure is that?" in answers(story(images=60))
    assert "How sure is that?" not in answers(story(images=200))
