from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from headstart.evaluation.calibration import softmax
from headstart.evaluation.metrics import accuracy, balanced_accuracy, balanced_log_loss
from headstart.learn.imbalance import NOT_BALANCED
from headstart.learn.kinds import MultiLabel, Regression
from headstart.learn.probe import (
    MOST_FOLDS,
    MOST_IMAGES_TO_CHOOSE,
    STRENGTHS,
    Probe,
    fit_probe,
    folds_for,
    loss_of_views,
    most_fits,
    refit_probe,
    refit_to_views,
)

Problem = tuple[np.ndarray, np.ndarray]


def problem(classes: int, images: int = 200, features: int = 12, spread: float = 1.0, seed: int = 0) -> Problem:
    """Clouds around one centre a class; features of different sizes and offsets, as a network's are."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    centres = rng.normal(0, 2, (classes, features))
    x = centres[labels] + rng.normal(0, spread, (images, features))
    return (x * 10.0 ** rng.uniform(-0.2, 0.2, features) + rng.uniform(0, 5, features)).astype(np.float32), labels


def right(probe: Probe, found: Problem) -> float:
    return accuracy(softmax(probe.logits(found[0])), found[1])


@pytest.mark.parametrize("classes", [2, 5])
def test_a_separable_problem_is_solved(classes: int) -> None:
    x, labels = problem(classes, images=400, spread=0.5)
    probe = fit_probe(x[:200], labels[:200], classes, seed=0)
    assert right(probe, (x[200:], labels[200:])) > 0.99
    assert probe.folds == MOST_FOLDS
    assert (probe.weights.shape, probe.bias.shape) == ((12, classes), (classes,))
    assert (probe.mean.shape, probe.deviation.shape) == ((12,), (12,))
    assert {array.dtype for array in (probe.weights, probe.bias, probe.mean, probe.deviation)} == {np.dtype("float32")}
    assert probe.logits(x).dtype == np.float32


@pytest.mark.parametrize("classes", [2, 5])
def test_the_probe_is_logistic_regression_on_standardised_features(classes: int) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, labels = problem(classes, spread=3.0)
    probe = fit_probe(x, labels, classes, seed=0)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=probe.strength, max_iter=5000, tol=1e-6))
    expected = model.fit(x.astype(np.float64), labels).predict_proba(x.astype(np.float64))
    np.testing.assert_allclose(softmax(probe.logits(x)), expected, atol=5e-3)
    assert expected.max(axis=1).std() > 0.02


@pytest.mark.parametrize("classes", [2, 5])
def test_the_strength_is_that_of_the_smallest_cross_validated_loss(classes: int) -> None:
    x, labels = problem(classes, spread=6.0)
    probe = fit_probe(x, labels, classes, seed=0)
    assert probe.strength == min(probe.cross_validated, key=lambda strength: probe.cross_validated[strength])


def test_the_cross_validated_loss_is_that_of_the_fold_left_out() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, labels = problem(3, images=90, features=30, spread=6.0)
    found = fit_probe(x, labels, 3, seed=7).cross_validated
    folds = StratifiedKFold(5, shuffle=True, random_state=7)
    for strength, loss in found.items():
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000, tol=1e-6))
        scores = cross_val_score(model, x.astype(np.float64), labels, cv=folds, scoring="neg_log_loss")
        assert loss == pytest.approx(-scores.mean(), rel=2e-3)


def test_noise_asks_for_more_caution_than_a_clear_problem() -> None:
    clear = fit_probe(*problem(2, spread=0.3), classes=2, seed=0)
    noisy = fit_probe(*problem(2, spread=12.0), classes=2, seed=0)
    assert noisy.strength < clear.strength


def test_the_search_stops_where_the_loss_rises_again() -> None:
    rng = np.random.default_rng(3)
    x, labels = rng.normal(size=(200, 100)).astype(np.float32), np.arange(200) % 2
    x[:, 0] += 0.5 * labels
    probe = fit_probe(x, labels, 2, seed=0)
    tried = list(probe.cross_validated)
    losses = list(probe.cross_validated.values())
    assert tried == list(STRENGTHS[: len(tried)])
    assert 2 < len(tried) < len(STRENGTHS)
    assert losses[-1] > losses[-2]
    assert all(later <= earlier for earlier, later in pairwise(losses[:-1]))
    assert probe.strength == tried[-2]


def test_a_clear_problem_goes_on_to_the_boldest_strength() -> None:
    probe = fit_probe(*problem(2, spread=0.3), classes=2, seed=0)
    assert list(probe.cross_validated) == list(STRENGTHS)
    assert probe.strength == STRENGTHS[-1]


def test_fitting_again_to_the_same_images_changes_nothing() -> None:
    x, labels = problem(3)
    probe = fit_probe(x, labels, 3, seed=0)
    again = refit_probe(probe, x, labels)
    np.testing.assert_allclose(again.logits(x), probe.logits(x), atol=0.01)
    assert (again.strength, again.folds, again.cross_validated) == (probe.strength, probe.folds, probe.cross_validated)


def test_fitting_again_takes_other_images_in() -> None:
    x, labels = problem(2)
    probe = fit_probe(x, labels, 2, seed=0)
    moved = refit_probe(probe, np.concatenate([x, x + 3]), np.tile(labels, 2))
    np.testing.assert_allclose(moved.mean, x.mean(axis=0) + 1.5, rtol=1e-4)
    assert np.abs(moved.weights - probe.weights).max() > 1e-3


def test_standardisation_is_folded_into_the_weights_exactly() -> None:
    x, labels = problem(3)
    probe = fit_probe(x, labels, 3, seed=0)
    np.testing.assert_allclose(probe.mean, x.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(probe.deviation, x.std(axis=0), rtol=1e-5)
    standardised = (x.astype(np.float64) - probe.mean) / probe.deviation
    kernel, offset = probe.weights * probe.deviation[:, None], probe.bias + probe.mean @ probe.weights
    np.testing.assert_allclose(standardised @ kernel + offset, probe.logits(x), atol=1e-3)
    # On standardised features the optimum's intercepts and weights add up to nothing over the classes.
    np.testing.assert_allclose(kernel.sum(axis=1), 0, atol=1e-3)


def test_two_classes_share_the_logit_evenly() -> None:
    x, labels = problem(2)
    probe = fit_probe(x, labels, 2, seed=0)
    np.testing.assert_array_equal(probe.weights[:, 0], -probe.weights[:, 1])
    np.testing.assert_allclose(probe.bias[0], -probe.bias[1], rtol=1e-5)


@pytest.mark.parametrize("constant", [0.0, 0.1, 3.7, 1234.567])
def test_a_feature_that_never_varies_has_no_say(constant: float) -> None:
    x, labels = problem(2, images=3000)
    without = fit_probe(x[:, :-1], labels, 2, seed=0)
    x[:, -1] = constant
    probe = fit_probe(x, labels, 2, seed=0)
    assert probe.deviation[-1] == 1
    np.testing.assert_allclose(probe.weights[-1], 0, atol=1e-6)
    np.testing.assert_allclose(probe.logits(x), without.logits(x[:, :-1]), atol=1e-2)


def test_features_that_are_all_the_same_give_the_shares_of_the_classes() -> None:
    labels = np.array([0] * 30 + [1] * 10)
    probe = fit_probe(np.ones((40, 3), np.float32), labels, 2, seed=0)
    np.testing.assert_allclose(softmax(probe.logits(np.ones((1, 3), np.float32)))[0], [0.75, 0.25], atol=0.01)


def test_a_common_class_is_the_more_probable_one() -> None:
    rng = np.random.default_rng(0)
    labels = np.array([0] * 90 + [1] * 30)
    probe = fit_probe(rng.normal(size=(120, 4)).astype(np.float32), labels, 2, seed=0)
    assert softmax(probe.logits(np.zeros((1, 4), np.float32)))[0, 0] == pytest.approx(0.75, abs=0.05)


def test_two_images_a_class_are_enough_for_two_folds() -> None:
    x, labels = problem(3, images=6, spread=0.1)
    probe = fit_probe(x, labels, 3, seed=0)
    assert probe.folds == 2
    assert right(probe, (x, labels)) == 1


def test_with_a_single_image_of_a_class_the_most_cautious_strength_is_taken() -> None:
    x, labels = problem(3, images=7, spread=0.1)
    labels[labels == 2] = 0
    labels[0] = 2
    probe = fit_probe(x, labels, 3, seed=0)
    assert (probe.folds, probe.strength, probe.cross_validated) == (0, STRENGTHS[0], {})
    assert probe.weights.shape == (12, 3)


def test_one_image_a_class_can_be_told_apart() -> None:
    x, labels = problem(4, images=4)
    assert right(fit_probe(x, labels, 4, seed=0), (x, labels)) == 1


def test_folds_follow_the_smallest_class() -> None:
    assert [folds_for(np.array([0] * 9 + [1] * count)) for count in (1, 2, 4, 5, 9)] == [0, 2, 4, 5, 5]


def test_the_same_seed_gives_the_same_probe() -> None:
    x, labels = problem(5, spread=6.0)
    one, two = fit_probe(x, labels, 5, seed=3), fit_probe(x, labels, 5, seed=3)
    np.testing.assert_array_equal(one.weights, two.weights)
    np.testing.assert_array_equal(one.bias, two.bias)
    assert one.cross_validated == two.cross_validated


def test_the_seed_shuffles_the_folds() -> None:
    x, labels = problem(5, spread=6.0)
    one, two = fit_probe(x, labels, 5, seed=1), fit_probe(x, labels, 5, seed=2)
    assert one.cross_validated != two.cross_validated


def test_the_answer_hardly_depends_on_the_order_of_the_images() -> None:
    x, labels = problem(3, spread=3.0)
    order = np.random.default_rng(0).permutation(len(labels))
    one, two = fit_probe(x, labels, 3, seed=0), fit_probe(x[order], labels[order], 3, seed=0)
    assert one.strength == two.strength
    np.testing.assert_allclose(softmax(one.logits(x)), softmax(two.logits(x)), atol=2e-3)


def test_the_features_are_left_as_they_were() -> None:
    x, labels = problem(2)
    before = x.copy()
    fit_probe(x, labels, 2, seed=0)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("spread", [0.3, 12.0])
def test_progress_counts_each_fit(spread: float) -> None:
    x, labels = problem(2, spread=spread)
    counts: list[int] = []
    probe = fit_probe(x, labels, 2, seed=0, advance=counts.append)
    assert sum(counts) == probe.folds * len(probe.cross_validated) + 1
    assert sum(counts) <= most_fits(labels) == 5 * len(STRENGTHS) + 1


@pytest.mark.parametrize("extra", [1, 2000])
def test_of_very_many_images_a_sample_chooses_the_strength(extra: int) -> None:
    x, labels = problem(6, images=MOST_IMAGES_TO_CHOOSE + extra, features=4, spread=4.0)
    probe = fit_probe(x, labels, 6, seed=0)
    assert probe.folds == MOST_FOLDS
    np.testing.assert_allclose(probe.mean, x.mean(axis=0), rtol=1e-5)  # the fit itself takes them all
    assert right(probe, (x, labels)) > 0.3


def test_a_rare_class_among_very_many_images_is_in_every_fold() -> None:
    x, labels = problem(2, images=4 * MOST_IMAGES_TO_CHOOSE, features=4)
    labels[:2], x[:2] = 2, 1e3
    for seed in range(4):
        probe = fit_probe(x, labels, 3, seed=seed)
        assert probe.folds == 2
        assert right(probe, (x[:2], labels[:2])) == 1


def rare_problem(images: int = 400, seed: int = 0) -> Problem:
    """Two clouds that overlap, one class nine times as frequent as the other."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(images) % 10 == 0).astype(np.int64)
    return (rng.normal(0, 1, (images, 6)) + 0.7 * labels[:, None]).astype(np.float32), labels


def test_as_they_are_is_what_it_always_was() -> None:
    x, labels = rare_problem()
    plain, asked = fit_probe(x, labels, 2, seed=0), fit_probe(x, labels, 2, seed=0, balance="none")
    np.testing.assert_array_equal(plain.weights, asked.weights)
    assert plain.balancing.kind == "none"
    balanced = problem(2, spread=6.0)
    one, two = fit_probe(*balanced, 2, seed=0), fit_probe(*balanced, 2, seed=0, balance="auto")
    np.testing.assert_array_equal(one.weights, two.weights)
    np.testing.assert_array_equal(one.bias, two.bias)
    assert one.cross_validated == two.cross_validated


def test_logit_adjustment_takes_the_logarithm_of_the_shares_off_the_bias() -> None:
    x, labels = rare_problem()
    plain, adjusted = (fit_probe(x, labels, 2, seed=0, balance=kind) for kind in ("none", "logits"))
    refitted = refit_probe(replace(plain, strength=adjusted.strength), x, labels)
    np.testing.assert_allclose(adjusted.weights, refitted.weights, atol=1e-3)
    shift = np.diff(refitted.bias - adjusted.bias)[0]
    assert shift == pytest.approx(np.log(1 / 9), abs=2e-3)
    np.testing.assert_allclose(adjusted.bias[0], -adjusted.bias[1], rtol=1e-5)


def test_class_weights_are_those_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, labels = rare_problem()
    probe = fit_probe(x, labels, 2, seed=0, balance="weights")
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=probe.strength, class_weight="balanced", max_iter=5000, tol=1e-6)
    ).fit(x.astype(np.float64), labels)
    np.testing.assert_allclose(softmax(probe.logits(x)), model.predict_proba(x.astype(np.float64)), atol=3e-3)


def test_to_a_convex_fit_balanced_sampling_is_class_weights() -> None:
    x, labels = rare_problem()
    weighted, sampled = (fit_probe(x, labels, 2, seed=0, balance=kind) for kind in ("weights", "sampling"))
    np.testing.assert_array_equal(weighted.weights, sampled.weights)
    assert sampled.balancing.kind == "sampling"


@pytest.mark.parametrize("kind", ["weights", "logits"])
def test_a_balanced_probe_finds_the_rare_class(kind: str) -> None:
    (x, labels), held_out = rare_problem(), rare_problem(seed=1)
    plain, balanced = (fit_probe(x, labels, 2, seed=0, balance=balance) for balance in ("none", kind))
    before, after = (balanced_accuracy(softmax(probe.logits(held_out[0])), held_out[1]) for probe in (plain, balanced))
    assert after > before + 0.1
    assert right(plain, held_out) > right(balanced, held_out)
    # Its probabilities are those of a world where both classes are as common.
    calibrated, too_cautious = (
        balanced_log_loss(softmax(probe.logits(held_out[0])), held_out[1]) for probe in (balanced, plain)
    )
    assert calibrated < too_cautious


def test_auto_takes_a_remedy_where_classes_are_skewed_and_says_what_it_measured() -> None:
    x, labels = rare_problem()
    found = fit_probe(x, labels, 2, seed=0, balance="auto")
    assert found.balancing.kind == "logits"
    assert found.balancing.balanced_accuracy["logits"] > found.balancing.balanced_accuracy["none"] + 0.1
    assert set(found.balancing.balanced_accuracy) == {"none", "logits", "weights"}
    alone = fit_probe(x, labels, 2, seed=0, balance="logits")
    np.testing.assert_array_equal(found.weights, alone.weights)
    assert found.cross_validated == alone.cross_validated


def test_the_strength_of_a_balanced_probe_is_that_of_the_smallest_balanced_loss() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, labels = rare_problem(200)
    found = fit_probe(x, labels, 2, seed=7, balance="weights").cross_validated
    for strength, loss in found.items():
        losses = []
        for train, test in StratifiedKFold(5, shuffle=True, random_state=7).split(labels, labels):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", tol=1e-6))
            probabilities = model.fit(x[train].astype(np.float64), labels[train]).predict_proba(x[test])
            losses.append(balanced_log_loss(probabilities, labels[test]))
        assert loss == pytest.approx(np.mean(losses), rel=2e-3)


def test_fitting_again_keeps_the_balance_and_counts_anew() -> None:
    x, labels = rare_problem()
    probe = fit_probe(x, labels, 2, seed=0, balance="logits")
    again = refit_probe(probe, np.concatenate([x, x[labels == 1]]), np.concatenate([labels, labels[labels == 1]]))
    assert again.balancing == probe.balancing
    plain = refit_probe(replace(probe, balancing=NOT_BALANCED), x, labels)
    assert np.diff(plain.bias - refit_probe(probe, x, labels).bias)[0] == pytest.approx(np.log(1 / 9), abs=1e-5)


@pytest.mark.parametrize("balance", ["none", "logits", "weights", "auto"])
def test_progress_never_counts_more_fits_than_announced(balance: str) -> None:
    x, labels = rare_problem(200)
    counts: list[int] = []
    fit_probe(x, labels, 2, seed=0, advance=counts.append, balance=balance)
    assert sum(counts) <= most_fits(labels, balance) == 5 * len(STRENGTHS) * (2 if balance == "auto" else 1) + 1


def test_a_single_image_of_a_class_can_be_balanced_too() -> None:
    x, labels = problem(2, images=40)
    labels[:], labels[0] = 0, 1
    for balance in ("auto", "none", "logits", "weights"):
        assert fit_probe(x, labels, 2, seed=0, balance=balance).folds == 0


def tags(images: int, seed: int = 0) -> Problem:
    """Features that each tell one of three labels, the last of them rare."""
    rng = np.random.default_rng(seed)
    targets = (rng.uniform(size=(images, 3)) < [0.5, 0.3, 0.06]).astype(np.float32)
    x = np.concatenate([targets + rng.normal(0, 0.5, targets.shape), rng.normal(size=(images, 5))], axis=1)
    return x.astype(np.float32), targets


def test_labels_are_learned_one_against_the_rest_with_a_strength_for_all() -> None:
    x, targets = tags(300)
    kind = MultiLabel.of(targets, ("a", "b", "c"))
    advanced: list[int] = []
    probe = fit_probe(x, targets, 3, 0, advanced.append, kind=kind)
    assert probe.kind is kind
    assert (probe.weights.shape, probe.bias.shape, probe.folds) == ((8, 3), (3,), MOST_FOLDS)
    assert probe.strength == min(probe.cross_validated, key=lambda strength: probe.cross_validated[strength])
    assert sum(advanced) <= most_fits(targets, kind=kind)
    new, new_targets = tags(300, seed=1)
    assert kind.goodness(kind.predict(probe.logits(new)), new_targets) > 0.7
    assert np.abs(probe.weights[:3]).argmax(axis=0).tolist() == [0, 1, 2]
    assert probe.balancing == NOT_BALANCED


def test_a_number_is_learned_in_units_of_its_deviation() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)).astype(np.float32)
    targets = 1000 + 50 * x[:, 0].astype(np.float64) + rng.normal(0, 10, 300)
    kind = Regression.of(targets[:200], ("weight",))
    probe = fit_probe(x[:200], targets[:200], 1, 0, kind=kind)
    assert (probe.weights.shape, probe.bias.shape) == ((6, 1), (1,))
    assert kind.goodness(kind.predict(probe.logits(x[200:])), targets[200:]) > 0.9
    again = refit_probe(probe, x, targets)
    assert again.kind is kind
    np.testing.assert_allclose(kind.predict(again.logits(x)), kind.predict(probe.logits(x)), atol=10)
    assert np.abs(again.weights - probe.weights).max() > 1e-5


def test_the_cross_validated_loss_of_a_number_is_that_of_the_fold_left_out() -> None:
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 30)).astype(np.float32)
    targets = x[:, 0] + rng.normal(size=100)
    kind = Regression.of(targets, ("weight",))
    found = fit_probe(x, targets, 1, 3, kind=kind).cross_validated
    strata = kind.strata(targets)
    folds = list(StratifiedKFold(5, shuffle=True, random_state=3).split(strata, strata))
    for strength, loss in found.items():
        model = make_pipeline(StandardScaler(), Ridge(1 / strength))
        scores = cross_val_score(model, x, targets / kind.deviation, cv=folds, scoring="neg_mean_squared_error")
        assert loss == pytest.approx(-scores.mean(), rel=1e-3)


def test_four_views_count_as_two_images() -> None:
    """Four copies of each image are what two of it would be."""
    x, labels = problem(3, spread=3.0)
    probe = fit_probe(x, labels, 3, seed=0)
    copied = refit_to_views(probe, np.stack([x] * 4), labels)
    twice = refit_probe(probe, np.concatenate([x, x]), np.concatenate([labels, labels]))
    np.testing.assert_allclose(copied.logits(x), twice.logits(x), atol=0.02)
    assert copied.strength == probe.strength


def test_views_keep_the_labels_of_their_images() -> None:
    x, labels = problem(3, spread=0.5)
    probe = fit_probe(x, labels, 3, seed=0)
    assert right(refit_to_views(probe, np.stack([x, x + 0.01]), labels), (x, labels)) > 0.99


def test_the_loss_of_one_view_is_that_of_the_strength_that_was_chosen() -> None:
    x, labels = problem(3, images=90, features=30, spread=6.0)
    probe = fit_probe(x, labels, 3, seed=7)
    assert loss_of_views(probe, x[None], labels, 7) == pytest.approx(min(probe.cross_validated.values()), rel=1e-3)


def test_copies_of_an_image_are_held_out_together() -> None:
    """Noise that was learned by heart seems to be understood where a copy of it is held out."""
    features, labels = (np.repeat(part, 4, axis=0) for part in problem(2, images=60, features=40, spread=100.0))
    units = [str(number // 4) for number in range(len(labels))]
    apart, together = fit_probe(features, labels, 2, 0), fit_probe(features, labels, 2, 0, units=units)
    assert min(apart.cross_validated.values()) < 0.5 < min(together.cross_validated.values())
    assert together.folds == 5
    taught = loss_of_views(together, features[None], labels, 0, units)
    assert taught == pytest.approx(together.cross_validated[together.strength])


def test_units_of_one_image_change_nothing() -> None:
    features, labels = problem(3)
    plain = fit_probe(features, labels, 3, 0)
    each = fit_probe(features, labels, 3, 0, units=[str(number) for number in range(len(labels))])
    assert plain.cross_validated == each.cross_validated
    np.testing.assert_array_equal(plain.weights, each.weights)


def test_folds_follow_the_class_of_fewest_groups() -> None:
    features, labels = problem(2, images=40)
    for groups, folds in ((3, 3), (1, 0)):
        units = [f"{label} {number % groups}" for number, label in enumerate(labels)]
        probe = fit_probe(features, labels, 2, 0, units=units)
        assert probe.folds == folds
        assert bool(probe.cross_validated) == bool(folds)


def test_a_fold_in_which_a_class_could_not_be_learned_is_left_out() -> None:
    """Both groups with images of class 3 come to lie in one of the two folds, so that none is left to compare."""
    labels = np.array([1, 3, 1, 2, 3, 2, 1, 1, 3, 1, 3, 2]) - 1
    features = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
    probe = fit_probe(features, labels, 3, 0, units=list("202021012000"))
    assert (probe.folds, probe.cross_validated) == (0, {})
    assert np.isfinite(probe.weights).all()
