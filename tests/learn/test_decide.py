from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from headstart.evaluation.calibration import fit_temperature, softmax
from headstart.evaluation.metrics import METRICS, balanced_log_loss, equal_class_weights, log_loss, log_losses
from headstart.learn.decide import Candidate, decide
from headstart.learn.kinds import MultiLabel, Regression

IMAGES = 300
LABELS = np.arange(IMAGES) % 3


def candidate(strength: float, *, seed: int = 0, wrong: int = 0) -> Candidate:
    """Logits that speak for the right class with a strength; of the first few images for a wrong one."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, (IMAGES, 3)).astype(np.float32)
    logits[np.arange(IMAGES), LABELS] += np.float32(strength)
    logits[np.arange(wrong), (LABELS[:wrong] + 1) % 3] += np.float32(3 * strength)
    return Candidate.of(logits, LABELS)


def test_a_candidate_is_calibrated_on_its_own_logits() -> None:
    logits = candidate(2.0).logits
    found = Candidate.of(logits * 7, LABELS)
    assert found.temperature == fit_temperature(logits * 7, LABELS)
    assert found.temperature == pytest.approx(7 * candidate(2.0).temperature, rel=0.01)
    np.testing.assert_array_equal(found.probabilities, softmax(logits * 7, found.temperature))
    assert log_loss(found.probabilities, LABELS) < log_loss(softmax(logits * 7), LABELS)


def test_scores_hold_every_measure_and_the_number_of_images() -> None:
    scores = candidate(2.0).scores()
    assert set(scores) == {*METRICS, "n"}
    assert scores["n"] == IMAGES
    assert scores["accuracy"] == METRICS["accuracy"](candidate(2.0).probabilities, LABELS)


def test_without_a_challenger_the_probe_stays_and_the_reason_is_passed_on() -> None:
    decision = decide(candidate(2.0), None, "too few images", seed=0)
    assert (decision.chosen, decision.reason, decision.comparison) == ("probe", "too few images", None)


def test_a_clear_gain_is_taken_and_its_figures_told() -> None:
    probe, finetuned = candidate(1.0), candidate(4.0)
    decision = decide(probe, finetuned, "", seed=0)
    assert decision.chosen == "finetune"
    assert decision.comparison is not None
    gain = log_loss(probe.probabilities, LABELS) - log_loss(finetuned.probabilities, LABELS)
    assert decision.comparison.gain == pytest.approx(gain)
    before, after = (f"{some.scores()['accuracy']:.1%}" for some in (probe, finetuned))
    assert decision.reason == (
        f"on 300 validation images fine-tuning changes the log loss by {-gain:+.3f} (p = 0.0001) "
        f"and accuracy from {before} to {after}"
    )
    assert "by -0." in decision.reason


def test_what_could_be_chance_is_not_taken() -> None:
    decision = decide(candidate(2.0, seed=0), candidate(2.0, seed=1), "", seed=0)
    assert decision.chosen == "probe"
    assert decision.comparison is not None
    assert not decision.comparison.is_significant
    assert decision.reason.endswith(": the gain could be chance (p must be below 0.2)")
    assert re.search(r"\(p = 0\.\d+\) and accuracy from \d\d\.\d% to \d\d\.\d%: ", decision.reason)


def test_a_loss_is_not_taken() -> None:
    decision = decide(candidate(4.0), candidate(1.0), "", seed=0)
    assert decision.chosen == "probe"
    assert "changes the log loss by +0." in decision.reason


def test_the_very_same_answers_are_not_taken() -> None:
    decision = decide(candidate(2.0), candidate(2.0), "", seed=0)
    assert decision.chosen == "probe"
    assert "could be chance" in decision.reason


def from_margins(margins: np.ndarray) -> Candidate:
    """Two classes by the logit by which the right one leads."""
    labels = np.arange(len(margins)) % 2
    logits = np.where(labels == 1, margins, -margins)[:, None] * [-0.5, 0.5]
    return Candidate(logits.astype(np.float32), labels, 1.0)


def test_a_smaller_loss_with_fewer_right_answers_is_not_taken() -> None:
    probe, finetuned = from_margins(np.full(300, 0.1)), from_margins(np.array([-0.1] * 5 + [3.0] * 295))
    decision = decide(probe, finetuned, "", seed=0)
    assert decision.comparison is not None
    assert decision.comparison.is_significant
    assert decision.chosen == "probe"
    assert decision.reason.endswith("accuracy from 100.0% to 98.3%: fewer answers are right, by more than chance")


def test_a_smaller_loss_with_hardly_fewer_right_answers_is_taken() -> None:
    probe = from_margins(np.array([0.1] * 294 + [-0.1] * 6))
    finetuned = from_margins(np.array([-0.1] * 7 + [3.0] * 293))
    decision = decide(probe, finetuned, "", seed=0)
    assert decision.chosen == "finetune"
    assert decision.reason.endswith("accuracy from 98.0% to 97.7%")


def test_a_smaller_loss_with_as_many_right_answers_is_taken() -> None:
    probe, finetuned = from_margins(np.full(300, 0.1)), from_margins(np.full(300, 3.0) - np.arange(300) / 1000)
    assert decide(probe, finetuned, "", seed=0).chosen == "finetune"


def test_calibration_comes_before_the_comparison() -> None:
    good = candidate(3.0)
    overconfident = Candidate.of(good.logits * 10, LABELS)
    assert decide(overconfident, good, "", seed=0).chosen == "probe"


def test_the_same_seed_gives_the_same_decision() -> None:
    pairs = [decide(candidate(2.0), candidate(2.2, seed=1), "", seed=seed) for seed in (5, 5, 6)]
    assert pairs[0] == pairs[1]
    assert pairs[0] != pairs[2]


def test_an_image_loses_what_it_loses_over_its_views() -> None:
    plain, other = candidate(2.0), candidate(0.5, seed=1)
    both = Candidate.of(plain.logits, LABELS, [other.logits])
    of_other = log_losses(softmax(other.logits, plain.temperature), LABELS)
    np.testing.assert_allclose(both.losses(), (plain.losses() + of_other) / 2)
    assert both.accuracy() == pytest.approx((plain.accuracy() + other.accuracy()) / 2)
    assert (both.temperature, both.scores()) == (plain.temperature, plain.scores())


def test_views_show_a_gain_that_the_plain_one_is_too_few_for() -> None:
    def seen(strength: float, first_seed: int) -> Candidate:
        plain, *more = (candidate(strength, seed=first_seed + number).logits for number in range(8))
        return Candidate.of(plain, LABELS, more)

    probe, finetuned = seen(2.0, 0), seen(2.4, 100)
    on_plain = [Candidate.of(found.logits, LABELS) for found in (probe, finetuned)]
    assert decide(*on_plain, "", seed=0).chosen == "probe"
    decision = decide(probe, finetuned, "", seed=0)
    assert decision.chosen == "finetune"
    assert decision.reason.startswith("on 300 validation images in 8 views each fine-tuning changes the log loss by -")


def rare(margin_of_common: float, margin_of_rare: float) -> Candidate:
    """By how much the right logit leads for 270 images of one class, and for 30 of another."""
    labels = np.repeat([0, 1], [270, 30])
    margins = np.where(labels == 0, margin_of_common, margin_of_rare) - np.arange(300) / 1000
    logits = np.where(labels == 1, margins, -margins)[:, None] * [-0.5, 0.5]
    return Candidate(logits.astype(np.float32), labels, 1.0, weights=equal_class_weights(labels))


def test_where_classes_are_balanced_the_loss_is_the_balanced_one() -> None:
    probe, finetuned = rare(2.0, 0.1 + 0.3), rare(1.9, 2.0)
    decision = decide(probe, finetuned, "", seed=0)
    gain = balanced_log_loss(probe.probabilities, probe.labels) - balanced_log_loss(
        finetuned.probabilities, probe.labels
    )
    assert decision.comparison is not None
    assert decision.comparison.gain == pytest.approx(gain)
    assert decision.chosen == "finetune"
    assert re.search(
        r"changes the balanced log loss by -.* and balanced accuracy from 100.0% to 100.0%$", decision.reason
    )


def test_a_gain_for_the_common_class_at_the_cost_of_the_rare_one_is_not_taken_where_classes_are_balanced() -> None:
    probe, finetuned = rare(1.0, 2.0), rare(2.0, 0.31)
    unbalanced = [replace(found, weights=None) for found in (probe, finetuned)]
    assert decide(*unbalanced, "", seed=0).chosen == "finetune"
    assert decide(probe, finetuned, "", seed=0).chosen == "probe"


def test_the_temperature_of_a_balanced_candidate_lets_every_class_count_alike() -> None:
    found = rare(3.0, -1.0)
    balanced = Candidate.of(found.logits, found.labels, weights=found.weights)
    assert balanced.temperature == fit_temperature(found.logits, found.labels, found.weights)
    assert balanced.temperature > 2 * Candidate.of(found.logits, found.labels).temperature


def test_balanced_accuracy_must_not_fall_where_classes_are_balanced() -> None:
    probe, finetuned = rare(0.4, 0.4), rare(3.0, 3.0)
    finetuned.logits[-4:] = 0.1 * finetuned.logits[-4:, ::-1]
    finetuned.logits[-4:, 0] += 0.1
    decision = decide(probe, finetuned, "", seed=0)
    assert decision.comparison is not None
    assert decision.comparison.is_significant
    assert decision.reason.endswith("from 100.0% to 93.3%: balanced accuracy falls")


def test_accuracy_must_not_fall_either_where_a_few_rare_images_speak_for_the_fine_tuned_network() -> None:
    probe, finetuned = rare(2.0, 0.28), rare(2.0, 3.0)
    assert decide(probe, finetuned, "", seed=0).chosen == "finetune"
    finetuned.logits[20:80] = finetuned.logits[20:80, ::-1] / 4
    decision = decide(probe, finetuned, "", seed=0)
    assert decision.comparison is not None
    assert decision.comparison.p_value < 0.2
    assert re.search(
        r"balanced accuracy from 66\.7% to 88\.9%: with every image counted once, fewer answers are right, by more "
        r"than chance \(93\.3% to 80\.0%\)$",
        decision.reason,
    )


TAGS = (np.random.default_rng(0).uniform(size=(IMAGES, 3)) < 0.4).astype(np.float32)


def tagged(strength: float, seed: int = 0) -> Candidate:
    noise = np.random.default_rng(seed).normal(size=TAGS.shape)
    return Candidate.of((strength * (2 * TAGS - 1) + noise).astype(np.float32), TAGS, kind=MultiLabel())


def test_labels_are_decided_by_binary_log_loss_and_mean_average_precision() -> None:
    probe, finetuned = tagged(0.5), tagged(1.5)
    decision = decide(probe, finetuned, "", seed=0)
    assert decision.chosen == "finetune"
    assert re.search(
        r"changes the log loss by -0\.\d+ \(p = 0\.0001\) and mean average precision from \d\d\.\d% to 9\d\.\d%$",
        decision.reason,
    )
    assert decision.comparison is not None
    assert decision.comparison.gain == pytest.approx(probe.scores()["log_loss"] - finetuned.scores()["log_loss"])
    assert decide(finetuned, probe, "", seed=0).chosen == "probe"


def test_a_candidate_settles_thresholds_by_calibrated_probabilities() -> None:
    found, hotter = tagged(1.0), tagged(1.0)
    hotter = Candidate.of(found.logits * 5, TAGS, kind=MultiLabel())
    assert hotter.temperature == pytest.approx(5 * found.temperature, rel=0.01)
    assert isinstance(hotter.kind, MultiLabel)
    assert isinstance(found.kind, MultiLabel)
    np.testing.assert_allclose(hotter.kind.thresholds, found.kind.thresholds, atol=0.01)
    assert len(set(found.kind.thresholds)) == 3


NUMBERS = np.random.default_rng(1).normal(100, 20, IMAGES)


def numbered(noise: float, seed: int = 0, views: int = 0) -> Candidate:
    kind = Regression.of(NUMBERS, ("weight",))
    rng = np.random.default_rng(seed)
    plain, *more = (
        ((NUMBERS - kind.mean) / kind.deviation + rng.normal(0, noise, IMAGES))[:, None] for _ in range(views + 1)
    )
    return Candidate.of(plain, NUMBERS, more, kind=kind)


def test_numbers_are_decided_by_squared_error() -> None:
    probe, finetuned = numbered(0.9), numbered(0.5, seed=1)
    decision = decide(probe, finetuned, "", seed=0)
    assert decision.chosen == "finetune"
    assert re.search(
        r"changes the squared error by -0\.\d+ \(p = .*\) and R² from -?0\.\d+ to 0\.\d+$", decision.reason
    )
    same = decide(probe, numbered(0.9, seed=2), "", seed=0)
    assert (same.chosen, same.comparison is not None) == ("probe", True)


def test_a_number_has_no_temperature_and_settles_its_interval_by_the_plain_view() -> None:
    found = numbered(0.5, views=2)
    assert found.temperature == 1
    assert isinstance(found.kind, Regression)
    errors = np.sort(np.abs(found.probabilities - NUMBERS))
    assert found.kind.half_width == errors[int(np.ceil(0.9 * (IMAGES + 1))) - 1]
    in_views = [np.square((found.kind.predict(view) - NUMBERS) / found.kind.deviation) for view in found.more]
    plain = np.square((found.probabilities - NUMBERS) / found.kind.deviation)
    np.testing.assert_allclose(found.losses(), np.mean([plain, *in_views], axis=0))
