"""The families of keras.applications: what their members have in common.

Licences are those under which the authors of the weights, or Keras itself, released them: VGG's by the Visual Geometry
Group at Oxford, ResNet's by Kaiming He, DenseNet's by its authors, ConvNeXt's by Facebook, Xception's by Keras' author,
and all others by Google.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from headstart.images.spec import Channels

_ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications"
_KERNELS = "weights_tf_dim_ordering_tf_kernels_notop.h5"


@dataclass(frozen=True)
class Scaling:
    """How pixels are scaled: the fields of an image spec of these names."""

    offset: Channels
    divisor: Channels
    channels: Literal["rgb", "bgr"] = "rgb"


# The names that Keras gives them. What scales inside the network takes pixels as they are.
SCALINGS = {
    "none": Scaling(0.0, 1.0),
    "tf": Scaling(127.5, 127.5),
    "torch": Scaling((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "caffe": Scaling((103.939, 116.779, 123.68), 1.0, channels="bgr"),
}


@dataclass(frozen=True)
class Family:
    """What the members of a family have in common.

    Attributes:
        scaling: a name in `SCALINGS`.
        licence: of the weights, as an SPDX identifier.
        reference: the paper.
        address: the web folder of the weights.
        file: turns a member's name, as its file has it, into the file's name in Keras' cache.
        smallest: side that the input needs at least, in pixels.
        interpolation: of the images that the network was trained with.
        algorithm: of the published checksums.
        published_as: likewise, the file's name in its web folder where that is another one.
    """

    scaling: Literal["none", "tf", "torch", "caffe"]
    licence: str
    reference: str
    address: str
    file: Callable[[str], str]
    smallest: int = 32
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    algorithm: Literal["md5", "sha256"] = "md5"
    published_as: Callable[[str], str] | None = None

    def published_file(self, member: str) -> str:
        """The file's name in its web folder."""
        return (self.published_as or self.file)(member)


def _kernels(member: str) -> str:
    return f"{member}_{_KERNELS}"


def _no_top(member: str) -> str:
    return f"{member}_notop.h5"


def _mobilenet_v1(member: str) -> str:
    return f"{member}_1_0_224_tf_no_top.h5"


def _mobilenet_v2(member: str) -> str:
    return f"{member}_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"


def _mobilenet_v3(member: str) -> str:
    return f"weights_mobilenet_v3_{member}_224_1.0_float_no_top_v2.h5"


def _nasnet(member: str) -> str:
    return f"{member}_no_top.h5"


def _published_nasnet(member: str) -> str:
    return f"{member.replace('nasnet_', 'NASNet-')}-no-top.h5"


def _arxiv(number: str) -> str:
    return f"https://arxiv.org/abs/{number}"


VGG16 = Family("caffe", "CC-BY-4.0", _arxiv("1409.1556"), f"{_ADDRESS}/vgg16", _kernels)
VGG19 = Family("caffe", "CC-BY-4.0", _arxiv("1409.1556"), f"{_ADDRESS}/vgg19", _kernels)
RESNET = Family("caffe", "MIT", _arxiv("1512.03385"), f"{_ADDRESS}/resnet", _kernels)
RESNET_V2 = Family("tf", "Apache-2.0", _arxiv("1603.05027"), f"{_ADDRESS}/resnet", _kernels)
INCEPTION_V3 = Family("tf", "Apache-2.0", _arxiv("1512.00567"), f"{_ADDRESS}/inception_v3", _kernels, smallest=75)
INCEPTION_RESNET = Family(
    "tf", "Apache-2.0", _arxiv("1602.07261"), f"{_ADDRESS}/inception_resnet_v2", _kernels, smallest=75
)
XCEPTION = Family("tf", "MIT", _arxiv("1610.02357"), f"{_ADDRESS}/xception", _kernels, smallest=71)
MOBILENET = Family("tf", "Apache-2.0", _arxiv("1704.04861"), f"{_ADDRESS}/mobilenet", _mobilenet_v1)
MOBILENET_V2 = Family("tf", "Apache-2.0", _arxiv("1801.04381"), f"{_ADDRESS}/mobilenet_v2", _mobilenet_v2)
MOBILENET_V3 = Family("none", "Apache-2.0", _arxiv("1905.02244"), f"{_ADDRESS}/mobilenet_v3", _mobilenet_v3)
DENSENET = Family("torch", "BSD-3-Clause", _arxiv("1608.06993"), f"{_ADDRESS}/densenet", _kernels)
NASNET = Family("tf", "Apache-2.0", _arxiv("1707.07012"), f"{_ADDRESS}/nasnet", _nasnet, published_as=_published_nasnet)
EFFICIENTNET = Family(
    "none",
    "Apache-2.0",
    _arxiv("1905.11946"),
    "https://storage.googleapis.com/keras-applications",
    _no_top,
    interpolation="bicubic",
)
EFFICIENTNET_V2 = Family(
    "none", "Apache-2.0", _arxiv("2104.00298"), f"{_ADDRESS}/efficientnet_v2", _no_top, interpolation="bicubic"
)
CONVNEXT = Family(
    "none",
    "MIT",
    _arxiv("2201.03545"),
    f"{_ADDRESS}/convnext",
    _no_top,
    interpolation="bicubic",
    algorithm="sha256",
)
