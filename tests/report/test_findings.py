from __future__ import annotations

import pytest

from headstart.evaluation.metrics import ReliabilityBin
from headstart.report import findings
from headstart.report.evidence import Evidence, read_evidence


def evidence_of(run) -> Evidence:
    manifest = run.write()
    return read_evidence(run.folder, manifest)


def answers(run) -> dict[str, findings.Finding]:
    return answers_of(evidence_of(run))


def answers_of(evidence: Evidence) -> dict[str, findings.Finding]:
    return {found.question: found for found in findings.findings(evidence)}


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_a_good_classifier_is_better_than_guessing(fake_run) -> None:
    found = answers(fake_run(images=200, skill=0.9))["Better than guessing?"]
    assert found.tone == "good"
    assert found.answer.startswith("Yes. Always answering “defective”")


def test_a_useless_classifier_is_called_so(fake_run) -> None:
    found = answers(fake_run(images=200, skill=0.3))["Better than guessing?"]
    assert found.tone == "poor"
    assert "it shouldn't be used as it is" in found.answer


def test_a_lead_within_chance_is_called_so(fake_run) -> None:
    evidence = evidence_of(fake_run(images=200, skill=0.7))
    evidence.metrics["test"]["accuracy_ci95"] = (0.49, 0.90)
    found = findings.findings(evidence)[0]
    assert (found.tone, found.answer[:8]) == ("fair", "Perhaps.")


def test_the_weakest_class_is_named_with_what_it_is_taken_for(fake_run) -> None:
    evidence = evidence_of(fake_run(images=200, skill=0.7))
    recalls = {label: score["recall"] for label, score in evidence.test["per_class"].items()}
    weakest = min(recalls, key=recalls.get)
    [other] = set(recalls) - {weakest}
    found = findings.findings(evidence)[1]
    assert found.answer.startswith(f"“{weakest}”: of its 100 test images")
    assert found.answer.endswith(f"were taken for “{other}”.")


def test_unbelievable_confidence_is_called_so(fake_run) -> None:
    found = answers(fake_run(images=200, skill=0.2))["Can its confidence be believed?"]
    assert (found.tone, found.answer[:3]) == ("poor", "No.")
    assert "It is too sure" in found.answer


def test_excess_of_caution_isnt_held_against_it_as_much(fake_run) -> None:
    found = answers(fake_run(images=200, skill=1.0))["Can its confidence be believed?"]
    assert found.tone == "fair"
    assert "It is too cautious" in found.answer


@pytest.mark.parametrize(("images", "is_warned"), [(99, True), (100, False)])
def test_few_images_are_pointed_out(fake_run, images: int, is_warned: bool) -> None:
    assert ("How sure is that?" in answers(fake_run(images=images))) == is_warned


def test_a_perfect_score_has_an_interval_all_the_same() -> None:
    # 0.95 to the power 59 is the first below 5 %: the textbook's "59 successes in a row show 95 % reliability".
    low, high = findings.accuracy_interval({"accuracy": 1.0, "n": 59, "accuracy_ci95": [1.0, 1.0]})
    assert (round(low, 2), high) == (0.95, 1.0)


def test_guessing_is_scored_by_every_measure(fake_run) -> None:
    measures = {found.name: found for found in findings.measures(evidence_of(fake_run()))}
    assert measures["Accuracy"].guessing == 0.5
    assert measures["Balanced accuracy"].guessing == 0.5
    assert measures["Macro F1"].guessing == pytest.approx(1 / 3)


def test_calibration_error_by_chance_shrinks_with_the_images() -> None:
    few, many = (findings._calibration_error_by_chance([ReliabilityBin(n, 0.8, 0.8, n, n)]) for n in (25, 2500))
    assert few == pytest.approx(0.4 / 5 * (2 / 3.14159265) ** 0.5)
    assert many == pytest.approx(few / 10)


def test_rough_classes_are_among_the_limits(fake_run) -> None:
    assert findings.limits(evidence_of(fake_run(images=10)))[-1].startswith("2 classes have fewer than 10 test images")
    assert "fewer than 10" not in findings.limits(evidence_of(fake_run(images=20)))[-1]


def test_an_accuracy_that_guessing_would_have_fools_nobody(fake_run) -> None:
    """Nineteen of twenty are of one class: always saying it is right more often than this good classifier."""
    evidence = evidence_of(fake_run(images=400, skill=0.9, skew=19, balance="logits"))
    assert evidence.test["accuracy"] < 0.95
    assert plain(findings.verdict(evidence)).startswith("On 400 images it had never seen, this classifier recognised ")
    found = answers_of(evidence)["Better than guessing?"]
    assert found.tone == "good"
    assert plain(found.answer).startswith(
        "Yes. Always answering “defective” would be right for 95.0 % without recognising any other class: a balanced "
        f"accuracy of 50.0 %. This classifier's is {100 * evidence.test['balanced_accuracy']:.1f} %"
    )


def test_a_classifier_that_only_knows_the_largest_class_is_called_useless(fake_run) -> None:
    evidence = evidence_of(fake_run(images=400, skill=1.0, skew=19))
    evidence.metrics["test"] |= {"accuracy": 0.95, "balanced_accuracy": 0.5, "balanced_accuracy_ci95": (0.5, 0.5)}
    assert answers_of(evidence)["Better than guessing?"].tone == "poor"
    evidence.metrics["test"] |= {"accuracy": 0.955, "balanced_accuracy": 0.55, "balanced_accuracy_ci95": (0.5, 0.6)}
    assert answers_of(evidence)["Better than guessing?"].answer.startswith("Perhaps. ")


def test_what_was_done_about_rare_classes_is_said(fake_run) -> None:
    evidence = evidence_of(fake_run(images=400, skill=0.9, skew=19, balance="logits"))
    found = answers_of(evidence)["Do rare classes count?"]
    precision = evidence.test["per_class"]["functional"]["precision"]
    assert found.tone == "good"
    assert plain(found.answer) == (
        "“defective” has 19.0 times as many training images as “functional”. By logit adjustment, every class counts "
        "alike. That finds more images of rare classes and cries them wrongly more often: of the test images called "
        f"“functional”, {100 * precision:.1f} % were. How sure it is holds where all classes are equally common."
    )
    assert any(
        limit.startswith("Its probabilities take every class to be equally common.")
        for limit in findings.limits(evidence)
    )


def test_that_nothing_was_done_about_rare_classes_is_said_too(fake_run) -> None:
    evidence = evidence_of(fake_run(images=400, skew=19))
    found = answers_of(evidence)["Do rare classes count?"]
    assert (found.tone, "Nothing was done about that" in found.answer) == ("fair", True)
    assert not any("equally common" in limit for limit in findings.limits(evidence))


def test_classes_of_similar_size_are_no_subject(fake_run) -> None:
    evidence = evidence_of(fake_run(images=400, skew=3))
    assert "Do rare classes count?" not in answers_of(evidence)
    assert "recognised" not in findings.verdict(evidence)


def test_balanced_probabilities_are_judged_with_every_class_counting_alike(fake_run) -> None:
    runs = [fake_run(images=400, skill=0.9, skew=19, balance=balance) for balance in ("none", "weights")]
    as_they_come, balanced = map(evidence_of, runs)
    assert sum(found.weight for found in findings.reliability_bins(balanced)) == pytest.approx(400)
    right = sum(found.weight * found.accuracy for found in findings.reliability_bins(balanced)) / 400
    assert right == pytest.approx(balanced.test["balanced_accuracy"])
    right = sum(found.weight * found.accuracy for found in findings.reliability_bins(as_they_come)) / 400
    assert right == pytest.approx(as_they_come.test["accuracy"])
    told = answers_of(balanced)["Can its confidence be believed?"].answer
    assert f"{100 * balanced.test['balanced_ece']:.1f}" in told
    assert "with every class counting alike" in told
    assert "counting alike" not in answers_of(as_they_come)["Can its confidence be believed?"].answer
