"""What the figures mean, in sentences for a reader who has never heard of any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from headstart.evaluation.metrics import ReliabilityBin, reliability
from headstart.learn.imbalance import NAMES, measuring_weights
from headstart.report.evidence import Evidence, Predictions
from headstart.report.wording import counted, interval, listed, percent, points, quoted, tidy

Tone = Literal["good", "fair", "poor"]

# Below these, a figure says little about images to come.
FEW_TEST_IMAGES, FEW_IMAGES_OF_A_CLASS = 100, 10
# Of the calibration error, beyond what chance alone would give.
CLOSE_CALIBRATION, ROUGH_CALIBRATION = 0.03, 0.08
# Of a class's recall.
STRONG_RECALL, WEAK_RECALL = 0.8, 0.5
MOST_NAMES = 6
MEASURES = {
    "accuracy": ("Accuracy", "share of images that are right"),
    "balanced_accuracy": ("Balanced accuracy", "the same, with every class counting alike"),
    "macro_f1": ("Macro F1", "balance of finding a class and not crying it wrongly, averaged over classes"),
}


@dataclass(frozen=True)
class Finding:
    """A question, its answer in plain words, and whether that is good news."""

    question: str
    answer: str
    tone: Tone


@dataclass(frozen=True)
class Measure:
    """A measure between 0 and 1.

    Attributes:
        name: as people call it.
        meaning: what it is in plain words.
        value: on the test part.
        low, high: its 95 % interval.
        guessing: its value if every answer were the most frequent class.
    """

    name: str
    meaning: str
    value: float
    low: float
    high: float
    guessing: float

    @property
    def interval(self) -> str:
        """The interval in words; resampling a part without mistakes gives none."""
        return "no mistakes to measure it by" if self.low == self.high else interval(self.low, self.high)


def verdict(evidence: Evidence) -> str:
    """How good the classifier is, in one sentence."""
    test = evidence.test
    accuracy = f"{percent(test['accuracy'])} (95\u00a0% interval {interval(*accuracy_interval(test))})"
    unseen = f"On {counted(test['n'], 'image')} it had never seen, this classifier"
    if not evidence.is_skewed:
        return f"{unseen} was right for {accuracy}."
    balanced = f"{percent(test['balanced_accuracy'])} (95\u00a0% interval {interval(*test['balanced_accuracy_ci95'])})"
    by_class = f"recognised {balanced} of a class's images, averaged over classes"
    return f"{unseen} {by_class}, and was right for {accuracy} of all."


def accuracy_interval(test: dict[str, Any]) -> tuple[float, float]:
    """The 95 % interval of the accuracy; a perfect score's is exact, because resampling can't see luck there."""
    if test["accuracy"] == 1:
        return 0.05 ** (1 / test["n"]), 1.0
    low, high = test["accuracy_ci95"]
    return float(low), float(high)


def measures(evidence: Evidence) -> list[Measure]:
    """The measures that have an interval, the plainest first."""
    test = evidence.test
    intervals = {key: test[f"{key}_ci95"] for key in MEASURES} | {"accuracy": accuracy_interval(test)}
    guessing = _guessing(evidence)
    return [
        Measure(name, meaning, test[key], intervals[key][0], intervals[key][1], guessing[key])
        for key, (name, meaning) in MEASURES.items()
    ]


def baseline(evidence: Evidence) -> tuple[str, float]:
    """The class with the most images, and the accuracy of always answering with it."""
    label = max(evidence.labels, key=lambda label: evidence.manifest.data.images.get(label, 0))
    return label, evidence.test["per_class"][label]["images"] / evidence.test["n"]


def findings(evidence: Evidence) -> list[Finding]:
    """The context that an honest reader of the verdict asks for."""
    guessing = _balanced_against_guessing if evidence.is_skewed else _against_guessing
    found = [guessing(evidence), _weakest_class(evidence), _confidence(evidence)]
    found += [_rare_classes(evidence)] if evidence.is_skewed or evidence.balance != "none" else []
    return found + ([few_images(evidence.test)] if evidence.test["n"] < FEW_TEST_IMAGES else [])


def class_names(evidence: Evidence) -> str:
    """The classes by name or, where they are many, some of them and their number."""
    names = [tidy(label) for label in evidence.labels]
    if len(names) <= MOST_NAMES:
        return listed(names)
    return f"{', '.join(names[: MOST_NAMES - 1])} and {len(names) - MOST_NAMES + 1} more"


def trained_on(evidence: Evidence) -> int:
    """How many images it has learned from: a probe, in the end, mostly from the validation part's as well."""
    images = evidence.manifest.split.images
    learns_more = evidence.manifest.chosen == "probe" and not evidence.kind.keeps_validation
    return images["train"] + (images["validation"] if learns_more else 0)


def limits(evidence: Evidence) -> list[str]:
    """What the figures can't tell."""
    first, *others = common_limits(evidence)
    always = f"It always answers with one of its {len(evidence.labels)} classes, also when an image shows none of them."
    return [first, always, *others, *_equal_classes(evidence), *_rough_classes(evidence)]


def common_limits(evidence: Evidence) -> list[str]:
    """What no figures of a test part can tell, whatever is predicted."""
    n = counted(evidence.test["n"], "test image")
    return [
        "The test images come from the same folder as the training images. Another camera, light, place or season may "
        "give other results: try it on some images from there before relying on it.",
        f"The intervals cover the luck of drawing these {n}, not a change in what images look like.",
        f"The split came about like this: {evidence.manifest.split.origin}. Copies of a picture share a side of "
        "it unless they came divided; different pictures of one object may not, and would then flatter the figures.",
        "The labels were taken as right. A wrong label among the test images counts as a mistake, or hides one.",
    ]


def no_training_reason(evidence: Evidence) -> str:
    """Why there is no training curve, as the run gives it."""
    return next((choice.reason for choice in evidence.manifest.choices if choice.what == evidence.kind.noun), "")


def reliability_bins(evidence: Evidence) -> list[ReliabilityBin]:
    """The test images by how sure the classifier was, every class counting alike if the probabilities mean that."""
    predictions = cast(Predictions, evidence.predictions)
    labels = predictions.labels
    return reliability(predictions.probabilities, labels, measuring_weights(labels, evidence.balance))


def _guessing(evidence: Evidence) -> dict[str, float]:
    """What always answering the most frequent class would score: all of its images found, none of the others."""
    label, share = baseline(evidence)
    present = {name for name, score in evidence.test["per_class"].items() if score["images"]}
    return {
        "accuracy": share,
        "balanced_accuracy": (label in present) / len(present),
        "macro_f1": 2 * share / (1 + share) / len(present | {label}),
    }


def _against_guessing(evidence: Evidence) -> Finding:
    label, share = baseline(evidence)
    accuracy, low = evidence.test["accuracy"], accuracy_interval(evidence.test)[0]
    guess = f"Always answering {quoted(label)}, the most frequent class, would be right for {percent(share)}."
    if accuracy <= share:
        mend = "This classifier is no better than that, so it shouldn't be used as it is."
        return Finding("Better than guessing?", f"No. {guess} {mend}", "poor")
    if low <= share:
        doubt = "This classifier did better, but within what chance allows."
        return Finding("Better than guessing?", f"Perhaps. {guess} {doubt}", "fair")
    if accuracy == 1:
        return Finding("Better than guessing?", f"Yes. {guess} This classifier made no mistake.", "good")
    saved = f"This classifier makes {percent((accuracy - share) / (1 - share))} fewer mistakes."
    return Finding("Better than guessing?", f"Yes. {guess} {saved}", "good")


def _balanced_against_guessing(evidence: Evidence) -> Finding:
    """Accuracy flatters whoever says the most frequent class; balanced accuracy doesn't."""
    label, share = baseline(evidence)
    by_guessing, found = _guessing(evidence)["balanced_accuracy"], evidence.test["balanced_accuracy"]
    guess = (
        f"Always answering {quoted(label)} would be right for {percent(share)} without recognising any other class: a "
        f"balanced accuracy of {percent(by_guessing)}. This classifier's is {percent(found)}"
    )
    if found <= by_guessing:
        return Finding("Better than guessing?", f"No. {guess}, so it shouldn't be used as it is.", "poor")
    if evidence.test["balanced_accuracy_ci95"][0] <= by_guessing:
        return Finding("Better than guessing?", f"Perhaps. {guess}, which is within what chance allows.", "fair")
    return Finding("Better than guessing?", f"Yes. {guess}.", "good")


def _rare_classes(evidence: Evidence) -> Finding:
    """What was done about classes of unequal size, and what that means for the reader."""
    rarest = _by_training_images(evidence)[0]
    sizes, done = _sizes(evidence), NAMES[evidence.balance]
    if evidence.balance == "none":
        answer = f"{sizes} Nothing was done about that, so it may well miss images of rare classes."
        return Finding("Do rare classes count?", answer, "fair")
    answer = (
        f"{sizes} By {done}, every class counts alike. That finds more images of rare classes and cries them wrongly "
        f"more often{_precision_of(evidence, rarest)}. How sure it is holds where all classes are equally common."
    )
    return Finding("Do rare classes count?", answer, "good")


def _by_training_images(evidence: Evidence) -> list[str]:
    """The classes, that with the fewest training images first."""
    return sorted(evidence.labels, key=lambda label: evidence.part_counts[label, "train"])


def _sizes(evidence: Evidence) -> str:
    rarest, *_, largest = _by_training_images(evidence)
    times = evidence.metrics["balance"]["skew"]
    return f"{quoted(largest)} has {times:.1f} times as many training images as {quoted(rarest)}."


def _precision_of(evidence: Evidence, label: str) -> str:
    score = evidence.test["per_class"][label]
    if not score["images"] or not score["precision"]:
        return ""
    return f": of the test images called {quoted(label)}, {percent(score['precision'])} were"


def _weakest_class(evidence: Evidence) -> Finding:
    scores = {label: score for label, score in evidence.test["per_class"].items() if score["images"]}
    label = min(scores, key=lambda label: scores[label]["recall"])
    images, recall = scores[label]["images"], scores[label]["recall"]
    if recall == 1:
        return Finding("Its weakest class?", "None: every test image of every class was recognised.", "good")
    tone: Tone = "good" if recall >= STRONG_RECALL else "fair" if recall >= WEAK_RECALL else "poor"
    rough = " With so few images that is a rough figure." if images < FEW_IMAGES_OF_A_CLASS else ""
    answer = f"{quoted(label)}: of its {counted(images, 'test image')}, {percent(recall)} were recognised."
    return Finding("Its weakest class?", f"{answer} {_taken_for(evidence, label)}{rough}", tone)


def _taken_for(evidence: Evidence, label: str) -> str:
    row = np.array(evidence.test["confusion"][evidence.labels.index(label)])
    wrong = int(row.sum() - row[evidence.labels.index(label)])
    row[evidence.labels.index(label)] = -1
    other = quoted(evidence.labels[int(row.argmax())])
    if int(row.max()) == wrong:
        return f"The other {wrong:,} {'was' if wrong == 1 else 'were'} taken for {other}."
    return f"It is most often mistaken for {other}."


def _confidence(evidence: Evidence) -> Finding:
    alike = "" if evidence.balance == "none" else ", with every class counting alike"
    gap, right = evidence.score(evidence.test, "ece"), evidence.score(evidence.test, "accuracy")
    return how_believable(reliability_bins(evidence), gap, right, alike)


def how_believable(bins: list[ReliabilityBin], gap: float, right: float, alike: str = "") -> Finding:
    """Whether stated probabilities are those that come true.

    Args:
        bins: of the reliability curve.
        gap: the calibration error.
        right: the share of right answers.
        alike: what is to be said of how answers count.
    """
    by_chance = _calibration_error_by_chance(bins)
    stated = float(np.average([found.confidence for found in bins], weights=[found.weight for found in bins]))
    tone = _calibration_tone(gap - by_chance, is_too_sure=stated > right)
    start = {"good": "Yes.", "fair": "Roughly.", "poor": "No."}[tone]
    measured = f"Stated confidence and actual accuracy differ by {points(gap)} on average{alike}"
    chance = f"{points(by_chance)} would be expected by chance on this many images."
    bias = f" It is too {'sure' if stated > right else 'cautious'}: {percent(stated)} sure on average."
    answer = f"{start} {measured}; {chance}{'' if tone == 'good' else bias}"
    return Finding("Can its confidence be believed?", answer, tone)


def _calibration_tone(surplus: float, *, is_too_sure: bool) -> Tone:
    """Of the calibration error beyond what chance gives. Being too cautious misleads nobody badly."""
    if surplus <= CLOSE_CALIBRATION:
        return "good"
    return "poor" if surplus > ROUGH_CALIBRATION and is_too_sure else "fair"


def _calibration_error_by_chance(bins: list[ReliabilityBin]) -> float:
    """The calibration error to expect of a perfectly calibrated classifier.

    A bin of n images and confidence p is then off by sqrt(2 p (1 − p) / (π n)) on average, in the normal approximation.
    """
    total = sum(found.weight for found in bins)
    return sum(
        found.weight / total * float(np.sqrt(2 * found.confidence * (1 - found.confidence) / (np.pi * found.effective)))
        for found in bins
    )


def few_images(test: dict[str, Any]) -> Finding:
    """What a small test part means."""
    answer = (
        f"Only roughly. With {counted(test['n'], 'test image')}, each one counts for {points(1 / test['n'])}; "
        "more images would narrow the interval."
    )
    return Finding("How sure is that?", answer, "fair")


def _equal_classes(evidence: Evidence) -> list[str]:
    if evidence.balance == "none":
        return []
    return [
        "Its probabilities take every class to be equally common. For a place where some are rarer, multiply each "
        "class's probability by its share there and divide by the sum of these products."
    ]


def _rough_classes(evidence: Evidence) -> list[str]:
    rough = [label for label, score in evidence.test["per_class"].items() if score["images"] < FEW_IMAGES_OF_A_CLASS]
    if not rough:
        return []
    have = f"{counted(len(rough), 'class has', 'classes have')} fewer than {FEW_IMAGES_OF_A_CLASS} test images"
    return [f"{have}, so what is said of them one by one is rough."]
