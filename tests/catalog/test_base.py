from __future__ import annotations

from dataclasses import dataclass, replace

import keras
import numpy as np
import pytest

from headstart.catalog import untrained
from headstart.catalog.base import Arrays, Base, WeightSource, assign
from headstart.errors import UnknownNameError, UsageError, WeightsError


@dataclass(frozen=True)
class GivenWeights(WeightSource):
    """Weights that a test holds in its hands."""

    arrays: Arrays
    identity: str = "given"
    install_command: str = "pip install given"

    def is_here(self) -> bool:
        return True

    def require(self) -> None:
        pass

    def load(self) -> Arrays:
        return self.arrays


def sound_arrays() -> Arrays:
    return untrained.BASE.weights.load()


def base_with(arrays: Arrays) -> Base:
    return replace(untrained.BASE, weights=GivenWeights(arrays))


def test_a_built_base_holds_its_weights() -> None:
    model = untrained.BASE.build()
    for path, array in sound_arrays().items():
        (variable,) = (found for found in model.variables if found.path == path)
        np.testing.assert_array_equal(variable.numpy(), array)


def test_a_base_maps_inputs_of_its_spec_to_a_map_of_its_features() -> None:
    base = untrained.BASE
    inputs = np.zeros((2, base.spec.height, base.spec.width, 3), np.float32)
    assert base.build()(inputs).shape == (2, 4, 4, base.features)


def test_a_base_up_to_a_stage_gives_that_stages_map() -> None:
    whole, lower = untrained.BASE, untrained.BASE.up_to("stage1")
    inputs = np.random.default_rng(0).random((2, 32, 32, 3)).astype(np.float32)
    model = whole.build()
    expected = keras.Model(model.input, model.get_layer("stage1").output)(inputs)
    np.testing.assert_array_equal(lower.build()(inputs), expected)
    assert (lower.name, lower.stages, lower.widths, lower.features) == (
        "untrained@stage1",
        ("stage0", "stage1"),
        (8, 16),
        16,
    )
    assert lower.whole is whole
    assert lower.fingerprint != whole.fingerprint
    assert whole.up_to("stage2") is whole


def test_a_base_up_to_a_stage_pools_the_one_below_where_the_whole_does() -> None:
    base = replace(untrained.BASE, detail="stage1")
    assert base.features == 32 + 3 * 16
    assert (base.up_to("stage1").detail, base.up_to("stage1").features) == ("stage0", 16 + 3 * 8)
    assert (base.up_to("stage0").detail, base.up_to("stage0").features) == (None, 8)


def test_sizes_and_stages_go_together_in_either_order() -> None:
    base = untrained.BASE
    for lower in (base.up_to("stage1").with_size(48, 64), base.with_size(48, 64).up_to("stage1")):
        assert lower.build().output.shape == (None, 12, 16, 16)
        assert lower.name == "untrained@stage1"


def test_a_lower_part_of_the_lower_part_is_one_of_the_whole() -> None:
    lowest = untrained.BASE.up_to("stage1").up_to("stage0")
    assert (lowest.name, lowest.stages, lowest.build().output.shape[-1]) == ("untrained@stage0", ("stage0",), 8)


def test_what_is_no_stage_is_told_and_a_lower_part_has_no_top() -> None:
    with pytest.raises(UnknownNameError, match="no stage named 'stage9'"):
        untrained.BASE.up_to("stage9")
    with pytest.raises(UsageError, match="stage0 has no ImageNet top"):
        untrained.BASE.up_to("stage0").build(classes=10)


def test_arrays_for_other_layers_are_left_alone() -> None:
    arrays = {**sound_arrays(), "top/kernel": np.zeros(3)}
    assert base_with(arrays).build().count_params() == untrained.BASE.build().count_params()


def test_a_variable_without_weights_is_named() -> None:
    arrays = sound_arrays()
    del arrays["stage1_bn/gamma"]
    with pytest.raises(WeightsError) as caught:
        base_with(arrays).build()
    assert str(caught.value) == (
        "stage1_bn/gamma needs weights of shape (16,); there is nothing; "
        "these weights belong to another network, or another version of this one"
    )


def test_weights_of_another_shape_are_refused_rather_than_stretched() -> None:
    arrays = {**sound_arrays(), "stage1_bn/gamma": np.ones((1,), np.float32)}
    with pytest.raises(WeightsError, match=r"stage1_bn/gamma needs weights of shape \(16,\); there is shape \(1,\)"):
        base_with(arrays).build()


def test_a_top_without_weights_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"logits/kernel needs weights of shape \(32, 1000\); there is nothing"):
        untrained.BASE.build(classes=1000)


def test_assign_changes_the_model_it_is_given() -> None:
    model = untrained.build()
    arrays = {variable.path: np.full(variable.shape, 0.5, np.float32) for variable in model.variables}
    assign(model, arrays)
    assert all((variable.numpy() == 0.5).all() for variable in model.variables)


def test_a_fingerprint_is_the_same_every_time() -> None:
    assert untrained.BASE.fingerprint == replace(untrained.BASE).fingerprint
    assert len(untrained.BASE.fingerprint) == 64


@pytest.mark.parametrize(
    "change",
    [{"name": "other"}, {"revision": 2}, {"weights": untrained.SeededWeights(seed=1)}],
    ids=["name", "revision", "weights"],
)
def test_a_fingerprint_changes_with_whatever_changes_the_numbers(change: dict[str, object]) -> None:
    assert replace(untrained.BASE, **change).fingerprint != untrained.BASE.fingerprint


def test_a_base_is_pretrained_when_it_has_a_published_accuracy() -> None:
    assert not untrained.BASE.is_pretrained
    assert replace(untrained.BASE, imagenet_top1=0.5).is_pretrained
