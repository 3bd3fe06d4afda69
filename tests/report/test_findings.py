from __future__ import annotations

import pytest

from headstart.evaluation.metrics import ReliabilityBin
from headstart.report import findings
from headstart.report.evidence import Evidence, read_evidence


def evidence_of(run) -> Evidence:
    manifest = run.write()
    return read_evidence(run.folder, manifest)


def answers(run) -> dict[str, findings.Finding]:
    return {found.question: found for found in findings.findings(evidence_of(run))}


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
