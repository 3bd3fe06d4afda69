"""The layers that end a stage in each family of keras.applications, from the input to the output.

Each is a cut of the network. The last stage, where fine-tuning starts most often, is given block by block, so that
there is a choice of how much to train. Names are those of the layers in Keras.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from string import ascii_lowercase

Stages = tuple[str, ...]


def vgg(convolutions: int) -> Stages:
    """Of VGG, by the number of convolutions in its last block."""
    pools = (f"block{block}_pool" for block in range(1, 5))
    return (*pools, *(f"block5_conv{number}" for number in range(1, convolutions)), "block5_pool")


def resnet(third: int, fourth: int) -> Stages:
    """Of ResNet, by the number of blocks in its third and fourth stage."""
    ends = ("conv2_block3_out", f"conv3_block{third}_out", f"conv4_block{fourth}_out")
    return (*ends, "conv5_block1_out", "conv5_block2_out", "conv5_block3_out")


def resnet_v2(third: int, fourth: int) -> Stages:
    """Of ResNet V2, which normalises once more after its last block."""
    return (*resnet(third, fourth)[:-1], "post_relu")


def densenet(last: int) -> Stages:
    """Of DenseNet, by the number of layers in its last block."""
    inside = (f"conv5_block{last * quarters // 4}_concat" for quarters in (1, 2, 3))
    return ("pool2_pool", "pool3_pool", "pool4_pool", *inside, "relu")


def efficientnet(*repeats: int, first: str = "project_bn") -> Stages:
    """Of EfficientNet, by the number of blocks in each stage.

    Args:
        repeats: blocks a stage.
        first: the ending of the first block's name where its stage has no other, and so no shortcut.
    """
    ends = [_block(stage, count, first if stage == 1 else "project_bn") for stage, count in enumerate(repeats, start=1)]
    last = [_block(len(repeats), number, "project_bn") for number in range(1, repeats[-1])]
    return (*ends[:-1], *last, ends[-1], "top_activation")


def _block(stage: int, number: int, ending: str) -> str:
    # Only the first block of a stage changes the size of the map, and only the others have a shortcut.
    name = f"block{stage}{ascii_lowercase[number - 1]}"
    return f"{name}_add" if number > 1 else f"{name}_{ending}"


def convnext(depths: Sequence[int]) -> Stages:
    """Of ConvNeXt, whose blocks end in additions numbered throughout, by the number of blocks in each stage."""
    ends = [end - 1 for end in accumulate(depths)]
    last = range(ends[-2] + 1, ends[-1])
    return (*(f"add_{number}" for number in (*ends[:-1], *last, ends[-1])), "layer_normalization")


INCEPTION_V3 = ("mixed2", "mixed7", "mixed8", "mixed9", "mixed10")
INCEPTION_RESNET = (
    *("block35_10_ac", "block17_20_ac", "mixed_7a", "block8_3_ac", "block8_6_ac", "block8_9_ac", "conv_7b_ac"),
)
XCEPTION = ("add_1", "add_2", "add_10", "add_11", "block14_sepconv1_act", "block14_sepconv2_act")
MOBILENET = tuple(f"conv_pw_{number}_relu" for number in (1, 3, 5, 11, 12, 13))
MOBILENET_V2 = (
    *("block_2_add", "block_5_add", "block_9_add", "block_12_add"),
    *("block_13_project_BN", "block_14_add", "block_15_add", "block_16_project_BN", "out_relu"),
)
MOBILENET_V3_SMALL = (
    *("expanded_conv_2_add", "expanded_conv_5_add", "expanded_conv_7_add"),
    *("expanded_conv_8_project_bn", "expanded_conv_9_add", "expanded_conv_10_add", "activation_17"),
)
MOBILENET_V3_LARGE = (
    *("expanded_conv_2_add", "expanded_conv_5_add", "expanded_conv_9_add", "expanded_conv_11_add"),
    *("expanded_conv_12_project_bn", "expanded_conv_13_add", "expanded_conv_14_add", "activation_19"),
)
# Every cell of NASNet takes the outputs of the two before it, so that only the stem and the last cell are cuts.
NASNET_MOBILE = ("stem_bn1", "normal_concat_12", "activation_187")
NASNET_LARGE = ("stem_bn1", "normal_concat_18", "activation_259")
