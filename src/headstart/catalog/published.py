"""The networks of keras.applications as bases, with the weights that Keras publishes for them.

Sizes, checksums and addresses are those in Keras' source. Accuracies are those of Keras' own table of applications, and
for MobileNetV3, which it lacks, those that Keras gives beside the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from headstart.catalog import families, stages
from headstart.catalog.applications import build
from headstart.catalog.base import Base
from headstart.catalog.download import Checksum
from headstart.catalog.families import SCALINGS, Family
from headstart.catalog.keras_weights import PublishedWeights
from headstart.images.spec import ImageSpec


@dataclass(frozen=True)
class _Row:
    """What tells a member of a family from the others.

    Attributes:
        name: as people type it.
        constructor: its name in ``keras.applications``.
        family: which it belongs to.
        member: its name in the weights file's name.
        size: height and width of the input, in pixels.
        parameters: of the network with its ImageNet top.
        top1: published top-1 accuracy on ImageNet, 0 to 1.
        stages: the layers that end a stage.
        widths: channels of each stage's map; "512×4" for four of 512 after each other.
        digest: the published checksum of the weights file without a top; None where Keras publishes none.
    """

    name: str
    constructor: str
    family: Family
    member: str
    size: int
    parameters: int
    top1: float
    stages: stages.Stages
    widths: str
    digest: str | None


def _base(row: _Row) -> Base:
    family = row.family
    scaling = SCALINGS[family.scaling]
    architecture = partial(build, row.constructor, row.size)
    return Base(
        name=row.name,
        spec=ImageSpec(
            row.size, row.size, family.interpolation, scaling.offset, scaling.divisor, channels=scaling.channels
        ),
        stages=row.stages,
        detail=None,
        widths=tuple(_widths(row.widths)),
        parameters=row.parameters,
        imagenet_top1=row.top1,
        licence=family.licence,
        reference=family.reference,
        revision=1,
        architecture=architecture,
        weights=PublishedWeights(
            base=row.name,
            architecture=architecture,
            address=f"{family.address}/{family.published_file(row.member)}",
            file=family.file(row.member),
            checksum=Checksum(family.algorithm, row.digest) if row.digest else None,
        ),
        smallest=family.smallest,
    )


def _widths(text: str) -> Iterator[int]:
    for run in text.split():
        width, _, count = run.partition("×")
        yield from [int(width)] * int(count or 1)


# As a table, each base takes two lines or three, and its numbers stand where those of the others do.
# fmt: off
_ROWS = (
    _Row("vgg16", "VGG16", families.VGG16, "vgg16", 224, 138_357_544, 0.713,
         stages.vgg(3), "64 128 256 512×4", "6d6bbae143d832006294945121d1f1fc"),
    _Row("vgg19", "VGG19", families.VGG19, "vgg19", 224, 143_667_240, 0.713,
         stages.vgg(4), "64 128 256 512×5", "253f8cb515780f3b799900260a226db6"),
    _Row("resnet50", "ResNet50", families.RESNET, "resnet50", 224, 25_636_712, 0.749,
         stages.resnet(4, 6), "256 512 1024 2048×3", "4d473c1dd8becc155b73f8504c6f6626"),
    _Row("resnet101", "ResNet101", families.RESNET, "resnet101", 224, 44_707_176, 0.764,
         stages.resnet(4, 23), "256 512 1024 2048×3", "88cf7a10940856eca736dc7b7e228a21"),
    _Row("resnet152", "ResNet152", families.RESNET, "resnet152", 224, 60_419_944, 0.766,
         stages.resnet(8, 36), "256 512 1024 2048×3", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    _Row("resnet50v2", "ResNet50V2", families.RESNET_V2, "resnet50v2", 224, 25_613_800, 0.76,
         stages.resnet_v2(4, 6), "256 512 1024 2048×3", "fac2f116257151a9d068a22e544a4917"),
    _Row("resnet101v2", "ResNet101V2", families.RESNET_V2, "resnet101v2", 224, 44_675_560, 0.772,
         stages.resnet_v2(4, 23), "256 512 1024 2048×3", "c0ed64b8031c3730f411d2eb4eea35b5"),
    _Row("resnet152v2", "ResNet152V2", families.RESNET_V2, "resnet152v2", 224, 60_380_648, 0.78,
         stages.resnet_v2(8, 36), "256 512 1024 2048×3", "ed17cf2e0169df9d443503ef94b23b33"),
    _Row("inceptionv3", "InceptionV3", families.INCEPTION_V3, "inception_v3", 299, 23_851_784, 0.779,
         stages.INCEPTION_V3, "288 768 1280 2048×2", "bcbd6486424b2319ff4ef7d526e38f63"),
    _Row("inceptionresnetv2", "InceptionResNetV2", families.INCEPTION_RESNET, "inception_resnet_v2", 299, 55_873_736,
         0.803, stages.INCEPTION_RESNET, "320 1088 2080×4 1536", "d19885ff4a710c122648d3b5c3b684e4"),
    _Row("xception", "Xception", families.XCEPTION, "xception", 299, 22_910_480, 0.79,
         stages.XCEPTION, "256 728×2 1024 1536 2048", "b0042744bf5b25fce3cb969f33bebb97"),
    _Row("mobilenet", "MobileNet", families.MOBILENET, "mobilenet", 224, 4_253_864, 0.704,
         stages.MOBILENET, "64 128 256 512 1024×2", None),
    _Row("mobilenetv2", "MobileNetV2", families.MOBILENET_V2, "mobilenet_v2", 224, 3_538_984, 0.713,
         stages.MOBILENET_V2, "24 32 64 96 160×3 320 1280", None),
    _Row("mobilenetv3-small", "MobileNetV3Small", families.MOBILENET_V3, "small", 224, 2_554_968, 0.681,
         stages.MOBILENET_V3_SMALL, "24 40 48 96×3 576", "d3e8ec802a04aa4fc771ee12a9a9b836"),
    _Row("mobilenetv3-large", "MobileNetV3Large", families.MOBILENET_V3, "large", 224, 5_507_432, 0.756,
         stages.MOBILENET_V3_LARGE, "24 40 80 112 160×3 960", "07fb09a5933dd0c8eaafa16978110389"),
    _Row("densenet121", "DenseNet121", families.DENSENET, "densenet121", 224, 8_062_504, 0.75,
         stages.densenet(16), "128 256 512 640 768 896 1024", "30ee3e1110167f948a6b9946edeeb738"),
    _Row("densenet169", "DenseNet169", families.DENSENET, "densenet169", 224, 14_307_880, 0.762,
         stages.densenet(32), "128 256 640 896 1152 1408 1664", "b8c4d4c20dd625c148057b9ff1c1176b"),
    _Row("densenet201", "DenseNet201", families.DENSENET, "densenet201", 224, 20_242_984, 0.773,
         stages.densenet(32), "128 256 896 1152 1408 1664 1920", "c13680b51ded0fb44dff2d8f86ac8bb1"),
    _Row("nasnetmobile", "NASNetMobile", families.NASNET, "nasnet_mobile", 224, 5_326_716, 0.744,
         stages.NASNET_MOBILE, "32 1056×2", "1ed92395b5b598bdda52abe5c0dbfd63"),
    _Row("nasnetlarge", "NASNetLarge", families.NASNET, "nasnet_large", 331, 88_949_818, 0.825,
         stages.NASNET_LARGE, "96 4032×2", "d81d89dc07e6e56530c4e77faddd61b5"),
    _Row("efficientnetb0", "EfficientNetB0", families.EFFICIENTNET, "efficientnetb0", 224, 5_330_571, 0.771,
         stages.efficientnet(1, 2, 2, 3, 3, 4, 1), "16 24 40 80 112 192 320 1280",
         "50bc09e76180e00e4465e1a485ddc09d"),
    _Row("efficientnetb1", "EfficientNetB1", families.EFFICIENTNET, "efficientnetb1", 240, 7_856_239, 0.791,
         stages.efficientnet(2, 3, 3, 4, 4, 5, 2), "16 24 40 80 112 192 320×2 1280",
         "74c4e6b3e1f6a1eea24c589628592432"),
    _Row("efficientnetb2", "EfficientNetB2", families.EFFICIENTNET, "efficientnetb2", 260, 9_177_569, 0.801,
         stages.efficientnet(2, 3, 3, 4, 4, 5, 2), "16 24 48 88 120 208 352×2 1408",
         "111f8e2ac8aa800a7a99e3239f7bfb39"),
    _Row("efficientnetb3", "EfficientNetB3", families.EFFICIENTNET, "efficientnetb3", 300, 12_320_535, 0.816,
         stages.efficientnet(2, 3, 3, 5, 5, 6, 2), "24 32 48 96 136 232 384×2 1536",
         "af6d107764bb5b1abb91932881670226"),
    _Row("efficientnetb4", "EfficientNetB4", families.EFFICIENTNET, "efficientnetb4", 380, 19_466_823, 0.829,
         stages.efficientnet(2, 4, 4, 6, 6, 8, 2), "24 32 56 112 160 272 448×2 1792",
         "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    _Row("efficientnetb5", "EfficientNetB5", families.EFFICIENTNET, "efficientnetb5", 456, 30_562_527, 0.836,
         stages.efficientnet(3, 5, 5, 7, 7, 9, 3), "24 40 64 128 176 304 512×3 2048",
         "38879255a25d3c92d5e44e04ae6cec6f"),
    _Row("efficientnetb6", "EfficientNetB6", families.EFFICIENTNET, "efficientnetb6", 528, 43_265_143, 0.84,
         stages.efficientnet(3, 6, 6, 8, 8, 11, 3), "32 40 72 144 200 344 576×3 2304",
         "9ecce42647a20130c1f39a5d4cb75743"),
    _Row("efficientnetb7", "EfficientNetB7", families.EFFICIENTNET, "efficientnetb7", 600, 66_658_687, 0.843,
         stages.efficientnet(4, 7, 7, 10, 10, 13, 4), "32 48 80 160 224 384 640×4 2560",
         "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    _Row("efficientnetv2-b0", "EfficientNetV2B0", families.EFFICIENTNET_V2, "efficientnetv2-b0", 224, 7_200_312, 0.787,
         stages.efficientnet(1, 2, 2, 3, 5, 8, first="project_activation"), "16 32 48 96 112 192×8 1280",
         "893217f2bb855e2983157299931e43ff"),
    _Row("efficientnetv2-b1", "EfficientNetV2B1", families.EFFICIENTNET_V2, "efficientnetv2-b1", 240, 8_212_124, 0.798,
         stages.efficientnet(2, 3, 3, 4, 6, 9), "16 32 48 96 112 192×9 1280", "0e80663031ca32d657f9caa404b6ec37"),
    _Row("efficientnetv2-b2", "EfficientNetV2B2", families.EFFICIENTNET_V2, "efficientnetv2-b2", 260, 10_178_374, 0.805,
         stages.efficientnet(2, 3, 3, 4, 6, 10), "16 32 56 104 120 208×10 1408", "1dfe2e7a5d45b6632553a8961ea609eb"),
    _Row("efficientnetv2-b3", "EfficientNetV2B3", families.EFFICIENTNET_V2, "efficientnetv2-b3", 300, 14_467_622, 0.82,
         stages.efficientnet(2, 3, 3, 5, 7, 12), "16 40 56 112 136 232×12 1536", "f6abf7b5849ac99a89b50dd3fd532856"),
    _Row("efficientnetv2-s", "EfficientNetV2S", families.EFFICIENTNET_V2, "efficientnetv2-s", 384, 21_612_360, 0.839,
         stages.efficientnet(2, 4, 4, 6, 9, 15), "24 48 64 128 160 256×15 1280", "af0682fb74e8c54910f2d4393339c070"),
    _Row("efficientnetv2-m", "EfficientNetV2M", families.EFFICIENTNET_V2, "efficientnetv2-m", 480, 54_431_388, 0.853,
         stages.efficientnet(3, 5, 5, 7, 14, 18, 5), "24 48 80 160 176 304 512×5 1280",
         "1b8dc055df72dde80d614482840fe342"),
    _Row("efficientnetv2-l", "EfficientNetV2L", families.EFFICIENTNET_V2, "efficientnetv2-l", 480, 119_027_848, 0.857,
         stages.efficientnet(4, 7, 7, 10, 19, 25, 7), "32 64 96 192 224 384 640×7 1280",
         "b0b66b5c863aef5b46e8608fe1711615"),
    _Row("convnext-tiny", "ConvNeXtTiny", families.CONVNEXT, "convnext_tiny", 224, 28_589_128, 0.813,
         stages.convnext((3, 3, 9, 3)), "96 192 384 768×4",
         "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"),
    _Row("convnext-small", "ConvNeXtSmall", families.CONVNEXT, "convnext_small", 224, 50_223_688, 0.823,
         stages.convnext((3, 3, 27, 3)), "96 192 384 768×4",
         "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab"),
    _Row("convnext-base", "ConvNeXtBase", families.CONVNEXT, "convnext_base", 224, 88_591_464, 0.853,
         stages.convnext((3, 3, 27, 3)), "128 256 512 1024×4",
         "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45"),
    _Row("convnext-large", "ConvNeXtLarge", families.CONVNEXT, "convnext_large", 224, 197_767_336, 0.863,
         stages.convnext((3, 3, 27, 3)), "192 384 768 1536×4",
         "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd"),
    _Row("convnext-xlarge", "ConvNeXtXLarge", families.CONVNEXT, "convnext_xlarge", 224, 350_196_968, 0.867,
         stages.convnext((3, 3, 27, 3)), "256 512 1024 2048×4",
         "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05"),
)
# fmt: on

APPLICATIONS: tuple[Base, ...] = tuple(_base(row) for row in _ROWS)
